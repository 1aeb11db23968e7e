"""The secrets that this process resolved, masked in every text that leaves it.

There is one for each process; whatever prints, stores or sends text applies it. A value of one to three characters is
not masked, since that would make every text unreadable; one of up to seven only where it is a word of its own.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.secrets.secret import MASK, Secret

_SHORTEST_MASKED = 4
_SHORTEST_ANYWHERE = 8  # shorter ones are masked as whole words only
_SHORTEST_BASE64 = 6
_CUT = "…"
_SHORTEST_LINE = 16  # of a secret with several lines, such as a private key
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(-----END [^\n]*|\Z)", re.DOTALL)


class Redactor:
    """Masks known secrets in text, in every encoding that libraries apply."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._forms: dict[str, bool] = {}  # whether it is masked within a word, too
        self._pattern: re.Pattern[str] | None = None
        self._gate = threading.Lock()

    def add(self, secret: Secret) -> None:
        """Mask *secret* from now on."""
        value = secret.reveal()
        with self._gate:
            if value in self._values:
                return
            self._values.add(value)
            self._forms.update(_forms(value))
            self._pattern = None

    def redact(self, text: str) -> str:
        """Return *text* with every form of every known secret replaced by `(secret)`."""
        with self._gate:
            if self._pattern is None and self._forms:
                longest_first = sorted(self._forms.items(), key=lambda form: (-len(form[0]), form))
                self._pattern = re.compile("|".join(_as_pattern(*form) for form in longest_first))
            pattern = self._pattern
        return self._without_cut(pattern.sub(MASK, text)) if pattern else text

    def _without_cut(self, text: str) -> str:
        """Return *text* with the beginnings of secrets masked that were cut with a mark."""
        end = text.find(_CUT)
        while end >= 0:
            for form in [form for form in self._forms if len(form) > _SHORTEST_ANYWHERE]:
                start = text.find(form[:_SHORTEST_ANYWHERE], max(0, end - len(form)), end)
                if start >= 0 and form.startswith(text[start:end]):
                    text, end = f"{text[:start]}{MASK}{text[end:]}", start + len(MASK)
            end = text.find(_CUT, end + 1)
        return text

    def redact_all(self, value: Any) -> Any:
        """Return a JSON *value* with secrets of at least eight characters masked in its strings; for data at rest.

        Names of fields are kept, and shorter secrets, too: they may be words of the data, which is used later.
        """
        if isinstance(value, str):
            with self._gate:
                found = [form for form, anywhere in self._forms.items() if anywhere and form in value]
            for form in sorted(found, key=len, reverse=True):
                value = value.replace(form, MASK)
            return value
        if isinstance(value, Mapping):
            return {name: self.redact_all(item) for name, item in value.items()}
        return [self.redact_all(item) for item in value] if isinstance(value, list | tuple) else value

    def reveals(self, text: str) -> bool:
        """Return whether *text* is a known secret, or contains one of at least eight characters in any form."""
        with self._gate:
            if text.strip() in {value.strip() for value in self._values}:
                return True
            return any(form in text for form in self._forms if len(form) >= _SHORTEST_ANYWHERE)


def _as_pattern(form: str, anywhere: bool) -> str:
    pattern = re.escape(form)
    return pattern if anywhere else rf"(?<![^\W_]){pattern}(?![^\W_])"


def _forms(value: str) -> Iterator[tuple[str, bool]]:
    """Yield *value* raw and encoded, and whether each form is masked within a word, too."""
    if len(value) < _SHORTEST_MASKED:
        return
    for text in (value, *_lines(value)):
        yield from ((form, len(form) >= _SHORTEST_ANYWHERE) for form in _encoded(text))
        yield from ((form, True) for form in _base64_forms(text.encode("utf-8", "surrogatepass")))


def _encoded(text: str) -> Iterator[str]:
    """Yield *text* raw and as a part of a URL, JSON, HTML, hexadecimal digits and Python literals."""
    data = text.encode("utf-8", "surrogatepass")
    yield text
    yield from (urllib.parse.quote(text, safe="", errors="replace"), urllib.parse.quote(text, errors="replace"))
    yield urllib.parse.quote_plus(text, errors="replace")
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (html.escape(text), html.escape(text, quote=False))
    yield from (data.hex(), data.hex().upper())
    yield from (repr(text)[1:-1], ascii(text)[1:-1])


def _lines(value: str) -> Iterator[str]:
    """Yield the lines of a *value* with several that say something: of a PEM bundle, those of its private keys."""
    if "\n" not in value:
        return
    blocks = [found[0] for found in _KEY_BLOCK.finditer(value)] or [value]
    for line in (line.strip() for block in blocks for line in block.splitlines()):
        if len(line) >= _SHORTEST_LINE and not line.startswith("-----"):
            yield line


def _base64_forms(data: bytes) -> Iterator[str]:
    """Yield what base64 of any text with *data* inside must contain, for each of the three alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode("ascii")
        # Six bits per character: omit those with bits of the bytes before or after.
        inner = encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        if len(inner) >= _SHORTEST_BASE64:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
