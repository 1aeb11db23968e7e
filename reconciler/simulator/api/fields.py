"""Validates request bodies against the rows of `data/objects/`. Knows nothing about the meaning of fields."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.data.tables import derived, table
from reconciler.simulator.settings import SimulatorSettings

FieldRow = Mapping[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


VERSIONS = ("7.4", "7.8", "7.22", "8.0", "8.2")


def is_available(row: FieldRow, version: str) -> bool:
    """Return whether the server *version* has what *row* describes, by its `since` and `until`."""
    place = VERSIONS.index(version)
    return VERSIONS.index(row.get("since", VERSIONS[0])) <= place <= VERSIONS.index(row.get("until", VERSIONS[-1]))


@derived
def field_rows(kind: str, version: str = VERSIONS[-1]) -> Mapping[str, FieldRow]:
    """Return the fields that the object *kind* has in a server *version*, by name."""
    found = {row["name"]: row for row in table("objects")[kind]["fields"] if is_available(row, version)}
    place = VERSIONS.index(version)
    for name, row in found.items():
        if place < VERSIONS.index(row.get("write_only_since", VERSIONS[0])):
            found[name] = {**row, "write_only": False}
    return found


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


@derived
def absent_fields(kind: str, version: str) -> frozenset[str]:
    """Return the fields of the object *kind* that other versions have and the server *version* lacks."""
    return frozenset(row["name"] for row in table("objects")[kind]["fields"]) - frozenset(field_rows(kind, version))


class BodyRules(NamedTuple):
    """How bodies are validated: whether unknown and read-only fields are refused, and the server version."""

    strict: bool
    refuse_read_only: bool
    version: str


def body_rules(settings: SimulatorSettings) -> BodyRules:
    """Return how a server with *settings* validates bodies."""
    strict, refuse = settings.on("unknown_fields", "refuse"), settings.on("read_only_fields", "refuse")
    return BodyRules(strict, refuse, settings.server_version)


def schema_error(where: str, what: str, row: FieldRow | None = None) -> ApiError:
    """Return the error for an invalid body, with the error code of *row* where it has one."""
    return ApiError(400, (row or {}).get("code", "invalid_schema"), f"{where}: {what}")


def is_type(value: Json, name: str) -> bool:
    """Return whether *value* has the JSON type *name*; a boolean is not a number."""
    if isinstance(value, bool) and name != "boolean":
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def check_object(kind: str, value: Json, where: str, body_rules: BodyRules) -> None:
    """Raise `ApiError` unless *value* is a valid nested object *kind*."""
    if not isinstance(value, dict):
        raise schema_error(where, "expected an object")
    entry = table("objects")[kind]
    if not value and entry.get("empty"):
        return
    fields = field_rows(kind, body_rules.version) if "fields" in entry else _variant(entry, value, where)
    for name, item in value.items():
        if name in fields:
            check_field(fields[name], item, f"{where}.{name}", body_rules)
        elif body_rules.strict and name != entry.get("discriminator"):
            raise schema_error(f"{where}.{name}", "unknown field")
    for name, row in fields.items():
        if row.get("required") and name not in value:
            raise schema_error(f"{where}.{name}", "missing")


def _variant(entry: Mapping[str, Any], value: Mapping[str, Json], where: str) -> Mapping[str, FieldRow]:
    chosen = value.get(entry["discriminator"])
    if not isinstance(chosen, str) or chosen not in entry["variants"]:
        raise schema_error(f"{where}.{entry['discriminator']}", f"expected one of {', '.join(entry['variants'])}")
    return {row["name"]: row for row in entry["variants"][chosen]}


def check_field(row: FieldRow, value: Json, where: str, body_rules: BodyRules) -> None:
    """Raise `ApiError` unless *row* allows *value*."""
    if value is None and row.get("nullable"):
        return
    types = row["type"] if isinstance(row["type"], list) else [row["type"]]
    if not any(is_type(value, name) for name in types):
        raise schema_error(where, f"expected {' or '.join(types)}", row)
    if "enum" in row and value not in row["enum"]:
        raise schema_error(where, f"expected one of {', '.join(map(str, row['enum']))}", row)
    if isinstance(value, str):
        _check_text(row, value, where)
    elif isinstance(value, list):
        _check_list(row, value, where, body_rules)
    elif isinstance(value, dict):
        if "ref" in row:
            check_object(row["ref"], value, where, body_rules)
    elif not isinstance(value, bool):
        _check_number(row, value, where)


def _check_number(row: FieldRow, value: float, where: str) -> None:
    if value < row.get("min", value):
        raise schema_error(where, f"must be at least {row['min']}", row)
    if value > row.get("max", value):
        raise schema_error(where, f"must be at most {row['max']}", row)
    if value in row.get("not", ()):
        raise schema_error(where, f"must not be {value}", row)


def _check_text(row: FieldRow, value: str, where: str) -> None:
    if not row.get("min_length", 0) <= len(value) <= row.get("max_length", len(value)):
        raise schema_error(where, "length out of range", row)
    if "pattern" in row and not _pattern(row["pattern"]).search(value):
        raise schema_error(where, "does not match the allowed pattern", row)
    if "format" in row and not is_format(row["format"], value):
        raise schema_error(where, f"is not a valid {row['format']}", row)


def _check_list(row: FieldRow, value: list[Json], where: str, body_rules: BodyRules) -> None:
    if not row.get("min_items", 0) <= len(value) <= row.get("max_items", len(value)):
        raise schema_error(where, "wrong number of items", row)
    if row.get("unique") and any(item in value[:place] for place, item in enumerate(value)):
        raise schema_error(where, "items must differ", row)
    for place, item in enumerate(value):
        spot = f"{where}[{place}]"
        if "items_ref" in row:
            check_object(row["items_ref"], item, spot, body_rules)
        elif "items" in row and not is_type(item, row["items"]):
            raise schema_error(spot, f"expected {row['items']}", row)
        elif "items_pattern" in row and not _pattern(row["items_pattern"]).search(item):
            raise schema_error(spot, "does not match the allowed pattern", row)
        elif "items_enum" in row and item not in row["items_enum"]:
            raise schema_error(spot, f"expected one of {', '.join(row['items_enum'])}", row)


def validate(kind: str, body: Json, body_rules: BodyRules) -> dict[str, Json]:
    """Return the writable fields of the object *kind* in *body*, or raise `ApiError`."""
    if not isinstance(body, dict):
        raise schema_error("body", "expected an object")
    fields = field_rows(kind, body_rules.version)
    taken: dict[str, Json] = {}
    for name, value in body.items():
        row = fields.get(name)
        if row is None:
            if body_rules.strict:
                raise schema_error(name, "unknown field")
        elif row.get("read_only"):
            if body_rules.refuse_read_only:
                raise schema_error(name, "is read-only")
        else:
            check_field(row, value, name, body_rules)
            taken[name] = int(value) if row["type"] == "integer" else value
    return taken


def missing_field(kind: str, sent: Mapping[str, Json], body_rules: BodyRules) -> str | None:
    """Return the first required field of the object *kind* that is missing in *sent*, None if there is none."""
    needed = (
        name for name, row in field_rows(kind, body_rules.version).items() if row.get("required") and name not in sent
    )
    return next(needed, None)


def stored_form(kind: str, value: Json) -> Json:
    """Return the nested object *kind* as it is stored: without read-only and write-only fields."""
    entry = table("objects")[kind]
    if not isinstance(value, dict) or "fields" not in entry:
        return value
    gone = {name for name, row in field_rows(kind).items() if row.get("read_only") or row.get("write_only")}
    return {name: item for name, item in value.items() if name not in gone}


def default_values(kind: str, version: str = VERSIONS[-1]) -> dict[str, Json]:
    """Return the documented defaults of the nested object *kind*, recursively."""
    found: dict[str, Json] = {}
    for name, row in field_rows(kind, version).items():
        if "default" in row:
            found[name] = row.get("default_history", {}).get(version, row["default"])
        elif "ref" in row and (inner := default_values(row["ref"], version)):
            found[name] = inner
    return found


# Formats of strings


_CRON_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_CRON_PART = re.compile(rf"(\*|(\d+|{_CRON_NAMES})(-(\d+|{_CRON_NAMES}))?)(/[1-9]\d*)?", re.IGNORECASE)
_CRON_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def is_cron(text: str) -> bool:
    """Return whether *text* is a cron expression of five fields within their limits."""
    fields = text.split()
    return len(fields) == len(_CRON_LIMITS) and all(map(_is_cron_field, fields, _CRON_LIMITS))


def _is_cron_field(field: str, limits: tuple[int, int]) -> bool:
    parts = field.split(",")
    if not all(_CRON_PART.fullmatch(part) for part in parts):
        return False
    numbers = [int(number) for part in parts for number in re.findall(r"\d+", part.partition("/")[0])]
    return all(limits[0] <= number <= limits[1] for number in numbers)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) | {"UTC"}


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

FORMATS: Mapping[str, Callable[[str], bool]] = {
    "cron": is_cron,
    "tz-name": lambda text: text in _zones(),
    "email": lambda text: not text or _EMAIL.fullmatch(text) is not None,
    "uri": lambda text: not text or _URI.fullmatch(text) is not None,
}


def is_format(name: str, text: str) -> bool:
    """Return whether *text* has the format *name*; an unknown format accepts any text."""
    test = FORMATS.get(name)
    return test is None or test(text)
