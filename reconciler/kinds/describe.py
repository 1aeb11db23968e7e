"""A schema in words: what a field takes and what a change of it does.

Called by `explain` and `kinds` for the terminal and by `markdown` for `schemas/README.md`, so that they say the same.
Works on the kind files and on the schemas of `metadata` and of the project file. Must not know how text is laid out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.vocabulary import VALUE_FROM

Schema = Mapping[str, Any]

_MARKS = {
    "readOnly": "read only",
    "writeOnly": "write only",
    "x-immutable": "fixed at creation",
    "x-only-grows": "only grows",
    "deprecated": "deprecated",
}
_WHEN = {
    "set": "when it is set",
    "increase": "when it is increased",
    "decrease": "when it is decreased",
    "taken": "when an existing entry is changed or removed",
}


def facts(schema: Schema) -> str:
    """Return what a field takes, on one line."""
    found = [type_text(schema)]
    if "enum" in schema:
        found.append("one of " + ", ".join(map(str, schema["enum"])))
    if range_text(schema):
        found.append(range_text(schema))
    if "x-unit" in schema:
        found.append(f"in {schema['x-unit']}")
    if "default" in schema:
        found.append(f"default {json.dumps(schema['default'])}")
    found += [f"{word} {schema[key]}" for word, key in (("since", "x-since"), ("until", "x-until")) if key in schema]
    return "; ".join([*found, *marks(schema)])


def marks(schema: Schema) -> list[str]:
    """Return the properties of a field that are either there or not, such as "fixed at creation"."""
    return [text for word, text in _MARKS.items() if schema.get(word)]


def type_text(schema: Schema) -> str:
    """Return the type of *schema*: its own, the types to choose from, or "valueFrom" for a reference to a secret."""
    if is_reference(schema):
        return "valueFrom"
    if "type" in schema:
        found = schema["type"]
        return " or ".join(found) if isinstance(found, list) else str(found)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_text(each) for each in schema["anyOf"]))
    value = schema["const"] if "const" in schema else schema["enum"][0]
    return {bool: "boolean", int: "integer", float: "number"}.get(type(value), "string")


def is_reference(schema: Schema) -> bool:
    """Return whether *schema* takes `{valueFrom: …}` and nothing else."""
    return list(schema.get("properties", ())) == list(VALUE_FROM["properties"])


def range_text(schema: Schema) -> str:
    """Return the range of a number, or ""."""
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"at least {schema['minimum']}"
    return f"at most {schema['maximum']}" if "maximum" in schema else ""


def impacts(schema: Schema) -> Iterator[str]:
    """Yield a sentence for each impact that a change of the field has."""
    said = schema.get("x-impact", ())
    for impact in [{"impact": said}] if isinstance(said, str) else said:
        yield impact_text(impact)


def impact_text(impact: Mapping[str, Any]) -> str:
    """Return one impact with its conditions and its reason."""
    words = [impact["impact"].replace("-", " ")]
    if "names" in impact:
        words.append("for " + " and ".join(impact["names"]))
    if "when" in impact:
        words.append(_WHEN[impact["when"]])
    if "below" in impact:
        words.append(f"below {impact['below']}")
    if "except" in impact:
        words.append("except for " + ", ".join(impact["except"]))
    if "from" in impact:
        words.append("when it was " + " or ".join(value_text(value) for value in impact["from"]))
    if "to" in impact:
        words.append("when it becomes " + " or ".join(value_text(value) for value in impact["to"]))
    return " ".join(words) + (f": {impact['why']}" if "why" in impact else "")


def value_text(value: Any) -> str:
    """Return *value* as people write it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def reference_of(schema: Schema) -> Schema | None:
    """Return the reference to another kind that a field or the items of its list have."""
    found: Schema | None = schema.get("x-ref") or schema.get("items", {}).get("x-ref")
    return found
