"""The schema that a cluster serves for its own objects: an answer of GET /v1/jsonschema. Pure.

`live` fetches such schemas and the planner compares declared values with them. They are untrusted input: nothing in
them is followed, compiled or run. Names, types, values and bounds are read; other keywords (a reference, a pattern) are
ignored, so that a warning is only given where the schema is unambiguous.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.labels import label
from reconciler.kinds.versions import ITEM
from reconciler.kinds.vocabulary import is_value_from

Schema = Mapping[str, Any]

_MOST_SHAPES = 40
_SHOWN = 8  # values of an enum
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


class ServerSchema(NamedTuple):
    """The schema that a cluster serves for one kind."""

    schema: Schema
    separate: frozenset[str] = frozenset()  # fields of the kind that the object of the API may not have


EMPTY = ServerSchema({})


def parse_answer(answer: Any, name: str, separate: Iterable[str] = ()) -> ServerSchema | None:
    """Return the schema of the object *name* in *answer*, at the top or under its name; None if there is none."""
    for found in (answer, answer.get(name) if isinstance(answer, Mapping) else None):
        if isinstance(found, Mapping) and any(_properties(shape) for shape in _shapes(found)):
            return ServerSchema(found, frozenset(separate))
    return None


def known_fields(kind: Kind, served: ServerSchema) -> frozenset[str]:
    """Return the top-level fields of *kind* that the cluster names."""
    return frozenset(name for name, field in kind.fields.items() if _named([served.schema], field.wire))


def knows(served: ServerSchema, wire: Sequence[str], value: Any = MISSING) -> bool:
    """Return whether the schema has the property at *wire*; with a *value*, whether its enum has that, too."""
    found = [served.schema]
    for name in wire:
        found = _items(found) if name == ITEM else _named(found, name)
    if value is MISSING:
        return bool(found)
    return any(isinstance(one.get("enum"), list) and value in one["enum"] for one in found)


def refusals(kind: Kind, body: Mapping[str, Any], served: ServerSchema) -> Iterator[tuple[str, str]]:
    """Yield (path, why) for each value of *body*, in spec form, that the cluster does not accept by its own schema."""
    known = known_fields(kind, served)
    body = {name: value for name, value in body.items() if name in known or name not in served.separate}
    yield from _in_object(kind.fields, body, [served.schema], "")


def _in_object(
    fields: Mapping[str, Field], body: Mapping[str, Any], schemas: list[Schema], prefix: str
) -> Iterator[tuple[str, str]]:
    if any(field.reference is not None and field.reference.cluster_from for field in fields.values()):
        return  # it is sent in another form, which only the hook of the kind knows
    for name in sorted(body.keys() & fields.keys()):
        field, path = fields[name], prefix + name
        if field.access.read_only:
            continue
        found = _named(schemas, field.wire)
        if found:
            yield from _in_value(field, body[name], found, path)
        elif _is_complete(schemas) and not (field.access.write_only or field.access.option_of is not None):
            yield path, "has no such field"  # a schema of the state need not have options


def _in_value(field: Field, value: Any, schemas: list[Schema], path: str) -> Iterator[tuple[str, str]]:
    if is_value_from(value) or field.reference is not None:
        return  # the value on the wire is unknown here, or an id
    reasons = [_refusal(value, schema) for schema in schemas]
    if all(reasons):
        yield path, reasons[0]
    elif isinstance(value, Mapping) and field.properties:
        yield from _in_object(field.properties, value, schemas, f"{path}.")
    elif isinstance(value, list) and field.items is not None and (items := _items(schemas)):
        for index, item in enumerate(value):
            place = label(field, item) if field.form.key is not None else f"[{index}]"
            yield from _in_value(field.items, item, items, path + place)


def _refusal(value: Any, schema: Schema) -> str:
    """Return briefly why *schema* does not accept *value*; "" if it does, or if that is unknown."""
    if "$ref" in schema:
        return ""
    for word in ("anyOf", "oneOf"):
        choices = [one for one in _list(schema, word) if isinstance(one, Mapping)]
        reasons = [_refusal(value, one) for one in choices]
        if reasons and all(reasons):
            return reasons[0]
    types = schema.get("type")
    names = [name for name in (types if isinstance(types, list) else [types]) if isinstance(name, str)]
    if names and set(names) <= {*_TYPES, "null"} and not any(_is_a(value, name) for name in names):
        return f"expects {' or '.join(names)}"
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(choices, list) and not any(_same(value, one) for one in choices):
        more = ", …" if len(choices) > _SHOWN else ""
        return f"accepts only {', '.join(str(one)[:60] for one in choices[:_SHOWN])}{more}"
    banned = schema.get("not")
    if isinstance(banned, Mapping) and any(_same(value, one) for one in _list(banned, "enum")):
        return "does not accept this value"
    return _out_of_bounds(value, schema)


def _out_of_bounds(value: Any, schema: Schema) -> str:
    if _is_a(value, "number"):
        measured, least, most, unit = value, "minimum", "maximum", ""
    elif isinstance(value, str):
        measured, least, most, unit = len(value), "minLength", "maxLength", " characters"
    elif isinstance(value, list):
        measured, least, most, unit = len(value), "minItems", "maxItems", " items"
    else:
        return ""
    low, high = schema.get(least), schema.get(most)
    if _is_a(low, "number") and measured < low:
        return f"accepts at least {low}{unit}"
    if _is_a(high, "number") and measured > high:
        return f"accepts at most {high}{unit}"
    return ""


def _is_a(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES.get(name, ())) and (name == "boolean" or not isinstance(value, bool))


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _shapes(schema: Any) -> Iterator[Schema]:
    """Yield *schema* and its alternatives (allOf, anyOf, oneOf), two levels deep."""
    if not isinstance(schema, Mapping):
        return
    level: list[Schema] = [schema]
    for _ in range(3):
        yield from level
        below = [one for each in level for word in ("allOf", "anyOf", "oneOf") for one in _list(each, word)]
        level = [one for one in below if isinstance(one, Mapping)][:_MOST_SHAPES]


def _list(schema: Schema, word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []


def _properties(shape: Schema) -> Schema:
    found = shape.get("properties")
    return found if isinstance(found, Mapping) else {}


def _named(schemas: list[Schema], name: str) -> list[Schema]:
    """Return what the *schemas*, each with its shapes, contain for the property *name*."""
    found = [_properties(shape).get(name) for schema in schemas for shape in _shapes(schema)]
    return [one for one in found if isinstance(one, Mapping)][:_MOST_SHAPES]


def _items(schemas: list[Schema]) -> list[Schema]:
    found = [shape.get("items") for schema in schemas for shape in _shapes(schema)]
    return [one for one in found if isinstance(one, Mapping)][:_MOST_SHAPES]


def _is_complete(schemas: list[Schema]) -> bool:
    """Return whether the *schemas* list all properties: some, and none by reference or pattern."""
    shapes = [shape for schema in schemas for shape in _shapes(schema)]
    return any(map(_properties, shapes)) and not any("$ref" in one or "patternProperties" in one for one in shapes)
