"""Manifest files that a source has read already: a mapping of names to bytes instead of the file system.

The agent takes them from a commit or a mounted folder, `--previous` from a commit. The rules are those of `files`: the
same endings, nothing hidden, the same bounds, the same complaints. A name that is not in the mapping does not exist.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import Problem
from reconciler.manifests.files import ENDINGS, STDIN, Files, Text
from reconciler.settings import PROJECT_FILE, Limits


@dataclass(frozen=True, slots=True)
class Tree:
    """Files of one revision, and where the folders that the project file names are among them."""

    files: Mapping[str, bytes]  # by name in the revision, with / between its parts
    base: str = ""  # the folder in it that relative names begin at; "" = its root
    root: Path = Path()  # what paths of the project file are relative to on this machine
    label: str = ""  # put before each name in messages, such as "main~1:"
    complete: bool = True  # a folder that is missing is a mistake

    def name(self, path: Path | str) -> str | None:
        """Return what *path* is called in this revision; None for what lies outside of it."""
        given = Path(path)
        if given.is_relative_to(self.root):
            given = given.relative_to(self.root)
        if given.is_absolute() or ".." in given.parts:
            return None
        name = posixpath.normpath(posixpath.join(self.base, given.as_posix()))
        return "" if name == "." else name


class TreeFiles(Files):
    """Gives files of one revision, within the bounds that hold for files on disk."""

    def __init__(self, tree: Tree, limits: Limits, problems: list[Problem]) -> None:
        super().__init__(limits, problems)
        self.tree = tree

    def under(self, path: Path | str) -> list[Text]:
        """Return the manifest files at *path*: a folder or a file of the tree."""
        name = self.tree.name(path) if path != STDIN else None
        if name is None:
            self.complain(str(path), "is outside the source of manifests", "name a folder inside it")
            return []
        shown = f"{self.tree.label}{name or '.'}"
        if name in self.tree.files:
            return [self.counted(shown, self.tree.files[name])]
        names = sorted((one for one in self.tree.files if is_manifest(one, name)), key=lambda one: one.split("/"))
        if not names and self.tree.complete:
            hint = f"they are files that end in {' or '.join(ENDINGS)}; symbolic links and hidden files are not read"
            self.complain(shown, "no manifests found", hint)
        return [self.counted(f"{self.tree.label}{one}", self.tree.files[one]) for one in names]

    def identity(self, file: str) -> str:
        """Return what is the same for two names of one file."""
        return file


def is_manifest(name: str, folder: str = "") -> bool:
    """Tell whether the file *name* is a manifest in *folder* or below: by its name alone."""
    if folder and not name.startswith(f"{folder}/"):
        return False
    parts = name[len(folder) + 1 if folder else 0 :].split("/")
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and parts[-1].endswith(ENDINGS) and parts[-1] != PROJECT_FILE
