"""An earlier commit of the repository that a command works in: what was declared there, for `--previous REV`.

Called by the commands that plan. It reads objects of the local repository and nothing else: no network, no index, no
work tree, and nothing that the repository's own configuration could start.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import InputError, Problem, Refused
from reconciler.manifests import FileTree
from reconciler.manifests.file_tree import is_manifest
from reconciler.settings import ProjectLimits
from reconciler.source import tree
from reconciler.source.git import Git
from reconciler.source.process import Watch, run

_OPTION = "--previous"
_SECONDS = 60.0
_DISCOVERY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")


class Previous(NamedTuple):
    """Manifests of an earlier commit."""

    tree: FileTree
    names: Mapping[Path, Path]  # each path that was asked for, as the tree knows it


def at(
    revision: str, paths: Sequence[Path], limits: ProjectLimits, path: str, stop: threading.Event | None = None
) -> Previous:
    """Return the manifests that *paths* held at *revision*, which must lie before what is checked out.

    *path* is where programs are looked for. Raises InputError where there is no such commit, Refused where it is not an
    earlier one: the manifests would then be older than what they are compared with, and would delete what is newer.
    """
    watch = Watch.of(_SECONDS, stop)
    real = {one: Path(os.path.realpath(one)) for one in paths}
    git, top = _repository(list(real.values()), path, watch)
    names = {}
    for one, there in real.items():
        if not there.is_relative_to(top):
            raise _wrong(f"{one} is not in the repository {top}", "all manifests must be in one repository")
        names[one] = there.relative_to(top)
    commit = _commit(git, revision, watch)
    _must_be_earlier(git, commit, revision, watch)
    files = _files(git, commit, [name.as_posix() for name in names.values()], limits, watch)
    return Previous(FileTree(files, label=f"{revision}:", complete=False), names)


def _wrong(message: str, hint: str = "") -> InputError:
    return InputError([Problem(_OPTION, 0, 0, "", message, hint)])


def _repository(paths: Sequence[Path], path: str, watch: Watch) -> tuple[Git, Path]:
    """Return git on the repository that the first of *paths* is in, and its top folder."""
    start = next((folder for folder in (paths[0], *paths[0].parents) if folder.is_dir()), Path("/"))
    git = Git(Path("/nonexistent"), path)
    words = ["git", *_DISCOVERY, "-C", str(start), "rev-parse", "--show-toplevel", "--absolute-git-dir"]
    answer = run(words, git.environment(), watch, what="looking for the repository")
    lines = answer.out.decode("utf-8", "surrogateescape").splitlines()
    if answer.code or len(lines) != 2:
        raise _wrong(f"{start} is in no git repository", "run this in a checkout that has its history")
    return Git(Path(lines[1]), path), Path(lines[0])


def _commit(git: Git, revision: str, watch: Watch) -> str:
    """Return the commit that *revision* names."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    answer = git.run(*words, watch=watch, what="looking up the revision")
    lines = answer.out.decode("ascii", "replace").split()
    if answer.code or len(lines) != 1 or "\n" in revision:
        hint = "check the name; a shallow checkout lacks earlier commits (fetch-depth: 0 in many CI systems)"
        raise _wrong(f"there is no commit {tree.shown(revision)} in this repository", hint)
    return lines[0]


def _must_be_earlier(git: Git, commit: str, revision: str, watch: Watch) -> None:
    words = ("merge-base", "--is-ancestor", "--end-of-options", commit, "HEAD")
    if git.run(*words, watch=watch, what="comparing histories").code:
        raise Refused(
            f"{tree.shown(revision)} ({commit[:12]}) does not lie before what is checked out, so what it declares and "
            "these manifests do not may be newer, not gone; nothing was planned (is this an old pipeline that runs "
            "late, or a shallow checkout?)"
        )


def _files(git: Git, commit: str, names: Sequence[str], limits: ProjectLimits, watch: Watch) -> dict[str, bytes]:
    """Return the manifests that *names*, files or folders, held at *commit*; what cannot be read was not declared."""
    found = {
        entry.name.decode("utf-8"): entry.id
        for entry in tree.entries(git, commit, "", watch)
        if tree.is_readable(entry, limits)
    }
    chosen = {
        name: id_
        for name, id_ in found.items()
        if any(name == one or is_manifest(name, "" if one == "." else one) for one in names)
    }
    blobs = tree.contents(git, sorted(set(chosen.values())), limits.total_size, watch)
    return {name: blobs[id_] for name, id_ in chosen.items()}
