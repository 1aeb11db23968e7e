"""Which logins were refused, so that no restart tries one again too soon: five in 15 minutes lock an account.

The ledger remembers when, with a keyed digest of the secret: once that is another one, it may be tried. The loop asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.agent.backoff import CREDENTIAL
from reconciler.agent.topics import REFUSED_LOGIN
from reconciler.errors import LedgerError, SecretMissing
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings, Target


class Logins:
    """What is known of refused logins."""

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        self._refused: set[str] = set()  # clusters with a fact in the ledger, as far as we know

    def refused(self, settings: Settings, target: Target) -> None:
        """Remember that the cluster refused the login that it has now."""
        self._refused.add(target.name)
        with contextlib.suppress(LedgerError):  # the loop knows, as long as it lives
            self._ledger.memory.keep(target.name, REFUSED_LOGIN, {})
            self._ledger.memory.remember(target.name, REFUSED_LOGIN, self._digest(settings, target))

    def accepted(self, target: Target) -> None:
        """Forget what was: the login works."""
        if target.name in self._refused:
            with contextlib.suppress(LedgerError):
                self._ledger.memory.keep(target.name, REFUSED_LOGIN, {})
                self._refused.discard(target.name)

    def changed(self, settings: Settings, target: Target) -> bool:
        """Say whether the login is another one than what was refused."""
        digest = self._digest(settings, target)
        return bool(digest) and digest not in self._ledger.memory.facts(target.name, REFUSED_LOGIN)

    def barred(self, settings: Settings, target: Target) -> float:
        """Return for how many seconds more the login must not be tried; the clock may have jumped meanwhile."""
        facts = self._ledger.memory.facts(target.name, REFUSED_LOGIN)
        self._refused |= {target.name} if facts else set()
        fact = facts.get(self._digest(settings, target))
        if fact is None:
            return 0.0
        return max(0.0, min(CREDENTIAL, fact.at + CREDENTIAL - self._now()))

    def _digest(self, settings: Settings, target: Target) -> str:
        """Return a keyed digest of name and password; "" where there is none to be had."""
        try:
            user, password = settings.credentials(target)
        except SecretMissing:
            return ""
        return self._ledger.digest(Address(target.name, "", user), "login", password)
