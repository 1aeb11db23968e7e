"""Encoding and size of a YAML text, and how parts of it are quoted in messages.

Must not know the structure of YAML.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from reconciler.errors import Problem

Path = tuple[str | int, ...]


class ParserLimits(NamedTuple):
    """Limits of one file, against aliases that expand a million-fold and nesting that crashes a parser."""

    size: int = 1024 * 1024  # bytes
    depth: int = 32  # mappings and lists inside each other
    expanded: int = 50_000  # nodes that aliases and merge keys add
    anchors: int = 1_000
    key: int = 256  # characters
    members: int = 1_000  # keys in one mapping
    problems: int = 100  # reported per file; then reading stops


PARSER_LIMITS = ParserLimits()

_ALLOWED = bytes(i for i in range(256) if i in (9, 10, 13) or 32 <= i < 127 or i > 127)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_MARKS = ((b"\xef\xbb\xbf", "UTF-8"), (b"\xff\xfe\x00\x00", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_ORDINARY_STEP = re.compile(r"[\w/@:+-]{1,80}\Z")


def unreadable(data: bytes, file: str, limits: ParserLimits) -> Problem | None:
    """Return the problem with the size, encoding or characters of *data*; None if it is readable text."""
    if len(data) > limits.size:
        message = f"the file is {len(data):,} bytes, over the limit of {limits.size:,}"
        return Problem(file, 0, 0, "", message, "split it into several files, or raise limits.fileSize")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            message = f"the file starts with a {encoding} byte order mark"
            return Problem(file, 1, 1, "", message, "save it as UTF-8 without BOM")
    if data.isascii():
        return _forbidden(data.decode("ascii"), file) if data.translate(None, _ALLOWED) else None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _end_of(data[: error.start].decode("utf-8"))
        return Problem(file, line, column, "", f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")
    return _forbidden(text, file)


def _forbidden(text: str, file: str) -> Problem | None:
    found = _CONTROL.search(text)
    if not found:
        return None
    line, column = _end_of(text[: found.start()])
    if found.group() == "\x00":
        return Problem(file, line, column, "", "the file contains a NUL character", "it is binary, or not UTF-8")
    message = f"the character U+{ord(found.group()):04X} is not allowed"
    return Problem(file, line, column, "", message, "remove it")


def _end_of(before: str) -> tuple[int, int]:
    """Return line and column just after *before*."""
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def path_text(path: Path) -> str:
    """Return *path* for messages: `spec.roles_permissions[0].role`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _ORDINARY_STEP.match(step):
            text += f".{step}" if text else step
        else:
            text += f"[{shown(step)}]"
    return text


def shown(text: str, length: int = 60) -> str:
    """Quote *text* from the input for a message: cut, with control characters escaped."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut) + '"'
