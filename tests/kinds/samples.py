"""Values that a schema allows, for tests that must not know any kind by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds import SINGLETON, Kind
from reconciler.quantities import UNITS

ENV = {"valueFrom": {"env": "SOME_SECRET"}}
OTHER_ENV = {"valueFrom": {"env": "OTHER_SECRET"}}


def name_of(kind: Kind) -> str:
    """Return a name that an object of *kind* can have."""
    return SINGLETON if kind.singleton else str(kind.name_schema["examples"][0])


def fields_of(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path, schema) of every property below *schema*: `tags[].key`, `backup_location:s3.subdir`."""
    dot = f"{path}." if path else ""
    for name, child in schema.get("properties", {}).items():
        yield f"{dot}{name}", child
        yield from fields_of(child, f"{dot}{name}")
    for shape in schema.get("oneOf", ()):
        if "title" in shape:
            yield from fields_of(shape, f"{path}:{shape['title']}")
    if "items" in schema:
        yield from fields_of(schema["items"], f"{path}[]")


def values_of(schema: Mapping[str, Any]) -> list[Any]:
    """Return at least two different valid values of a property of a kind file (`schemas/*.json`)."""
    if schema.get("x-secret") is True:
        return [ENV, OTHER_ENV]
    if schema.get("examples"):
        return list(schema["examples"])
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    kind = schema["type"]  # a quantity is an integer or a text
    match kind[0] if isinstance(kind, list) else kind:
        case "boolean":
            return [False, True]
        case "integer" | "number":
            return _numbers(schema)
        case "object":
            return [{name: value} for name, child in schema["properties"].items() for value in values_of(child)[:2]]
    raise AssertionError(f"no two values can be derived from {schema}: give examples")


def _numbers(schema: Mapping[str, Any]) -> list[Any]:
    low = schema.get("minimum", 0)
    high = schema.get("maximum", low + 1000)
    excluded = schema.get("not", {}).get("enum", ())
    numbers = [value for value in dict.fromkeys((low, low + 1, high - 1, high)) if low <= value <= high]
    units = UNITS.get(schema.get("x-unit", ""), {})
    texts = [f"1{unit}" for unit, size in units.items() if low <= size <= high]
    return [value for value in numbers if value not in excluded] + texts
