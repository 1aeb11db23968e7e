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
from reconciler.manifests import Tree
from reconciler.manifests.trees import is_manifest
from reconciler.settings import Limits
from reconciler.source import git_tree
from reconciler.source.git import GitRunner
from reconciler.source.process import Deadline, run

_OPTION = "--previous"
_SECONDS = 60.0
_DISCOVERY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")


class PreviousManifests(NamedTuple):
    """Manifests of an earlier commit."""

    tree: Tree
    names: Mapping[Path, Path]  # each path that was asked for, as the tree knows it


def manifests_at(
    revision: str, paths: Sequence[Path], limits: Limits, path: str, stop: threading.Event | None = None
) -> PreviousManifests:
    """Return the manifests that *paths* held at *revision*, which must lie before what is checked out.

    *path* is where programs are looked for. Raises InputError where there is no such commit, Refused where it is not an
    earlier one: the manifests would then be older than what they are compared with, and would delete what is newer.
    """
    deadline = Deadline.after(_SECONDS, stop)
    real = {one: Path(os.path.realpath(one)) for one in paths}
    git, top = _repository(list(real.values()), path, deadline)
    names = {}
    for one, there in real.items():
        if not there.is_relative_to(top):
            raise _wrong(f"{one} is not in the repository {top}", "all manifests must be in one repository")
        names[one] = there.relative_to(top)
    commit = _commit(git, revision, deadline)
    _must_be_earlier(git, commit, revision, deadline)
    files = _files(git, commit, [name.as_posix() for name in names.values()], limits, deadline)
    return PreviousManifests(Tree(files, label=f"{revision}:", complete=False), names)


def _wrong(message: str, hint: str = "") -> InputError:
    return InputError([Problem(_OPTION, 0, 0, "", message, hint)])


def _repository(paths: Sequence[Path], path: str, deadline: Deadline) -> tuple[GitRunner, Path]:
    """Return git on the repository that the first of *paths* is in, and its top folder."""
    start = next((folder for folder in (paths[0], *paths[0].parents) if folder.is_dir()), Path("/"))
    git = GitRunner(Path("/nonexistent"), path)
    words = ["git", *_DISCOVERY, "-C", str(start), "rev-parse", "--show-toplevel", "--absolute-git-dir"]
    answer = run(words, git.environment(), deadline, what="looking for the repository")
    lines = answer.out.decode("utf-8", "surrogateescape").splitlines()
    if answer.code or len(lines) != 2:
        raise _wrong(f"{start} is in no git repository", "run this in a checkout that has its history")
    return GitRunner(Path(lines[1]), path), Path(lines[0])


def _commit(git: GitRunner, revision: str, deadline: Deadline) -> str:
    """Return the commit that *revision* names."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    answer = git.run(*words, deadline=deadline, what="looking up the revision")
    lines = answer.out.decode("ascii", "replace").split()
    if answer.code or len(lines) != 1 or "\n" in revision:
        hint = "check the name; a shallow checkout lacks earlier commits (fetch-depth: 0 in many CI systems)"
        raise _wrong(f"there is no commit {git_tree.display_name(revision)} in this repository", hint)
    return lines[0]


def _must_be_earlier(git: GitRunner, commit: str, revision: str, deadline: Deadline) -> None:
    words = ("merge-base", "--is-ancestor", "--end-of-options", commit, "HEAD")
    if git.run(*words, deadline=deadline, what="comparing histories").code:
        raise Refused(
            f"{git_tree.display_name(revision)} ({commit[:12]}) is not an ancestor of HEAD, so resources that only it "
            "declares may be newer, not removed; nothing was planned (delayed pipeline, or shallow checkout?)"
        )


def _files(git: GitRunner, commit: str, names: Sequence[str], limits: Limits, deadline: Deadline) -> dict[str, bytes]:
    """Return the manifests that *names*, files or folders, held at *commit*; what cannot be read was not declared."""
    found = {
        entry.name.decode("utf-8"): entry.id
        for entry in git_tree.entries(git, commit, "", deadline)
        if git_tree.is_readable(entry, limits)
    }
    chosen = {
        name: id_
        for name, id_ in found.items()
        if any(name == one or is_manifest(name, "" if one == "." else one) for one in names)
    }
    blobs = git_tree.contents(git, sorted(set(chosen.values())), limits.total_size, deadline)
    return {name: blobs[id_] for name, id_ in chosen.items()}
