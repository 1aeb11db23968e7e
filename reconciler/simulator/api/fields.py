"""Checks a request body against the rows of `data/objects/`; knows nothing of what the fields mean."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.data.tables import derived, table
from reconciler.simulator.settings import Settings

Row = Mapping[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


VERSIONS = ("7.4", "7.8", "7.22", "8.0", "8.2")


def has(row: Row, version: str) -> bool:
    """Say whether the server *version* has what *row* describes, by its `since` and `until`."""
    place = VERSIONS.index(version)
    return VERSIONS.index(row.get("since", VERSIONS[0])) <= place <= VERSIONS.index(row.get("until", VERSIONS[-1]))


@derived
def rows(kind: str, version: str = VERSIONS[-1]) -> Mapping[str, Row]:
    """Return the fields that the object *kind* has in a server *version*, by name."""
    found = {row["name"]: row for row in table("objects")[kind]["fields"] if has(row, version)}
    place = VERSIONS.index(version)
    for name, row in found.items():
        if place < VERSIONS.index(row.get("write_only_since", VERSIONS[0])):
            found[name] = {**row, "write_only": False}
    return found


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


@derived
def absent(kind: str, version: str) -> frozenset[str]:
    """Return the fields of the object *kind* that other versions have and the server *version* lacks."""
    return frozenset(row["name"] for row in table("objects")[kind]["fields"]) - frozenset(rows(kind, version))


class How(NamedTuple):
    """How bodies are read: whether unknown and read-only fields are refused, and the server version."""

    strict: bool
    refuse_read_only: bool
    version: str


def how(settings: Settings) -> How:
    """Return how a server with *settings* reads bodies."""
    strict, refuse = settings.on("unknown_fields", "refuse"), settings.on("read_only_fields", "refuse")
    return How(strict, refuse, settings.server_version)


def bad(where: str, what: str, row: Row | None = None) -> ApiError:
    """Return the answer to a body of the wrong shape, with the error code of *row* where it has one."""
    return ApiError(400, (row or {}).get("code", "invalid_schema"), f"{where}: {what}")


def is_type(value: Json, name: str) -> bool:
    """Say whether *value* has the JSON type *name*; a boolean is no number."""
    if isinstance(value, bool) and name != "boolean":
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def check_object(kind: str, value: Json, where: str, how: How) -> None:
    """Raise `ApiError` unless *value* has the shape of the nested object *kind*."""
    if not isinstance(value, dict):
        raise bad(where, "expected an object")
    entry = table("objects")[kind]
    if not value and entry.get("empty"):
        return
    fields = rows(kind, how.version) if "fields" in entry else _variant(entry, value, where)
    for name, item in value.items():
        if name in fields:
            check(fields[name], item, f"{where}.{name}", how)
        elif how.strict and name != entry.get("discriminator"):
            raise bad(f"{where}.{name}", "unknown field")
    for name, row in fields.items():
        if row.get("required") and name not in value:
            raise bad(f"{where}.{name}", "missing")


def _variant(entry: Mapping[str, Any], value: Mapping[str, Json], where: str) -> Mapping[str, Row]:
    chosen = value.get(entry["discriminator"])
    if not isinstance(chosen, str) or chosen not in entry["variants"]:
        raise bad(f"{where}.{entry['discriminator']}", f"expected one of {', '.join(entry['variants'])}")
    return {row["name"]: row for row in entry["variants"][chosen]}


def check(row: Row, value: Json, where: str, how: How) -> None:
    """Raise `ApiError` unless *value* is what *row* allows."""
    if value is None and row.get("nullable"):
        return
    types = row["type"] if isinstance(row["type"], list) else [row["type"]]
    if not any(is_type(value, name) for name in types):
        raise bad(where, f"expected {' or '.join(types)}", row)
    if "enum" in row and value not in row["enum"]:
        raise bad(where, f"expected one of {', '.join(map(str, row['enum']))}", row)
    if isinstance(value, str):
        _check_text(row, value, where)
    elif isinstance(value, list):
        _check_list(row, value, where, how)
    elif isinstance(value, dict):
        if "ref" in row:
            check_object(row["ref"], value, where, how)
    elif not isinstance(value, bool):
        _check_number(row, value, where)


def _check_number(row: Row, value: float, where: str) -> None:
    if value < row.get("min", value):
        raise bad(where, f"must be at least {row['min']}", row)
    if value > row.get("max", value):
        raise bad(where, f"must be at most {row['max']}", row)
    if value in row.get("not", ()):
        raise bad(where, f"must not be {value}", row)


def _check_text(row: Row, value: str, where: str) -> None:
    if not row.get("min_length", 0) <= len(value) <= row.get("max_length", len(value)):
        raise bad(where, "length out of range", row)
    if "pattern" in row and not _pattern(row["pattern"]).search(value):
        raise bad(where, "has characters or a form that is not allowed", row)
    if "format" in row and not is_format(row["format"], value):
        raise bad(where, f"is no {row['format']}", row)


def _check_list(row: Row, value: list[Json], where: str, how: How) -> None:
    if not row.get("min_items", 0) <= len(value) <= row.get("max_items", len(value)):
        raise bad(where, "wrong number of items", row)
    if row.get("unique") and any(item in value[:place] for place, item in enumerate(value)):
        raise bad(where, "items must differ", row)
    for place, item in enumerate(value):
        spot = f"{where}[{place}]"
        if "items_ref" in row:
            check_object(row["items_ref"], item, spot, how)
        elif "items" in row and not is_type(item, row["items"]):
            raise bad(spot, f"expected {row['items']}", row)
        elif "items_pattern" in row and not _pattern(row["items_pattern"]).search(item):
            raise bad(spot, "has characters or a form that is not allowed", row)
        elif "items_enum" in row and item not in row["items_enum"]:
            raise bad(spot, f"expected one of {', '.join(row['items_enum'])}", row)


def accept(kind: str, body: Json, how: How) -> dict[str, Json]:
    """Return the fields of *body* that a request may set on the object *kind*, or raise `ApiError`."""
    if not isinstance(body, dict):
        raise bad("body", "expected an object")
    fields = rows(kind, how.version)
    taken: dict[str, Json] = {}
    for name, value in body.items():
        row = fields.get(name)
        if row is None:
            if how.strict:
                raise bad(name, "unknown field")
        elif row.get("read_only"):
            if how.refuse_read_only:
                raise bad(name, "is read-only")
        else:
            check(row, value, name, how)
            taken[name] = int(value) if row["type"] == "integer" else value
    return taken


def missing(kind: str, sent: Mapping[str, Json], how: How) -> str | None:
    """Return the first field that a creation of the object *kind* needs and *sent* lacks, None where it has all."""
    needed = (name for name, row in rows(kind, how.version).items() if row.get("required") and name not in sent)
    return next(needed, None)


def pruned(kind: str, value: Json) -> Json:
    """Return the nested object *kind* as it is stored: without what is read-only or never shown."""
    entry = table("objects")[kind]
    if not isinstance(value, dict) or "fields" not in entry:
        return value
    gone = {name for name, row in rows(kind).items() if row.get("read_only") or row.get("write_only")}
    return {name: item for name, item in value.items() if name not in gone}


def defaults(kind: str, version: str = VERSIONS[-1]) -> dict[str, Json]:
    """Return the documented defaults of the nested object *kind*, nested objects of its own included."""
    found: dict[str, Json] = {}
    for name, row in rows(kind, version).items():
        if "default" in row:
            found[name] = row.get("default_history", {}).get(version, row["default"])
        elif "ref" in row and (inner := defaults(row["ref"], version)):
            found[name] = inner
    return found


# Formats of strings


_CRON_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_CRON_PART = re.compile(rf"(\*|(\d+|{_CRON_NAMES})(-(\d+|{_CRON_NAMES}))?)(/[1-9]\d*)?", re.IGNORECASE)
_CRON_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def is_cron(text: str) -> bool:
    """Say whether *text* is a cron expression of five fields within their limits."""
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
    """Say whether *text* has the form *name*; forms that nothing checks are met by any text."""
    test = FORMATS.get(name)
    return test is None or test(text)
