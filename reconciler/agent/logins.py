"""Refused logins, remembered over restarts: none is attempted again too soon, since five in 15 minutes lock an account.

The ledger stores when, with a keyed digest of the secret: another secret may be attempted at once. The loop calls it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from reconciler.agent.backoff import LOGIN_RETRY_DELAY
from reconciler.errors import LedgerError, SecretMissing
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings, Target

REFUSED_LOGIN: Final = "refused-login"  # topic in the ledger


class RefusedLogins:
    """What is known about refused logins."""

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        self._refused: set[str] = set()  # clusters with a fact in the ledger, as far as we know

    def add(self, settings: Settings, target: Target) -> None:
        """Remember that the cluster refused its current login."""
        self._refused.add(target.name)
        with contextlib.suppress(LedgerError):  # the loop knows it while the process lives
            self._ledger.memory.keep(target.name, REFUSED_LOGIN, {})
            self._ledger.memory.remember(target.name, REFUSED_LOGIN, self._digest(settings, target))

    def clear(self, target: Target) -> None:
        """Forget the refused login of a cluster: its login works."""
        if target.name in self._refused:
            with contextlib.suppress(LedgerError):
                self._ledger.memory.keep(target.name, REFUSED_LOGIN, {})
                self._refused.discard(target.name)

    def changed(self, settings: Settings, target: Target) -> bool:
        """Say whether the login differs from the one that was refused."""
        digest = self._digest(settings, target)
        return bool(digest) and digest not in self._ledger.memory.facts(target.name, REFUSED_LOGIN)

    def blocked_for(self, settings: Settings, target: Target) -> float:
        """Return for how many more seconds the login must not be attempted; the clock may have jumped meanwhile."""
        facts = self._ledger.memory.facts(target.name, REFUSED_LOGIN)
        self._refused |= {target.name} if facts else set()
        fact = facts.get(self._digest(settings, target))
        if fact is None:
            return 0.0
        return max(0.0, min(LOGIN_RETRY_DELAY, fact.at + LOGIN_RETRY_DELAY - self._now()))

    def _digest(self, settings: Settings, target: Target) -> str:
        """Return a keyed digest of name and password; "" where none can be resolved."""
        try:
            user, password = settings.credentials(target)
        except SecretMissing:
            return ""
        return self._ledger.digest(Address(target.name, "", user), "login", password)
