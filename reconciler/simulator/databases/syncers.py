"""State of replication into a database: syncers and migrations."""

from __future__ import annotations

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.resources.lookup import find_bdb
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_FIELDS = {"replica": ("replica_sources", "replica_sync"), "crdt": ("crdt_sources", "crdt_sync")}


def _states(record: ObjectRecord, kind: str) -> dict[str, Json]:
    field, sync = _FIELDS[kind]
    return {
        str(source["uid"]): {
            "lag": source.get("lag", 0),
            "last_error": source.get("last_error", ""),
            "last_update": source.get("last_update", ""),
            "rdb_size": source.get("rdb_size", 0),
            "rdb_transferred": source.get("rdb_transferred", 0),
            "status": source.get("status", "out-of-sync"),
            "sync": record.fields.get(sync, "disabled"),
        }
        for source in record.fields.get(field, ())
    }


@serves(
    "GET /v1/bdbs/{uid}/syncer_state",
    "GET /v1/bdbs/{uid}/syncer_state/crdt",
    "GET /v1/bdbs/{uid}/syncer_state/replica",
)
def syncer_state(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the syncers of a database by source; 404 where it has none."""
    record, last = find_bdb(state, uid), request.path.rsplit("/", 1)[-1]
    found = {kind: _states(record, kind) for kind in ((last,) if last in _FIELDS else tuple(_FIELDS))}
    if not any(found.values()):
        raise ApiError(404, "not_found", "the database has no replication sources")
    return json_response({uid: one for states in found.values() for uid, one in states.items()})


@serves("GET /v1/migrations/{uid}")
def migration(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the progress of the initial sync into a database."""
    sources = find_bdb(state, uid).fields.get("replica_sources", ())
    if not sources:
        names = ("flush_counter", "lag", "rdb_size", "rdb_transferred", "run_id", "status")
        return json_response({"migration": {**dict.fromkeys(names), "source_shards": []}})
    source = sources[0]
    wrong = {"error_code": "internal_error", "message": source["last_error"], "timestamp": source["last_update"]}
    none = {"error_code": "", "message": "", "timestamp": source["last_update"]}
    shard = {"replication_id": f"{source['uid']:040x}", "replication_offset": source.get("rdb_transferred", 0)}
    about = {name: source[name] for name in ("lag", "rdb_size", "rdb_transferred", "status")}
    error = wrong if source["last_error"] else none
    return json_response(
        {"migration": {**about, "error": error, "flush_counter": 1, "run_id": f"r{uid}", "source_shards": [shard]}}
    )
