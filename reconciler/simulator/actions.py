"""Records of asynchronous work: begun by handlers, finished by time, asked for as v1 or v2, forgotten after a while."""

from __future__ import annotations

from collections.abc import Mapping

from .messages import ApiError, Json, Request, Response, answer
from .state import Record, State

_V2_STATUS: Mapping[str, str] = {"pending": "queued", "active": "running", "completed": "completed", "failed": "failed"}


def begin(state: State, name: str, kind: str, uid: int) -> Record:
    """Record that the state machine *name* runs on an object and return the record."""
    record = Record(
        {
            "action_uid": state.new_id(),
            "heartbeat": int(state.now),
            "name": name,
            "object_name": f"{kind}:{uid}",
            "status": "active",
            "progress": 0.0,
            "pending_ops": {},
        },
        {"creation_time": int(state.now), "kind": kind, "uid": str(uid)},
    )
    state.actions[record.fields["action_uid"]] = record
    return record


def finish(state: State, record: Record, error: str = "") -> None:
    """Close *record* as completed, or as failed with *error*, and forget it in a while."""
    record.set(status="failed" if error else "completed", heartbeat=int(state.now), progress=100.0)
    if error:
        record.set(error=error)
    record.drop("pending_ops")

    def forget() -> None:
        state.actions.pop(record.fields["action_uid"], None)

    state.later(state.settings.action_seconds, forget)


def _v2(record: Record) -> Json:
    fields, hidden = record.fields, record.hidden
    info = {"object_type": hidden["kind"], "object_uid": hidden["uid"]}
    info.update({name: fields[name] for name in ("error", "pending_ops") if name in fields})
    return {
        "action_type": "state-machine",
        "action_uid": fields["action_uid"],
        "additional_info": info,
        "creation_time": hidden["creation_time"],
        "name": fields["name"],
        "progress": fields["progress"],
        "status": _V2_STATUS[fields["status"]],
    }


def _found(state: State, uid: str) -> Record:
    if uid not in state.actions:
        raise ApiError(404, "action_not_found", "no running action and no kept record with this uid")
    return state.actions[uid]


def list_v1(state: State, request: Request) -> Response:
    """GET /v1/actions"""
    return answer({"actions": [], "state-machines": [record.fields for record in state.actions.values()]})


def get_v1(state: State, request: Request, uid: str) -> Response:
    """GET /v1/actions/{uid}"""
    return answer(_found(state, uid).fields)


def of_bdb(state: State, request: Request, uid: str) -> Response:
    """GET /v1/actions/bdb/{uid}"""
    name = f"bdb:{uid}"
    found = [record.fields for record in state.actions.values() if record.fields["object_name"] == name]
    if not found and not (uid.isdecimal() and int(uid) in state.bdbs):
        raise ApiError(404, "db_not_found", f"no database with uid {uid}")
    return answer(found)


def list_v2(state: State, request: Request) -> Response:
    """GET /v2/actions"""
    return answer([_v2(record) for record in state.actions.values()])


def get_v2(state: State, request: Request, uid: str) -> Response:
    """GET /v2/actions/{uid}"""
    return answer(_v2(_found(state, uid)))
