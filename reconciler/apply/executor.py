"""Executes a plan: walks its graph and executes what is ready. Nothing else writes to clusters.

`reconcile` calls `execute` while it holds the locks of the clusters, and `recover` before it plans. A change that fails
skips the changes that need it and nothing else; an error that concerns a whole cluster stops the work there and nowhere
else. Must not know manifests, files or terminals.
"""

from __future__ import annotations

from reconciler.apply.execution import ClusterContext, ExecutionContext
from reconciler.apply.recovery import unfinished
from reconciler.apply.report import Report
from reconciler.apply.scheduler import Scheduler
from reconciler.apply.uid_index import UidIndex
from reconciler.errors import LedgerError
from reconciler.plan import Plan, digest


def execute(plan: Plan, context: ExecutionContext, *, parallelism: int = 4, revision: str = "") -> Report:
    """Execute *plan*, and report on every change of it. A failing change is in the report and raises nothing.

    *parallelism* is the number of concurrent writes for each cluster; with 1 everything happens in the calling thread,
    in the order of the plan. *revision* is recorded with the run. After a request to stop, calls in flight are
    completed and no new ones started.
    """
    ledger, run = context.ledger, context.runtime.new_id()
    indexes = {
        name: UidIndex(context.kinds, client, context.live.get(name)) for name, client in context.clients.items()
    }
    clusters = {
        name: ClusterContext(
            name=name,
            execution=context,
            indexes=indexes,
            owned=ledger.owned(name),
            unfinished=unfinished(ledger, name, "create"),
            replaced=unfinished(ledger, name, "replace"),
            run=run,
        )
        for name in sorted({change.address.cluster for change in plan.changes})
    }
    ledger.start_run(run, revision=revision, digest=digest(plan))
    report = Scheduler(plan, clusters, context, parallelism).walk(run)
    try:
        ledger.finish_run(run, report.counts, report.to_json())
    except LedgerError as error:  # the report still says what was done
        context.runtime.emit("run.unrecorded", {"run": run, "why": str(error)})
    return report
