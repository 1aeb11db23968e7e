"""The YAML files of one commit: listed and read from the object store, so that no name in it ever becomes a path.

Called with a repository that is ours or the user's own. A link, a submodule or an odd name refuses the whole commit:
what it stands for would be missing, and what is missing must never look like "no longer declared".
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
from reconciler.source.git import Git
from reconciler.source.process import Bounds, Watch

_LISTING = 32 * 1024 * 1024  # bytes that names and ids of one commit may take
_DEEPEST = 32
_LONGEST = 1024  # bytes of a name with its folders
_MOST_TOLD = 20
_PLAIN = (b"100644", b"100755")
_LFS = b"version https://git-lfs.github.com/spec/"
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\\]")


class Entry(NamedTuple):
    """One thing in a tree."""

    mode: bytes
    id: str
    size: int
    name: bytes  # from the root of the repository


def read(git: Git, commit: str, path: str, limits: ProjectLimits, watch: Watch) -> dict[str, bytes]:
    """Return the manifests of *commit* in the folder *path* and below. Raises SourceEmpty and SourceUnsafe."""
    chosen = _chosen(list(entries(git, commit, path, watch)), path, limits)
    if not chosen:
        where = f"the folder {path} of the repository" if path else "the repository"
        raise SourceEmpty(
            f"{where} holds no manifests at {commit[:12]}; they are files that end in {' or '.join(ENDINGS)}"
        )
    blobs = contents(git, sorted({entry.id for entry in chosen.values()}), limits.total_size, watch)
    files = {name: blobs[entry.id] for name, entry in chosen.items()}
    _refuse([f"{shown(name)} is a pointer to git-lfs" for name, data in files.items() if data.startswith(_LFS)])
    return files


def entries(git: Git, commit: str, path: str, watch: Watch) -> Iterator[Entry]:
    """Yield all that the folder *path* of *commit* holds."""
    what = "listing the files of the commit"
    found = git.read("cat-file", "--batch-check", watch=watch, what=what, stdin=f"{commit}:{path}\n".encode()).split()
    if len(found) < 2 or found[-1] == b"missing":
        raise SourceEmpty(f"the repository has no folder {path} at {commit[:12]}; check source.path")
    if found[1] != b"tree":
        raise SourceUnsafe(f"{path} is no folder at {commit[:12]}; check source.path")
    listed = git.read(
        "ls-tree", "-r", "-z", "-l", "--full-tree", found[0].decode("ascii"),
        watch=watch, what=what, bounds=Bounds(out=_LISTING),
    )  # fmt: skip
    base = f"{path}/".encode() if path else b""
    for line in listed.split(b"\0")[:-1]:
        about, _, name = line.partition(b"\t")
        mode, _, id_, size = about.split()
        yield Entry(mode, id_.decode("ascii"), int(size) if size.isdigit() else 0, base + name)


def _chosen(found: Sequence[Entry], path: str, limits: ProjectLimits) -> dict[str, Entry]:
    """Return the manifests among *found*, by name; raises SourceUnsafe with all that must not be there."""
    problems: list[str] = []
    chosen: dict[str, Entry] = {}
    total = 0
    for entry in found:
        name = entry.name.decode("utf-8", "backslashreplace")
        problem = _problem(entry, name, path, limits)
        if problem:
            problems.append(f"{shown(name)} {problem}")
        elif entry.mode in _PLAIN and is_manifest(name, path):
            chosen[name] = entry
            total += entry.size
    if len(chosen) > limits.files:
        problems.append(f"there are {len(chosen):,} manifests, over the limit of {limits.files:,}")
    if total > limits.total_size:
        problems.append(f"the manifests together are {total:,} bytes, over the limit of {limits.total_size:,}")
    _refuse(problems)
    return chosen


def _problem(entry: Entry, name: str, path: str, limits: ProjectLimits) -> str:
    """Return what is wrong with *entry*, "" for nothing. Hidden files are nobody's business."""
    inner = name[len(path) + 1 if path else 0 :]
    parts = inner.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return "has a name that git itself would not check out"
    if len(parts) > _DEEPEST:
        return f"lies more than {_DEEPEST} folders deep"
    if any(part.startswith(".") for part in parts):
        return ""
    if entry.mode == b"120000":
        return "is a symbolic link, which is not followed; put the file itself there"
    if entry.mode == b"160000":
        return "is a submodule, which is not read; put the files themselves there, or choose another source.path"
    if not inner.endswith(ENDINGS):
        return ""
    if entry.mode not in _PLAIN:
        return f"has the mode {entry.mode.decode('ascii')}; it must be a plain file"
    if _ODD.search(name) or not _is_utf8(entry.name) or len(entry.name) > _LONGEST:
        return "has a name with characters that are not for names"
    return f"is {entry.size:,} bytes, over the limit of {limits.file_size:,}" if entry.size > limits.file_size else ""


def is_readable(entry: Entry, limits: ProjectLimits) -> bool:
    """Tell whether *entry* is a plain file with an ordinary name that is small enough to be a manifest."""
    return entry.mode in _PLAIN and _is_utf8(entry.name) and entry.size <= limits.file_size


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = [f"… and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
        raise SourceUnsafe("the commit is refused as a whole:\n  " + "\n  ".join([*problems[:_MOST_TOLD], *more]))


def shown(name: str) -> str:
    """Return a name from the repository for a message."""
    return shorten(clean(name), 120)


def contents(git: Git, ids: Sequence[str], most: int, watch: Watch) -> Mapping[str, bytes]:
    """Return what the blobs *ids* hold."""
    what = "reading the files of the commit"
    found = git.read(
        "cat-file", "--batch", "--buffer",
        watch=watch, what=what, stdin="".join(f"{id_}\n" for id_ in ids).encode(),
        bounds=Bounds(out=most + 100 * len(ids) + 100),
    )  # fmt: skip
    blobs: dict[str, bytes] = {}
    start = 0
    for id_ in ids:
        end = found.find(b"\n", start)
        head = found[start:end].split() if end >= 0 else []
        if len(head) != 3 or head[0] != id_.encode() or head[1] != b"blob":
            raise SourceUnsafe(f"{what}: the object {id_} is not the file that its tree says")
        size = int(head[2])
        blobs[id_] = found[end + 1 : end + 1 + size]
        start = end + size + 2
    return blobs
