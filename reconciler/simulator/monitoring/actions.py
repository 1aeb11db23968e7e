"""Endpoints of asynchronous work: state machines, tasks and transfers, in v1 and v2."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.state import tasks
from reconciler.simulator.state.actions import STATE_MACHINE, progress
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_V2_STATUS: Mapping[str, str] = {"pending": "queued", "active": "running", "completed": "completed", "failed": "failed"}
_RUNNING = {"starting": "running", "cancelling": "running"}
_TASK_STATUS: Mapping[str, str] = {**_RUNNING, "cancelled": "failed", "aborted": "failed"}


def _v1(state: ClusterState, record: ObjectRecord) -> Json:
    if record.fields["status"] != "active":
        return record.fields
    return {**record.fields, "heartbeat": int(state.now), "progress": progress(state, record)}


def _v2(state: ClusterState, record: ObjectRecord) -> Json:
    fields, hidden = record.fields, record.hidden
    info = {"object_type": hidden["kind"], "object_uid": hidden["uid"]}
    info.update({name: fields[name] for name in ("error", "pending_ops") if name in fields})
    return {
        "action_type": hidden["sort"],
        "action_uid": fields["action_uid"],
        "additional_info": info,
        "creation_time": int(hidden["begun"]),
        "name": fields["name"],
        "progress": progress(state, record),
        "status": _V2_STATUS[fields["status"]],
    }


def _task_v1(state: ClusterState, task: ObjectRecord) -> Json:
    """Return a task as v1 shows it, with numbers as strings."""
    fields = tasks.task_view(state, task)
    begun, done = str(int(task.hidden["begun"])), f"{fields['progress']:.0f}"
    return {"action_uid": fields["task_id"], **fields, "creation_time": begun, "progress": done}


def _task_v2(state: ClusterState, key: tasks.Key, task: ObjectRecord) -> Json:
    fields = tasks.task_view(state, task)
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


def _machines(state: ClusterState) -> list[ObjectRecord]:
    return [record for record in state.actions.values() if record.hidden["sort"] == STATE_MACHINE]


def _missing() -> ApiError:
    return ApiError(404, "action_not_found", "no action with this uid")


@serves("GET /v1/actions")
def list_v1(state: ClusterState, request: Request) -> Response:
    """List tasks and state machines."""
    running = [_task_v1(state, task) for task in state.tasks.values()]
    return json_response({"actions": running, "state-machines": [_v1(state, record) for record in _machines(state)]})


@serves("GET /v1/actions/{uid}")
def get_v1(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one action."""
    record = state.actions.get(uid)
    if record is not None and record.hidden["sort"] == STATE_MACHINE:
        return json_response(_v1(state, record))
    for task in state.tasks.values():
        if task.fields["task_id"] == uid:
            return json_response(_task_v1(state, task))
    raise _missing()


@serves("GET /v1/actions/bdb/{bdb_uid}")
def of_bdb(state: ClusterState, request: Request, uid: str) -> Response:
    """List the state machines of one database."""
    name = f"bdb:{uid}"
    found = [_v1(state, record) for record in _machines(state) if record.fields["object_name"] == name]
    if not found and not (uid.isdecimal() and int(uid) in state.bdbs):
        raise ApiError(404, "db_not_found", f"no database with uid {uid}")
    return json_response(found)


@serves("GET /v2/actions")
def list_v2(state: ClusterState, request: Request) -> Response:
    """List all actions."""
    running = [_task_v2(state, key, task) for key, task in state.tasks.items()]
    return json_response(running + [_v2(state, record) for record in state.actions.values()])


@serves("GET /v2/actions/{uid}")
def get_v2(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one action."""
    if uid in state.actions:
        return json_response(_v2(state, state.actions[uid]))
    for key, task in state.tasks.items():
        if task.fields["task_id"] == uid:
            return json_response(_task_v2(state, key, task))
    raise _missing()
