"""Records of asynchronous work. They are finished by timed events and expire later.

There are state machines of databases, tasks of nodes (in `tasks`), and transfers, which only v2 shows.
"""

from __future__ import annotations

from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

STATE_MACHINE = "state-machine"


def begin_action(
    state: ClusterState, name: str, kind: str, uid: int | str, seconds: float = 0.0, *, sort: str = STATE_MACHINE
) -> ObjectRecord:
    """Record that the work *name* runs on an object and return the record; *seconds* is its expected duration.

    *sort* is "state-machine", or "other" for work that v1 does not list.
    """
    record = ObjectRecord(
        {
            "action_uid": state.new_id(),
            "heartbeat": int(state.now),
            "name": name,
            "object_name": f"{kind}:{uid}",
            "status": "active",
            "progress": 0.0,
            "pending_ops": {},
            "state": "apply",
        },
        {"begun": state.now, "kind": kind, "seconds": seconds, "sort": sort, "uid": str(uid)},
    )
    state.actions[record.fields["action_uid"]] = record
    return record


def finish_action(state: ClusterState, record: ObjectRecord, error: str = "") -> None:
    """Mark *record* as completed, or as failed with *error*; it expires later."""
    reached = progress(state, record) if error else 100.0
    record.set(status="failed" if error else "completed", heartbeat=int(state.now), progress=reached)
    if error:
        record.set(error=error)
    for step in ("pending_ops", "state"):  # fields of running work only
        record.drop(step)

    def forget() -> None:
        state.actions.pop(record.fields["action_uid"], None)

    state.later(state.settings.action_seconds, forget)


def progress(state: ClusterState, record: ObjectRecord) -> float:
    """Return the progress of the work in percent."""
    seconds = state.settings.scaled(record.hidden["seconds"])
    if record.fields["status"] != "active" or not seconds:
        return float(record.fields["progress"])
    return float(round(min(99.0, 100.0 * (state.now - record.hidden["begun"]) / seconds), 1))
