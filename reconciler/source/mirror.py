"""The local mirror of a repository: a bare clone without a work tree, and which commits were accepted and rejected.

Used by `git_repository`. Each step is one atomic update of one reference, so that a kill leaves either the state before
or the state after. The status of a commit is stored in an annotated tag that points to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import SourceError
from reconciler.render.escape import clean, shorten
from reconciler.source.git import GitRunner
from reconciler.source.process import Deadline

ACCEPTED, REJECTED, INCOMING = "refs/reconciler/accepted", "refs/reconciler/rejected", "refs/reconciler/incoming"
MAX_PACKS = 40  # each fetch with new objects adds one
_LEFTOVERS = ("tmp_*", "incoming-*", "tmp_objdir-*", ".tmp-*", "bulk-fsync*")
_POLL = 0.1


class CommitStatus(NamedTuple):
    """The recorded status of a commit: accepted or rejected."""

    id: str
    name: str = ""  # the branch or tag that led to it
    verified: str = ""  # how its signatures were verified: "ssh", "gpg" or "" for not at all
    why: str = ""  # it was rejected


class Mirror:
    """The folder of one source: the bare repository, a lock, and the files for verification."""

    def __init__(self, folder: Path, git: GitRunner) -> None:
        self.folder = folder
        self._git = replace(git, directory=folder / "mirror.git", env={**git.env, "TMPDIR": str(folder)})

    @property
    def exists(self) -> bool:
        """Whether the mirror was created."""
        return (self.folder / "mirror.git" / "HEAD").is_file()

    @contextlib.contextmanager
    def locked(self, deadline: Deadline) -> Iterator[GitRunner]:
        """Lock the mirror and yield a git runner for it; leftovers of a killed process are removed first.

        Every process that is started inherits the lock: it is held until the last of them has ended, even if this one
        is killed. Raises SourceStale where the lock is not free before *deadline*, Interrupted and SourceError.
        """
        make_private(self.folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.folder / "lock", flags, 0o600)
        try:
            _wait_for_lock(handle, deadline)
            git = replace(self._git, pass_fds=(handle,))
            if not self.exists:
                self._create(git, deadline)
            self._remove_leftovers()
            yield git
        finally:
            os.close(handle)

    def _create(self, git: GitRunner, deadline: Deadline) -> None:
        """Create an empty repository, atomically."""
        temporary = self.folder / "new.git"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(git.directory, ignore_errors=True)
        args = ("init", "--quiet", "--bare", "--template=", "--shared=0600", "--initial-branch=none", str(temporary))
        replace(git, directory=temporary).read(*args, deadline=deadline, what="creating the mirror")
        temporary.rename(git.directory)

    def _remove_leftovers(self) -> None:
        """Remove locks and partial packs: the mirror is locked, so no process is writing them."""
        directory = self._git.directory
        for place, _, names in os.walk(directory / "refs"):
            for name in names:
                if name.endswith(".lock"):
                    Path(place, name).unlink(missing_ok=True)
        locks = (*directory.glob("*.lock"), *(directory / "objects").glob("*/*.lock"))
        for path in (*locks, *self.folder.glob(".git_vtag_tmp*")):
            path.unlink(missing_ok=True)
        for pattern in _LEFTOVERS:
            for path in (*(directory / "objects").glob(pattern), *(directory / "objects").glob(f"*/{pattern}")):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def size(self) -> int:
        """Return the disk usage of the objects, in bytes."""
        total = 0
        for place, _, names in os.walk(self._git.directory / "objects"):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(place, name)).st_size
        return total

    # --- status ----------------------------------------------------------------------------------------------------

    def read_status(self, git: GitRunner, ref: str, deadline: Deadline) -> CommitStatus | None:
        """Return the status that the reference *ref* records; None where it does not exist."""
        what = "reading the recorded status"
        result = git.run("cat-file", "--batch", deadline=deadline, what=what, stdin=f"{ref}\n".encode())
        head, _, content = result.stdout.partition(b"\n")
        if head.endswith(b" missing"):
            args = ("rev-parse", "--verify", "--quiet", "--end-of-options", ref)
            if git.run(*args, deadline=deadline, what=what).exit_code:
                return None
        fields, _, message = content.decode("utf-8", "replace").partition("\n\n")
        lines = dict(line.split(" ", 1) for line in fields.splitlines() if " " in line)
        try:
            recorded = json.loads(message)
            return CommitStatus(lines["object"], recorded["name"], recorded["verified"], recorded["why"])
        except (KeyError, ValueError, TypeError) as error:
            raise SourceError(
                f"the mirror in {self.folder} is corrupt; remove that folder to fetch it again"
            ) from error

    def write_status(self, git: GitRunner, ref: str, status: CommitStatus, now: float, deadline: Deadline) -> None:
        """Record *status* in *ref*, atomically; *now* is in seconds since the epoch."""
        what = "recording the status"
        message = json.dumps(
            {"name": status.name, "verified": status.verified, "why": shorten(clean(status.why), 2000)}
        )
        tagger = f"reconciler <reconciler@localhost> {int(now)} +0000"
        text = f"object {status.id}\ntype commit\ntag {ref.rpartition('/')[2]}\ntagger {tagger}\n\n{message}\n"
        made = git.read("hash-object", "-t", "tag", "-w", "--stdin", deadline=deadline, what=what, stdin=text.encode())
        git.read("update-ref", "--end-of-options", ref, made.decode("ascii").strip(), deadline=deadline, what=what)

    def clear_status(self, git: GitRunner, ref: str, deadline: Deadline) -> None:
        """Remove the status in *ref*."""
        git.read("update-ref", "-d", "--end-of-options", ref, deadline=deadline, what="removing the recorded status")

    def compact(self, git: GitRunner, deadline: Deadline) -> None:
        """Repack the objects once there are many packs; keeps what the references of the mirror reach."""
        packs = len(list((git.directory / "objects" / "pack").glob("*.pack")))
        if packs > MAX_PACKS:
            with contextlib.suppress(SourceError):  # the next reconciliation tries again; nothing depends on it
                git.read("gc", "--quiet", "--prune=now", deadline=deadline, what="compacting the mirror")


def make_private(folder: Path) -> None:
    """Create *folder*, accessible only to this user; raises SourceError where that fails."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            found = os.fstat(handle)
            if found.st_uid != os.geteuid():
                raise SourceError(f"{folder} belongs to another user (uid {found.st_uid}); use your own state folder")
            if stat.S_IMODE(found.st_mode) != 0o700:
                os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
    except OSError as error:
        raise SourceError(f"the folder {folder} for the mirror cannot be used: {error.strerror}") from error


def write_private(path: Path, data: bytes) -> None:
    """Write *path*, readable only by this user, atomically; raises SourceError."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror}") from error


def _wait_for_lock(handle: int, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            deadline.check("waiting for another process that fetches the same source")
            deadline.stop.wait(_POLL)
        else:
            return


def source_id(*parts: str) -> str:
    """Return the folder name for a source: a digest of the *parts* that identify it."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
