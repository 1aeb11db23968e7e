"""Endpoints of databases: list, get, create, update and delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler.simulator.access import scope
from reconciler.simulator.api.fields import body_rules, field_rows, schema_error, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster import licenses
from reconciler.simulator.databases.fields import EXTENDED, mask_credentials, new_fields, normalised, with_defaults
from reconciler.simulator.databases.lifecycle import begin_change, begin_create, begin_delete, new_password
from reconciler.simulator.databases.rules import ProposedDatabase, check_rules
from reconciler.simulator.resources.lookup import require_idle
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section, fill

_NEVER_SHOWN = frozenset(name for name, row in field_rows("bdb").items() if row.get("write_only"))
_CREATE_ONLY = tuple(name for name, row in field_rows("bdb").items() if row.get("create_only"))


# Reading


def _selection(request: Request) -> tuple[tuple[str, ...] | None, bool]:
    fields = request.query.get("fields")
    names = tuple(dict.fromkeys(name.strip() for name in fields.split(","))) if fields else None
    return names, request.query.get("extended", "false").lower() in ("true", "1", "yes", "")


def _view(state: ClusterState, names: tuple[str, ...] | None, extended: bool) -> Callable[[ObjectRecord], Json]:
    hidden = frozenset() if extended else frozenset(EXTENDED)
    system = {"key": "cluster", "value": state.cluster.fields.get("name", ""), "isSystem": True}
    with_system = state.settings.on("system_tags", "on")

    def view(record: ObjectRecord) -> Json:
        fields: Mapping[str, Json] = record.fields
        if with_system:
            fields = {**fields, "tags": [*fields.get("tags", ()), system]}
        fields = mask_credentials(state, fields)
        if names is None:
            return {name: value for name, value in fields.items() if name not in hidden}
        return {name: fields[name] for name in names if name in fields and name not in hidden}

    return view


def _state_id(state: ClusterState) -> Mapping[str, str]:
    return {"cluster-state-id": str(state.state_id)}


@serves("GET /v1/bdbs")
def list_all(state: ClusterState, request: Request) -> Response:
    """List the databases."""
    key = _selection(request)
    if scope.allowed_uids(state) is not None:
        view = _view(state, *key)
        shown = [view(record) for record in scope.visible_databases(state) if not record.fields.get("internal")]
        return json_response(shown, 200, _state_id(state))
    known = state.lists.get(key)
    if known is None or known[0] != state.bdbs.version:
        view = _view(state, *key)
        text = ",".join(record.text(key, view) for record in state.bdbs.values() if not record.fields.get("internal"))
        if len(state.lists) > 3:
            state.lists.clear()
        known = state.lists[key] = (state.bdbs.version, f"[{text}]".encode())
    return Response(200, {"content-type": "application/json", **_state_id(state)}, known[1])


def _found(state: ClusterState, uid: str) -> ObjectRecord:
    if not uid.isdecimal() or int(uid) not in state.bdbs:
        raise ApiError(404, "db_not_found", f"no database with uid {uid}", _state_id(state))
    scope.check_visible(state, uid)
    return state.bdbs[int(uid)]


@serves("GET /v1/bdbs/{uid}")
def get(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one database."""
    record, key = _found(state, uid), _selection(request)
    body = record.text(key, _view(state, *key)).encode()
    return Response(200, {"content-type": "application/json", **_state_id(state)}, body)


def _response(state: ClusterState, fields: Mapping[str, Json], sent: Mapping[str, Json] | None = None) -> Response:
    fields = mask_credentials(state, fields)
    if sent is not None and state.settings.on("put_echo", "sent"):
        always = ("uid", "status", "action_uid")
        shown = {name: value for name, value in fields.items() if name in sent or name in always}
    else:
        shown = {name: value for name, value in fields.items() if name not in EXTENDED or name in (sent or ())}
    return json_response(shown, 200, _state_id(state))


# Writing


def _check_license(state: ClusterState) -> None:
    if licenses.is_expired(state):
        raise ApiError(403, "license_expired", "the licence is no longer valid")


