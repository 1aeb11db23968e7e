"""A field of a schema by its path, such as `limits.updatePercent`; a suggestion where there is none.

Called by `schema_docs` and `kind_docs`. Must not know which schemas there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.errors import InputError, Problem
from reconciler.kinds.describe import Schema, is_reference


class Step(NamedTuple):
    """One field on the path to the field in question."""

    name: str
    schema: Schema
    listed: bool = False  # a field of the items of a list
    shape: str = ""  # the value of `type` that it requires
    owner: Schema = MappingProxyType({})  # the object that it belongs to


def steps_to(topic: str, schema: Schema, path: str) -> list[Step]:
    """Return the fields along *path* in the schema of *topic*, from the top; InputError with a suggestion."""
    top, steps = schema, list[Step]()
    for part in path.split("."):
        found = below(schema)
        if part not in found:
            where = ".".join([topic, *(step.name for step in steps)])
            near = get_close_matches(part, found, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else _elsewhere(topic, top, part) or listed("fields", found)
            raise InputError([Problem(where, 0, 0, "", f"there is no field {part}", hint)])
        steps.append(found[part])
        schema = found[part].schema
    return steps


def below(schema: Schema) -> dict[str, Step]:
    """Return the properties of an object, of a list's items, or of all shapes that its type can have."""
    found = {name: Step(name, child, owner=schema) for name, child in schema.get("properties", {}).items()}
    for shape in schema.get("oneOf", ()):
        for name, step in below(shape).items() if "title" in shape else ():
            found.setdefault(name, step._replace(shape=shape["title"]))
    if isinstance(schema.get("items"), Mapping):
        found |= {name: step._replace(listed=True) for name, step in below(schema["items"]).items()}
    return found


def paths(schema: Schema, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field, those near the top first."""
    found = below(schema)
    yield from ((*above, name) for name in found)
    for name, step in found.items():
        if not is_reference(step.schema):
            yield from paths(step.schema, (*above, name))


def _elsewhere(topic: str, schema: Schema, name: str) -> str:
    """Return a hint with the field *name* at another place of the same topic; "" where it has none."""
    found = next((path for path in paths(schema) if path[-1] == name), ())
    return f"did you mean {'.'.join([topic, *found])}?" if found else ""


def listed(what: str, names: Mapping[str, Any]) -> str:
    """Return a hint with everything that can be written."""
    return f"{what}: {', '.join(names)}" if names else f"it has no {what}"
