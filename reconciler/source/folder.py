"""The folder source: a folder that something else updates, such as a mounted ConfigMap or a checkout.

Opened by `sources`. A ConfigMap is updated by replacing the link `..data`, so the target of that link at one moment is
one revision. Any other folder is compared before and after it is read, and must not have changed. Links are followed
while they stay inside the folder.
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
from reconciler.manifests.files import ENDINGS, NotRead, walk
from reconciler.settings import FolderSource, ProjectLimits
from reconciler.source.git_tree import display_name
from reconciler.source.mirror import make_private, source_id, write_private
from reconciler.source.revision import Rejection, Revision

_CONFIG_MAP_LINK = "..data"
_ATTEMPTS = 5

Fingerprint = tuple[tuple[str, int, int, int, str], ...]  # name, inode, size, mtime in ns, real path


class ManifestFolder:
    """A `Source` whose revisions are digests of the contents of the folder."""

    def __init__(self, source: FolderSource, state: Path, limits: ProjectLimits) -> None:
        self._folder, self._limits = source.folder, limits
        self._record = state / "source" / source_id("folder", os.path.abspath(source.folder)) / "folder.json"
        self._lock = threading.RLock()
        self._last: tuple[str, Fingerprint, Revision] | None = None

    # --- Source ----------------------------------------------------------------------------------------------------

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        """Return the current contents. Raises SourceError where they cannot be used, and Interrupted."""
        with self._lock:
            for _ in range(_ATTEMPTS):
                if stop is not None and stop.is_set():
                    raise Interrupted("interrupted while reading the folder")
                try:
                    found = self._read()
                except FileNotFoundError:  # replaced while it was read
                    continue
                except OSError as error:
                    raise SourceStale(f"the folder {self._folder} cannot be read: {error.strerror}") from error
                if found is not None:
                    return found
        if not self._folder.exists():
            raise SourceStale(f"the folder {self._folder} does not exist")
        raise SourceStale(f"the folder {self._folder} keeps changing; it is read once it is stable")

    def accepted(self) -> Revision | None:
        """Return the last accepted revision, as recorded; None where there is none."""
        with self._lock:
            recorded = self._read_record().get("accepted")
            if not recorded:
                return None
            files = {name: base64.b64decode(data) for name, data in recorded["files"].items()}
            return Revision(recorded["id"], files, time=recorded["time"])

    def rejected(self) -> Rejection | None:
        """Return the revision that was rejected after the last accepted one, with the reason."""
        with self._lock:
            recorded = self._read_record().get("rejected")
            return Rejection(recorded["id"], recorded["why"]) if recorded else None

    def accept(self, revision: Revision) -> None:
        """Record *revision* as the last accepted one, durably and atomically."""
        files = {name: base64.b64encode(data).decode("ascii") for name, data in revision.files.items()}
        with self._lock:
            self._write_record({"accepted": {"id": revision.id, "time": revision.time, "files": files}})

    def reject(self, revision: Revision, why: str) -> None:
        """Record that *revision* was rejected, and *why*; the last accepted one remains in use."""
        with self._lock:
            self._write_record({**self._read_record(), "rejected": {"id": revision.id, "why": why}})

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self) -> Revision | None:
        """Return the current contents; None where they changed during the read."""
        root = os.path.realpath(self._folder)
        link = os.path.join(root, _CONFIG_MAP_LINK)
        if os.path.islink(link):
            root = os.path.realpath(link)
            if os.path.dirname(root) != os.path.realpath(self._folder):
                raise SourceUnsafe(f"{link} points outside the folder; it is not followed")
        before = _fingerprint(root, str(self._folder))
        if self._last is not None and self._last[:2] == (root, before):
            return self._last[2]
        files = self._files(before)
        if _fingerprint(root, str(self._folder)) != before or (os.path.islink(link) and os.path.realpath(link) != root):
            return None
        if not files:
            raise SourceEmpty(
                f"{self._folder} contains no manifests; they are files that end in {' or '.join(ENDINGS)}"
            )
        digest = hashlib.sha256()
        for name, data in sorted(files.items()):
            digest.update(f"{len(name.encode())} {name} {len(data)}\n".encode() + data)
        newest = max(changed for _, _, _, changed, _ in before) / 1e9
        found = Revision(f"sha256:{digest.hexdigest()}", files, time=newest, name=str(self._folder))
        self._last = root, before, found
        return found

    def _files(self, fingerprint: Fingerprint) -> dict[str, bytes]:
        limits = self._limits
        total = sum(size for _, _, size, _, _ in fingerprint)
        if len(fingerprint) > limits.files or total > limits.total_size:
            raise SourceUnsafe(
                f"{self._folder} contains {len(fingerprint):,} manifests of {total:,} bytes; "
                f"the limits are {limits.files:,} and {limits.total_size:,}"
            )
        files = {}
        for name, _, size, _, path in fingerprint:
            if size > limits.file_size:
                raise SourceUnsafe(f"{display_name(name)} is {size:,} bytes, over the limit of {limits.file_size:,}")
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                files[name] = file.read(limits.file_size + 1)
        return files

    # --- record of accepted and rejected revisions ------------------------------------------------------------------

    def _read_record(self) -> dict[str, Any]:
        try:
            data = self._record.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SourceError(f"{self._record} cannot be read: {error.strerror}") from error
        try:
            recorded: dict[str, Any] = json.loads(data)
        except ValueError as error:
            raise SourceError(f"{self._record} is corrupt; remove it, and the folder counts as new") from error
        return recorded

    def _write_record(self, recorded: dict[str, Any]) -> None:
        make_private(self._record.parent)
        write_private(self._record, json.dumps(recorded, sort_keys=True).encode())


def _fingerprint(root: str, inside: str) -> Fingerprint:
    """Return the manifests below *root*, sorted, with the metadata that changes with them."""
    return tuple(sorted(_manifests(root, inside)))


def _manifests(root: str, inside: str) -> Iterator[tuple[str, int, int, int, str]]:
    for found in walk(root, inside):
        if isinstance(found, NotRead):
            raise SourceUnsafe(f"{display_name(found.name)} {display_name(found.message)}; {found.hint}")
        about = os.stat(found.path, follow_symlinks=False)
        yield found.name, about.st_ino, about.st_size, about.st_mtime_ns, found.path
