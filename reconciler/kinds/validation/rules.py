"""Rules that compiled tests and jsonschema must share: lengths, patterns, quantities, keyed lists, equality."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.kinds.quantities import UNITS, quantity

LONGEST = 4096
"""Longer text is refused before any pattern sees it, unless the schema sets a maxLength of its own."""


@functools.cache
def pattern(text: str) -> re.Pattern[str]:
    """Return *text* compiled; `$` is the very end, as in ECMA regular expressions, not "before a last line feed"."""
    return re.compile(re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]|\$", lambda m: r"\Z" if m[0] == "$" else m[0], text))


def too_long(text: str, schema: Mapping[str, Any]) -> bool:
    """Return whether *text* is over the length that holds where *schema* sets none."""
    return "maxLength" not in schema and len(text) > LONGEST


def in_quantity(schema: Mapping[str, Any]) -> bool:
    """Return whether *schema* takes a quantity as text beside a whole number."""
    return schema.get("x-unit") in UNITS and schema.get("type") == ["integer", "string"]


def quantity_fits(text: str, schema: Mapping[str, Any]) -> bool:
    """Return whether *text* is a quantity in the range of *schema*."""
    amount = quantity(text, schema["x-unit"]) if len(text) <= LONGEST else None
    return amount is not None and schema.get("minimum", amount) <= amount <= schema.get("maximum", amount)


def repeated(items: Sequence[Any], key: Sequence[str]) -> list[int]:
    """Return the indexes of *items* whose *key* fields equal those of an item before them."""
    seen: set[str] = set()
    found = []
    for index, item in enumerate(items):
        if isinstance(item, dict) and all(name in item for name in key):
            mark = repr([item[name] for name in key])
            if mark in seen:
                found.append(index)
            seen.add(mark)
    return found


def equal(one: Any, other: Any) -> bool:
    """Compare as JSON Schema does: 1 is 1.0, but neither is true."""
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
