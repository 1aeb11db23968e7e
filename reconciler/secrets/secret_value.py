"""What may be a secret value: one rule for variables and files, and one message for each cause.

One line break at the end is not part of the value, since editors and `kubectl create secret` add it. What
cannot be typed or sent is refused. No message shows the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

LARGEST_SECRET = 64 * 1024

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_BREAK = re.compile(r"[\r\n\u2028\u2029]")
_PEM = re.compile(r"\s*-----BEGIN ")

# Variables that every process has: their values are not secret.
_STANDARD = re.findall(
    r"\w+",
    "PATH HOME USER LOGNAME USERNAME SHELL PWD OLDPWD LANG LANGUAGE LC_ALL LC_CTYPE TERM HOSTNAME HOST TMPDIR TZ SHLVL "
    "DISPLAY EDITOR PAGER MAIL CI PYTHONPATH",
)


class Fault(NamedTuple):
    """Why a source has no usable value, and what to do."""

    message: str
    hint: str


def secret_text(data: bytes, kind: str) -> str | Fault:
    """Return the secret in *data*, or why there is none. *kind*: "variable" or "file"."""
    write = "write only the secret into it" if kind == "file" else "set it to the secret alone"
    if len(data) > LARGEST_SECRET:
        return Fault(f"is larger than {LARGEST_SECRET // 1024} KiB", write)
    if data.startswith(b"\xef\xbb\xbf"):
        return Fault("starts with a byte order mark", "save it as UTF-8 without BOM")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Fault("is not UTF-8 text", "save it as UTF-8; binary keys have to be converted to PEM")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        return Fault("is empty" if not text else "has only white space", write)
    if "\0" in text:
        return Fault("contains a NUL character", write)
    if _CONTROL.search(text):
        return Fault("contains a control character", write)
    if _LINE_BREAK.search(text) and not _PEM.match(text):
        return Fault("has more than one line, and is not PEM text", write)
    return text


def standard_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the variables in *environ* whose values are not secret."""
    return (name for name in _STANDARD if environ.get(name))
