"""Endpoints of nodes: list, status, check, and the few settings."""

from __future__ import annotations

import hashlib

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes import placement
from reconciler.simulator.nodes.placement import Shard
from reconciler.simulator.resources.lookup import find_node, validated_body
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section, fill

_WRITABLE = (
    "accept_servers",
    "addr",
    "external_addr",
    "max_listeners",
    "max_redis_forks",
    "max_redis_servers",
    "max_slave_full_syncs",
    "rack_id",
    "recovery_path",
    "second_rack_id",
)
_SET_ONCE = ("rack_id", "second_rack_id")
_SHARE = 0.78  # fraction of a node's memory that can be provisioned


def node_view(state: ClusterState, record: ObjectRecord, shards: list[Shard]) -> Json:
    """Return a node as reads show it, with the numbers derived from its *shards*."""
    fields = record.fields
    own = sorted(shard.uid for shard in shards)
    held = {"shard_list": own, "shard_count": len(own), "ram_shard_count": len(own)}
    uptime = fields.get("uptime", 3600 + int(state.now - record.hidden.get("since", state.now)))
    shown = {**fields, **held, "uptime": uptime}
    if record.hidden.get("maintenance"):
        shown.update(accept_servers=False, max_listeners=0)
    return shown


@serves("GET /v1/nodes")
def list_nodes(state: ClusterState, request: Request) -> Response:
    """List all nodes."""
    spread = placement.shards_by_node(state)
    return json_response([node_view(state, state.nodes[uid], spread[uid]) for uid in sorted(state.nodes)])


@serves("GET /v1/nodes/{uid}")
def get_node(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one node."""
    record = find_node(state, uid)
    return json_response(node_view(state, record, placement.shards_by_node(state)[int(uid)]))


@serves("PUT /v1/nodes/{uid}")
def update_node(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Change the settings of a node."""
    record = find_node(state, uid)
    sent = validated_body(state, "node", body)
    fixed = sorted(set(sent) - set(_WRITABLE))
    if fixed and state.settings.on("read_only_fields", "refuse"):
        raise ApiError(400, "invalid_schema", f"{fixed[0]}: cannot be set")
    sent = {name: value for name, value in sent.items() if name in _WRITABLE}
    _check_change(state, record, sent)
    for name in _SET_ONCE:
        if name in sent:
            sent[name] = sent[name].lower()
    record.set(**sent)
    state.changed()
    return json_response(None)


def _check_change(state: ClusterState, record: ObjectRecord, sent: dict[str, Json]) -> None:
    fields = record.fields
    if sent.get("addr", fields["addr"]) != fields["addr"] and fields["status"] != "down":
        raise ApiError(406, "node_not_offline", "the address can change only while the node is down")
    for name in _SET_ONCE:
        if name in sent and fields.get(name) and sent[name].lower() != fields[name].lower():
            raise ApiError(406, "node_already_has_rack_id", f"{name} can be set only once")
    off = sent.get("accept_servers") is False and fields.get("accept_servers", True)
    if off and placement.shards_by_node(state)[fields["uid"]]:
        raise ApiError(406, "node_already_populated", "the node holds shards")


@serves("GET /v1/nodes/status")
def nodes_status(state: ClusterState, request: Request) -> Response:
    """Show role, memory and shards of each node."""
    spread = placement.shards_by_node(state)
    return json_response({str(uid): status_view(state, state.nodes[uid], spread[uid]) for uid in sorted(state.nodes)})


@serves("GET /v1/nodes/{uid}/status")
def node_status(state: ClusterState, request: Request, uid: str) -> Response:
    """Show role, memory and shards of one node."""
    record = find_node(state, uid)
    return json_response(status_view(state, record, placement.shards_by_node(state)[int(uid)]))


def memory_of(state: ClusterState, record: ObjectRecord, shards: list[Shard]) -> tuple[int, int, int]:
    """Return a node's free memory, free provisional memory, and total provisional memory, in bytes."""
    total = int(record.fields["total_memory"])
    promised = 0
    for shard in shards:
        fields = state.bdbs[shard.bdb].fields
        promised += int(fields.get("memory_size", 0)) // max(1, len(fields.get("shard_list", ())))
    room = int(total * _SHARE) if placement.accepts_shards(record) and record.fields["status"] != "down" else 0
    return max(0, total - promised), max(0, room - promised), room


def status_view(state: ClusterState, record: ObjectRecord, shards: list[Shard]) -> Json:
    """Return the status of one node."""
    fields, uid = record.fields, record.fields["uid"]
    free, provisional, room = memory_of(state, record, shards)
    shown = {
        "cores": fields.get("cores", 8),
        "free_provisional_ram": provisional,
        "free_ram": free,
        "hostname": f"node{uid}",
        "master_shards": [str(shard.uid) for shard in shards if shard.role == "master"],
        "node_overbooking_depth": 0,
        "node_status": fields["status"],
        "role": "master" if uid == state.primary else "slave",
        "slave_shards": [str(shard.uid) for shard in shards if shard.role == "slave"],
        "software_version": fields["software_version"],
        "software_version_sha": hashlib.sha256(fields["software_version"].encode()).hexdigest(),
        "total_memory": fields["total_memory"],
        "total_provisional_ram": room,
    }
    if record.hidden.get("maintenance"):
        shown["maintenance_snapshot"] = record.hidden["maintenance"]["snapshot"]
    return dict(sorted(shown.items()))


@serves("GET /v1/nodes/check/{uid}")
def check_node(state: ClusterState, request: Request, uid: str) -> Response:
    """Check a node; problems are part of a successful response."""
    return json_response(_check_result(state, find_node(state, uid)))


@serves("GET /v1/cluster/check")
def check_cluster(state: ClusterState, request: Request) -> Response:
    """Check all nodes."""
    results = [_check_result(state, state.nodes[uid], str) for uid in sorted(state.nodes)]
    return json_response({"cluster_test_result": all(item["result"] for item in results), "nodes": results})


def _check_result(state: ClusterState, record: ObjectRecord, spelt: type = int) -> Json:
    uid = record.fields["uid"]
    machine = state.site.node(state, uid)
    wrong = "the node is down" if record.fields["status"] == "down" else ""
    if machine is not None and machine.stopped and not wrong:
        wrong = "services are down: " + ", ".join(sorted(machine.stopped))
    return {**({"error": wrong} if wrong else {}), "node_uid": spelt(uid), "result": not wrong}


@serves("GET /v1/nodes/wd_status")
def witness_disks(state: ClusterState, request: Request) -> Response:
    """Show the witness disk of each node; there are none."""
    return json_response({str(uid): {"status": "disabled"} for uid in sorted(state.nodes)})


@serves("GET /v1/nodes/{uid}/wd_status")
def witness_disk(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the witness disk of one node."""
    find_node(state, uid)
    return json_response({"status": "disabled"})


add_section(
    "/v1/nodes",
    lambda state, body: fill(state.nodes, body, set()),
    lambda state: [record.fields for record in state.nodes.values()],
)
