"""Records of asynchronous work: begun by handlers, finished by time, asked for as v1 or v2, forgotten after a while.

Three sorts: state machines of databases, tasks of nodes (kept in `tasks`), and transfers, which only v2 shows.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import tasks
from .messages import ApiError, Json, Request, Response, answer
from .state import Record, State

_V2_STATUS: Mapping[str, str] = {"pending": "queued", "active": "running", "completed": "completed", "failed": "failed"}
_RUNNING = {"starting": "running", "cancelling": "running"}
_TASK_STATUS: Mapping[str, str] = {**_RUNNING, "cancelled": "failed", "aborted": "failed"}
_MACHINE = "state-machine"


def begin(state: State, name: str, kind: str, uid: int | str, seconds: float = 0.0, *, sort: str = _MACHINE) -> Record:
    """Record that the work *name* runs on an object and return the record; it will take *seconds* or so.

    *sort* is state-machine, or other for work that v1 does not list.
    """
    record = Record(
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


def finish(state: State, record: Record, error: str = "") -> None:
    """Close *record* as completed, or as failed with *error*, and forget it in a while."""
    reached = _progress(state, record) if error else 100.0
    record.set(status="failed" if error else "completed", heartbeat=int(state.now), progress=reached)
    if error:
        record.set(error=error)
    for step in ("pending_ops", "state"):  # what is said of work that goes on
        record.drop(step)

    def forget() -> None:
        state.actions.pop(record.fields["action_uid"], None)

    state.later(state.settings.action_seconds, forget)


def _progress(state: State, record: Record) -> float:
    seconds = state.settings.scaled(record.hidden["seconds"])
    if record.fields["status"] != "active" or not seconds:
        return float(record.fields["progress"])
    return float(round(min(99.0, 100.0 * (state.now - record.hidden["begun"]) / seconds), 1))


def _v1(state: State, record: Record) -> Json:
    if record.fields["status"] != "active":
        return record.fields
    return {**record.fields, "heartbeat": int(state.now), "progress": _progress(state, record)}


def _v2(state: State, record: Record) -> Json:
    fields, hidden = record.fields, record.hidden
    info = {"object_type": hidden["kind"], "object_uid": hidden["uid"]}
    info.update({name: fields[name] for name in ("error", "pending_ops") if name in fields})
    return {
        "action_type": hidden["sort"],
        "action_uid": fields["action_uid"],
        "additional_info": info,
        "creation_time": int(hidden["begun"]),
        "name": fields["name"],
        "progress": _progress(state, record),
        "status": _V2_STATUS[fields["status"]],
    }


def _task_v1(state: State, task: Record) -> Json:
    """Return a task in the words of v1, where numbers are texts."""
    fields = tasks.shown(state, task)
    begun, done = str(int(task.hidden["begun"])), f"{fields['progress']:.0f}"
    return {"action_uid": fields["task_id"], **fields, "creation_time": begun, "progress": done}


def _task_v2(state: State, key: tasks.Key, task: Record) -> Json:
    fields = tasks.shown(state, task)
    info = {"object_type": key[0], "object_uid": key[1]}
    if "error_code" in fields:
        info["error"] = fields["error_code"]
    return {
        "action_type": "task",
        "action_uid": fields["task_id"],
        "additional_info": info,
        "creation_time": int(task.hidden["begun"]),
        "name": fields["name"],
        "progress": fields["progress"],
        "status": _TASK_STATUS.get(fields["status"], fields["status"]),
    }


def _machines(state: State) -> list[Record]:
    return [record for record in state.actions.values() if record.hidden["sort"] == _MACHINE]


def _missing() -> ApiError:
    return ApiError(404, "action_not_found", "no running action and no kept record with this uid")


def list_v1(state: State, request: Request) -> Response:
    """GET /v1/actions"""
    running = [_task_v1(state, task) for task in state.tasks.values()]
    return answer({"actions": running, "state-machines": [_v1(state, record) for record in _machines(state)]})


def get_v1(state: State, request: Request, uid: str) -> Response:
    """GET /v1/actions/{uid}"""
    record = state.actions.get(uid)
    if record is not None and record.hidden["sort"] == _MACHINE:
        return answer(_v1(state, record))
    for task in state.tasks.values():
        if task.fields["task_id"] == uid:
            return answer(_task_v1(state, task))
    raise _missing()


def of_bdb(state: State, request: Request, uid: str) -> Response:
    """GET /v1/actions/bdb/{uid}"""
    name = f"bdb:{uid}"
    found = [_v1(state, record) for record in _machines(state) if record.fields["object_name"] == name]
    if not found and not (uid.isdecimal() and int(uid) in state.bdbs):
        raise ApiError(404, "db_not_found", f"no database with uid {uid}")
    return answer(found)


def list_v2(state: State, request: Request) -> Response:
    """GET /v2/actions"""
    running = [_task_v2(state, key, task) for key, task in state.tasks.items()]
    return answer(running + [_v2(state, record) for record in state.actions.values()])


def get_v2(state: State, request: Request, uid: str) -> Response:
    """GET /v2/actions/{uid}"""
    if uid in state.actions:
        return answer(_v2(state, state.actions[uid]))
    for key, task in state.tasks.items():
        if task.fields["task_id"] == uid:
            return answer(_task_v2(state, key, task))
    raise _missing()
