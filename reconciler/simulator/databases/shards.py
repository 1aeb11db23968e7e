"""Endpoints of shards: list, migration and failover."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.simulator.access.scope import visible_databases
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes import placement
from reconciler.simulator.nodes.placement import Shard
from reconciler.simulator.resources.lookup import as_strings, find_bdb, find_shard, require_idle, validated_body
from reconciler.simulator.state import actions
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_SECONDS = 2.0
_EXTRA = {"used_memory": 1434144, "connected_slaves": 0, "rdb_bgsave_in_progress": 0, "aof_rewrite_in_progress": 0}


def shown(state: ClusterState, request: Request, item: Shard) -> Json:
    """Return what a read of a shard shows."""
    keys = [key.strip() for key in request.query.get("extra_info_keys", "").split(",") if key.strip()]
    down = item.node in state.nodes and state.nodes[item.node].fields["status"] == "down"
    view = {
        "assigned_slots": item.slots,
        "bdb_uid": item.bdb,
        "detailed_status": "down" if down else "ok",
        "loading": {"status": "idle"},
        "node_uid": str(item.node),
        "redis_info": {key: _EXTRA.get(key, 0) for key in keys},
        "report_timestamp": state.stamp(),
        "role": item.role,
        "status": "inactive" if down else "active",
        "uid": str(item.uid),
    }
    if item.role == "slave":
        view["sync"] = {"progress": -1, "status": "link_down" if down else "idle"}
    return view


@serves("GET /v1/shards")
def list_all(state: ClusterState, request: Request) -> Response:
    """List the shards of all databases."""
    found = [item for record in visible_databases(state) for item in placement.shards(state, record)]
    return json_response([shown(state, request, item) for item in found])


@serves("GET /v1/shards/{uid}")
def get(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one shard."""
    return json_response(shown(state, request, find_shard(state, uid)[1]))


@serves("GET /v1/bdbs/{bdb_uid}/shards")
def of_bdb(state: ClusterState, request: Request, uid: str) -> Response:
    """List the shards of one database."""
    return json_response([shown(state, request, item) for item in placement.shards(state, find_bdb(state, uid))])


def _work(
    state: ClusterState, name: str, records: Iterable[ObjectRecord], moves: Iterable[tuple[ObjectRecord, Shard]]
) -> Response:
    """Mark the databases as busy, and apply the moves later."""
    marked, planned = list(records), list(moves)
    action = actions.begin_action(state, name, "bdb", marked[0].fields["uid"], _SECONDS)
    for record in marked:
        record.set(status="active-change-pending", action_uid=action.fields["action_uid"])
    state.changed(state.bdbs)
    fate = state.outcome

    def finish() -> None:
        actions.finish_action(state, action, "the shards could not be moved" if fate == "fail" else "")
        for record in marked:
            record.drop("action_uid")
            record.set(status="active")
        for record, item in planned if fate != "fail" else ():
            placement.store_shards(state, record, item)
        state.changed(state.bdbs)

    if fate != "stuck":
        state.later(_SECONDS, finish)
    return json_response({"action_uid": action.fields["action_uid"], "description": "accepted"})


def _chosen(state: ClusterState, uids: Json) -> list[tuple[ObjectRecord, Shard]]:
    if not uids:
        raise ApiError(404, "shard_uids_required", "shard_uids is needed")
    return [find_shard(state, str(uid)) for uid in uids]


def _migrate(state: ClusterState, chosen: list[tuple[ObjectRecord, Shard]], sent: dict[str, Json]) -> Response:
    target = int(sent.get("target_node_uid", 0))
    if target not in state.nodes:
        raise ApiError(404, "node_not_found", "target_node_uid is not a node")
    moves: list[tuple[ObjectRecord, Shard]] = []
    for record, item in chosen:
        mates = [mate for mate in placement.shards(state, record) if mate.slots == item.slots and mate.uid != item.uid]
        swapped = [mate for mate in mates if mate.node == target]
        moves.append((record, item._replace(node=target)))
        moves += [(record, mate._replace(node=item.node)) for mate in swapped]
    records = {id(record): record for record, _ in chosen}
    for record in records.values():
        require_idle(state, record)
    if sent.get("dry_run"):
        return json_response({"action_uid": "", "description": "the shards can be moved"})
    return _work(state, "SMMigrateShards", records.values(), moves)


@serves("POST /v1/shards/actions/migrate")
def migrate(state: ClusterState, request: Request, body: Json) -> Response:
    """Move shards to another node."""
    sent = validated_body(state, "shard_migrate_request", body)
    return _migrate(state, _chosen(state, sent.get("shard_uids")), sent)


@serves("POST /v1/shards/{uid}/actions/migrate")
def migrate_one(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Move one shard to another node."""
    return _migrate(state, [find_shard(state, uid)], validated_body(state, "shard_migrate_request", body))


def _failover(state: ClusterState, chosen: list[tuple[ObjectRecord, Shard]], sent: dict[str, Json]) -> Response:
    if any(item.role == "slave" for _, item in chosen):
        raise ApiError(400, "shard_is_slave", "only a master shard can fail over")
    record = chosen[0][0]
    if any(other is not record for other, _ in chosen):
        raise ApiError(400, "failover_shards_different_bdb", "the shards belong to several databases")
    require_idle(state, record)
    moves: list[tuple[ObjectRecord, Shard]] = []
    dead = as_strings(sent.get("dead_uids", ())) | {sent.get("dead_uid", "")}
    for _, item in chosen:
        heirs = [mate for mate in placement.shards(state, record) if mate.slots == item.slots and mate.role == "slave"]
        heirs = [mate for mate in heirs if str(mate.uid) not in dead]
        if heirs:
            moves += [(record, item._replace(role="slave")), (record, heirs[0]._replace(role="master"))]
    if sent.get("dry_run"):
        return json_response({"action_uid": "", "description": "the shards can fail over"})
    return _work(state, "SMFailoverShards", [record], moves)


@serves("POST /v1/shards/actions/failover")
def failover(state: ClusterState, request: Request, body: Json) -> Response:
    """Fail over masters of one database to their replicas."""
    sent = validated_body(state, "shard_failover_request", body)
    return _failover(state, _chosen(state, sent.get("shard_uids")), sent)


@serves("POST /v1/shards/{uid}/actions/failover")
def failover_one(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Fail over one master to its replica."""
    return _failover(state, [find_shard(state, uid)], validated_body(state, "shard_failover_request", body))
