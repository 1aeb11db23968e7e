"""Upgrades of a database's Redis version and modules, and arguments of modules."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.databases import modules
from reconciler.simulator.databases.fields import EXTENDED, add_modules, change_view
from reconciler.simulator.databases.lifecycle import begin_change
from reconciler.simulator.resources.lookup import find_bdb, require_idle, typed_fields, validated_body
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord


def _version_number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def target_version(state: ClusterState, now: str, sent: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the row of the Redis version to upgrade to from *now*, or raise 406."""
    wanted = sent.get("redis_version") or (
        now if sent.get("keep_redis_version") else state.version["default_redis_version"]
    )
    for row in state.version["databases"]:
        if row.get("redis_version") == wanted:
            if _version_number(wanted) < _version_number(now):
                raise ApiError(406, "invalid_version", f"a database cannot be downgraded from {now} to {wanted}")
            found: Mapping[str, Json] = row
            return found
    raise ApiError(406, "invalid_version", f"redis version {wanted} is not offered")


def upgraded_fields(state: ClusterState, fields: Mapping[str, Json], row: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that an upgrade of a database to the version of *row* changes."""
    new = {"type": "redis", **fields, "redis_version": row["redis_version"], "version": row["version"]}
    add_modules(state, new, {"module_list": fields.get("module_list", ())})
    names = ("redis_version", "version", "module_list", *EXTENDED, "query_performance_factor")
    return {name: new[name] for name in names if name in new}


@serves("POST /v1/bdbs/{uid}/upgrade")
def upgrade(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Upgrade a database: its shards restart, and data without persistence or replication may be lost."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "bdb_upgrade_request", body)
    row = target_version(state, str(record.fields.get("redis_version", "")), sent)
    _check_data_loss(state, record, sent)
    require_idle(state, record)
    begin_change(state, record, "SMUpgradeBDB", upgraded_fields(state, record.fields, row))
    return json_response(change_view(state, record.fields))


def _check_data_loss(state: ClusterState, record: ObjectRecord, sent: Mapping[str, Json]) -> None:
    """Raise 406 if an upgrade would lose data and the request does not allow it."""
    fields = record.fields
    kept = fields.get("replication") or fields.get("data_persistence", "disabled") != "disabled"
    allowed = sent.get("may_discard_data") or sent.get("force_discard")
    if not kept and not allowed and state.settings.on("upgrade_discards", "needs-leave"):
        raise ApiError(406, "not_acceptable", "data would be lost; set may_discard_data")


@serves("POST /v1/bdbs/{uid}/modules/upgrade", "POST /v1/modules/upgrade/bdb/{uid}")
def upgrade_modules(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Upgrade modules of a database."""
    record = find_bdb(state, uid)
    sent = typed_fields(
        body, {"modules": list, "preserve_roles": bool, "may_discard_data": bool, "force_restart": bool}
    )
    wanted = sent.get("modules")
    if not wanted or not all(isinstance(item, dict) for item in wanted):
        raise ApiError(400, "missing_field", "modules is needed, a list of objects")
    held = [_upgraded_module(state, record, item, wanted) for item in record.fields.get("module_list", ())]
    known = {module["uid"] for module in modules.all_modules(state)}
    if any(item.get("new_module") not in known for item in wanted):
        raise ApiError(406, "missing_module", "new_module is not a module of the cluster")
    if wrong := modules.missing_capability(state, {**record.fields, "module_list": held}):
        raise ApiError(406, "unsupported_module_capabilities", wrong)
    require_idle(state, record)
    begin_change(state, record, "SMUpgradeBDB", {"module_list": held})
    return json_response(change_view(state, record.fields))


def _upgraded_module(
    state: ClusterState, record: ObjectRecord, held: Mapping[str, Json], wanted: list[dict[str, Json]]
) -> Json:
    new = next((item for item in wanted if item.get("current_module") == held.get("module_id")), None)
    if new is None:
        return held
    module = next((one for one in modules.all_modules(state) if one["uid"] == new.get("new_module")), None)
    if module is None or module["module_name"] != held["module_name"]:
        raise ApiError(406, "missing_module", "new_module is not a version of the module")
    if _version_number(module["semantic_version"]) < _version_number(held["semantic_version"]):
        raise ApiError(406, "module_downgrade_unsupported", "modules cannot be downgraded")
    if _version_number(module["min_redis_version"]) > _version_number(record.fields["redis_version"]):
        raise ApiError(406, "redis_incompatible_version", "the module needs a newer Redis")
    own = state.user_modules.get(module["uid"])
    pack = own.hidden.get("min_redis_pack_version", "") if own else ""
    if _version_number(pack) > _version_number(state.version["software_version"].partition("-")[0]):
        raise ApiError(406, "redis_pack_incompatible_version", "the module needs newer cluster software")
    args = new.get("new_module_args", held.get("module_args", ""))
    return {**held, "module_args": args, "module_id": module["uid"], "semantic_version": module["semantic_version"]}


@serves("POST /v1/bdbs/{uid}/modules/config", "POST /v1/modules/config/bdb/{uid}")
def configure(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Set the arguments of modules."""
    record = find_bdb(state, uid, "db_not_exist")
    sent = typed_fields(body, {"modules": list})
    if "modules" not in sent:
        raise ApiError(400, "missing_field", "modules is needed")
    held = {item["module_name"]: item for item in record.fields.get("module_list", ())}
    for item in sent["modules"]:
        row = typed_fields(item, {"module_name": str, "module_args": str})
        if set(row) != {"module_name", "module_args"}:
            raise ApiError(400, "missing_field", "module_name and module_args are needed")
        if row["module_name"] not in held:
            raise ApiError(404, "module_not_exist", "the database has no such module")
        if row["module_name"] == "ReJSON":
            raise ApiError(406, "not_acceptable", "the arguments of the module cannot change at run time")
        if len(row["module_args"].split()) % 2:
            raise ApiError(400, "param_error", "module_args must be pairs of name and value")
        held[row["module_name"]] = {**held[row["module_name"]], "module_args": row["module_args"]}
    require_idle(state, record)
    begin_change(state, record, "SMUpdateBDB", {"module_list": list(held.values())})
    return json_response(None)
