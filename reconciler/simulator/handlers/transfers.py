"""Import, export, and forgetting how the last of them, or the last backup, ended."""

from __future__ import annotations

from reconciler.simulator.data import table
from reconciler.simulator.lookups import bdb, idle, named, taken
from reconciler.simulator.messages import ApiError, Json, Request, Response, answer
from reconciler.simulator.registry import serves
from reconciler.simulator.state import Record, State
from reconciler.simulator.transfers import RUNNING, run


def _portable(record: Record) -> None:
    """Raise 406 where a module of the database cannot be backed up."""
    able = {row["module_name"] for row in table("modules") if "backup_restore" in row["capabilities"]}
    for item in record.fields.get("module_list", ()):
        if item["module_name"] not in able:
            raise ApiError(406, "unsupported_module_capabilities", f"{item['module_name']} cannot be backed up")


@serves("POST /v1/bdbs/{uid}/actions/import")
def start_import(state: State, request: Request, uid: str, body: Json) -> Response:
    """Replace the data of a database; the answer is empty, its fields tell how it goes."""
    record = bdb(state, uid)
    sent = taken(state, "bdb_import_request", body)
    _portable(record)
    idle(state, record)
    sources = sent.get("dataset_import_sources", record.hidden.get("dataset_import_sources"))
    if not sources:
        raise ApiError(406, "not_acceptable", "there is nothing to import from")
    run(state, record, "import", sources)
    return answer(None)


@serves("POST /v1/bdbs/{uid}/actions/export")
def start_export(state: State, request: Request, uid: str, body: Json) -> Response:
    """Write the data of a database somewhere; the answer is empty, its fields tell how it goes."""
    record = bdb(state, uid)
    sent = taken(state, "bdb_export_request", body)
    if "export_location" not in sent:
        raise ApiError(400, "missing_field", "export_location is needed")
    _portable(record)
    idle(state, record)
    if record.fields.get("export_status") == "exporting":
        raise ApiError(409, state.settings.switches["busy_code"], "an export is running")
    run(state, record, "export", sent["export_location"])
    return answer(None)


@serves(
    "PUT /v1/bdbs/{uid}/actions/import_reset_status",
    "PUT /v1/bdbs/{uid}/actions/export_reset_status",
    "PUT /v1/bdbs/{uid}/actions/backup_reset_status",
)
def reset(state: State, request: Request, uid: str, body: Json) -> Response:
    """Forget how the last transfer ended."""
    record, kind = bdb(state, uid), request.path.rsplit("/", 1)[-1].partition("_")[0]
    named(body, {})
    _portable(record)
    if record.fields.get(f"{kind}_status") in ("initializing", RUNNING[kind]):
        raise ApiError(409, state.settings.switches["busy_code"], f"the {kind} is running")
    record.set(**{f"{kind}_status": "idle", f"{kind}_progress": 0.0, f"{kind}_failure_reason": ""})
    state.changed(state.bdbs)
    return answer(None)
