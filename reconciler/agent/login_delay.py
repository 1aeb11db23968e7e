"""When the login to a cluster may be attempted (again), for the schedule of the loop.

Clients record rejected logins in the ledger and send none too soon; this only spares reconciliations that cannot work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import SecretMissing

if TYPE_CHECKING:
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings, Target


def login_blocked_for(ledger: Ledger, settings: Settings, target: Target) -> float:
    """Return for how many more seconds the present login of *target* must not be attempted; 0 where it may be."""
    try:
        login = ledger.logins.of(target.urls, *settings.credentials(target))
    except SecretMissing:
        return 0.0
    return max(0.0, login.blocked_until() - ledger.logins.now())
