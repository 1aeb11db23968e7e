"""Periodic work of the loop: looks for approvals and replaced secrets, and limits the size of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.agent import backoff
from reconciler.agent.approvals import Approvals
from reconciler.agent.cluster_states import ClusterStates
from reconciler.agent.context import AgentContext
from reconciler.agent.login_delay import login_blocked_for
from reconciler.errors import LedgerError, ReconcilerError

POLL_INTERVAL: Final = 5.0  # seconds between two checks for approvals and replaced secrets
_TRIM_INTERVAL: Final = 3600.0  # seconds
_DAY: Final = 86_400.0  # seconds


class PeriodicWork:
    """Called at each tick; *context* may be replaced when the settings change."""

    def __init__(self, context: AgentContext, cluster_states: ClusterStates, poll_interval: float) -> None:
        self.context = context
        self.poll_interval = poll_interval
        self._cluster_states = cluster_states
        self._polled = self._trimmed = context.runtime.clock()

    @property
    def next_poll(self) -> float:
        """When the next check is due, by the loop's clock."""
        return self._polled + self.poll_interval

    def poll(self) -> None:
        """Make clusters due whose plan was approved or whose refused secret was replaced."""
        now = self.context.runtime.clock()
        if now - self._polled < self.poll_interval:
            return
        self._polled = now
        try:
            for cluster in self._newly_approved():
                approved = self._cluster_states.get(cluster)
                if approved is not None:
                    approved.schedule = backoff.due_now(approved.schedule, now)
            for _, one in self._cluster_states:
                blocked = self._cluster_states.login_blocked(one, now)
                if (
                    blocked
                    and one.target.login != "certificate"
                    and not login_blocked_for(self.context.ledger, self.context.settings, one.target)
                ):
                    one.schedule = backoff.unblock_login(one.schedule, now)
        except LedgerError as error:  # a full disk must not end the agent: it checks again
            self.context.emit("ledger.unavailable", why=str(error))

    def _newly_approved(self) -> Iterable[str]:
        """Return the clusters with a plan that was approved after their last reconciliation."""
        for (cluster, _), at in Approvals(self.context.ledger.memory).approved_at().items():
            status = self.context.status_store.status.clusters.get(cluster)
            if status is not None and (status.last_reconciliation is None or status.last_reconciliation <= at):
                yield cluster

    def trim(self) -> None:
        """Limit the size of the ledger."""
        now, agent = self.context.runtime.clock(), self.context.settings.agent
        if now - self._trimmed >= _TRIM_INTERVAL:
            self._trimmed = now
            try:
                self.context.ledger.trim(keep_runs=agent.keep_runs, keep_seconds=agent.keep_days * _DAY)
            except ReconcilerError as error:
                self.context.emit("ledger.trim_failed", why=str(error))
