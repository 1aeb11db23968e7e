"""Checks a request body against the rows of `data/objects.json`; knows nothing of what the fields mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from .data import table
from .messages import ApiError, Json

Row = Mapping[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@cache
def rows(kind: str) -> Mapping[str, Row]:
    """Return the fields of the object *kind* by name."""
    return {row["name"]: row for row in table("objects")[kind]["fields"]}


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def bad(where: str, what: str) -> ApiError:
    """Return the answer to a body of the wrong shape."""
    return ApiError(400, "invalid_schema", f"{where}: {what}")


def is_type(value: Json, name: str) -> bool:
    """Say whether *value* has the JSON type *name*; a boolean is no number."""
    if isinstance(value, bool) and name != "boolean":
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def check_object(kind: str, value: Json, where: str, *, strict: bool) -> None:
    """Raise `ApiError` unless *value* has the shape of the nested object *kind*."""
    if not isinstance(value, dict):
        raise bad(where, "expected an object")
    entry = table("objects")[kind]
    fields = rows(kind) if "fields" in entry else _variant(entry, value, where)
    for name, item in value.items():
        if name in fields:
            check(fields[name], item, f"{where}.{name}", strict=strict)
        elif strict and name != entry.get("discriminator"):
            raise bad(f"{where}.{name}", "unknown field")
    for name, row in fields.items():
        if row.get("required") and name not in value:
            raise bad(f"{where}.{name}", "missing")


def _variant(entry: Mapping[str, Any], value: Mapping[str, Json], where: str) -> Mapping[str, Row]:
    chosen = value.get(entry["discriminator"])
    if not isinstance(chosen, str) or chosen not in entry["variants"]:
        raise bad(f"{where}.{entry['discriminator']}", f"expected one of {', '.join(entry['variants'])}")
    return {row["name"]: row for row in entry["variants"][chosen]}


def check(row: Row, value: Json, where: str, *, strict: bool) -> None:
    """Raise `ApiError` unless *value* is what *row* allows."""
    types = row["type"] if isinstance(row["type"], list) else [row["type"]]
    if not any(is_type(value, name) for name in types):
        raise bad(where, f"expected {' or '.join(types)}")
    if "enum" in row and value not in row["enum"]:
        raise bad(where, f"expected one of {', '.join(map(str, row['enum']))}")
    if isinstance(value, str):
        _check_text(row, value, where)
    elif isinstance(value, list):
        _check_list(row, value, where, strict=strict)
    elif isinstance(value, dict):
        if "ref" in row:
            check_object(row["ref"], value, where, strict=strict)
    elif not isinstance(value, bool):
        _check_number(row, value, where)


def _check_number(row: Row, value: float, where: str) -> None:
    if value < row.get("min", value):
        raise bad(where, f"must be at least {row['min']}")
    if value > row.get("max", value):
        raise bad(where, f"must be at most {row['max']}")
    if value in row.get("not", ()):
        raise bad(where, f"must not be {value}")


def _check_text(row: Row, value: str, where: str) -> None:
    if not row.get("min_length", 0) <= len(value) <= row.get("max_length", len(value)):
        raise bad(where, "length out of range")
    if "pattern" in row and not _pattern(row["pattern"]).search(value):
        raise bad(where, "has characters or a form that is not allowed")


def _check_list(row: Row, value: list[Json], where: str, *, strict: bool) -> None:
    if not row.get("min_items", 0) <= len(value) <= row.get("max_items", len(value)):
        raise bad(where, "wrong number of items")
    if row.get("unique") and any(item in value[:place] for place, item in enumerate(value)):
        raise bad(where, "items must differ")
    for place, item in enumerate(value):
        spot = f"{where}[{place}]"
        if "items_ref" in row:
            check_object(row["items_ref"], item, spot, strict=strict)
        elif "items" in row and not is_type(item, row["items"]):
            raise bad(spot, f"expected {row['items']}")
        elif "items_pattern" in row and not _pattern(row["items_pattern"]).search(item):
            raise bad(spot, "has characters or a form that is not allowed")


def accept(kind: str, body: Json, *, strict: bool, refuse_read_only: bool) -> dict[str, Json]:
    """Return the fields of *body* that a request may set on the object *kind*, or raise `ApiError`."""
    if not isinstance(body, dict):
        raise bad("body", "expected an object")
    fields = rows(kind)
    taken: dict[str, Json] = {}
    for name, value in body.items():
        row = fields.get(name)
        if row is None:
            if strict:
                raise bad(name, "unknown field")
        elif row.get("read_only"):
            if refuse_read_only:
                raise bad(name, "is read-only")
        else:
            check(row, value, name, strict=strict)
            taken[name] = int(value) if row["type"] == "integer" else value
    return taken


def pruned(kind: str, value: Json) -> Json:
    """Return the nested object *kind* as it is stored: without what is read-only or never shown."""
    entry = table("objects")[kind]
    if not isinstance(value, dict) or "fields" not in entry:
        return value
    gone = {name for name, row in rows(kind).items() if row.get("read_only") or row.get("write_only")}
    return {name: item for name, item in value.items() if name not in gone}


def defaults(kind: str) -> dict[str, Json]:
    """Return the documented defaults of the nested object *kind*, nested objects of its own included."""
    found: dict[str, Json] = {}
    for name, row in rows(kind).items():
        if "default" in row:
            found[name] = row["default"]
        elif "ref" in row and (inner := defaults(row["ref"])):
            found[name] = inner
    return found
