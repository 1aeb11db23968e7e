"""Lookup of objects in a path and fields in a body, with the documented errors. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.simulator.access import scope
from reconciler.simulator.api.fields import body_rules, validate
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.nodes import placement
from reconciler.simulator.nodes.placement import Shard
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, Table


def _of(table: Table, uid: str, code: str, word: str) -> ObjectRecord:
    if not uid.isdecimal() or int(uid) not in table:
        raise ApiError(404, code, f"no {word} with uid {uid}")
    return table[int(uid)]


def find_bdb(state: ClusterState, uid: str, code: str = "db_not_found") -> ObjectRecord:
    """Return the database *uid*, or raise 404."""
    found = _of(state.bdbs, uid, code, "database")
    scope.check_visible(state, uid)
    return found


def find_node(state: ClusterState, uid: str) -> ObjectRecord:
    """Return the node *uid*, or raise 404."""
    return _of(state.nodes, uid, "node_not_found", "node")


def find_shard(state: ClusterState, uid: str) -> tuple[ObjectRecord, Shard]:
    """Return the shard *uid* and its database, or raise 404."""
    for record in state.bdbs.values():
        if uid.isdecimal() and int(uid) in record.fields.get("shard_list", ()):
            return record, next(item for item in placement.shards(state, record) if item.uid == int(uid))
    raise ApiError(404, "shard_not_exist", f"no shard with uid {uid}")


def require_idle(state: ClusterState, record: ObjectRecord, *also: str) -> None:
    """Raise 409 unless the database *record* is active, or in one of the states *also*."""
    if record.fields["status"] not in ("active", *also):
        raise ApiError(409, state.settings.switches["busy_code"], "another change of this database is in progress")


def validated_body(state: ClusterState, kind: str, body: Json) -> dict[str, Json]:
    """Return the writable fields of the object *kind* in *body*, empty without a body."""
    return validate(kind, {} if body is None else body, body_rules(state.settings))


def typed_fields(body: Json, types: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Return *body* if all its fields are in *types* and have these types, or raise 400."""
    body = {} if body is None else body
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_schema", "body: expected an object")
    for name, value in body.items():
        if name not in types:
            raise ApiError(400, "invalid_schema", f"{name}: unknown field")
        if not isinstance(value, types[name]) or (isinstance(value, bool) and types[name] is not bool):
            raise ApiError(400, "invalid_schema", f"{name}: wrong type")
    return body


def query_flag(query: Mapping[str, str], name: str) -> bool:
    """Return whether the flag *name* is set in the query; it needs no value."""
    return query.get(name, "false").lower() not in ("false", "0", "no")


def as_strings(values: Iterable[Any]) -> set[str]:
    """Return uids, numbers or strings, as strings."""
    return {str(value) for value in values}
