"""Values that a schema allows, for tests that must not know any kind by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds import SINGLETON, Kind
from reconciler.kinds.quantities import UNITS

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


def wrong_values_of(schema: Mapping[str, Any]) -> list[Any]:
    """Return values that a property of a kind file refuses: of another type, out of its range, none of its words."""
    kind = schema["type"]
    wrong: list[Any] = [12.5 if kind in ("string", "array", "object") else "no such value"]
    if "enum" in schema:
        wrong.append(next(word for word in ("no such word",) if word not in schema["enum"]))
    if schema.get("x-secret") is True:
        wrong += ["written down", {"valueFrom": {"vault": "x"}}]
    if "minimum" in schema:
        wrong.append(schema["minimum"] - 1)
    if "maximum" in schema:
        wrong.append(schema["maximum"] + 1)
    if schema.get("maxLength", 10**9) < 10**5:  # a file of manifests has a size of its own
        wrong.append("x" * (schema["maxLength"] + 1))
    if schema.get("minLength"):
        wrong.append("")
    if schema.get("minItems"):
        wrong.append([])
    if kind == "object":
        wrong.append({"no-such-field": 1})
    return wrong


def put(path: str, value: Any) -> dict[str, Any]:
    """Return a spec with *value* at `backup_location:s3.secret_access_key` or `replica_sources[].uri`."""
    step, _, rest = path.partition(".")
    name, _, shape = step.partition(":")
    inner: Any = value
    if rest:
        inner = put(rest, value) | ({"type": shape} if shape else {})
    return {name.removesuffix("[]"): [inner] if name.endswith("[]") else inner}


def _numbers(schema: Mapping[str, Any]) -> list[Any]:
    low = schema.get("minimum", 0)
    high = schema.get("maximum", low + 1000)
    excluded = schema.get("not", {}).get("enum", ())
    numbers = [value for value in dict.fromkeys((low, low + 1, high - 1, high)) if low <= value <= high]
    units = UNITS.get(schema.get("x-unit", ""), {})
    texts = [f"1{unit}" for unit, size in units.items() if low <= size <= high]
    return [value for value in numbers if value not in excluded] + texts
