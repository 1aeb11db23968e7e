"""The reconciliation of one cluster: recover, read, plan, and what the mode allows. The loop calls it.

It updates the status while it works and returns how it ended; it raises none of our errors. When the next one is due
is not its concern. Nothing that was read from a cluster outlives it except the plan, the drift and what is held.
"""

from __future__ import annotations

from typing import Final

from reconciler import reconcile
from reconciler.agent import crosscluster
from reconciler.agent.applier import Applier, progress_observer, step
from reconciler.agent.approvals import Approvals
from reconciler.agent.assessment import Assessment, Assessor
from reconciler.agent.context import AgentContext, ReconcileRequest, ReconcileResult
from reconciler.agent.crosscluster import ClusterClaimed
from reconciler.agent.held import Hold, beyond_limit
from reconciler.agent.status import Phase
from reconciler.errors import Interrupted, Locked, PlanTooLarge, ReconcilerError
from reconciler.kinds.freeze import Frozen, frozen
from reconciler.plan import Action, Plan, digest
from reconciler.runtime import Runtime
from reconciler.session import Session, SessionOverrides

_REQUEUE_LOCKED: Final = 5.0  # seconds until writing is attempted again where a cluster was in use
_REQUEUE_SOON: Final = 5.0  # seconds until what needs an approval is offered, after the rest was applied


def reconcile_cluster(context: AgentContext, request: ReconcileRequest) -> ReconcileResult:
    """Reconcile the cluster of *request*."""
    name, started = request.target.name, context.runtime.clock()
    context.status_store.update_cluster(name, phase=Phase.PLANNING, why="", progress=None)
    session = _session(context, request)
    context.emit("reconciliation.started", cluster=name, revision=request.revision)
    reconciliation = _Reconciliation(context, request, session)
    try:
        with session:
            result = reconciliation.run()
    except ReconcilerError as error:
        result = ReconcileResult(error)
    except Exception as bug:  # one cluster must not take the others down
        unexpected = ReconcilerError(f"internal error: {type(bug).__name__}: {bug}; please report it")
        unexpected.__cause__ = bug
        result = ReconcileResult(unexpected)
    duration = context.runtime.clock() - started
    return result._replace(duration=duration, probe_failures=session.failures, members=reconciliation.members)


def _session(context: AgentContext, request: ReconcileRequest) -> Session:
    runtime = context.runtime
    return Session(
        context.settings,
        [request.target],
        runtime=Runtime(  # with a lock of its own, so that reconciliations do not wait for each other's observers
            clock=runtime.clock,
            now=runtime.now,
            sleep=runtime.sleep,
            random=runtime.random,
            new_id=runtime.new_id,
            stop=runtime.stop,
            observe=progress_observer(context, request.target.name),
        ),
        overrides=SessionOverrides(
            ledger=context.ledger,
            connect=context.connect,
            other_clusters=request.related,
            absent=request.unavailable,
        ),
    )


