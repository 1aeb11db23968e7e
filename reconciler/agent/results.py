"""Records the result of each reconciliation: schedule, refused logins, status, and the event for log and metrics.

The loop calls it in its own thread.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.agent import backoff
from reconciler.agent.cluster_states import ClusterStates, ScheduledCluster, refusing_clusters
from reconciler.agent.context import AgentContext, ReconcileResult
from reconciler.agent.login_delay import login_blocked_for
from reconciler.agent.status import Failure, Phase
from reconciler.errors import AppliedInPart


class ResultRecorder:
    """Records results; *context* may be replaced when the settings change."""

    def __init__(self, context: AgentContext, cluster_states: ClusterStates) -> None:
        self.context = context
        self.exit_codes: set[int] = set()  # of failures
        self._cluster_states = cluster_states

    def record(self, name: str, result: ReconcileResult, revision: str) -> None:
        """Record how a reconciliation of *name* ended; does nothing where the cluster was removed meanwhile."""
        one, runtime = self._cluster_states.get(name), self.context.runtime
        if one is None:
            return
        left = result.requeue_at - runtime.now() if result.requeue_at is not None else None
        self._cluster_states.record(name, result, runtime.clock(), left=left, jitter=runtime.random.random())
        if result.failure is not None:
            self.exit_codes.add(result.failure.exit_code)
        elif result.unexpectedly_held:
            self.exit_codes.add(AppliedInPart.exit_code)
        for refusing in sorted(refusing_clusters(name, result)):
            other = self._cluster_states.get(refusing)
            if other is not None and other is not one:
                self._show_login_blocked(refusing, backoff.LOGIN_RETRY_DELAY)
        self._update_status(one, result, revision)
        self._emit(name, result, revision)

    def restore_refused_logins(self) -> None:
        """Block the logins that a previous agent saw refused: none is attempted sooner than it would have been."""
        now = self.context.runtime.clock()
        for name, one in self._cluster_states:
            left = login_blocked_for(self.context.ledger, self.context.settings, one.target)
            if left > 0:
                one.schedule = replace(
                    one.schedule,
                    login_blocked_until=now + left,
                    kind=backoff.FailureKind.UNAUTHORIZED,
                    failures=1,
                )
                one.unreachable = True
                self._show_login_blocked(name, left)

    def _show_login_blocked(self, name: str, seconds: float) -> None:
        """Report in the status that the login of a cluster is not attempted for so many seconds."""
        text = f"the login was refused; it is not attempted again for {seconds:.0f} s, unless the credential changes"
        failure = Failure("Unauthorized", text, self.context.runtime.now())
        self.context.status_store.update_cluster(name, phase=Phase.FAILING, failure=failure)

    def _update_status(self, one: ScheduledCluster, result: ReconcileResult, revision: str) -> None:
        status_store, failure, name = self.context.status_store, result.failure, one.target.name
        now, due = self.context.runtime.now(), one.schedule.next
        changes: dict[str, object] = {
            "next_reconciliation": now + max(0.0, due - self.context.runtime.clock()) if due is not None else None,
            "last_reconciliation": now,
            "duration": result.duration,
            "progress": None,
        }
        if failure is None:
            changes |= {"failure": None, "last_success": now, "revision": revision}
        else:
            before = status_store.status.clusters[name].failure
            count = before.count + 1 if before else 1
            text = self.context.redact(failure)
            changes |= {"failure": Failure(type(failure).__name__, text, now, count), "phase": Phase.FAILING}
        if one.schedule.suspended:
            changes["phase"] = Phase.SUSPENDED
        status_store.update_cluster(name, **changes)

    def _emit(self, name: str, result: ReconcileResult, revision: str) -> None:
        status, failure = self.context.status_store.status.clusters[name], result.failure
        about: dict[str, object] = {
            "cluster": name,
            "mode": status.mode,
            "revision": revision,
            "phase": status.phase.value,
            "changes": result.changes,
            "drift": result.drift,
            "plan": status.plan_digest if status.phase is Phase.AWAITING_APPROVAL else "",
            "seconds": round(status.duration, 3),
        }
        if failure is not None:
            about |= {"failure": type(failure).__name__, "why": self.context.redact(failure)}
        self.context.emit("reconciliation.failed" if failure is not None else "reconciliation.done", **about)
