"""The rows of rejected logins in the ledger, and the locks that let one process at a time verify a login.

Used by `logins`, which decides. Rows have keyed digests and times only. There is one for each URL of the cluster, so
that a rejection is found again when the project names other nodes of it first.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.errors import LedgerUnwritable, Unreachable
from reconciler.ledger import state_dir

if TYPE_CHECKING:
    from reconciler.ledger.sqlite import Database

_KEPT: Final = 86_400.0  # seconds
_LONGEST_WAIT: Final = 60.0  # seconds for another process that verifies the same login
_POLL: Final = 0.01


class RejectedLogin(NamedTuple):
    """One rejected login."""

    event: str
    credential: str  # digest; "?" before it: the login was not answered; "": the credential has worked since
    at: float  # seconds since the epoch


class LoginTable:
    """The table; safe to use from several threads. Methods raise LedgerError.

    It is asked before each request. A file beside it becomes longer with each change, so that the table is only read
    again after one, by whatever process: reading would wait for the commits of an apply.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        self._database, self._key = database, key
        self._changes = database.path.with_name("logins.changes")
        self._known: dict[
            tuple[str, ...], tuple[int, list[RejectedLogin]]
        ] = {}  # by accounts: length of that file, rows

    def digest(self, *parts: str) -> str:
        """Return the keyed digest of *parts*."""
        return keyed_digest(self._key, parts)

    def since(self, accounts: Sequence[str], moment: float) -> list[RejectedLogin]:
        """Return the rejections of *accounts* after *moment*."""
        try:
            length = os.stat(self._changes).st_size
        except OSError:
            length = 0
        known = self._known.get(tuple(accounts))
        if known is None or known[0] != length:
            query = "SELECT * FROM rejected_logins WHERE account IN (SELECT value FROM json_each(?))"
            rows = self._database.read(query, json.dumps(accounts))
            known = length, [RejectedLogin(row["event"], row["credential"], row["at"]) for row in rows]
            self._known[tuple(accounts)] = known
        return [one for one in known[1] if one.at > moment]

    def add(self, accounts: Sequence[str], credentials: Sequence[str], event: str, at: float) -> None:
        """Record one rejection; both digests are those of each URL."""
        insert = "INSERT OR IGNORE INTO rejected_logins VALUES (:account, :event, :credential, :at)"
        rows: list[dict[str, Any]] = [
            {"account": account, "event": event, "credential": credential, "at": at}
            for account, credential in zip(accounts, credentials, strict=True)
        ]
        old = ("DELETE FROM rejected_logins WHERE at < :before", {"before": at - _KEPT})
        self._database.write(old, *((insert, row) for row in rows))
        self._changed()

    def accept(self, credentials: Sequence[str]) -> None:
        """Record that these credentials work; their rejections still count for the account."""
        update = "UPDATE rejected_logins SET credential = '' WHERE credential = :credential"
        delete = "DELETE FROM rejected_logins WHERE credential = '?' || :credential"
        values = [{"credential": one} for one in credentials]
        self._database.write(*((statement, each) for statement in (update, delete) for each in values))
        self._changed()

    def _changed(self) -> None:
        handle = state_dir.open_private(self._changes, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, b".")
        except OSError as error:
            raise LedgerUnwritable(f"{self._changes} cannot be written: {error.strerror}") from error
        finally:
            os.close(handle)


def keyed_digest(key: bytes, parts: Sequence[str]) -> str:
    """Return the digest of *parts* with *key*, in hex."""
    return hmac.new(key, json.dumps(["login", *parts]).encode(), hashlib.sha256).hexdigest()


class VerificationLock:
    """Lets one process at a time verify a login: those that wait then see whether it was rejected.

    The lock is a file in the state folder. Before that exists, it is the nearest folder above, which nothing is written
    to; all threads of a process share it, so that many clusters can be read at once.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._holders = 0
        self._handle = -1

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of the login called *name*. Raises Unreachable after a minute."""
        with contextlib.ExitStack() as stack:
            if self._folder is not None:
                path = self._folder / f"login-{name[:16]}.lock"
                if not path.exists():  # another process may be about to create the folder
                    stack.enter_context(self._folder_lock())
                if name and os.access(self._folder, os.W_OK):
                    handle = state_dir.open_private(path)
                    stack.callback(os.close, handle)
                    _wait_for(handle)
            yield

    @contextlib.contextmanager
    def _folder_lock(self) -> Iterator[None]:
        assert self._folder is not None  # noqa: S101 - by the caller
        with self._lock:
            if self._holders == 0:
                above = next(path for path in self._folder.absolute().parents if path.is_dir())
                with contextlib.suppress(OSError):  # without a lock, each process may verify the login once
                    self._handle = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    _wait_for(self._handle)
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0 and self._handle >= 0:
                    os.close(self._handle)
                    self._handle = -1


def _wait_for(handle: int) -> None:
    """Lock the open file *handle*."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Unreachable("another process has been verifying the same login for a minute") from None
            time.sleep(_POLL)
        else:
            return
