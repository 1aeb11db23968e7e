"""Our copy of a repository, bare and without a work tree, and what it remembers: what was accepted, what was rejected.

Called by the git source. Each step is one atomic update of one reference, so that a kill leaves either the state before
or the state after. What was decided of a commit stands in a tag object of ours that points to it.
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
MOST_PACKS = 40  # one comes with each fetch that brings something
_LEFTOVERS = ("tmp_*", "incoming-*", "tmp_objdir-*", ".tmp-*", "bulk-fsync*")
_POLL = 0.1


class CommitStatus(NamedTuple):
    """What we once decided of a commit."""

    id: str
    name: str = ""  # the branch or tag that led to it
    verified: str = ""  # how its signatures were checked: "ssh", "gpg" or not at all
    why: str = ""


class Mirror:
    """The folder of one source: the bare repository, a lock, and what verification needs."""

    def __init__(self, folder: Path, git: GitRunner) -> None:
        self.folder = folder
        self._git = replace(git, directory=folder / "mirror.git", env={**git.env, "TMPDIR": str(folder)})

    @property
    def exists(self) -> bool:
        """Whether anything was ever fetched here."""
        return (self.folder / "mirror.git" / "HEAD").is_file()

    @contextlib.contextmanager
    def held(self, deadline: Deadline) -> Iterator[GitRunner]:
        """Hold the mirror alone and give a git that works on it; what a killed one left is removed first.

        The lock stays held until the last program started under it has ended, however we end.
        """
        make_private(self.folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.folder / "lock", flags, 0o600)
        try:
            _lock(handle, deadline)
            git = replace(self._git, fds=(handle,))
            if not self.exists:
                self._make(git, deadline)
            self._tidy()
            yield git
        finally:
            os.close(handle)

    def _make(self, git: GitRunner, deadline: Deadline) -> None:
        """Make an empty repository: whole, or not at all."""
        making = self.folder / "new.git"
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(git.directory, ignore_errors=True)
        words = ("init", "--quiet", "--bare", "--template=", "--shared=0600", "--initial-branch=none", str(making))
        replace(git, directory=making).read(*words, deadline=deadline, what="making the mirror")
        making.rename(git.directory)

    def _tidy(self) -> None:
        """Remove locks and halves of packs: we hold the mirror, so nobody is writing them any more."""
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
        """Return how many bytes the objects take on the disk."""
        total = 0
        for place, _, names in os.walk(self._git.directory / "objects"):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(place, name)).st_size
        return total

    # --- what was decided ------------------------------------------------------------------------------------------

    def status(self, git: GitRunner, ref: str, deadline: Deadline) -> CommitStatus | None:
        """Return what the reference *ref* says; None where it is not there."""
        what = "reading what was decided before"
        answer = git.run("cat-file", "--batch", deadline=deadline, what=what, stdin=f"{ref}\n".encode())
        head, _, content = answer.out.partition(b"\n")
        if head.endswith(b" missing"):
            words = ("rev-parse", "--verify", "--quiet", "--end-of-options", ref)
            if git.run(*words, deadline=deadline, what=what).code:
                return None
        fields, _, message = content.decode("utf-8", "replace").partition("\n\n")
        lines = dict(line.split(" ", 1) for line in fields.splitlines() if " " in line)
        try:
            said = json.loads(message)
            return CommitStatus(lines["object"], said["name"], said["verified"], said["why"])
        except (KeyError, ValueError, TypeError) as error:
            raise SourceError(
                f"the mirror in {self.folder} is damaged; remove that folder, and it is fetched anew"
            ) from error

    def decide(self, git: GitRunner, ref: str, status: CommitStatus, now: float, deadline: Deadline) -> None:
        """Make *ref* say *status*: durable, in one step."""
        what = "writing what was decided"
        message = json.dumps(
            {"name": status.name, "verified": status.verified, "why": shorten(clean(status.why), 2000)}
        )
        tagger = f"reconciler <reconciler@localhost> {int(now)} +0000"
        text = f"object {status.id}\ntype commit\ntag {ref.rpartition('/')[2]}\ntagger {tagger}\n\n{message}\n"
        made = git.read("hash-object", "-t", "tag", "-w", "--stdin", deadline=deadline, what=what, stdin=text.encode())
        git.read("update-ref", "--end-of-options", ref, made.decode("ascii").strip(), deadline=deadline, what=what)

    def forget(self, git: GitRunner, ref: str, deadline: Deadline) -> None:
        """Let *ref* say nothing any more."""
        git.read("update-ref", "-d", "--end-of-options", ref, deadline=deadline, what="forgetting what was decided")

    def compact(self, git: GitRunner, deadline: Deadline) -> None:
        """Pack the objects anew once there are many packs; keep what some reference of ours leads to."""
        packs = len(list((git.directory / "objects" / "pack").glob("*.pack")))
        if packs > MOST_PACKS:
            with contextlib.suppress(SourceError):  # it is tried again at the next turn, and nothing depends on it
                git.read("gc", "--quiet", "--prune=now", deadline=deadline, what="packing the mirror")


def make_private(folder: Path) -> None:
    """Make *folder* ours alone; raises SourceError where that cannot be had."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            found = os.fstat(handle)
            if found.st_uid != os.geteuid():
                raise SourceError(
                    f"{folder} belongs to another user (uid {found.st_uid}); use a state folder of your own"
                )
            if stat.S_IMODE(found.st_mode) != 0o700:
                os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
    except OSError as error:
        raise SourceError(f"the folder {folder} for the mirror cannot be used: {error.strerror}") from error


def write_private(path: Path, data: bytes) -> None:
    """Write *path* for our eyes only: whole, or not at all."""
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


def _lock(handle: int, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            deadline.check("waiting for another process that fetches the same source")
            deadline.stop.wait(_POLL)
        else:
            return


def key(*words: str) -> str:
    """Return a folder name for a source: another source has another one."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]
