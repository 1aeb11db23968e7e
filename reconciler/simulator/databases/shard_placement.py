"""Actions on a database: shard placement, client traffic, and recovery."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.databases.fields import normalised, with_defaults
from reconciler.simulator.databases.lifecycle import begin_change
from reconciler.simulator.databases.rules import ProposedDatabase, check_rules
from reconciler.simulator.nodes import placement
from reconciler.simulator.resources.lookup import find_bdb, query_flag, require_idle, typed_fields, validated_body
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_NUMBERS = {"memory_size": (0, 1 << 62), "shards_count": (1, 512), "bigstore_ram_size": (0, 1 << 62)}


def _action_response(action: ObjectRecord) -> Response:
    return json_response({"action_uid": action.fields["action_uid"]})


def _number(query: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = query[name]
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ApiError(400, "invalid_param", f"{name} must be a number from {least} to {most}")
    return int(text)


@serves("GET /v1/bdbs/{uid}/actions/optimize_shards_placement")
def optimize(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the optimal shard placement; clients send the state id back with the blueprint."""
    record, query = find_bdb(state, uid), request.query
    wanted: dict[str, Json] = {name: _number(query, name, *_NUMBERS[name]) for name in _NUMBERS if name in query}
    if "replication" in query:
        wanted["replication"] = query["replication"].lower() in ("enabled", "true")
    if "shards_placement" in query:
        if query["shards_placement"] not in ("dense", "sparse"):
            raise ApiError(400, "invalid_param", "shards_placement must be dense or sparse")
        wanted["shards_placement"] = query["shards_placement"]
    if "avoid_nodes" in query:
        wanted["avoid_nodes"] = [item.strip(" []") for item in query["avoid_nodes"].split(",")]
    fields = {**with_defaults(record.fields), **wanted}
    room = sum(node.fields["total_memory"] for node in state.members())
    if fields["memory_size"] > room or (fields["replication"] and len(placement.eligible_nodes(state)) < 2):
        raise ApiError(406, "insufficient_resources", "the cluster has not enough resources")
    headers = {"cluster-state-id": str(state.state_id)}
    return json_response(placement.propose_blueprint(state, record, fields), 200, headers)


@serves("PUT /v1/bdbs/{uid}/actions/rebalance")
def rebalance(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Distribute the shards of a database evenly; a dry run shows the placement."""
    record = find_bdb(state, uid)
    if "max_operations" in request.query:
        _number(request.query, "max_operations", 1, 1 << 31)
    if is_dry_run(request):
        return json_response(
            placement.propose_blueprint(state, record, {**with_defaults(record.fields), "shards_placement": "sparse"})
        )
    require_idle(state, record)
    only_roles = query_flag(request.query, "only_failovers")

    def spread() -> None:
        if not only_roles:
            placement.redistribute(state, record)

    return _action_response(begin_change(state, record, "SMRebalanceBDB", {}, after=spread))


@serves("PUT /v1/bdbs/{uid}/actions/revamp")
def revamp(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Change size, shards and replication together and redistribute the shards; a dry run shows the placement."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "bdb_revamp_request", body)
    known = field_rows("bdb", state.settings.server_version)
    sent = {name: value for name, value in sent.items() if name in known}
    if state.license.fields.get("expired"):
        raise ApiError(403, "license_expired", "the licence is no longer valid")
    kept = normalised(state, record.fields, sent)
    new = with_defaults({**record.fields, **kept})
    check_rules(ProposedDatabase(state, new, sent, with_defaults(record.fields)))
    if is_dry_run(request):
        return json_response(placement.propose_blueprint(state, record, new))
    require_idle(state, record)
    after = lambda: placement.redistribute(state, record)  # noqa: E731
    return _action_response(begin_change(state, record, "SMRevampBDB", kept, after=after))


@serves("POST /v1/bdbs/{uid}/actions/stop_traffic")
def stop_traffic(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Stop client traffic."""
    return _traffic(state, uid, body, stopped=True)


@serves("POST /v1/bdbs/{uid}/actions/resume_traffic")
def resume_traffic(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Resume client traffic."""
    return _traffic(state, uid, body, stopped=False)


def _traffic(state: ClusterState, uid: str, body: Json, *, stopped: bool) -> Response:
    record = find_bdb(state, uid)
    typed_fields(body, {})
    require_idle(state, record)
    shown = "traffic_manually_disabled" in field_rows("bdb", state.settings.server_version)
    name = "SMStopTrafficBDB" if stopped else "SMResumeTrafficBDB"

    def done() -> None:
        record.hidden["stopped"] = stopped

    values = {"traffic_manually_disabled": stopped} if shown else {}
    return _action_response(begin_change(state, record, name, values, after=done))


# Recovery


def _files(state: ClusterState, record: ObjectRecord) -> list[Json]:
    return [
        {
            "filename": f"appendonly-{shard.uid}.aof",
            "last_modified": round(state.now - 60, 1),
            "node_uid": str(shard.node),
            "shard_role": shard.role,
            "shard_slots": shard.slots,
            "shard_uid": str(shard.uid),
            "size": 88,
        }
        for shard in placement.shards(state, record)
    ]


@serves("GET /v1/bdbs/{uid}/actions/recover")
def recovery_plan(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the files from which a database can be recovered."""
    record = find_bdb(state, uid)
    waiting = record.fields["status"] == "recovery"
    return json_response({"data_files": _files(state, record), "status": "ready" if waiting else "active"})


@serves("POST /v1/bdbs/{uid}/actions/recover")
def recover(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Recover a database after a cluster recovery; without a body according to the plan."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "bdb_recovery", body)
    if record.fields["status"] != "recovery":
        raise ApiError(409, "busy", "there is nothing to recover")

    def emptied() -> None:
        record.hidden["empty"] = bool(sent.get("recover_without_data"))

    return _action_response(begin_change(state, record, "SMRecoverBDB", {}, after=emptied))
