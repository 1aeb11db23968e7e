"""Plain values to YAML text that reads back as the same values: here, and by readers of YAML 1.1 and 1.2 alike.

`export` and `explain` write whole documents, `editing` writes one value into a text. Must not know manifests or files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.yaml12.scalars import resolve

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_AMBIGUOUS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"})
_INDICATORS = frozenset(",[]{}#&*!|>'\"%@`:?\\")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Style(NamedTuple):
    """How to write what can be written in several ways."""

    inline: bool  # small mappings on one line
    plain: Callable[[str], bool]  # which strings need no quotes


def _is_word(text: str) -> bool:
    return bool(_WORD.fullmatch(text)) and text.lower() not in _AMBIGUOUS


def _is_plain(text: str) -> bool:
    return (
        text[:1].isalnum()
        and text == text.strip()
        and text.isprintable()
        and not _INDICATORS.intersection(text)
        and type(resolve(text)) is str
    )


GENERATED = Style(inline=True, plain=_is_word)  # whole documents
EDITED = Style(inline=False, plain=_is_plain)  # one value within a text that a person wrote


def write(values: Iterable[Any]) -> str:
    """Return *values* as the documents of one text; the order of keys is kept."""
    return "---\n".join(map(document, values))


def document(value: Any) -> str:
    """Return *value* as one YAML document, ending with a newline."""
    return "\n".join(block(value)) + "\n"


def block(value: Any, style: Style = GENERATED, indent: str = "") -> Iterator[str]:
    """Yield the lines of *value*, a mapping or a list in block style."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _entry(f"{indent}{scalar(name, style)}:", item, style, indent)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _item(item, style, indent)
    else:
        yield f"{indent}{scalar(value, style)}"


def _entry(lead: str, value: Any, style: Style, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping | list) and value and not _is_small(value, style):
        yield lead
        yield from block(value, style, indent + "  ")
    elif isinstance(value, str) and _is_literal(value):
        yield f"{lead} |"
        yield from (f"{indent}  {line}" for line in value[:-1].split("\n"))
    else:
        yield f"{lead} {flow(value, style)}"


def _item(value: Any, style: Style, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value and not _is_small(value, style):
        first, *rest = block(value, style, indent + "  ")
        yield f"{indent}- {first.lstrip()}"
        yield from rest
    else:
        yield from _entry(f"{indent}-", value, style, indent)


def _is_small(value: Any, style: Style) -> bool:
    """Return whether a mapping reads better on one line: `{valueFrom: {env: NAME}}`, `{role: a, redis_acl: b}`."""
    return (
        style.inline
        and isinstance(value, Mapping)
        and bool(value)
        and not any(isinstance(item, list) or _is_large(item, style) for item in value.values())
        and len(flow(value, style)) <= 80
    )


def _is_large(value: Any, style: Style) -> bool:
    return isinstance(value, Mapping) and not _is_small(value, style)


def flow(value: Any, style: Style = GENERATED) -> str:
    """Return *value* on one line, as it can be written inside brackets too."""
    if isinstance(value, Mapping):
        members = (f"{scalar(name, style)}: {flow(item, style)}" for name, item in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item, style) for item in value) + "]"
    return scalar(value, style)


def _is_literal(text: str) -> bool:
    lines = text.split("\n")
    return (
        len(lines) > 2
        and text.endswith("\n")
        and bool(lines[-2])
        and all(line.isascii() and line.isprintable() and line == line.strip() for line in lines)
    )


def scalar(value: Any, style: Style = GENERATED) -> str:
    """Return a scalar, or an empty collection, as it is written in YAML."""
    if isinstance(value, str):
        return value if style.plain(value) else quoted(value)
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
