"""Plain YAML scalars to values, by the core schema of YAML 1.2.

Called for every scalar without quotes. Text that YAML 1.1 and 1.2 read differently is rejected, with the text to write
instead: `activedefrag: no` is the string "no" in one and false in the other. Must not know documents or files.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

SMALLEST, LARGEST = -(2**63), 2**63 - 1

_WORDS: dict[str, Any] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# The letters y and n are not here: few readers of YAML 1.1 read them as booleans, and PyYAML does not.
_TRUTHY = frozenset(("yes", "Yes", "YES", "on", "On", "ON"))
_FALSY = frozenset(("no", "No", "NO", "off", "Off", "OFF"))
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_AGREED_EXPONENT = re.compile(r"[^.eE]*\.[^.eE]*[eE][-+]")  # YAML 1.1 wants the point and the sign
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?\Z")
_OTHER_BASE = re.compile(r"[-+]?0(?:[bB][01_]+|[oO][0-7_]+|[xX][0-9a-fA-F_]+)\Z")
_UNDERSCORES = re.compile(r"[-+]?[0-9.][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?\Z")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?\Z", re.DOTALL)
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")

_LONGEST_NUMBER = 64


class RejectedScalar(NamedTuple):
    """Why a scalar is rejected, and what to write instead."""

    message: str
    hint: str


def resolve(text: str) -> Any:
    """Return the value of the plain scalar *text*: None, bool, int, float, str, or a `RejectedScalar`."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _TRUTHY or text in _FALSY or text == "=":
        return _word(text)
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _word(text: str) -> RejectedScalar:
    if text == "=":
        return RejectedScalar("a plain = means different things in YAML 1.1 and 1.2", 'write "=" in quotes')
    boolean = "true" if text in _TRUTHY else "false"
    return RejectedScalar(
        f"plain {text} is a string in YAML 1.2 and {boolean} in YAML 1.1", f'write "{text}" in quotes, or {boolean}'
    )


def _number(text: str) -> Any:
    if len(text) > _LONGEST_NUMBER:
        if text.strip("+-.0123456789_:eExXoO"):
            return text
        return RejectedScalar(f"a number of {len(text)} characters is too long", "write it in quotes if it is text")
    if _INTEGER.match(text):
        return _bounded(text, int(text))
    if _HEXADECIMAL.match(text):
        return _bounded(text, int(text, 16))
    if _FLOAT.match(text):
        return _float(text)
    return _ambiguous(text) or text


def _bounded(text: str, value: int) -> Any:
    if SMALLEST <= value <= LARGEST:
        return value
    return RejectedScalar(f"{text} does not fit in 64 bits", "write it in quotes if it is text")


def _float(text: str) -> Any:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return RejectedScalar(f"{text} is too large for a number", "write it in quotes if it is text")
    if ("e" in text or "E" in text) and not _AGREED_EXPONENT.match(text):
        return _two_readings(text, "a number in YAML 1.2 and a string in YAML 1.1", _digits(value))
    return value


def _ambiguous(text: str) -> RejectedScalar | None:
    """Return why text that resembles a number is rejected; None for a string such as `10.0.0.1`."""
    if _NOT_FINITE.match(text):
        hint = "write a finite number, or quotes if it is text"
        return RejectedScalar(f"{text} is not a finite number", hint)
    if _LEADING_ZERO.match(text):
        return _two_readings(text, "decimal in YAML 1.2 and can be octal in YAML 1.1", _digits(float(text)))
    if _OTHER_BASE.match(text):
        return _other_base(text)
    if "_" in text and _UNDERSCORES.match(text) and text.strip("._"):
        plain = text.replace("_", "")
        return _two_readings(text, "a string in YAML 1.2 and a number in YAML 1.1", plain)
    if _SEXAGESIMAL.match(text):
        return _two_readings(text, "a string in YAML 1.2 and a number to base 60 in YAML 1.1", "")
    if _DATE.match(text):
        return _two_readings(text, "a string in YAML 1.2 and a date in YAML 1.1", "")
    return None


def _other_base(text: str) -> RejectedScalar:
    decimal = ""
    digits = text.lstrip("+-")
    if digits[2:].strip("_"):
        value = int(digits[2:].replace("_", ""), {"b": 2, "o": 8, "x": 16}[digits[1].lower()])
        decimal = str(-value if text[0] == "-" else value)
    return _two_readings(text, "not the same in YAML 1.1 and 1.2", decimal)


def _two_readings(text: str, difference: str, number: str) -> RejectedScalar:
    agreed = number and isinstance(resolve(number), int | float)  # not a number that is rejected in its turn
    otherwise = f", or {number}" if agreed else ""
    return RejectedScalar(f"plain {text} is {difference}", f'write "{text}" in quotes{otherwise}')


def _digits(value: float) -> str:
    """Write *value* as both versions of YAML read it; "" where that would be long."""
    if value.is_integer():
        return str(int(value)) if abs(value) < 10**15 else ""
    written = repr(value)
    return "" if "e" in written else written
