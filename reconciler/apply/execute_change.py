"""One change from intent to record: first the ledger, then the calls, then the ledger again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.api.codec import Uid
from reconciler.api.driver import Policy, drive
from reconciler.api.precondition import Precondition
from reconciler.api.task import FlowResult, Task
from reconciler.apply.execution import ClusterContext
from reconciler.apply.flows import References, create_flow, delete_flow, task_of, update_flow
from reconciler.diff.normalize import hidden_values
from reconciler.errors import ChangedUnderneath, Conflict, LedgerError, ReconcilerError
from reconciler.kinds.vocabulary import is_value_from
from reconciler.ledger import Intent, Record
from reconciler.plan import Action, Change

if TYPE_CHECKING:
    from reconciler.api.protocol import Flow
    from reconciler.secrets import Secret


@dataclass(slots=True)
class ChangeProgress:
    """What is known of a change while it is executed, and afterwards."""

    uid: Uid | None = None
    operation: str = ""  # id in the ledger
    destroyed: bool = False  # of a replacement: the old object is gone, and the new one is not known to exist


def execute_change(cluster: ClusterContext, change: Change, progress: ChangeProgress) -> None:
    """Execute *change*; *progress* says how far it came even if this raises. Raises ReconcilerError.

    A replacement is for `replacement`.
    """
    if change.action is Action.CREATE:
        _create(cluster, change, progress, cluster.unfinished.get(change.address))
    elif change.action is Action.UPDATE:
        _update(cluster, change, progress)
    elif change.action is Action.DELETE:
        delete_object(cluster, change, progress)
    else:
        cluster.ledger.forget(change.address)


def _create(cluster: ClusterContext, change: Change, progress: ChangeProgress, before: Intent | None) -> None:
    """Create the object; *before* is a create that an earlier run started without learning its outcome."""
    operation = before.op_id if before else cluster.execution.runtime.new_id()
    task, digests = create_task(cluster, change, operation)
    if before is not None:
        task.earlier_bodies = (before.body,)
    create_object(cluster, change, progress, (task, digests), sent_before=before is not None)


def create_task(cluster: ClusterContext, change: Change, operation: str) -> tuple[Task, Mapping[str, str]]:
    """Return the task of a create, and the digests of its secrets. Raises where one or a reference is missing."""
    secrets = _Secrets(cluster, change)
    task = task_of(change, _references(cluster, secrets), Action.CREATE, operation)
    task.settle_window = cluster.execution.settle_window
    return task, secrets.digests


def create_object(
    cluster: ClusterContext,
    change: Change,
    progress: ChangeProgress,
    prepared: tuple[Task, Mapping[str, str]],
    *,
    sent_before: bool = False,
) -> None:
    """Send what `create_task` returned, and record the new object."""
    task, digests = prepared
    progress.operation = task.operation
    cluster.ledger.intend(_intent(cluster, task, "create", None, digests))
    result = _drive(cluster, change, task, create_flow(change, task, sent_before=sent_before))
    _record(cluster, change, result, progress, digests)


def _update(cluster: ClusterContext, change: Change, progress: ChangeProgress) -> None:
    expected = _precondition(cluster, change, progress)
    progress.operation = cluster.execution.runtime.new_id()
    secrets = _Secrets(cluster, change)
    task = task_of(change, _references(cluster, secrets), Action.UPDATE, progress.operation)
    cluster.ledger.intend(_intent(cluster, task, "update", expected.uid, secrets.digests))
    result = _drive(cluster, change, task, update_flow(change, task, expected))
    _record(cluster, change, result, progress, secrets.digests)


def delete_object(cluster: ClusterContext, change: Change, progress: ChangeProgress) -> None:
    """Delete the object, unless it is no longer the planned one."""
    expected = _precondition(cluster, change, progress)
    progress.operation = cluster.execution.runtime.new_id()
    task = task_of(change, _references(cluster, None), Action.DELETE, progress.operation)
    cluster.ledger.intend(_intent(cluster, task, "delete", expected.uid, {}))
    try:
        result = _drive(cluster, change, task, delete_flow(change, task, expected))
    finally:
        progress.destroyed = task.accepted or task.outcome_unknown
    if result.problem is not None:
        raise result.problem
    cluster.uids.drop(change.address.kind, expected.uid)
    cluster.ledger.close(progress.operation, "done", forget=change.address)
    _close_earlier(cluster, change, progress)


def _precondition(cluster: ClusterContext, change: Change, progress: ChangeProgress) -> Precondition:
    """Return the identity of the planned object; one that this run created is looked up by name."""
    address, mine = change.address, cluster.owned.get(change.address)
    uid = change.uid if change.uid is not None else cluster.uids.uid(address.kind, address.name)
    created = change.created
    if not created and mine is not None and mine.uid == uid:
        created = mine.created
    progress.uid = uid
    return Precondition(uid, change.renamed_from or address.name, created, change.rests_on)


def _references(cluster: ClusterContext, secrets: _Secrets | None) -> References:
    return References(
        kinds=cluster.execution.kinds,
        names=cluster.uids.names,
        names_before=cluster.uids.names_before,
        uid=cluster.uids.uid,
        uid_of=cluster.uid_of,
        reveal=secrets.reveal if secrets else cluster.execution.reveal,
    )


def _intent(cluster: ClusterContext, task: Task, action: str, uid: Uid | None, digests: Mapping[str, str]) -> Intent:
    return Intent(task.operation, action, task.address, task.body, uid, digests, run=cluster.run)


def _drive(cluster: ClusterContext, change: Change, task: Task, flow: Flow[FlowResult]) -> FlowResult:
    """Drive *flow*; close the intent at once where nothing can have taken effect, and leave it open otherwise."""

    def on_wait(status: str) -> None:
        attributes = {"number": change.number, "address": str(change.address), "status": status}
        cluster.execution.runtime.emit("change.waiting", attributes)

    try:
        return drive(flow, cluster.client, Policy.ALL, connections=cluster.connections, host=cluster.host(on_wait))
    except ReconcilerError as error:
        if not (task.accepted or task.outcome_unknown):
            outcome = "refused" if isinstance(error, ChangedUnderneath | Conflict) else "failed"
            cluster.ledger.close(task.operation, f"{outcome}: {type(error).__name__}")
        raise


def _record(
    cluster: ClusterContext, change: Change, result: FlowResult, progress: ChangeProgress, digests: Mapping[str, str]
) -> None:
    """Record the live object; then raise where it is not what was declared.

    A create that failed has created an object all the same. What a failed update changed is not known, so
    the last applied values stay as they were.
    """
    assert result.found is not None  # noqa: S101 - a create or an update ends with an object
    live = result.found.object
    progress.uid, progress.destroyed = live.uid, False
    cluster.uids.learn(change.address, live.uid)
    old = change.address._replace(name=change.renamed_from) if change.renamed_from else None
    mine = cluster.owned.get(old or change.address)
    updated = change.action is Action.UPDATE
    before = mine.fields if mine is not None and mine.uid == live.uid and updated else {}
    made = change.creates and not cluster.kind_of(change.address).singleton
    record = Record(change.address, live.uid, live.created, {**before, **change.body}, digests, made)
    try:
        if result.problem is not None and updated:
            cluster.ledger.close(progress.operation, "failed")
        else:
            cluster.ledger.close(progress.operation, "failed" if result.problem else "done", record=record, forget=old)
    except LedgerError as error:
        raise type(error)(f"the change took effect, and its record could not be written: {error}") from error
    _close_earlier(cluster, change, progress)
    if result.problem is not None:
        raise result.problem


def _close_earlier(cluster: ClusterContext, change: Change, progress: ChangeProgress) -> None:
    """Close what an earlier run left open, now that another operation has settled its address."""
    for before in (cluster.unfinished.get(change.address), cluster.replaced.get(change.address)):
        if before is not None and before.op_id != progress.operation:
            cluster.ledger.close(before.op_id, "superseded")


class _Secrets:
    """The secrets of one change, each looked up once, with the digests that later show whether they changed."""

    def __init__(self, cluster: ClusterContext, change: Change) -> None:
        self._reveal = cluster.execution.reveal
        self._known: dict[str, Secret] = {}
        self.digests: dict[str, str] = {}
        kind = cluster.kind_of(change.address)
        sets: dict[str, list[Secret]] = {}
        for path, value in hidden_values(kind, change.body):
            if is_value_from(value):
                secret = self.reveal(value["valueFrom"])
                name = path.partition("[")[0]
                if name in kind.fields and kind.fields[name].lists_secrets:
                    sets.setdefault(name, []).append(secret)
                else:
                    self.digests[path] = cluster.ledger.digest(change.address, path, secret)
        for name, secrets in sets.items():
            self.digests[f"{name}[]"] = cluster.ledger.set_digest(change.address, name, secrets)

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        place = repr(sorted(value_from.items()))
        if place not in self._known:
            self._known[place] = self._reveal(value_from)
        return self._known[place]
