"""Import, export and periodic backup of a database.

A location whose name contains "missing" or ".invalid" does not exist; any other works. Progress is shown in fields of
the database, and in v2 of the actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.data.tables import table
from reconciler.simulator.resources.lookup import find_bdb, require_idle, typed_fields, validated_body
from reconciler.simulator.state import actions
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

RUNNING = {"import": "importing", "export": "exporting", "backup": "exporting"}
_SECONDS = 8.0
_STEPS = (25.0, 50.0, 75.0)
_REASON = {"import": "download-error", "export": "wrong-file-path", "backup": "wrong-file-path"}
_DAY = 86400
_LEAST = 60.0  # minimum of seconds between two backups


def _is_unreachable(place: Json) -> bool:
    if isinstance(place, dict):
        return any(_is_unreachable(value) for value in place.values())
    if isinstance(place, list):
        return any(_is_unreachable(value) for value in place)
    return isinstance(place, str) and ("missing" in place or ".invalid" in place)


def begin_transfer(state: ClusterState, record: ObjectRecord, kind: str, place: Json) -> None:
    """Begin a transfer of *kind* import, export or backup from or to *place*."""
    fails, stuck = _is_unreachable(place) or state.outcome == "fail", state.outcome == "stuck"
    action = actions.begin_action(state, f"{kind}_bdb", "bdb", record.fields["uid"], _SECONDS, sort="other")
    first = "initializing" if kind == "import" else RUNNING[kind]
    record.set(**{f"{kind}_status": first, f"{kind}_progress": 0.0, f"{kind}_failure_reason": ""})
    if kind == "import":
        record.set(status="import-pending")
    state.changed(state.bdbs)
    if stuck:
        return
    for place_in_time, done in enumerate(_STEPS, 1):
        state.later(_SECONDS * place_in_time / 4, partial(_step, state, record, kind, done))
    state.later(_SECONDS, partial(_finish, state, record, kind, action, fails))


def _step(state: ClusterState, record: ObjectRecord, kind: str, done: float) -> None:
    if record.fields[f"{kind}_status"] not in ("initializing", RUNNING[kind]):
        return
    record.set(**{f"{kind}_status": RUNNING[kind], f"{kind}_progress": done})
    state.bdbs.version += 1


def _finish(state: ClusterState, record: ObjectRecord, kind: str, action: ObjectRecord, fails: bool) -> None:
    reason = _REASON[kind] if fails else ""
    actions.finish_action(state, action, reason)
    outcome = "failed" if fails else "succeeded"
    values: dict[str, Json] = {f"{kind}_status": outcome, f"{kind}_failure_reason": reason}
    if not fails:
        values[f"{kind}_progress"] = 100.0
    if not fails and kind != "import":
        values[f"last_{kind}_time"] = state.stamp()
    if kind == "import":
        values["status"] = "active"
        record.hidden["empty"] = record.hidden.get("empty", False) and fails
    record.set(**values)
    record.fields = dict(sorted(record.fields.items()))
    state.event(f"bdb_{kind}_{outcome}", "ERROR" if fails else "INFO", bdb_uid=str(record.fields["uid"]))
    state.bdbs.version += 1


def schedule_backup(state: ClusterState, record: ObjectRecord, fields: Mapping[str, Json]) -> None:
    """Schedule the next backup for as long as the database has backups enabled."""
    interval = max(_LEAST, float(fields.get("backup_interval") or _DAY))
    if not fields.get("backup") or record.hidden.get("backup_due"):
        return
    record.hidden["backup_due"] = True

    def due() -> None:
        record.hidden["backup_due"] = False
        now = record.fields
        if state.bdbs.get(now["uid"]) is not record or not now.get("backup"):
            return
        if now["status"] == "active" and now.get("backup_status") != "exporting":
            begin_transfer(
                state, record, "backup", record.hidden.get("backup_location", now.get("backup_location", {}))
            )
        schedule_backup(state, record, now)

    state.later(interval, due)


# Endpoints


def _check_modules(record: ObjectRecord) -> None:
    """Raise 406 if a module of the database does not support backups."""
    able = {row["module_name"] for row in table("modules") if "backup_restore" in row["capabilities"]}
    for item in record.fields.get("module_list", ()):
        if item["module_name"] not in able:
            raise ApiError(406, "unsupported_module_capabilities", f"{item['module_name']} cannot be backed up")


@serves("POST /v1/bdbs/{uid}/actions/import")
def start_import(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Begin an import, which replaces the data; fields of the database show its progress."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "bdb_import_request", body)
    _check_modules(record)
    require_idle(state, record)
    sources = sent.get("dataset_import_sources", record.hidden.get("dataset_import_sources"))
    if not sources:
        raise ApiError(406, "not_acceptable", "there is nothing to import from")
    begin_transfer(state, record, "import", sources)
    return json_response(None)


@serves("POST /v1/bdbs/{uid}/actions/export")
def start_export(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Begin an export; fields of the database show its progress."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "bdb_export_request", body)
    if "export_location" not in sent:
        raise ApiError(400, "missing_field", "export_location is needed")
    _check_modules(record)
    require_idle(state, record)
    if record.fields.get("export_status") == "exporting":
        raise ApiError(409, state.settings.switches["busy_code"], "an export is running")
    begin_transfer(state, record, "export", sent["export_location"])
    return json_response(None)


@serves(
    "PUT /v1/bdbs/{uid}/actions/import_reset_status",
    "PUT /v1/bdbs/{uid}/actions/export_reset_status",
    "PUT /v1/bdbs/{uid}/actions/backup_reset_status",
)
def reset_status(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Reset the status of the last transfer."""
    record, kind = find_bdb(state, uid), request.path.rsplit("/", 1)[-1].partition("_")[0]
    typed_fields(body, {})
    _check_modules(record)
    if record.fields.get(f"{kind}_status") in ("initializing", RUNNING[kind]):
        raise ApiError(409, state.settings.switches["busy_code"], f"the {kind} is running")
    record.set(**{f"{kind}_status": "idle", f"{kind}_progress": 0.0, f"{kind}_failure_reason": ""})
    state.changed(state.bdbs)
    return json_response(None)
