"""The folder source: a folder that something else keeps up to date, such as a mounted ConfigMap or a checkout.

A ConfigMap changes by one swap of the link `..data`, so what is behind that link at one moment is one revision. Any
other folder is looked at before and after it is read, and must not have changed. No link inside is followed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.errors import Interrupted, SourceEmpty, SourceError, SourceStale, SourceUnsafe
from reconciler.manifests.file_tree import is_manifest
from reconciler.manifests.files import ENDINGS
from reconciler.settings import FolderSource, ProjectLimits
from reconciler.source.mirror import key, make_private, write_private
from reconciler.source.revision import Rejection, Revision
from reconciler.source.tree import shown

_SWAPPED = "..data"
_TRIES = 5
_DEEPEST = 32

Signature = tuple[tuple[str, int, int, int], ...]  # name, inode, size, time of change


class Folder:
    """A `Source` whose revisions are digests of what the folder holds."""

    def __init__(self, source: FolderSource, state: Path, limits: ProjectLimits) -> None:
        self._folder, self._limits = source.folder, limits
        self._record = state / "source" / key("folder", os.path.abspath(source.folder)) / "folder.json"
        self._gate = threading.RLock()
        self._last: tuple[str, Signature, Revision] | None = None

    # --- Source ----------------------------------------------------------------------------------------------------

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        """Return what the folder holds now; raises SourceError where that is nothing usable, Interrupted."""
        with self._gate:
            for _ in range(_TRIES):
                if stop is not None and stop.is_set():
                    raise Interrupted("stopped while reading the folder")
                try:
                    found = self._look()
                except FileNotFoundError:  # swapped under our hands
                    continue
                except OSError as error:
                    raise SourceStale(f"the folder {self._folder} cannot be read: {error.strerror}") from error
                if found is not None:
                    return found
        if not self._folder.exists():
            raise SourceStale(f"the folder {self._folder} is not there")
        raise SourceStale(f"the folder {self._folder} keeps changing; it is read once it has come to rest")

    def accepted(self) -> Revision | None:
        """Return the last accepted revision, from our own record; None where none was."""
        with self._gate:
            told = self._read().get("accepted")
            if not told:
                return None
            files = {name: base64.b64decode(data) for name, data in told["files"].items()}
            return Revision(told["id"], files, time=told["time"])

    def rejected(self) -> Rejection | None:
        """Return what was rejected after the last accepted revision."""
        with self._gate:
            told = self._read().get("rejected")
            return Rejection(told["id"], told["why"]) if told else None

    def accept(self, revision: Revision) -> None:
        """Make *revision* the last good one, durable, in one step."""
        files = {name: base64.b64encode(data).decode("ascii") for name, data in revision.files.items()}
        with self._gate:
            self._write({"accepted": {"id": revision.id, "time": revision.time, "files": files}})

    def reject(self, revision: Revision, why: str) -> None:
        """Remember that *revision* cannot be used; the last accepted one stays."""
        with self._gate:
            self._write({**self._read(), "rejected": {"id": revision.id, "why": why}})

    # --- reading ---------------------------------------------------------------------------------------------------

    def _look(self) -> Revision | None:
        """Return what is there; None where it changed while it was read."""
        root = os.path.realpath(self._folder)
        swapped = os.path.join(root, _SWAPPED)
        if os.path.islink(swapped):
            root = os.path.realpath(swapped)
            if os.path.dirname(root) != os.path.realpath(self._folder):
                raise SourceUnsafe(f"{swapped} leads out of the folder; it is not followed")
        before = _signature(root)
        if self._last is not None and self._last[:2] == (root, before):
            return self._last[2]
        files = self._files(root, before)
        if _signature(root) != before or (os.path.islink(swapped) and os.path.realpath(swapped) != root):
            return None
        if not files:
            raise SourceEmpty(f"{self._folder} holds no manifests; they are files that end in {' or '.join(ENDINGS)}")
        digest = hashlib.sha256()
        for name, data in sorted(files.items()):
            digest.update(f"{len(name.encode())} {name} {len(data)}\n".encode() + data)
        newest = max(changed for *_, changed in before) / 1e9
        found = Revision(f"sha256:{digest.hexdigest()}", files, time=newest, name=str(self._folder))
        self._last = root, before, found
        return found

    def _files(self, root: str, signature: Signature) -> dict[str, bytes]:
        limits = self._limits
        total = sum(size for _, _, size, _ in signature)
        if len(signature) > limits.files or total > limits.total_size:
            raise SourceUnsafe(
                f"{self._folder} holds {len(signature):,} manifests of {total:,} bytes; "
                f"the limits are {limits.files:,} and {limits.total_size:,}"
            )
        files = {}
        for name, _, size, _ in signature:
            if size > limits.file_size:
                raise SourceUnsafe(f"{shown(name)} is {size:,} bytes, over the limit of {limits.file_size:,}")
            handle = os.open(os.path.join(root, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                files[name] = file.read(limits.file_size + 1)
        return files

    # --- what was decided ------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        try:
            data = self._record.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SourceError(f"{self._record} cannot be read: {error.strerror}") from error
        try:
            told: dict[str, Any] = json.loads(data)
        except ValueError as error:
            raise SourceError(f"{self._record} is damaged; remove it, and the folder counts as new") from error
        return told

    def _write(self, told: dict[str, Any]) -> None:
        make_private(self._record.parent)
        write_private(self._record, json.dumps(told, sort_keys=True).encode())


def _signature(root: str) -> Signature:
    """Return the manifests below *root*, in order, with what changes when one of them does."""
    return tuple(sorted(_walk(root, "", 0)))


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, int, int, int]]:
    if depth > _DEEPEST:
        raise SourceUnsafe(f"{shown(prefix)} lies more than {_DEEPEST} folders deep")
    with os.scandir(folder) as scan:
        entries = list(scan)
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and is_manifest(name):  # any other link is passed by, as the commands do in a folder
            raise SourceUnsafe(f"{shown(name)} is a symbolic link, which is not followed; put the file itself there")
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{name}/", depth + 1)
        elif is_manifest(name) and entry.is_file(follow_symlinks=False):
            found = entry.stat(follow_symlinks=False)
            yield name, found.st_ino, found.st_size, found.st_mtime_ns
