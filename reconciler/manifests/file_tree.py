"""Manifest files of one revision in memory: a mapping of names to bytes in place of the file system.

The agent reads them from a commit or a mounted folder, `--previous` from a commit. The rules are those of `files`: the
same endings, no hidden files, the same limits and messages. A name that is not in the mapping does not exist.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import Problem
from reconciler.manifests.files import NOT_FOUND_HINT, STDIN, Files, Text, is_manifest_name
from reconciler.settings import ProjectLimits


@dataclass(frozen=True, slots=True)
class FileTree:
    """The files of one revision, and how paths of the project file map to them."""

    files: Mapping[str, bytes]  # by name in the revision, with / between its parts
    base: str = ""  # the folder in the revision that relative names start from; "" = its root
    root: Path = Path()  # what paths of the project file are relative to on this machine
    label: str = ""  # prefix of each name in messages, such as "main~1:"
    complete: bool = True  # a missing folder is an error

    def name(self, path: Path | str) -> str | None:
        """Return the name of *path* in this revision; None if it is outside the revision."""
        given = Path(path)
        if given.is_relative_to(self.root):
            given = given.relative_to(self.root)
        if given.is_absolute() or ".." in given.parts:
            return None
        name = posixpath.normpath(posixpath.join(self.base, given.as_posix()))
        return "" if name == "." else name


class TreeFiles(Files):
    """Reads files of one revision, within the limits for files on disk."""

    def __init__(self, tree: FileTree, limits: ProjectLimits, problems: list[Problem]) -> None:
        super().__init__(limits, problems)
        self.tree = tree

    def under(self, path: Path | str) -> list[Text]:
        """Return the manifest files at *path*: a folder or a file of the tree."""
        name = self.tree.name(path) if path != STDIN else None
        if name is None:
            self.report(str(path), "is outside the manifest source", "name a folder inside it")
            return []
        shown = f"{self.tree.label}{name or '.'}"
        if name in self.tree.files:
            return [self.counted(shown, self.tree.files[name])]
        names = sorted((one for one in self.tree.files if is_manifest(one, name)), key=lambda one: one.split("/"))
        if not names and self.tree.complete:
            hint = NOT_FOUND_HINT
            self.report(shown, "no manifests found", hint)
        return [self.counted(f"{self.tree.label}{one}", self.tree.files[one]) for one in names]

    def identity(self, file: str) -> str:
        """Return a value that is equal for two names of the same file."""
        return file


def is_manifest(name: str, folder: str = "") -> bool:
    """Tell by its name whether the file *name* is a manifest in *folder* or below it."""
    if folder and not name.startswith(f"{folder}/"):
        return False
    parts = name[len(folder) + 1 if folder else 0 :].split("/")
    return not any(part.startswith(".") for part in parts) and is_manifest_name(parts[-1])
