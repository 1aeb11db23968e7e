"""A JSON parser for untrusted responses: bounded in size and depth, with one exception for anything malformed.

Used by `attempt` for every response. Numbers that Python cannot represent are replaced, and the garbage collector is
paused, which halves the time of a large parse. Must not know HTTP.
"""

from __future__ import annotations

import gc
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 4_000_000  # a cluster with ten thousand databases has fewer; each takes up to a hundred bytes
_LONGEST_INTEGER: Final = 20  # digits; integers of the API have 64 bits
_DIGITS_AS_ZERO: Final = bytes(ord("0") if byte in b"0123456789" else ord("x") for byte in range(256))
_TOO_MANY_DIGITS: Final = b"0" * (_LONGEST_INTEGER + 1)
_CONTAINERS: Final = (dict, list)


class InvalidNumber:
    """Replaces a number that is not valid in JSON or out of range: NaN, infinity, thousands of digits."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "INVALID_NUMBER"


INVALID_NUMBER: Final = InvalidNumber()


class MalformedObject(dict[str, Any]):
    """An object that contains an invalid number, or text that UTF-8 cannot encode."""


class MalformedJson(ValueError):
    """The bytes are not acceptable JSON; the text of the error never quotes them."""


def parse_json(data: bytes, *, tolerant: bool = False) -> Any:
    """Return the value of *data*; raises only MalformedJson.

    With *tolerant*, a malformed object becomes a `MalformedObject`, if it is the whole value or an element of a list
    that is: one malformed object in a list of ten thousand then affects that object only.
    """
    if len(data) > MAX_BYTES:
        raise MalformedJson(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJson("it is not UTF-8") from None
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise MalformedJson(f"it has more than {MAX_VALUES:,} values")
    long_integers = _TOO_MANY_DIGITS in data.translate(_DIGITS_AS_ZERO)  # or text with so many digits
    with gc_paused():
        value, replaced = _decoded(text, tolerant, _BOUNDED if long_integers else _STRICT)
        if _deeper_than(value, MAX_DEPTH):
            raise MalformedJson(f"it is nested deeper than {MAX_DEPTH} levels")
        # Only an escape sequence can contain half of a surrogate pair. Few responses have one, so most are not walked.
        if tolerant and (replaced or "\\ud" in text or "\\uD" in text):
            value = [_marked(item) for item in value] if isinstance(value, list) else _marked(value)
    return value


def _marked(value: Any) -> Any:
    return MalformedObject(value) if isinstance(value, dict) and not is_well_formed(value) else value


def is_well_formed(value: Any) -> bool:
    """Return whether *value* contains no invalid number and no text that UTF-8 cannot encode."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(is_well_formed(key) and is_well_formed(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_well_formed, value))
    return value is not INVALID_NUMBER


def _decoded(text: str, tolerant: bool, strict: json.JSONDecoder) -> tuple[Any, bool]:
    """Return the value, and whether an invalid number was replaced in it."""
    try:
        return strict.decode(text), False
    except RecursionError:
        raise MalformedJson("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"it is not JSON (position {error.pos} of {len(text)})") from None
    except ValueError:  # raised by the functions below
        if not tolerant:
            raise MalformedJson("it contains a number that is out of range") from None
    return _TOLERANT.decode(text), True


def _reject(text: str) -> Any:
    raise ValueError("not a JSON number")


def _bounded(text: str) -> int:
    if len(text) > _LONGEST_INTEGER + text.startswith("-"):
        raise ValueError("out of range")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("out of range")
    return value


def _finite_or_invalid(text: str) -> float | InvalidNumber:
    value = float(text)
    return INVALID_NUMBER if math.isinf(value) else value


def _int_or_invalid(text: str) -> int | InvalidNumber:
    return int(text) if len(text) <= _LONGEST_INTEGER + text.startswith("-") else INVALID_NUMBER


_STRICT: Final = json.JSONDecoder(parse_constant=_reject, parse_float=_finite)
_BOUNDED: Final = json.JSONDecoder(parse_constant=_reject, parse_float=_finite, parse_int=_bounded)
_TOLERANT: Final = json.JSONDecoder(
    parse_constant=lambda text: INVALID_NUMBER, parse_float=_finite_or_invalid, parse_int=_int_or_invalid
)


def _deeper_than(value: Any, limit: int) -> bool:
    """Walk level by level, without recursion: lists are long but rarely deep."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in _CONTAINERS
        ]
    return bool(level)


class _GcSwitch:
    """Counts the holders of the pause, because the garbage collector is switched for the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._was_on = False

    def pause(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._holders += 1

    def resume(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and self._was_on:
                gc.enable()


_collector: Final = _GcSwitch()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Disable the garbage collector inside the context; threads may overlap."""
    _collector.pause()
    try:
        yield
    finally:
        _collector.resume()
