"""Moving a database to another version of Redis or of its modules, and the arguments of modules."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, answer
from reconciler.simulator.api.routes import serves
from reconciler.simulator.databases import modules
from reconciler.simulator.databases.fields import EXTENDED, add_modules, echo
from reconciler.simulator.databases.lifecycle import change
from reconciler.simulator.resources.lookup import bdb, idle, named, taken
from reconciler.simulator.state.model import State
from reconciler.simulator.state.records import Record


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def target(state: State, now: str, sent: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the row of the Redis version that an upgrade from *now* goes to, or raise 406."""
    wanted = sent.get("redis_version") or (
        now if sent.get("keep_redis_version") else state.version["default_redis_version"]
    )
    for row in state.version["databases"]:
        if row.get("redis_version") == wanted:
            if _number(wanted) < _number(now):
                raise ApiError(406, "invalid_version", f"a database cannot go back from {now} to {wanted}")
            found: Mapping[str, Json] = row
            return found
    raise ApiError(406, "invalid_version", f"redis version {wanted} is not offered")


def values(state: State, fields: Mapping[str, Json], row: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that an upgrade of a database to the version of *row* changes."""
    new = {"type": "redis", **fields, "redis_version": row["redis_version"], "version": row["version"]}
    add_modules(state, new, {"module_list": fields.get("module_list", ())})
    names = ("redis_version", "version", "module_list", *EXTENDED, "query_performance_factor")
    return {name: new[name] for name in names if name in new}


@serves("POST /v1/bdbs/{uid}/upgrade")
def upgrade(state: State, request: Request, uid: str, body: Json) -> Response:
    """Upgrade a database: its shards restart, and what is only in memory may be lost."""
    record = bdb(state, uid)
    sent = taken(state, "bdb_upgrade_request", body)
    row = target(state, str(record.fields.get("redis_version", "")), sent)
    _data_is_safe(state, record, sent)
    idle(state, record)
    change(state, record, "SMUpgradeBDB", values(state, record.fields, row))
    return answer(echo(state, record.fields))


def _data_is_safe(state: State, record: Record, sent: Mapping[str, Json]) -> None:
    """Raise 406 where an upgrade would lose data without leave."""
    fields = record.fields
    kept = fields.get("replication") or fields.get("data_persistence", "disabled") != "disabled"
    allowed = sent.get("may_discard_data") or sent.get("force_discard")
    if not kept and not allowed and state.settings.on("upgrade_discards", "needs-leave"):
        raise ApiError(406, "not_acceptable", "the data would be lost; say may_discard_data")


@serves("POST /v1/bdbs/{uid}/modules/upgrade", "POST /v1/modules/upgrade/bdb/{uid}")
def upgrade_modules(state: State, request: Request, uid: str, body: Json) -> Response:
    """Move modules of a database to other versions."""
    record = bdb(state, uid)
    sent = named(body, {"modules": list, "preserve_roles": bool, "may_discard_data": bool, "force_restart": bool})
    wanted = sent.get("modules")
    if not wanted or not all(isinstance(item, dict) for item in wanted):
        raise ApiError(400, "missing_field", "modules is needed, a list of objects")
    held = [_upgraded(state, record, item, wanted) for item in record.fields.get("module_list", ())]
    known = {module["uid"] for module in modules.every(state)}
    if any(item.get("new_module") not in known for item in wanted):
        raise ApiError(406, "missing_module", "new_module names no module of the cluster")
    if wrong := modules.lacking(state, {**record.fields, "module_list": held}):
        raise ApiError(406, "unsupported_module_capabilities", wrong)
    idle(state, record)
    change(state, record, "SMUpgradeBDB", {"module_list": held})
    return answer(echo(state, record.fields))


def _upgraded(state: State, record: Record, held: Mapping[str, Json], wanted: list[dict[str, Json]]) -> Json:
    new = next((item for item in wanted if item.get("current_module") == held.get("module_id")), None)
    if new is None:
        return held
    module = next((one for one in modules.every(state) if one["uid"] == new.get("new_module")), None)
    if module is None or module["module_name"] != held["module_name"]:
        raise ApiError(406, "missing_module", "new_module is no version of the module")
    if _number(module["semantic_version"]) < _number(held["semantic_version"]):
        raise ApiError(406, "module_downgrade_unsupported", "modules only go forward")
    if _number(module["min_redis_version"]) > _number(record.fields["redis_version"]):
        raise ApiError(406, "redis_incompatible_version", "the module needs a newer Redis")
    own = state.custom.get(module["uid"])
    pack = own.hidden.get("min_redis_pack_version", "") if own else ""
    if _number(pack) > _number(state.version["software_version"].partition("-")[0]):
        raise ApiError(406, "redis_pack_incompatible_version", "the module needs newer cluster software")
    args = new.get("new_module_args", held.get("module_args", ""))
    return {**held, "module_args": args, "module_id": module["uid"], "semantic_version": module["semantic_version"]}


@serves("POST /v1/bdbs/{uid}/modules/config", "POST /v1/modules/config/bdb/{uid}")
def configure(state: State, request: Request, uid: str, body: Json) -> Response:
    """Set the arguments of modules; the answer is empty."""
    record = bdb(state, uid, "db_not_exist")
    sent = named(body, {"modules": list})
    if "modules" not in sent:
        raise ApiError(400, "missing_field", "modules is needed")
    held = {item["module_name"]: item for item in record.fields.get("module_list", ())}
    for item in sent["modules"]:
        row = named(item, {"module_name": str, "module_args": str})
        if set(row) != {"module_name", "module_args"}:
            raise ApiError(400, "missing_field", "module_name and module_args are needed")
        if row["module_name"] not in held:
            raise ApiError(404, "module_not_exist", "the database has no such module")
        if row["module_name"] == "ReJSON":
            raise ApiError(406, "not_acceptable", "the module takes no arguments while it runs")
        if len(row["module_args"].split()) % 2:
            raise ApiError(400, "param_error", "module_args are no pairs of name and value")
        held[row["module_name"]] = {**held[row["module_name"]], "module_args": row["module_args"]}
    idle(state, record)
    change(state, record, "SMUpdateBDB", {"module_list": list(held.values())})
    return answer(None)
