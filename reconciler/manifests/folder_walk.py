"""The manifests in a folder and below, by name: which files count, and which names and links are refused.

`files` reads a folder for the commands with it, and the source of the agent that is a folder. Links are followed while
they stay inside the folder, as in a mounted ConfigMap, whose files are links into the hidden folder `..data`. One that
leaves it is refused: a link in a repository must not expose a file outside of it. Each file is read once, under the
first of its names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from reconciler.settings import PROJECT_FILE

ENDINGS: Final = (".yaml", ".yml")
MAX_DEPTH: Final = 32  # folders
INVALID_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


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