class _Reconciliation:
    def __init__(self, context: AgentContext, request: ReconcileRequest, session: Session) -> None:
        self.context = context
        self.request = request
        self.session = session
        self.name = request.target.name
        self.agent_policy = request.target.agent_policy
        self.approvals = Approvals(context.ledger.memory)
        self.assessor = Assessor(context, request, session)
        self.applier = Applier(context, request, session)
        self.members: frozenset[str] | None = None

    def run(self) -> ReconcileResult:
        """Do what the mode allows."""
        reconcile.probe(self.session, self.context.coordination.probes.probe)
        reconcile.recover(self.session, self.request.resources)
        with step(self.context, self.request, "plan"):
            found = self.assessor.assess()
            self.members = found.members
        self.publish(found)
        result = self.act(found)
        times = [at for at in (result.requeue_at, found.until) if at is not None]
        held = self.agent_policy.mode == "apply" and (found.unexpectedly_held or result.unexpectedly_held)
        return result._replace(requeue_at=min(times, default=None), unexpectedly_held=held)

    def act(self, found: Assessment) -> ReconcileResult:
        """Apply, wait for an approval, or write nothing."""
        plan = found.planned.plan
        if self.context.runtime.stop.is_set():
            raise Interrupted("stopped after reading; nothing was written")
        if self.agent_policy.mode == "observe":
            return self.write_nothing(found, Phase.IDLE)
        approved = self.approvals.approved(self.name, digest(plan))
        if not plan.changes:
            if self.agent_policy.mode == "apply":
                self.applier.adopt(found)
            return self.write_nothing(found, Phase.IDLE)
        if self.agent_policy.mode == "plan" and not approved:
            return self.await_approval(found)
        freeze = frozen(self.agent_policy.freeze, self.context.runtime.now())
        if freeze:
            return self.write_nothing(found, Phase.FROZEN, freeze, approved=approved)
        if not approved:
            if beyond_limit(plan):
                return self.apply_rest(found)
            reconcile.check(plan, found.options)
            self.check_deletes(plan)
        return self.apply(found, approved=approved)

    def apply_rest(self, found: Assessment) -> ReconcileResult:
        """Apply what needs no approval; with nothing of that left, let the whole plan be approved."""
        rest = self.assessor.assess(approvable=False)
        if not rest.planned.plan.changes:
            self.update(held=rest.held)
            return self.await_approval(found)._replace(unexpectedly_held=True)
        self.publish(rest)
        reconcile.check(rest.planned.plan, rest.options)
        self.check_deletes(rest.planned.plan)
        result = self.apply(rest, approved=False)
        if result.failure is None:
            result = result._replace(requeue_at=self.context.runtime.now() + _REQUEUE_SOON)
        return result._replace(unexpectedly_held=True)

    def update(self, **changes: object) -> None:
        """Change the status of the cluster."""
        self.context.status_store.update_cluster(self.name, **changes)

    def publish(self, found: Assessment) -> None:
        """Show in the status what was found."""
        plan = found.planned.plan
        self.update(
            plan=plan,
            plan_digest=digest(plan) if plan.changes else "",
            drift=found.drift,
            held=found.held,
            declared=sum(not resource.absent for resource in self.request.resources),
            frozen="",
        )

    # --- without writing --------------------------------------------------------------------------------------------

    def write_nothing(
        self, found: Assessment, phase: Phase, freeze: Frozen | None = None, *, approved: bool = False
    ) -> ReconcileResult:
        """End without writing to the cluster; an approval stays valid until its plan may be applied."""
        self.offer(found.planned.plan if approved else None)
        why = freeze.why if freeze else ""
        self.update(phase=phase, frozen=why, why=why)
        return ReconcileResult(requeue_at=freeze.until if freeze else None, drift=len(found.drift))

    def await_approval(self, found: Assessment) -> ReconcileResult:
        """Offer the plan for approval."""
        plan = found.planned.plan
        self.offer(plan)
        self.update(phase=Phase.AWAITING_APPROVAL, why=f"reconciler approve {digest(plan)}")
        return ReconcileResult(drift=len(found.drift))

    def offer(self, plan: Plan | None) -> None:
        """Let *plan* be approved, and drop approvals of any other."""
        if plan is None:
            self.approvals.offer(self.name, "")
        else:
            revision = self.request.revision
            self.approvals.offer(self.name, digest(plan), changes=len(plan.changes), revision=revision)

    def check_deletes(self, plan: Plan) -> None:
        """Raise PlanTooLarge where *plan* deletes more than one reconciliation may."""
        deletes = sum(change.action in (Action.DELETE, Action.REPLACE) for change in plan.changes)
        if deletes > self.agent_policy.max_deletes:
            self.offer(plan)
            raise PlanTooLarge(
                f"the plan deletes or replaces {deletes} objects, over maxDeletes ({self.agent_policy.max_deletes}); "
                f"to allow it: reconciler approve {digest(plan)}"
            )

    # --- writing ----------------------------------------------------------------------------------------------------

    def apply(self, found: Assessment, *, approved: bool) -> ReconcileResult:
        """Apply the plan; without changes that also write to other clusters, where one of those is in use."""
        try:
            return self.applier.apply(found)
        except Locked as error:
            hold = Hold(str(error), self.context.runtime.now() + _REQUEUE_LOCKED)
            writes = crosscluster.cross_cluster_writes(
                self.session.kinds, found.planned.plan, found.planned.observed.live
            )
            if approved or not writes:
                if not isinstance(error, ClusterClaimed):
                    raise
                result = self.write_nothing(found, Phase.IDLE, approved=approved)
                self.update(why=hold.reason)
                return result._replace(requeue_at=hold.until)
        rest = self.assessor.assess(dict.fromkeys(writes, hold), approvable=False)
        self.members = rest.members
        self.publish(rest)
        if not rest.planned.plan.changes:
            return self.write_nothing(rest, Phase.IDLE)._replace(requeue_at=hold.until)
        return self.apply(rest, approved=False)._replace(requeue_at=hold.until)