def _check_state_id(state: ClusterState, request: Request, body: Json) -> None:
    given = request.headers.get("cluster-state-id")
    guarded = state.settings.on("state_id_guard", "all") or (isinstance(body, dict) and "shards_blueprint" in body)
    if guarded and given is not None and given != str(state.state_id):
        raise ApiError(406, "wrong_cluster_state_id", "the state of the cluster has changed", _state_id(state))


def _accepted(state: ClusterState, body: Json) -> dict[str, Json]:
    sent = validate("bdb", body, body_rules(state.settings))
    if "tags" in sent:
        sent["tags"] = [item for item in sent["tags"] if not item.get("isSystem")]
    return sent


def _check_name(state: ClusterState, name: str) -> None:
    if state.settings.on("duplicate_bdb_names", "refuse") and state.bdbs.named("name", name):
        raise ApiError(409, "name_already_exists", f"the name {name} is taken")


@serves("POST /v1/bdbs")
def create(state: ClusterState, request: Request, body: Json) -> Response:
    """Create a database."""
    _check_license(state)
    _check_state_id(state, request, body)
    for name, code in (("name", "missing_db_name"), ("memory_size", "missing_memory_size")):
        if isinstance(body, dict) and name not in body:
            raise ApiError(406, code, f"{name} is needed")
    sent = _accepted(state, body)
    if sent.get("uid") in state.bdbs:
        raise ApiError(409, "uid_exists", f"uid {sent['uid']} is taken")
    _check_name(state, sent["name"])
    uid = sent.get("uid", state.bdbs.next_uid)
    fields = new_fields(state, uid, sent)
    check_rules(ProposedDatabase(state, fields, sent, None))
    if is_dry_run(request):
        return _response(state, {**fields, "status": "pending"})
    return _response(state, begin_create(state, fields, _hidden_fields(sent)).fields)


@serves("POST /v2/bdbs")
def create_v2(state: ClusterState, request: Request, body: Json) -> Response:
    """Create a database from a wrapped body; a recovery plan is accepted and ignored."""
    if not isinstance(body, dict) or not isinstance(body.get("bdb"), dict) or not set(body) <= {"bdb", "recovery_plan"}:
        raise schema_error("body", "expected an object with bdb and, at most, recovery_plan")
    return create(state, request, body["bdb"])


def _hidden_fields(sent: Mapping[str, Json]) -> dict[str, Json]:
    names = {*_NEVER_SHOWN, "authentication_redis_pass", "backup_location", "replica_sources"}
    return {name: sent[name] for name in names if name in sent}


def _check_fixed_fields(state: ClusterState, record: ObjectRecord, sent: dict[str, Json]) -> None:
    """Refuse changes of fields that are fixed at creation; drop those with the current value."""
    for name in _CREATE_ONLY:
        if name not in sent:
            continue
        if name == "port" and state.settings.on("put_port", "ignore"):
            same = True
        elif name == "port":
            same = sent[name] in (record.fields["port"], record.hidden.get("port"))
        elif name == "module_list":
            held = {item["module_name"] for item in record.fields.get("module_list", ())}
            same = bool(sent[name]) and {item["module_name"] for item in sent[name]} <= held
        else:
            same = sent[name] == record.fields.get(name)
        if not same:
            raise ApiError(406, "invalid_param", f"{name} is fixed when a database is created")
        del sent[name]


