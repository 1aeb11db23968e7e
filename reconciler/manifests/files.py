"""Manifest files: finds and reads them, within limits. Called by the package only; must not know YAML.

`folder_walk` says what belongs to a folder. A path given on the command line is opened as it is, a link or a pipe
included.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from reconciler.errors import Problem
from reconciler.manifests.folder_walk import ENDINGS, NotRead, walk
from reconciler.settings import ProjectLimits

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
