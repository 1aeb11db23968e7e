"""Passwords of a database's default user: a write-only set."""

from __future__ import annotations

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.resources.lookup import find_bdb, validated_body
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, digest


def password_digests(record: ObjectRecord) -> list[str]:
    """Return the digests of a database's passwords, oldest first, starting with the one of its creation."""
    if "passwords" not in record.hidden:
        given = record.hidden.get("authentication_redis_pass")
        record.hidden["passwords"] = [digest(given)] if given else []
    found: list[str] = record.hidden["passwords"]
    return found


@serves("POST /v1/bdbs/{uid}/passwords", "PUT /v1/bdbs/{uid}/passwords", "DELETE /v1/bdbs/{uid}/passwords")
def change(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Add, replace or delete a password."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "bdb_password", body)
    if not sent.get("password"):
        raise ApiError(400, "missing_field", "password is needed")
    password, before = digest(sent["password"]), password_digests(record)
    rest = [item for item in before if item != password]
    if request.method == "DELETE" and len(rest) == len(before):
        raise ApiError(406, "not_acceptable", "this is not a password of the database")
    after = {"POST": [*rest, password], "PUT": [password], "DELETE": rest}
    record.hidden["passwords"] = after[request.method]
    record.hidden["authentication_redis_pass"] = ""
    record.set(last_changed_time=state.stamp())
    state.changed(state.bdbs)
    return json_response(None)
