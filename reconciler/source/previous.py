"""The manifests at an earlier commit of the local repository, for `--previous REV`.

Used by the commands that plan. It reads only objects of the repository: no network, index or work tree, and nothing
that the configuration of the repository could start.
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
from reconciler.source import git_tree
from reconciler.source.git import GitRunner
from reconciler.source.process import Command, Deadline, run

_OPTION = "--previous"
_SECONDS = 60.0
_DISCOVERY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")


class PreviousManifests(NamedTuple):
    """The manifests of an earlier commit."""

    tree: FileTree
    names: Mapping[Path, Path]  # each requested path, and its name in the tree


def manifests_at(
    revision: str, paths: Sequence[Path], limits: ProjectLimits, path: str, stop: threading.Event | None = None
) -> PreviousManifests:
    """Return the manifests that *paths* contained at *revision*, which must be an ancestor of HEAD.

    *path* is PATH. Raises InputError where there is no such commit, and Refused where it is not an ancestor: the
    current manifests would then be older than the previous ones, and newer resources would look removed.
    """
    deadline = Deadline.after(_SECONDS, stop)
    real = {one: Path(os.path.realpath(one)) for one in paths}
    git, top = _repository(list(real.values()), path, deadline)
    names = {}
    for one, resolved in real.items():
        if not resolved.is_relative_to(top):
            raise _input_error(f"{one} is not in the repository {top}", "all manifests must be in one repository")
        names[one] = resolved.relative_to(top)
    commit = _commit(git, revision, deadline)
    _check_ancestor(git, commit, revision, deadline)
    files = _files(git, commit, [name.as_posix() for name in names.values()], limits, deadline)
    return PreviousManifests(FileTree(files, label=f"{revision}:", complete=False), names)


def _input_error(message: str, hint: str = "") -> InputError:
    return InputError([Problem(_OPTION, 0, 0, "", message, hint)])


def _repository(paths: Sequence[Path], path: str, deadline: Deadline) -> tuple[GitRunner, Path]:
    """Return a git runner for the repository of the first of *paths*, and the top folder of the work tree."""
    start = next((folder for folder in (paths[0], *paths[0].parents) if folder.is_dir()), Path("/"))
    git = GitRunner(Path("/nonexistent"), path)
    args = ["git", *_DISCOVERY, "-C", str(start), "rev-parse", "--show-toplevel", "--absolute-git-dir"]
    result = run(Command(args, git.environment()), deadline, what="locating the repository")
    lines = result.stdout.decode("utf-8", "surrogateescape").splitlines()
    if result.exit_code or len(lines) != 2:
        raise _input_error(f"{start} is not in a git repository", "run this in a git checkout with its history")
    return GitRunner(Path(lines[1]), path), Path(lines[0])


def _commit(git: GitRunner, revision: str, deadline: Deadline) -> str:
    """Return the id of the commit *revision*."""
    args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    result = git.run(*args, deadline=deadline, what="resolving the revision")
    lines = result.stdout.decode("ascii", "replace").split()
    if result.exit_code or len(lines) != 1 or "\n" in revision:
        hint = "check the name; a shallow checkout lacks earlier commits (fetch-depth: 0 in many CI systems)"
        raise _input_error(f"no commit {git_tree.display_name(revision)} in this repository", hint)
    return lines[0]


def _check_ancestor(git: GitRunner, commit: str, revision: str, deadline: Deadline) -> None:
    args = ("merge-base", "--is-ancestor", "--end-of-options", commit, "HEAD")
    if git.run(*args, deadline=deadline, what="comparing histories").exit_code:
        raise Refused(
            f"{git_tree.display_name(revision)} ({commit[:12]}) is not an ancestor of HEAD, so resources that only it "
            "declares may be newer, not removed; nothing was planned (delayed pipeline, or shallow checkout?)"
        )


def _files(
    git: GitRunner, commit: str, names: Sequence[str], limits: ProjectLimits, deadline: Deadline
) -> dict[str, bytes]:
    """Return the manifests in *names* (files or folders) at *commit*; unreadable files count as not declared."""
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
