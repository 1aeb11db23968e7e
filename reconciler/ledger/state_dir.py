"""The state folder: ownership and permission checks, private files, the digest key, and locks.

Used by `ledger` and `sqlite`. It opens nothing through a symlink, uses nothing that belongs to another user, and
creates nothing that others can read, whatever the umask.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reconciler.errors import LedgerError, LedgerUnwritable, Locked

_POLL = 0.25


def is_read_only(folder: Path) -> bool:
    """Return whether *folder* exists and is not writable: its ledger can still be read."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def prepare(folder: Path, *, read_only: bool = False) -> None:
    """Create *folder*, accessible only to this user and ignored by git. Raises LedgerError where that fails.

    With *read_only* it is only checked.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise LedgerUnwritable(
            f"the state folder {folder} cannot be used: {error.strerror}; it must be your own folder, not a link"
        ) from error
    try:
        _check_owner(os.fstat(handle), folder)
        if not read_only and stat.S_IMODE(os.fstat(handle).st_mode) != 0o700:
            os.fchmod(handle, 0o700)
    except OSError as error:
        raise LedgerUnwritable(
            f"the state folder {folder} cannot be restricted to this user: {error.strerror}"
        ) from error
    finally:
        os.close(handle)
    if not read_only and not os.path.lexists(folder / ".gitignore"):
        write_once(folder / ".gitignore", b"*\n")


def whoami() -> str:
    """Return the user and the host of this process, as `user@host`."""
    try:
        account = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # the user of a container may have no name
        account = f"uid {os.geteuid()}"
    return f"{account}@{socket.gethostname()}"


def _check_owner(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        raise LedgerError(f"{path} belongs to another user (uid {found.st_uid}); use your own state folder")


def open_private(path: Path, flags: int = os.O_RDWR) -> int:
    """Open *path*, a regular file that only this user can read, and return its descriptor.

    Creates it unless *flags* are O_RDONLY. Raises LedgerUnwritable and LedgerError.
    """
    creates = os.O_CREAT if flags != os.O_RDONLY else 0
    try:
        handle = os.open(path, flags | creates | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise LedgerUnwritable(f"{path} cannot be opened: {hint}") from error
    try:
        found = os.fstat(handle)
        _check_owner(found, path)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise LedgerError(f"{path} is not a regular file with a single hard link; remove it")
        if creates and stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def check_regular(path: Path, *, read_only: bool = False) -> None:
    """Raise LedgerError where *path* exists and is not a regular file of this user."""
    if os.path.lexists(path):
        os.close(open_private(path, os.O_RDONLY if read_only else os.O_RDWR))


def write_once(path: Path, content: bytes) -> None:
    """Create *path* with *content*, durably, unless it exists. Raises LedgerUnwritable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerUnwritable(f"{path} cannot be written: {error.strerror}") from error
    try:
        os.fchmod(handle, 0o600)  # the umask may even take the owner's permissions
        os.write(handle, content)
        os.fsync(handle)
    except OSError as error:
        path.unlink()
        raise LedgerUnwritable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        os.close(handle)


def key(folder: Path, random_bytes: Callable[[int], bytes], *, read_only: bool = False) -> bytes:
    """Return the key for digests of secrets, 32 bytes, created on first use. Raises LedgerError."""
    path = folder / "key"
    if not os.path.lexists(path):
        if read_only:
            return random_bytes(32)  # without a key there are no digests
        write_once(path, random_bytes(32))
    handle = open_private(path, os.O_RDONLY if read_only else os.O_RDWR)
    try:
        found = os.read(handle, 64)
    finally:
        os.close(handle)
    if len(found) != 32:
        raise LedgerError(f"{path} is corrupt; remove it, and secrets count as never applied")
    return found


@contextlib.contextmanager
def lock(
    folder: Path,
    cluster: str,
    *,
    wait: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    busy: str = "",
) -> Iterator[None]:
    """Hold the lock of one cluster; it is released when the process ends. Raises Locked after *wait* seconds.

    What follows a line break in *cluster* distinguishes clusters of one name. *busy* is the start of that message,
    before the process that holds the lock; by default, that the cluster is locked.
    """
    name = cluster.partition("\n")[0]
    readable = re.sub(r"[^A-Za-z0-9.-]", "_", name)[:40]
    path = folder / f"{readable}-{hashlib.sha256(cluster.encode()).hexdigest()[:12]}.lock"
    handle = open_private(path)
    deadline = clock() + wait
    try:
        while not _try_lock(handle):
            if clock() >= deadline:
                holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another process"
                raise Locked(f"{busy or f'cluster {name!r} is locked by'} {holder}; wait until it finishes")
            sleep(_POLL)
        with contextlib.suppress(OSError):  # the holder is informational: a full disk must not affect the lock
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
