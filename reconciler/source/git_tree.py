"""The manifests of one commit: listed and read from the object store, so that no name in it becomes a path.

Used by `git_repository` and `previous`. A link, a submodule or an unusual name rejects the whole commit: its manifests
would be missing, and a missing manifest must never look like one that is no longer declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.errors import SourceEmpty, SourceUnsafe
from reconciler.manifests.file_tree import is_manifest
from reconciler.manifests.files import ENDINGS
from reconciler.render.escape import clean, shorten
from reconciler.settings import ProjectLimits
from reconciler.source.git import GitRunner
from reconciler.source.process import Deadline, ProcessLimits

_MAX_LISTING = 32 * 1024 * 1024  # bytes of the names and ids of one commit
_MAX_DEPTH = 32
_MAX_NAME = 1024  # bytes, with its folders
_MAX_LISTED = 20
_FILE_MODES = (b"100644", b"100755")
_LFS = b"version https://git-lfs.github.com/spec/"
_INVALID_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\\]")


class TreeEntry(NamedTuple):
    """One entry of a tree."""

    mode: bytes
    id: str
    size: int
    name: bytes  # from the root of the repository


def read(git: GitRunner, commit: str, path: str, limits: ProjectLimits, deadline: Deadline) -> dict[str, bytes]:
    """Return the manifests of *commit* in the folder *path* and below, by name from the root of the repository.

    Raises SourceEmpty, and SourceUnsafe for content that is not read or is over *limits*.
    """
    chosen = _manifests(list(entries(git, commit, path, deadline)), path, limits)
    if not chosen:
        where = f"the folder {path} of the repository" if path else "the repository"
        raise SourceEmpty(
            f"{where} contains no manifests at {commit[:12]}; they are files that end in {' or '.join(ENDINGS)}"
        )
    blobs = contents(git, sorted({entry.id for entry in chosen.values()}), limits.total_size, deadline)
    files = {name: blobs[entry.id] for name, entry in chosen.items()}
    _reject([f"{display_name(name)} is a git-lfs pointer" for name, data in files.items() if data.startswith(_LFS)])
    return files


def entries(git: GitRunner, commit: str, path: str, deadline: Deadline) -> Iterator[TreeEntry]:
    """Yield all entries of the folder *path* of *commit*, recursively. Raises SourceEmpty, SourceUnsafe."""
    what = "listing the files of the commit"
    found = git.read(
        "cat-file", "--batch-check", deadline=deadline, what=what, stdin=f"{commit}:{path}\n".encode()
    ).split()
    if len(found) < 2 or found[-1] == b"missing":
        raise SourceEmpty(f"the repository has no folder {path} at {commit[:12]}; check source.path")
    if found[1] != b"tree":
        raise SourceUnsafe(f"{path} is not a folder at {commit[:12]}; check source.path")
    listed = git.read(
        "ls-tree", "-r", "-z", "-l", "--full-tree", found[0].decode("ascii"),
        deadline=deadline, what=what, limits=ProcessLimits(stdout=_MAX_LISTING),
    )  # fmt: skip
    base = f"{path}/".encode() if path else b""
    for line in listed.split(b"\0")[:-1]:
        about, _, name = line.partition(b"\t")
        mode, _, id_, size = about.split()
        yield TreeEntry(mode, id_.decode("ascii"), int(size) if size.isdigit() else 0, base + name)


def _manifests(found: Sequence[TreeEntry], path: str, limits: ProjectLimits) -> dict[str, TreeEntry]:
    """Return the manifests among *found*, by name; raises SourceUnsafe with all problems."""
    problems: list[str] = []
    chosen: dict[str, TreeEntry] = {}
    total = 0
    for entry in found:
        name = entry.name.decode("utf-8", "backslashreplace")
        problem = _problem(entry, name, path, limits)
        if problem:
            problems.append(f"{display_name(name)} {problem}")
        elif entry.mode in _FILE_MODES and is_manifest(name, path):
            chosen[name] = entry
            total += entry.size
    if len(chosen) > limits.files:
        problems.append(f"there are {len(chosen):,} manifests, over the limit of {limits.files:,}")
    if total > limits.total_size:
        problems.append(f"the manifests together are {total:,} bytes, over the limit of {limits.total_size:,}")
    _reject(problems)
    return chosen


def _problem(entry: TreeEntry, name: str, path: str, limits: ProjectLimits) -> str:
    """Return the problem with *entry*, "" for none. Hidden files are ignored."""
    inner = name[len(path) + 1 if path else 0 :]
    parts = inner.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return "has a name that git would not check out"
    if len(parts) > _MAX_DEPTH:
        return f"is nested more than {_MAX_DEPTH} folders deep"
    if any(part.startswith(".") for part in parts):
        return ""
    if entry.mode == b"120000":
        return "is a symbolic link; links are not followed, use a regular file"
    if entry.mode == b"160000":
        return "is a submodule; submodules are not read, commit the files or choose another source.path"
    if not inner.endswith(ENDINGS):
        return ""
    if entry.mode not in _FILE_MODES:
        return f"has the mode {entry.mode.decode('ascii')}; it must be a regular file"
    if _INVALID_NAME.search(name) or not _is_utf8(entry.name) or len(entry.name) > _MAX_NAME:
        return "has a name that is too long or contains invalid characters"
    return f"is {entry.size:,} bytes, over the limit of {limits.file_size:,}" if entry.size > limits.file_size else ""


def is_readable(entry: TreeEntry, limits: ProjectLimits) -> bool:
    """Return whether *entry* is a regular file with a UTF-8 name and within the size limit of a manifest."""
    return entry.mode in _FILE_MODES and _is_utf8(entry.name) and entry.size <= limits.file_size


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _reject(problems: Sequence[str]) -> None:
    if problems:
        more = [f"… and {len(problems) - _MAX_LISTED} more"] if len(problems) > _MAX_LISTED else []
        raise SourceUnsafe("the commit is rejected:\n  " + "\n  ".join([*problems[:_MAX_LISTED], *more]))


def display_name(name: str) -> str:
    """Return *name* escaped and shortened for a message."""
    return shorten(clean(name), 120)


def contents(git: GitRunner, ids: Sequence[str], max_bytes: int, deadline: Deadline) -> Mapping[str, bytes]:
    """Return the contents of the blobs *ids*, by id. Raises SourceUnsafe over *max_bytes* in total."""
    what = "reading the files of the commit"
    found = git.read(
        "cat-file", "--batch", "--buffer",
        deadline=deadline, what=what, stdin="".join(f"{id_}\n" for id_ in ids).encode(),
        limits=ProcessLimits(stdout=max_bytes + 100 * len(ids) + 100),
    )  # fmt: skip
    blobs: dict[str, bytes] = {}
    start = 0
    for id_ in ids:
        end = found.find(b"\n", start)
        head = found[start:end].split() if end >= 0 else []
        if len(head) != 3 or head[0] != id_.encode() or head[1] != b"blob":
            raise SourceUnsafe(f"{what}: the object {id_} is not a blob")
        size = int(head[2])
        blobs[id_] = found[end + 1 : end + 1 + size]
        start = end + size + 2
    return blobs
