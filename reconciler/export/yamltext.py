"""Plain values to YAML text that reads back as the same values, under the strict rules that manifests are read with.

`export` calls this. It writes block style only, quotes whatever could be taken for something else, and knows nothing
of manifests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_OTHERWISE = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"})
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def document(value: Mapping[str, Any]) -> str:
    """Return *value* as one YAML document, ending with a newline."""
    return "\n".join(_mapping(value, "")) + "\n"


def _mapping(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, item in value.items():
        yield from _entry(f"{indent}{scalar(name)}:", item, indent)


def _entry(lead: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and _is_small(value):
        yield f"{lead} {_flow(value)}"
    elif isinstance(value, Mapping) and value:
        yield lead
        yield from _mapping(value, indent + "  ")
    elif isinstance(value, list) and value:
        yield lead
        for item in value:
            yield from _item(item, indent + "  ")
    elif isinstance(value, str) and _is_block(value):
        yield f"{lead} |"
        yield from (f"{indent}  {line}" for line in value[:-1].split("\n"))
    else:
        yield f"{lead} {scalar(value)}"


def _item(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value and not _is_small(value):
        lines = list(_mapping(value, indent + "  "))
        yield f"{indent}- {lines[0].lstrip()}"
        yield from lines[1:]
    elif isinstance(value, list) and value:
        yield f"{indent}-"
        for item in value:
            yield from _item(item, indent + "  ")
    else:
        yield from _entry(f"{indent}-", value, indent)


def _is_small(value: Mapping[str, Any]) -> bool:
    """Say whether a mapping reads better on one line: `{valueFrom: {env: NAME}}`, `{role: a, redis_acl: b}`."""
    return (
        bool(value)
        and all(_is_small(item) if isinstance(item, Mapping) else not isinstance(item, list) for item in value.values())
        and len(_flow(value)) <= 80
    )


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    return scalar(value)


def _is_block(text: str) -> bool:
    lines = text.split("\n")
    return (
        len(lines) > 2
        and text.endswith("\n")
        and bool(lines[-2])
        and all(line.isascii() and line.isprintable() and line == line.strip() for line in lines)
    )


def scalar(value: Any) -> str:
    """Return a scalar, or an empty collection, as it stands in YAML."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _OTHERWISE else quoted(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, float):  # YAML 1.1 takes an exponent for a number only after a point
        mantissa, e, exponent = repr(value).partition("e")
        return mantissa + (".0" if e and "." not in mantissa else "") + e + exponent
    return "[]" if isinstance(value, list) else json.dumps(value)


def quoted(text: str) -> str:
    """Return *text* in double quotes; what is not printable is escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if char.isprintable():
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
