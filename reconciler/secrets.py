"""Resolves `valueFrom` when a value is sent, and keeps secret values out of every text.

Called by `settings` for the credentials of clusters and by `apply` for specs. A secret exists from here to the socket:
`Secret` never shows its value, and `Redactor` masks secrets in messages of others. Must not know kinds, manifests or
the network.
"""

from __future__ import annotations

import base64
import fnmatch
import hmac
import html
import json
import os
import re
import stat
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from reconciler.errors import Problem, SecretMissing

LARGEST_FILE = 64 * 1024
MASK = "(secret)"

_SHORTEST_MASKED = 4  # masking anything shorter would make every text unreadable and hide nothing
_SHORTEST_ENCODED = 6
_SHORTEST_LINE = 16  # of a secret with several lines, such as a private key


class Secret:
    """A secret value. Only `reveal` returns it; it has no other representation."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the value: for the request that sends it, and for its digest."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash could be compared with guesses

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret cannot be copied or pickled")


class Redactor:
    """Masks known secrets in text, in every encoding that libraries apply."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._gate = threading.Lock()

    def add(self, secret: Secret) -> None:
        """Mask *secret* from now on."""
        with self._gate:
            known = len(self._forms)
            self._forms.update(_forms(secret.reveal()))
            if len(self._forms) > known:
                self._pattern = None

    def redact(self, text: str) -> str:
        """Return *text* with every form of every known secret replaced by `(secret)`."""
        with self._gate:
            if self._pattern is None and self._forms:
                longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            pattern = self._pattern
        return pattern.sub(MASK, text) if pattern else text


def _forms(value: str) -> Iterator[str]:
    """Yield *value* raw and encoded: as base64, URL, JSON, HTML, hexadecimal and Python literals."""
    if len(value) < _SHORTEST_MASKED:
        return
    lines = [line for line in value.splitlines() if len(line) >= _SHORTEST_LINE] if "\n" in value else []
    for text in (value, *lines):
        data = text.encode("utf-8", "surrogatepass")
        yield text
        yield from (urllib.parse.quote(text, safe="", errors="replace"), urllib.parse.quote(text, errors="replace"))
        yield urllib.parse.quote_plus(text, errors="replace")
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        yield from (html.escape(text), html.escape(text, quote=False))
        yield from (data.hex(), data.hex().upper())
        yield from (repr(text)[1:-1], ascii(text)[1:-1])
        yield from _base64_forms(data)


def _base64_forms(data: bytes) -> Iterator[str]:
    """Yield what base64 of any text with *data* inside must contain, for each of the three alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode("ascii")
        # Six bits per character: omit those with bits of the bytes before or after.
        inner = encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        if len(inner) >= _SHORTEST_ENCODED:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def _no_warning(warning: str) -> None:
    """Ignore *warning*."""


@dataclass(frozen=True, slots=True, repr=False)
class Sources:
    """The sources that secrets may come from."""

    environ: Mapping[str, str]
    files: Path | None  # the folder that files must be in; None = any file, for operator configuration
    env: tuple[str, ...] | None = None  # patterns of names that may be read; None = all but *logins*
    logins: frozenset[str] = frozenset()  # names of variables that hold the credentials of clusters
    relative_to: Path = Path()  # of relative paths, where *files* is None
    redactor: Redactor = field(default_factory=Redactor)
    warn: Callable[[str], None] = _no_warning


def resolve(value_from: Mapping[str, Any], sources: Sources, *, where: str = "") -> Secret:
    """Return the secret that `{valueFrom: {env: NAME}}` or `{env: NAME}` (or `file`) names.

    Raises SecretMissing, with the name of the source and never its content. *where* is what the secret is for.
    """
    source = value_from.get("valueFrom", value_from)
    if "env" in source:
        text = _from_environment(source["env"], sources, where)
    elif "file" in source:
        text = _from_file(source["file"], sources, where)
    else:
        raise _missing("valueFrom", where, "has no source", "set env or file")
    secret = Secret(text)
    sources.redactor.add(secret)
    return secret


def _missing(what: str, where: str, message: str, hint: str) -> SecretMissing:
    return SecretMissing([Problem(where or "secrets", 0, 0, what, message, hint)])


def _from_environment(name: str, sources: Sources, where: str) -> str:
    what = f"environment variable {name}"
    if not _allowed(name, sources):
        raise _missing(what, where, "may not be read", "add its name to secrets.env of the project file")
    value = sources.environ.get(name)
    if value is None:
        raise _missing(what, where, "is not set", f"set {name} where this command runs")
    if not value:
        raise _missing(what, where, "is empty", f"set {name} where this command runs")
    return value


def _allowed(name: str, sources: Sources) -> bool:
    if sources.env is None:
        return name not in sources.logins
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in sources.env)


def _from_file(name: str, sources: Sources, where: str) -> str:
    what = f"secret file {name}"
    path = _inside(name, sources, what, where)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise _missing(what, where, f"cannot be read: {reason}", "check the path and its permissions") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise _missing(what, where, "is not a regular file", "name a file that holds only the secret")
    with os.fdopen(handle, "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        message = f"is larger than {LARGEST_FILE // 1024} KiB"
        raise _missing(what, where, message, "name a file that holds only the secret")
    if status.st_mode & stat.S_IROTH:
        sources.warn(f"{what} can be read by every user of this machine: run chmod o-r")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _missing(what, where, "is not UTF-8 text", "name a file that holds only the secret") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text:
        raise _missing(what, where, "is empty" if not text else "contains a NUL character", "write the secret into it")
    return text


def _inside(name: str, sources: Sources, what: str, where: str) -> Path:
    """Return the real path of *name*, which must be inside the secrets folder where there is one."""
    if "\0" in name:
        raise _missing("secret file", where, "has a name with a NUL character", "check the path")
    if sources.files is None:
        return Path(os.path.realpath(sources.relative_to / name))
    root = Path(os.path.realpath(sources.files))
    path = Path(os.path.realpath(root / name))
    if not path.is_relative_to(root):
        hint = "set secrets.files of the project file to the folder that holds secrets"
        raise _missing(what, where, "is outside the secrets folder", hint)
    return path
