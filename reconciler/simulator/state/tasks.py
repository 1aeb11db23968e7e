"""Tasks of a node or of the cluster: at most one with the same name at a time; they can be cancelled.

The other kind of asynchronous work, state machines, is in `actions`.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

Key = tuple[str, str, str]  # node or cluster, uid, name
NAMES = {"remove": "remove_node"}  # action in the path -> name of its task, where they differ
_OVER = frozenset({"completed", "failed", "cancelled", "aborted"})


def is_running(record: ObjectRecord) -> bool:
    """Return whether the task is running."""
    return record.fields["status"] not in _OVER


def begin_task(
    state: ClusterState, key: Key, seconds: float, work: Callable[[], str], *, undo: Callable[[], None] | None = None
) -> ObjectRecord:
    """Start a task that calls *work* at its end; the result is the error code, "" for success.

    *undo* is called when the task is cancelled. Raises 409 while a task of the same name runs on the same object; a
    finished one is replaced.
    """
    if key in state.tasks and is_running(state.tasks[key]):
        raise ApiError(409, "busy", f"{key[2]} is running already")
    fields = {"name": NAMES.get(key[2], key[2]), "progress": 0.0, "status": "queued", "task_id": state.new_id()}
    if key[0] == "node":
        fields["node_uid"] = key[1]
    hidden = {"begun": state.now, "seconds": seconds, "undo": undo}
    record = state.tasks[key] = ObjectRecord(dict(sorted(fields.items())), hidden)
    state.changed()

    def start() -> None:
        if record.fields["status"] == "queued":
            record.set(status="running")

    def finish() -> None:
        if record.fields["status"] == "cancelling":
            _close(state, record, "cancelled", "")
            if undo is not None:
                undo()
        elif is_running(record):
            error = work()
            _close(state, record, "failed" if error else "completed", error)

    state.later(seconds * 0.1, start)
    if state.outcome != "stuck":
        state.later(seconds, _failing(state, record) if state.outcome == "fail" else finish)
    return record


def _failing(state: ClusterState, record: ObjectRecord) -> Callable[[], None]:
    return lambda: _close(state, record, "failed", "internal_error") if is_running(record) else None


def _close(state: ClusterState, record: ObjectRecord, status: str, error: str) -> None:
    record.set(status=status, progress=100.0 if status == "completed" else progress(state, record))
    if error:
        record.set(error_code=error)
    state.changed()


def progress(state: ClusterState, record: ObjectRecord) -> float:
    """Return the progress of a task in percent."""
    if not is_running(record) or record.fields["status"] == "queued":
        return float(record.fields["progress"])
    seconds = state.settings.scaled(record.hidden["seconds"]) or 1.0
    return float(round(min(99.0, 100.0 * (state.now - record.hidden["begun"]) / seconds), 1))


def task_view(state: ClusterState, record: ObjectRecord) -> Json:
    """Return what a read of a task shows."""
    return {**record.fields, "progress": progress(state, record)}


def find_task(state: ClusterState, key: Key) -> ObjectRecord:
    """Return the task at *key*, running or finished, or raise 404."""
    if key not in state.tasks:
        raise ApiError(404, "action_not_found", f"no running or finished {key[2]}")
    return state.tasks[key]


def cancel_or_forget(state: ClusterState, key: Key) -> None:
    """Cancel the task at *key*, or delete its record if it has ended. Raise 404 if there is none."""
    record = find_task(state, key)
    if is_running(record):
        record.set(status="cancelling")
    else:
        del state.tasks[key]
    state.changed()
