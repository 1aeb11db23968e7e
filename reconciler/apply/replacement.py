"""The replacement of an object: its delete and its create as one step, of which nothing is begun that cannot end well.

`scheduler` calls `replace_object`. Whatever can be looked up or validated comes before the delete.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from reconciler.api.create import NAME_TAKEN_CODES, send_create, without_own_values
from reconciler.api.endpoints import endpoint
from reconciler.api.task import Task
from reconciler.apply.dry_run import dry_run_call
from reconciler.apply.execute_change import ChangeProgress, create_object, create_task, delete_object
from reconciler.apply.execution import ClusterContext
from reconciler.errors import ReconcilerError, Rejected
from reconciler.kinds import versions
from reconciler.ledger import Intent
from reconciler.plan import Change


def replace_object(cluster: ClusterContext, change: Change, progress: ChangeProgress) -> None:
    """Delete the object and create its successor, once all that can be checked shows that the create is possible.

    The intent of the whole stays open between the two: the next run knows from it what is missing, and its port.
    """
    new_id = cluster.execution.runtime.new_id
    prepared = create_task(cluster, change, new_id())
    _check_create(cluster, change, prepared[0])
    whole = prepared[0].operation + "-replace"
    cluster.ledger.intend(
        Intent(whole, "replace", change.address, change.body, change.uid, prepared[1], run=cluster.run)
    )
    deleted = ChangeProgress()
    try:
        delete_object(cluster, change, deleted)
    except ReconcilerError:
        if not deleted.destroyed:
            cluster.ledger.close(whole, "refused: nothing was deleted")
        progress.uid, progress.operation, progress.destroyed = deleted.uid, deleted.operation, deleted.destroyed
        raise
    progress.destroyed = True
    try:
        create_object(cluster, change, progress, prepared)
    finally:
        if not progress.destroyed:
            cluster.ledger.close(whole, "done")


def _check_create(cluster: ClusterContext, change: Change, task: Task) -> None:
    """Have the cluster validate the create of a replacement where it can; raises where it would refuse it.

    Values that the old object holds until it is deleted are left out, and a conflict of names alone does not count.
    """
    state = cluster.execution.live.get(cluster.name)
    if state is None or not versions.takes_dry_run(state.version, task.kind):
        return
    wire = without_own_values(task.kind, task.wire, change.rests_on or {})
    try:
        flow = send_create(replace(task, wire=wire))
        call = dry_run_call(flow, endpoint(task.kind, "create"), cluster.client, cluster.connections)
        if call is not None:
            cluster.client.send(call)
    except Rejected as error:
        if error.error_code not in NAME_TAKEN_CODES:
            raise _unharmed(error) from error
    except ReconcilerError as error:
        raise _unharmed(error) from error


def _unharmed(error: ReconcilerError) -> ReconcilerError:
    """Return *error*, with the statement that nothing was deleted."""
    same = copy(error)
    same.args = (f"not replaced, nothing was deleted: the new object would not be created: {error}",)
    return same