@serves("PUT /v1/bdbs/{uid}", "PUT /v2/bdbs/{uid}")
def update(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Change a database in part; lists are replaced whole."""
    return _update(state, request, _found(state, uid), body, _PLAIN)


class UpdateAction(NamedTuple):
    """An action that runs together with an update: name of the state machine, values that the server sets, and a
    function to call at the end."""

    name: str = "SMUpdateBDB"
    values: Callable[[ClusterState, ObjectRecord], Mapping[str, Json]] = lambda state, record: {}
    after: Callable[[ObjectRecord], None] = lambda record: None


_PLAIN = UpdateAction()


def _update(state: ClusterState, request: Request, record: ObjectRecord, body: Json, doing: UpdateAction) -> Response:
    _check_license(state)
    _check_state_id(state, request, body)
    sent = _accepted(state, body)
    require_idle(state, record)
    _check_fixed_fields(state, record, sent)
    old = record.fields
    _check_instance(old, sent)
    if sent.get("name", old["name"]) != old["name"]:
        _check_name(state, sent["name"])
    kept = {**normalised(state, old, sent), **doing.values(state, record)}
    check_rules(ProposedDatabase(state, with_defaults({**old, **kept}), sent, with_defaults(old)))
    if is_dry_run(request):
        return _response(state, {**old, **kept}, sent)
    record.hidden.update(_hidden_fields(sent))
    if old.get("crdt"):  # a local override of the shared configuration
        record.hidden["local"] = {*record.hidden.get("local", ()), *sent}
    begin_change(state, record, doing.name, kept, after=lambda: doing.after(record))
    return _response(state, {**record.fields, **kept}, sent)


def _check_instance(old: Mapping[str, Json], sent: Mapping[str, Json]) -> None:
    """Refuse changes that a single instance of an Active-Active database cannot make."""
    if not old.get("crdt"):
        return
    if sent.get("name", old["name"]) != old["name"]:
        raise ApiError(406, "name_violation", "the name of an Active-Active database cannot change")
    if sent.get("replication") is False and old.get("replication"):
        raise ApiError(406, "replication_violation", "an Active-Active database must be replicated")
    if sent.get("sharding", old.get("sharding")) != old.get("sharding"):
        raise ApiError(406, "crdt_sharding_violation", "the sharding of an Active-Active database cannot change")


def _mark_empty(record: ObjectRecord) -> None:
    record.hidden["empty"] = True


def _new_password(state: ClusterState, record: ObjectRecord) -> Mapping[str, Json]:
    if record.fields.get("crdt"):
        raise ApiError(406, "not_supported_action_on_crdt", "the password of an Active-Active instance cannot change")
    return {"authentication_admin_pass": new_password(state)}


_ACTIONS: Mapping[str, UpdateAction] = {
    "flush": UpdateAction("SMFlushBDB", after=_mark_empty),
    "reset_admin_pass": UpdateAction("SMUpdateBDB", values=_new_password),
}


@serves("PUT /v1/bdbs/{uid}/{action}")
def run_action(state: ClusterState, request: Request, uid: str, action: str, body: Json) -> Response:
    """Run an action and, optionally, change a database."""
    record = _found(state, uid)
    if action not in _ACTIONS:
        raise ApiError(404, "not_found", f"no action {action[:40]}")
    return _update(state, request, record, {} if body is None else body, _ACTIONS[action])


@serves("DELETE /v1/bdbs/{uid}")
def delete(state: ClusterState, request: Request, uid: str) -> Response:
    """Delete a database: delete-pending, then gone."""
    record = _found(state, uid)
    if record.fields.get("internal"):
        raise ApiError(403, "internal_db", "an internal database cannot be deleted")
    if record.fields.get("crdt") and state.settings.on("crdb_local_delete", "refuse"):
        raise ApiError(403, "internal_db", "an instance is deleted through its Active-Active database")
    require_idle(state, record, "creation-failed")
    action = begin_delete(state, record)
    return json_response({"action_uid": action.fields["action_uid"]}, 200, _state_id(state))


def _load(state: ClusterState, body: Json) -> None:
    """Replace all databases, and the ports, shard ids and source ids in use."""
    fill(state.bdbs, body, set())
    state.ports = {}
    for uid, record in state.bdbs.items():
        ports = [end["port"] for end in record.fields.get("endpoints", ())] or [record.fields.get("port", 0)]
        if ports[0]:
            record.hidden["port"] = ports[0]
            state.ports[ports[0]] = uid
        state.next_shard = max([state.next_shard, *(int(shard) + 1 for shard in record.fields.get("shard_list", ()))])
        sources = record.fields.get("replica_sources", ())
        state.next_source = max([state.next_source, *(source.get("uid", 0) + 1 for source in sources)])
        if record.fields.get("status") in ("pending", "active-change-pending", "import-pending"):
            record.set(status="active")
            record.drop("action_uid")


add_section("/v1/bdbs", _load, lambda state: [record.fields for record in state.bdbs.values()])
