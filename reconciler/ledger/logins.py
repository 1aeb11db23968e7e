"""Rejected logins: which credentials must not be sent again, for all threads and processes that share a state folder.

By default five failed logins in 15 minutes lock an account. The client asks here before each request that carries a
password, and reports each 401. A cluster is known by its URLs: before a login, nothing else is known of it. The first
rejection creates the state folder where it does not exist; where nothing can be written, a rejection is remembered as
long as the process lives. `session` passes the records on to clients; the rows are in `login_table`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from reconciler.errors import LedgerError
from reconciler.ledger.login_table import LoginTable, RejectedLogin, VerificationLock, keyed_digest
from reconciler.runtime import utc_text

RETRY_DELAY: Final = 1200.0  # seconds; longer than the 15 minutes in which a cluster counts failed logins
_TRIES_AFTER_SUCCESS: Final = 2  # rejections of a credential that worked before until it is not sent again
_TRIES: Final = 3  # rejections of an account, whatever the password, until nothing is sent
_TRIES_ON_REQUEST: Final = 4  # the same with --retry-login: the fifth would lock the account
_UNANSWERED: Final = "?"  # before the digest of a credential whose login was not answered
_IN_FLIGHT: Final = 2  # requests with the password at a time: where it has just been changed, each of them is rejected


class _Password(Protocol):
    def reveal(self) -> str: ...


class _Account(NamedTuple):
    """The digests of an account, and of its present credential, at each URL of the cluster."""

    accounts: tuple[str, ...]
    credentials: tuple[str, ...]


class _Gate:
    """What the threads of this process share that log in to the same account."""

    def __init__(self) -> None:
        self.verifying = threading.Lock()
        self.in_flight = threading.BoundedSemaphore(_IN_FLIGHT)


class Logins:
    """The rejected logins of one state folder; one for all clients of a process that use it."""

    def __init__(
        self,
        folder: Path | None = None,
        now: Callable[[], float] = time.time,
        known: Callable[[], LoginTable | None] = lambda: None,
        create: Callable[[], LoginTable | None] = lambda: None,
    ) -> None:
        """*known* returns the table if there is a ledger, *create* creates one; without both, nothing is stored."""
        self.now, self.known, self.create = now, known, create
        self.lock = VerificationLock(folder)
        self.retry_before = 0.0  # rejections until then do not keep a credential from being sent again
        self.unrecorded: list[tuple[_Account, RejectedLogin]] = []
        self._key = os.urandom(32)
        self._gates: dict[str, _Gate] = {}

    def retry(self) -> None:
        """Let credentials that were rejected until now be sent once more: a person asked for it."""
        self.retry_before = self.now()

    def of(self, urls: Sequence[str], user: str, secret: _Password) -> LoginRecord:
        """Return the record of one account of the cluster at *urls*, with its present password."""
        own = _account(lambda *parts: keyed_digest(self._key, parts), urls, user, secret)
        gate = self._gates.setdefault(own.accounts[0], _Gate())
        return LoginRecord(self, lambda table: _account(table.digest, urls, user, secret), own, gate)


class LoginRecord:
    """One account of one cluster with its present password. Safe to use from several threads."""

    def __init__(self, logins: Logins, digests: Callable[[LoginTable], _Account], own: _Account, gate: _Gate) -> None:
        self._logins, self._digests, self._own, self._gate = logins, digests, own, gate
        self._stored: tuple[LoginTable, _Account] | None = None

    @contextlib.contextmanager
    def verifying(self) -> Iterator[None]:
        """Exclude all other requests of this process that carry the password, and processes that verify it as well.

        Raises Unreachable after a minute.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._gate.verifying)
            for _ in range(_IN_FLIGHT):
                stack.enter_context(self._gate.in_flight)
            stored = self._table()
            with contextlib.suppress(LedgerError):  # without a lock, each process may verify the login once
                stack.enter_context(self._logins.lock.hold(stored[1].accounts[0] if stored else ""))
            yield

    def in_flight(self) -> contextlib.AbstractContextManager[Any]:
        """Limit the requests that carry the password at the same time."""
        return self._gate.in_flight

    def blocked_until(self, *, worked: bool = False) -> float:
        """Return until when the password must not be sent, in seconds since the epoch; 0 if it may be.

        *worked*: it worked before, so a single rejection may be an incident of the cluster.
        """
        logins, now = self._logins, self._logins.now()
        found = sorted(self._recent(now), key=lambda one: one.at)
        if all(one.credential.startswith(_UNANSWERED) for one in found):
            return 0.0
        mine = [one for one in found if self._is_mine(one) and one.at > logins.retry_before]
        limit = _TRIES_ON_REQUEST if logins.retry_before else _TRIES
        blocking = mine[-1:] if len(mine) >= (_TRIES_AFTER_SUCCESS if worked else 1) else []
        blocking += found[-limit:][:1] if len(found) >= limit else []
        # The clock may have been set back since then: never longer than the delay from now.
        return max((min(one.at, now) + RETRY_DELAY for one in blocking), default=0.0)

    def blocked(self, *, worked: bool = False) -> str:
        """Return why the password must not be sent, "" if it may be."""
        until = self.blocked_until(worked=worked)
        return f"the credentials were rejected before (401); {_until(until)}" if until else ""

    def rejected(self) -> str:
        """Record that the password was rejected; return what follows from that, for the message."""
        problem = self._record("")
        return f"{_until(self._logins.now() + RETRY_DELAY)}{problem}"

    def unanswered(self) -> None:
        """Record that the outcome of a login is unknown: it counts where others of the account are rejected."""
        self._record(_UNANSWERED)

    def _record(self, prefix: str) -> str:
        """Record a login with *prefix* before the digest of its credential; return why that could not be stored."""
        event, at, problem = os.urandom(8).hex(), self._logins.now(), ""
        try:
            stored = self._table(create=not prefix)
            if stored is not None:
                table, (accounts, credentials) = stored
                table.add(accounts, [f"{prefix}{one}" for one in credentials], event, at)
        except LedgerError as error:
            stored, problem = None, f"; this could not be recorded, so do not run this again before then ({error})"
        if stored is None:
            self._logins.unrecorded.append((self._own, RejectedLogin(event, f"{prefix}{self._own.credentials[0]}", at)))
        return problem

    def accepted(self) -> None:
        """Record that the password works."""
        if not self._recent(self._logins.now()):
            return
        unrecorded = self._logins.unrecorded
        unrecorded[:] = [one for one in unrecorded if one[0].credentials != self._own.credentials]
        with contextlib.suppress(LedgerError):
            if stored := self._table():
                stored[0].accept(stored[1].credentials)

    def _recent(self, now: float) -> list[RejectedLogin]:
        """Return the rejections of the account that count at *now*."""
        since, accounts = now - RETRY_DELAY, {*self._own.accounts}
        found = {
            one.event: one
            for account, one in self._logins.unrecorded
            if one.at > since and accounts.intersection(account.accounts)
        }
        if stored := self._table():
            found |= {one.event: one for one in stored[0].since(stored[1].accounts, since)}
        return [*found.values()]

    def _is_mine(self, one: RejectedLogin) -> bool:
        known = (*self._own.credentials, *(self._stored[1].credentials if self._stored else ()))
        return one.credential in known

    def _table(self, *, create: bool = False) -> tuple[LoginTable, _Account] | None:
        """Return the table with the digests that its key gives, if there is a ledger."""
        if self._stored is None:
            table = self._logins.create() if create else self._logins.known()
            if table is not None:
                self._stored = table, self._digests(table)
        return self._stored


def _account(digest: Callable[..., str], urls: Sequence[str], user: str, secret: _Password) -> _Account:
    return _Account(
        tuple(digest("account", url, user) for url in urls),
        tuple(digest("credential", url, user, secret.reveal()) for url in urls),
    )


def _until(moment: float) -> str:
    return (
        f"not sent again before {utc_text(moment)}, because five failed logins lock the account; "
        "a changed credential is tried at once, this one with --retry-login"
    )
