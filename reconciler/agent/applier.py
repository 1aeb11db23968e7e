"""Applies the plan of a reconciliation under the locks of all clusters that it writes to. Called by `reconciliation`.

It decides nothing: the mode, freeze windows, limits and approvals were checked before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler import reconcile, telemetry
from reconciler.agent import crosscluster, drift_history
from reconciler.agent.approvals import Approvals
from reconciler.agent.assessment import Assessment, by_others
from reconciler.agent.context import AgentContext, ReconcileRequest, ReconcileResult
from reconciler.agent.crosscluster import ClusterClaimed
from reconciler.agent.status import ApplyProgress, Phase
from reconciler.errors import AppliedInPart, Interrupted, LedgerUnwritable, PlanStale, ReconcilerError, Unauthorized
from reconciler.plan import Plan
from reconciler.plan.adoption import adopted
from reconciler.session import Session

if TYPE_CHECKING:
    from reconciler.apply.report import Report


class Applier:
    """Writes to the cluster of *request*, and to the others that its plan writes to."""

    def __init__(self, context: AgentContext, request: ReconcileRequest, session: Session) -> None:
        self.context = context
        self.request = request
        self.session = session
        self.name = request.target.name
        self.memory = context.ledger.memory
        self.approvals = Approvals(context.ledger.memory)

    def adopt(self, found: Assessment) -> None:
        """Adopt the existing objects that are declared and need no change."""
        planned = found.planned
        new = adopted(self.session.kinds, found.not_held.resources, planned.plan, planned.observed)
        if next(iter(new), None) is not None:
            with contextlib.suppress(ClusterClaimed), self.writing([self.name]):  # the next reconciliation does it
                reconcile.adopt(self.session, found.not_held, planned)

    @contextlib.contextmanager
    def writing(self, clusters: Iterable[str]) -> Iterator[None]:
        """Lock *clusters* for writing. Raises Locked at once where one is in use: waiting could deadlock."""
        names = sorted(clusters)
        with self.context.coordination.write_claims.claim(names, self.name), self.session.locked(names):
            yield

    def apply(self, found: Assessment) -> ReconcileResult:
        """Plan once more under the locks, and apply the plan if it is unchanged."""
        before, kinds = found.planned, self.session.kinds
        clusters = crosscluster.clusters_written(kinds, before.plan, before.observed.live)
        with self.writing({self.name, *clusters}):
            options = reconcile.same_ports(found.options, before.plan)
            now = reconcile.plan(self.session, found.manifests, options)
            reconcile.require_same_plan(before, now)
            if crosscluster.clusters_written(kinds, now.plan, now.observed.live) - clusters:
                raise PlanStale("an object has members on more clusters than when it was planned; nothing was written")
            self.context.status_store.update_cluster(
                self.name, phase=Phase.APPLYING, progress=ApplyProgress(0, len(now.plan.changes))
            )
            reconcile.adopt(self.session, found.not_held, now)
            parallelism, revision = self.context.coordination.parallel_writes, self.request.revision
            with step(self.context, self.request, "apply"):
                report = reconcile.execute(
                    self.session, now.plan, now.observed, parallelism=parallelism, revision=revision
                )
        self.approvals.offer(self.name, "")
        return self.conclude(found, now.plan, report)

    def conclude(self, found: Assessment, plan: Plan, report: Report) -> ReconcileResult:
        """Record what was corrected, and show in the status what remains."""
        done = {outcome.change.address for outcome in report.done}
        corrected = [entry.drift for entry in found.drift if entry.drift.address in done]
        left = tuple(entry for entry in found.drift if entry.drift.address not in done)
        known, now = self.memory.facts(self.name, drift_history.CORRECTED), self.context.runtime.now()
        with contextlib.suppress(LedgerUnwritable):  # the report has what was done all the same
            keys = [drift_history.field_key(drift.address, drift.path) for drift in by_others(corrected)]
            digests = drift_history.declared_digests(keys, self.request.resources)
            facts = drift_history.with_corrections(digests, known, now)
            self.memory.keep(self.name, drift_history.CORRECTED, facts)
            gone = [drift_history.field_key(drift.address, drift.path) for drift in corrected]
            self.memory.forget(self.name, drift_history.DRIFT, gone)
        changes = tuple(change for change in plan.changes if change.address not in done)
        remaining = replace(plan, changes=changes, unchanged=plan.unchanged + len(done))
        self.context.status_store.update_cluster(
            self.name, phase=Phase.IDLE, drift=left, plan=remaining, plan_digest="", last_run=report.run
        )
        return ReconcileResult(_failure_of(report), changes=len(done), drift=len(left))


@contextlib.contextmanager
def step(context: AgentContext, request: ReconcileRequest, name: str) -> Iterator[None]:
    """Emit events at the start and the end of a step."""
    about = {"cluster": request.target.name, "revision": request.revision}
    context.emit(f"{name}.started", **about)
    try:
        yield
    except BaseException as error:
        context.emit(f"{name}.failed", **about, failure=type(error).__name__)
        raise
    context.emit(f"{name}.done", **about)


def _failure_of(report: Report) -> ReconcilerError | None:
    """Return what failed in an apply, as one error."""
    if report.interrupted:
        return Interrupted("stopped: in-flight operations completed; no new ones started; the next run continues")
    if report.complete:
        return None
    for outcome in report.failed:
        if isinstance(outcome.error, Unauthorized):
            return outcome.error
    first = next(iter(report.failed), None) or next(iter(report.not_attempted))
    return AppliedInPart(
        f"{len(report.done)} of {len(report.outcomes)} changes applied; first failure: "
        f"{first.change.address}: {first.why}"
    )


def progress_observer(context: AgentContext, cluster: str) -> telemetry.Observer:
    """Return an observer that adds the cluster to each event, and shows in the status how far an apply is."""
    ended = 0

    def observe(event: telemetry.Event) -> None:
        nonlocal ended
        if event.name in ("change.started", "change.done", "change.failed", "change.skipped"):
            ended += event.name != "change.started"
            progress = context.status_store.status.clusters[cluster].progress
            if progress is not None:
                address = str(event.attributes["address"]) if event.name == "change.started" else progress.address
                context.status_store.update_cluster(cluster, progress=ApplyProgress(ended, progress.total, address))
        context.runtime.observe(event._replace(attributes={"cluster": cluster, **event.attributes}))

    return observe
