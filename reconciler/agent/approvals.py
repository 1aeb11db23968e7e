"""Plans that wait for an approval, and approvals of their digests, as facts in the ledger.

A reconciliation offers plans and asks for approvals, `reconciler approve` approves, and the loop looks for approvals.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from reconciler.errors import LedgerUnwritable

if TYPE_CHECKING:
    from reconciler.ledger import AgentState, Fact

PLANNED: Final = "planned"  # topic in the ledger: digests of plans that wait for an approval
APPROVED: Final = "approved"  # topic in the ledger: digests that were approved


class Approvals:
    """The approvals of one ledger."""

    def __init__(self, state: AgentState) -> None:
        self._state = state

    def pending(self) -> dict[tuple[str, str], Fact]:
        """Return the plans that wait for an approval, by cluster and digest."""
        return dict(self._state.everywhere(PLANNED))

    def approve(self, cluster: str, digest: str) -> None:
        """Approve the plan of *cluster* with this digest."""
        self._state.remember(cluster, APPROVED, digest)

    def approved(self, cluster: str, digest: str) -> bool:
        """Say whether the plan of *cluster* with this digest is approved."""
        return digest in self._state.facts(cluster, APPROVED)

    def approved_at(self) -> dict[tuple[str, str], float]:
        """Return when plans were approved, in seconds since the epoch, by cluster and digest."""
        return {place: fact.at for place, fact in self._state.everywhere(APPROVED).items()}

    def offer(self, cluster: str, digest: str, *, changes: int = 0, revision: str = "") -> None:
        """Let this plan of *cluster* be approved, and no other; with "" as digest none."""
        with contextlib.suppress(LedgerUnwritable):  # then nothing can be approved, and nothing is written
            self._offer(cluster, digest, {"changes": changes, "revision": revision})

    def _offer(self, cluster: str, digest: str, about: dict[str, object]) -> None:
        offered = self._state.facts(cluster, PLANNED)
        if set(offered) != ({digest} if digest else set()):
            self._state.forget(cluster, PLANNED, offered)
            if digest:
                self._state.remember(cluster, PLANNED, digest, about)
        stale = [one for one in self._state.facts(cluster, APPROVED) if one != digest]
        self._state.forget(cluster, APPROVED, stale)
