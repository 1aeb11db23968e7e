"""Texts that must have a form: cron expressions, time zones, addresses. What is not listed here is not checked."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from functools import cache

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
