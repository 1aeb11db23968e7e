"""Escaping of untrusted text for terminals, logs and pages. Every renderer passes values through."""

from __future__ import annotations

import re
import unicodedata

# Control, format (bidirectional and zero-width marks, tags), surrogate, private, unassigned, line and paragraph ends.
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~@&]|:(?=//))")


def clean(text: str) -> str:
    """Return *text* on one line with control and bidirectional characters escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HOSTILE else char for char in text)


def _escaped(char: str) -> str:
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(char)
    return known.get(char) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def shorten(text: str, limit: int) -> str:
    """Return *text*, cut to *limit* characters with a mark where it was cut."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def markdown(text: str) -> str:
    """Return *text* escaped for markdown: no link, no mention, no HTML, one line."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", clean(text))


def fence(text: str, language: str = "") -> str:
    """Return *text* as a fenced block with a fence that does not occur in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"
