"""Manifest files: finds and reads them, within limits. Called by the package only; must not know YAML.

A path given on the command line is opened as it is, a link or a pipe included. `walk` says what belongs to a folder,
for the folder source of the agent too. Links in it are followed while they stay inside the folder, as in a mounted
ConfigMap, whose files are links into the hidden folder `..data`. One that leaves it is refused: a link in a repository
must not expose a file outside of it. Each file is read once, under the first of its names.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from reconciler.errors import Problem
from reconciler.settings import PROJECT_FILE, ProjectLimits

ENDINGS: Final = (".yaml", ".yml")
MAX_DEPTH: Final = 32  # folders
INVALID_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
STDIN = "-"
STDIN_NAME = "<stdin>"
NOT_FOUND_HINT = f"manifests end in {' or '.join(ENDINGS)}; hidden files are ignored"


class Text(NamedTuple):
    """One file's name for people, and its bytes."""

    file: str
    data: bytes


class LimitExceeded(Exception):
    """A limit on the whole input was exceeded; the problem is already reported."""


class Files:
    """Reads files for one run, within limits that apply to all of them together."""

    def __init__(self, limits: ProjectLimits, problems: list[Problem], stdin: BinaryIO | None = None) -> None:
        self.limits = limits
        self.problems = problems
        self.stdin = stdin
        self.order: dict[str, int] = {}  # in which files were read
        self._total = 0

    def under(self, path: Path | str) -> list[Text]:
        """Return the manifest files at *path*: a folder, a file, or `-` for standard input."""
        if path == STDIN:
            stream = self.stdin or sys.stdin.buffer
            return [self.counted(STDIN_NAME, stream.read(self.limits.file_size + 1))]
        name, before = os.fspath(path), len(self.problems)
        try:
            is_folder = stat.S_ISDIR(os.stat(name).st_mode)
            texts = list(self._walked(name)) if is_folder else [self._read(name, name, os.O_RDONLY)]
        except OSError as error:
            self.report(error.filename or name, (error.strerror or str(error)).lower(), "check the path")
            return []
        if is_folder and not texts and len(self.problems) == before:
            hint = NOT_FOUND_HINT
            self.report(name, "no manifests found", hint)
        return texts

    def identity(self, file: str) -> str:
        """Return a value that is equal for two names of the same file."""
        return os.path.realpath(file)

    def _walked(self, folder: str) -> Iterator[Text]:
        for found in walk(folder):
            name = os.path.join(folder, found.name)
            if isinstance(found, NotRead):
                self.report(name, found.message, found.hint)
            else:
                yield self._read(name, found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)

    def _read(self, name: str, path: str, flags: int) -> Text:
        handle = os.open(path, flags | os.O_CLOEXEC)
        with os.fdopen(handle, "rb", buffering=0) as file:
            data = file.read(self.limits.file_size + 1) or b""
            while len(data) <= self.limits.file_size and (more := file.read(self.limits.file_size + 1 - len(data))):
                data += more
        return self.counted(name, data)

    def counted(self, name: str, data: bytes) -> Text:
        """Count a file that was read and return it; raises LimitExceeded if all of them together are too large."""
        self.order.setdefault(name, len(self.order))
        self._total += len(data)
        if len(self.order) > self.limits.files:
            hint = "put several documents in a file, or raise limits.files in the project file"
            self.report(name, f"more than {self.limits.files:,} files", hint)
            raise LimitExceeded
        if self._total > self.limits.total_size:
            message = f"the manifests exceed the total size limit of {self.limits.total_size:,} bytes"
            self.report(name, message, "raise limits.totalSize in the project file")
            raise LimitExceeded
        return Text(name, data)

    def report(self, name: str, message: str, hint: str = "") -> None:
        """Report a problem of a whole file or folder."""
        self.problems.append(Problem(name, 0, 0, "", message, hint))


class ManifestFile(NamedTuple):
    """A manifest: its name below the folder, with / between its parts, and the real path to open."""

    name: str
    path: str


class NotRead(NamedTuple):
    """Something that is not read, and why."""

    name: str
    message: str
    hint: str


def is_manifest_name(name: str) -> bool:
    """Tell by its last part whether a file is a manifest."""
    return name.endswith(ENDINGS) and name != PROJECT_FILE and not name.startswith(".")


def walk(folder: str, inside: str = "") -> Iterator[ManifestFile | NotRead]:
    """Yield what is in *folder* and below, ordered by name; links must stay inside of *inside*, by default the folder.

    Raises OSError.
    """
    real = os.path.realpath(folder)
    yield from _below("", real, _Walk(os.path.realpath(inside) if inside else real, set()), 1)


class _Walk(NamedTuple):
    """What one walk works with: where links may lead, and the real paths that were visited."""

    inside: str
    seen: set[str]

    def is_new(self, real: str) -> bool:
        """Return whether a file or folder was not visited yet, and note the visit."""
        new = real not in self.seen
        self.seen.add(real)
        return new

    def holds(self, real: str) -> bool:
        return real == self.inside or real.startswith(self.inside.rstrip("/") + "/")


def _below(prefix: str, real: str, state: _Walk, depth: int) -> Iterator[ManifestFile | NotRead]:
    if not state.is_new(real):
        return
    if depth > MAX_DEPTH:
        yield NotRead(prefix, f"is nested more than {MAX_DEPTH} folders deep", "move the manifests up")
        return
    with os.scandir(real) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            continue
        is_folder, is_file = entry.is_dir(), is_manifest_name(entry.name)
        if not is_folder and not is_file:
            continue
        if INVALID_NAME.search(entry.name):
            yield NotRead(name, "has a name with control characters", "rename it")
            continue
        target = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        if not state.holds(target):
            yield NotRead(
                name, f"is a symbolic link that leaves the folder: {target}", "use a copy of what it leads to"
            )
        elif is_folder:
            yield from _below(f"{name}/", target, state, depth + 1)
        elif entry.is_file():
            if state.is_new(target):
                yield ManifestFile(name, target)
        elif entry.is_symlink() and not os.path.exists(target):
            yield NotRead(name, "is a symbolic link that leads nowhere", "remove it, or restore what it leads to")
