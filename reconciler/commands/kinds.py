"""`reconciler kinds`: what can be declared, from the schemas alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from textwrap import wrap
from typing import Any

import click

from reconciler.commands.common import WHERE, console, format_option, options
from reconciler.errors import InputError, Problem
from reconciler.kinds import Kind, load_kinds

_MARKS = {
    "readOnly": "read only",
    "writeOnly": "write only",
    "x-immutable": "fixed at creation",
    "deprecated": "deprecated",
}


@click.command("kinds")
@click.argument("place", required=False, metavar="[KIND[.field]]")
@format_option("text", "json")
@options(*WHERE)
def command(place: str | None, output: str, **flags: Any) -> int:
    """List what can be declared, the fields of one kind, or one field."""
    screen = console(flags)
    kinds = load_kinds()
    name, _, path = (place or "").partition(".")
    if name and name not in kinds:
        near = get_close_matches(name, kinds, 1, 0.5)
        raise InputError([Problem("KIND", 0, 0, "", f"there is no kind {name}", _hint(near, kinds))])
    if not name:
        rows: Any = [{"kind": kind.name, "path": kind.path, "about": _about(kind.schema)} for kind in kinds.values()]
        text = "\n".join(f"{row['kind']:<10} {row['about']}" for row in rows)
    else:
        rows = _find(kinds[name], path) if path else kinds[name].schema
        text = "\n".join(_lines(f"{name}.{path}" if path else name, rows, screen.width))
    screen.out(json.dumps(rows, indent=2) if output == "json" else text)
    return 0


def _hint(near: list[str], names: Mapping[str, Any]) -> str:
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def _about(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", ""))


def _find(kind: Kind, path: str) -> Mapping[str, Any]:
    """Return the schema of the field at *path*; list items are stepped over."""
    schema: Mapping[str, Any] = kind.schema
    for part in path.split("."):
        fields = _fields(schema)
        if part not in fields:
            near = get_close_matches(part, fields, 1, 0.5)
            raise InputError([Problem(kind.name, 0, 0, path, f"there is no field {part}", _hint(near, fields))])
        schema = fields[part]
    return schema


def _fields(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of an object, of a list's items, or of all variants."""
    fields: dict[str, Any] = dict(schema.get("properties", {}))
    for variant in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        fields |= _fields(variant)
    return fields | (_fields(schema["items"]) if isinstance(schema.get("items"), dict) else {})


def _lines(title: str, schema: Mapping[str, Any], width: int) -> Iterator[str]:
    yield f"{title}: {_facts(schema)}" if "type" in schema and "." in title else title
    yield from (f"  {line}" for line in wrap(_about(schema), width - 2))
    fields = _fields(schema)
    if fields:
        yield ""
    for name, child in fields.items():
        yield f"  {name}: {_facts(child)}"
        yield from (f"      {line}" for line in wrap(_about(child), width - 6))


def _facts(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "value")
    facts = [kind if isinstance(kind, str) else " or ".join(kind)]
    if "enum" in schema:
        facts.append("one of " + ", ".join(map(str, schema["enum"])))
    if "minimum" in schema and "maximum" in schema:
        facts.append(f"{schema['minimum']} to {schema['maximum']}")
    elif "minimum" in schema or "maximum" in schema:
        word = "minimum" if "minimum" in schema else "maximum"
        facts.append(f"{'at least' if word == 'minimum' else 'at most'} {schema[word]}")
    if "x-unit" in schema:
        facts.append(f"in {schema['x-unit']}")
    if "default" in schema:
        facts.append(f"default {json.dumps(schema['default'])}")
    if "x-since" in schema:
        facts.append(f"since {schema['x-since']}")
    facts += [text for word, text in _MARKS.items() if schema.get(word)]
    return "; ".join(facts)
