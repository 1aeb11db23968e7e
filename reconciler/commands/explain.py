"""`reconciler explain KIND[.field]`: all that is known of a kind or of one of its fields, in words, with an example.

`kinds` shows fields with the same words (`facts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import indent, wrap
from typing import Any

import click

from reconciler.commands.common import WHERE, console, format_option, options
from reconciler.commands.knowledge import Schema, field_about, find, kind_about, kind_called
from reconciler.kinds.quantities import EXAMPLES

_MARKS = {
    "readOnly": "read only",
    "writeOnly": "write only",
    "x-immutable": "fixed at creation",
    "x-only-grows": "only grows",
    "deprecated": "deprecated",
}
_SECRETS = {True: "yes: written as valueFrom", "embedded": "where it holds one: text, or valueFrom"}


@click.command("explain")
@click.argument("place", metavar="KIND[.field[.sub]]")
@format_option("text", "json")
@options(*WHERE)
def command(place: str, output: str, **flags: Any) -> int:
    """Explain a kind or a field: what it takes, what a change of it does, where it is documented, an example."""
    screen = console(flags)
    name, _, path = place.partition(".")
    kind = kind_called(name)
    steps = find(kind, path) if path else []
    about = field_about(kind, steps) if steps else kind_about(kind)
    screen.out(json.dumps(about, indent=2) if output == "json" else _text(about, screen.width))
    return 0


# --- words -----------------------------------------------------------------------------------------------------------


def facts(schema: Schema) -> str:
    """Return what a field takes, on one line."""
    found = [schema["type"]]
    if "enum" in schema:
        found.append("one of " + ", ".join(map(str, schema["enum"])))
    if _range(schema):
        found.append(_range(schema))
    if "x-unit" in schema:
        found.append(f"in {schema['x-unit']}")
    if "default" in schema:
        found.append(f"default {json.dumps(schema['default'])}")
    found += [f"{word} {schema[key]}" for word, key in (("since", "x-since"), ("until", "x-until")) if key in schema]
    found += [text for word, text in _MARKS.items() if schema.get(word)]
    return "; ".join(found)


def _range(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"at least {schema['minimum']}"
    return f"at most {schema['maximum']}" if "maximum" in schema else ""


def _impact_text(impact: Mapping[str, Any]) -> str:
    if impact["impact"] == "none":
        return "none" + (f": {impact['why']}" if "why" in impact else "")
    words = [impact["impact"].replace("-", " ")]
    if "when" in impact:
        words.append({"set": "when it is set"}.get(impact["when"], f"when it is {impact['when']}d"))
    if "below" in impact:
        words.append(f"below {impact['below']}")
    if "to" in impact:
        words.append("when it becomes " + " or ".join(_value(value) for value in impact["to"]))
    return " ".join(words) + (f": {impact['why']}" if "why" in impact else "")


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is known as pairs of a word and its text."""
    if "kind" in about:
        yield "shape", about["shape"] + ("; called cluster" if about["shape"] == "singleton" else "")
        if about["key"]:
            yield "key", " or ".join(about["key"]) + ", which is metadata.name"
        yield "verbs", ", ".join(about["verbs"]) or "none"
        yield "API", about["path"]
        if about.get("protect"):
            yield "protected", "it holds data: to delete or replace one needs consent"
        if "lasting" in about:
            yield "stays", ", ".join(about["lasting"]) + ": the cluster cannot do without"
        yield from ((word, ", ".join(about[key])) for word, key in (("to create", "needs"),) if key in about)
    else:
        yield from _field_rows(about)
    yield from ((word, about[word]) for word in ("since", "until") if word in about)
    yield from (("documented", about[key]) for key in ("documented",) if key in about)
    if "fields" in about:
        yield "fields", ", ".join(about["fields"])


def _field_rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    unit = about.get("unit", "")
    quantity = f", or text such as {EXAMPLES[unit]}" if unit in EXAMPLES and about["type"] == "integer" else ""
    yield "type", about["type"] + (f" in {unit}{quantity}" if unit else "")
    if "enum" in about:
        yield "one of", ", ".join(map(str, about["enum"]))
    if _range(about):
        yield "range", _range(about)
    yield from ((word, _value(about[word])) for word in ("pattern", "default", "usually") if word in about)
    yield from (
        ("impact" if not place else "", _impact_text(each)) for place, each in enumerate(about.get("impact", ()))
    )
    if "fromFile" in about:
        yield "written", "as text, or as valueFrom"
    if "secret" in about:
        yield "secret", _SECRETS[about["secret"]]
    marks = {"writeOnly": "write only", "immutable": "fixed at creation", "onlyGrows": "only grows"}
    if any(word in about for word in marks):
        yield "state", ", ".join(text for word, text in marks.items() if word in about)
    if "optionOf" in about:
        yield "option", "no state; says how a change of " + (", ".join(about["optionOf"]) or "the object") + " is made"
    if "refersTo" in about:
        yield "refers to", about["refersTo"]
    if "only" in about:
        yield "only", about["only"]
    if about.get("deprecated"):
        yield "deprecated", f"use {about['instead']}" if "instead" in about else "yes"
    yield (
        "API",
        f"{about['path']} {about['wire']}" if "wire" in about else f"beside {about['path']}, by calls of its own",
    )


def _text(about: Mapping[str, Any], width: int) -> str:
    from reconciler.yaml12.writer import document

    rows = list(_rows(about))
    wide = max(len(word) for word, _ in rows)
    lines = [about.get("kind") or about["field"], *(f"  {line}" for line in wrap(about["about"], width - 2)), ""]
    for word, text in rows:
        first, *rest = wrap(text, width - wide - 4, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"  {word:<{wide}}  {first}", *(f"  {'':<{wide}}  {line}" for line in rest)]
    return "\n".join([*lines, "", indent(document(about["example"]), "  ").rstrip()])
