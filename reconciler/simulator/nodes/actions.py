"""Node actions: removal, maintenance mode, node snapshots, demotion of masters; and the change of the primary."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes import placement
from reconciler.simulator.nodes.placement import Shard
from reconciler.simulator.resources.lookup import find_node, validated_body
from reconciler.simulator.state import tasks
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_SECONDS = 5.0
Work = Callable[[ClusterState, ObjectRecord, Mapping[str, Json]], str]


@serves("POST /v1/nodes/{node_uid}/actions/{action}")
def start(state: ClusterState, request: Request, uid: str, action: str, body: Json) -> Response:
    """Start a node action."""
    record = find_node(state, uid)
    if action not in _ACTIONS:
        raise ApiError(400, "invalid_param", f"no action {action[:40]}")
    options = validated_body(state, "node_action_request", body)
    key = ("node", uid, action)
    undo = None
    if action == "remove":
        if key not in state.tasks or not tasks.is_running(state.tasks[key]):
            record.hidden["closed"] = True
            record.set(status="decommissioning" if record.fields["status"] == "active" else record.fields["status"])
        undo = partial(_reopen, state, record)
    task = tasks.begin_task(state, key, _SECONDS, partial(_ACTIONS[action], state, record, options), undo=undo)
    return json_response({"status": "queued", "task_id": task.fields["task_id"]})


def _reopen(state: ClusterState, record: ObjectRecord) -> None:
    record.hidden.pop("closed", None)
    if record.fields["status"] == "decommissioning":
        record.set(status="active")


def _remove(state: ClusterState, record: ObjectRecord, options: Mapping[str, Json]) -> str:
    uid = record.fields["uid"]
    replicated = any(bdb.fields.get("replication") for bdb in state.bdbs.values())
    few = len(state.nodes) == 1 or (len(state.nodes) == 2 and replicated)
    if few or placement.evacuate(state, uid):
        if record.fields["status"] == "decommissioning":
            record.set(status="active")
        state.event("cluster_node_remove_failed", "ERROR", node_uid=uid)
        return "insufficient_resources"
    del state.nodes[uid]
    machine = state.site.node(state, uid)
    if machine is not None:
        machine.leave(fresh=state.settings.on("removed_node", "rejoin"))
    if state.primary == uid:
        state.primary = min(state.nodes)
    for bdb in state.bdbs.values():
        placement.rebind_endpoints(state, bdb)
    state.event("cluster_node_remove_completed", node_uid=uid)
    return ""


def _maintenance_on(state: ClusterState, record: ObjectRecord, options: Mapping[str, Json]) -> str:
    uid, current = record.fields["uid"], record.hidden.get("maintenance")
    if current is not None and not options.get("overwrite_snapshot"):
        record.hidden["maintenance"] = {**current, "depth": current["depth"] + 1}
        return ""
    record.hidden["closed"] = True
    kept = {shard.uid: shard for shard in placement.shards_by_node(state)[uid]}
    stay = options.get("keep_slave_shards") or options.get("evict_ha_replica") is False
    only = {int(bdb) for bdb in options.get("evict_dbs", ()) if str(bdb).isdecimal()}
    if stay or only:
        _enslave(state, record, {})
    if (not stay or only) and placement.evacuate(state, uid, only=only or None):
        if current is None:
            record.hidden.pop("closed", None)
        return "insufficient_resources"
    snapshot = _snapshot(state, record, "maintenance_mode", kept)
    record.hidden["maintenance"] = {"snapshot": snapshot, "depth": (current or {"depth": 0})["depth"] + 1}
    if state.primary == uid:
        others = [other for other in placement.eligible_nodes(state) if other != uid]
        state.primary = min(others, default=uid)
    return ""


def _maintenance_off(state: ClusterState, record: ObjectRecord, options: Mapping[str, Json]) -> str:
    current = record.hidden.get("maintenance")
    if current is None:
        return "internal_error"
    if current["depth"] > 1:
        record.hidden["maintenance"] = {**current, "depth": current["depth"] - 1}
        return ""
    name = options.get("snapshot_name", current["snapshot"]["name"])
    kept = record.hidden.get("snapshots", {}).get(name, (None, {}))[1]
    for field in ("maintenance", "closed"):
        record.hidden.pop(field, None)
    record.hidden.get("snapshots", {}).pop(current["snapshot"]["name"], None)
    if not options.get("skip_shards_restore"):
        _bring_back(state, kept)
    return ""


def _bring_back(state: ClusterState, kept: Mapping[int, Shard]) -> None:
    """Restore the placement and the roles of shards in a snapshot."""
    for shard in kept.values():
        bdb = state.bdbs.get(shard.bdb)
        now = (
            None
            if bdb is None
            else next((item for item in placement.shards(state, bdb) if item.uid == shard.uid), None)
        )
        if bdb is None or now is None:
            continue
        mates = [item for item in placement.shards(state, bdb) if item.slots == now.slots and item.uid != now.uid]
        if any(mate.node == shard.node for mate in mates):
            continue
        changed = [now._replace(node=shard.node, role=shard.role)]
        if shard.role != now.role:
            changed += [mate._replace(role=now.role) for mate in mates if mate.role == shard.role]
        placement.store_shards(state, bdb, *changed)


def _enslave(state: ClusterState, record: ObjectRecord, options: Mapping[str, Json]) -> str:
    for shard in placement.shards_by_node(state)[record.fields["uid"]]:
        if shard.role == "master":
            placement.promote_replica(state, state.bdbs[shard.bdb], shard)
    return ""


_ACTIONS: Mapping[str, Work] = {
    "remove": _remove,
    "maintenance_on": _maintenance_on,
    "maintenance_off": _maintenance_off,
    "enslave_node": _enslave,
}


@serves("GET /v1/nodes/actions")
def list_all(state: ClusterState, request: Request) -> Response:
    """List the tasks of all nodes."""
    return json_response(
        {"actions": [tasks.task_view(state, task) for key, task in state.tasks.items() if key[0] == "node"]}
    )


@serves("GET /v1/nodes/{node_uid}/actions")
def list_node(state: ClusterState, request: Request, uid: str) -> Response:
    """List the tasks of one node."""
    found = [tasks.task_view(state, task) for key, task in state.tasks.items() if key[:2] == ("node", uid)]
    if not found:
        raise ApiError(404, "action_not_found", "no running or finished action")
    return json_response({"actions": found})


@serves("GET /v1/nodes/{node_uid}/actions/{action}")
def get(state: ClusterState, request: Request, uid: str, action: str) -> Response:
    """Show one task of a node."""
    return json_response(tasks.task_view(state, tasks.find_task(state, ("node", uid, _path_name(action)))))


@serves("DELETE /v1/nodes/{node_uid}/actions/{action}")
def cancel(state: ClusterState, request: Request, uid: str, action: str) -> Response:
    """Cancel a task, or delete its record if it has ended."""
    tasks.cancel_or_forget(state, ("node", uid, _path_name(action)))
    return json_response(None)


def _path_name(action: str) -> str:
    return next((name for name, shown in tasks.NAMES.items() if shown == action), action)


# Snapshots: where the shards of a node are


def _snapshot(state: ClusterState, record: ObjectRecord, name: str, kept: Mapping[int, Shard]) -> Json:
    moment = time.gmtime(state.now)
    if name == "maintenance_mode":
        name = f"maintenance_mode_{time.strftime('%Y-%m-%d_%H-%M-%S', moment)}"
    created = time.strftime("%Y-%m-%d %H:%M:%S", moment)
    snapshot = {"created_time": created, "name": name, "node_uid": str(record.fields["uid"])}
    record.hidden["snapshots"] = {**record.hidden.get("snapshots", {}), name: (snapshot, kept)}
    return snapshot


@serves("GET /v1/nodes/{uid}/snapshots")
def snapshots(state: ClusterState, request: Request, uid: str) -> Response:
    """List the snapshots of a node."""
    return json_response([snapshot for snapshot, _ in find_node(state, uid).hidden.get("snapshots", {}).values()])


@serves("POST /v1/nodes/{uid}/snapshots/{snapshot_name}")
def take_snapshot(state: ClusterState, request: Request, uid: str, name: str, body: Json) -> Response:
    """Take a snapshot of the shards of a node."""
    record = find_node(state, uid)
    kept = {shard.uid: shard for shard in placement.shards_by_node(state)[int(uid)]}
    state.changed()
    return json_response(_snapshot(state, record, name, kept))


@serves("DELETE /v1/nodes/{uid}/snapshots/{snapshot_name}")
def drop_snapshot(state: ClusterState, request: Request, uid: str, name: str) -> Response:
    """Delete a snapshot, unless maintenance mode uses it."""
    record = find_node(state, uid)
    held = record.hidden.get("snapshots", {})
    if name not in held:
        raise ApiError(404, "not_found", f"no snapshot {name[:80]}")
    if record.hidden.get("maintenance", {}).get("snapshot", {}).get("name") == name:
        raise ApiError(403, "read_only_object", "the snapshot is used by maintenance mode")
    record.hidden["snapshots"] = {key: value for key, value in held.items() if key != name}
    state.changed()
    return json_response(held[name][0])


# Cluster action

_CHANGE = ("cluster", "", "change_master")


@serves("POST /v1/cluster/actions/{action}")
def start_cluster(state: ClusterState, request: Request, action: str, body: Json) -> Response:
    """Make another node the primary."""
    if action != "change_master":
        raise ApiError(400, "invalid_param", f"no action {action[:40]}")
    uid = str((body or {}).get("node_uid", "")) if isinstance(body or {}, dict) else ""
    if not uid:
        raise ApiError(400, "missing_field", "node_uid is needed")
    if find_node(state, uid).fields["status"] in ("provisioning", "down"):
        raise ApiError(406, "not_acceptable", "the node is not an active member")

    def change() -> str:
        if int(uid) not in state.nodes or state.nodes[int(uid)].fields["status"] == "down":
            return "internal_error"
        state.primary = int(uid)
        return ""

    task = tasks.begin_task(state, _CHANGE, 2.0, change)
    return json_response({"status": "queued", "task_id": task.fields["task_id"]})


@serves("GET /v1/cluster/actions")
def list_cluster(state: ClusterState, request: Request) -> Response:
    """List the tasks of the cluster."""
    found = [tasks.task_view(state, task) for key, task in state.tasks.items() if key[0] == "cluster"]
    if not found:
        raise ApiError(404, "action_not_found", "no running or finished action")
    return json_response({"actions": found})


@serves("GET /v1/cluster/actions/{action}")
def get_cluster(state: ClusterState, request: Request, action: str) -> Response:
    """Show the task of the cluster."""
    return json_response(tasks.task_view(state, tasks.find_task(state, ("cluster", "", action))))


@serves("DELETE /v1/cluster/actions/{action}")
def cancel_cluster(state: ClusterState, request: Request, action: str) -> Response:
    """Cancel the task, or delete its record if it has ended."""
    tasks.cancel_or_forget(state, ("cluster", "", action))
    return json_response(None)
