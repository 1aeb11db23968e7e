"""Health reports of the cluster and of one database (v4), and the witness disk."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster import licenses, pem
from reconciler.simulator.cluster.certificates import stored_certificates
from reconciler.simulator.nodes import placement
from reconciler.simulator.nodes.placement import Shard
from reconciler.simulator.resources import lookup
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_ROLES = {"master": "leader", "slave": "follower"}
_PERSISTENCE = {"snapshot": "rdb"}


def _only_issues(request: Request) -> bool:
    return request.query.get("issues_only", "false").lower() in ("true", "1", "")


def _shard(shard: Shard) -> Json:
    return {"detailed_status": "ok", "id": str(shard.uid), "role": _ROLES[shard.role], "status": "active"}


def _copies(record: ObjectRecord) -> Json:
    return {"status": "up" if record.fields.get("replication") else "disabled"}


def _database(record: ObjectRecord) -> dict[str, Json]:
    fields = record.fields
    status = "active" if fields.get("status") == "active" else "warning"
    named = {"id": str(fields["uid"]), "name": fields.get("name", ""), "version": str(fields.get("version", ""))}
    return {
        "detailed_status": fields.get("status", "unknown"),
        "high_availability": _copies(record),
        **named,
        "status": status,
    }


def _node(state: ClusterState, uid: int, held_here: list[Shard]) -> dict[str, Json]:
    fields = state.nodes[uid].fields
    memory = fields.get("total_memory", 0)
    free = {"free_provisional_ram": memory, "free_ram": memory, "overbooking_depth": 0}
    return {
        "active_alerts": [],
        "detailed_status": fields["status"],
        "ephemeral_memory_path": fields.get("ephemeral_storage_path", ""),
        "ephemeral_memory_size": fields.get("ephemeral_storage_size", 0),
        "id": str(uid),
        "in_maintenance": not fields.get("accept_servers", True),
        "memory": {**free, "total_provisional_ram": memory, "total_ram": memory},
        "observed_at": int(state.now),
        "persistent_memory_path": fields.get("persistent_storage_path", ""),
        "persistent_memory_size": fields.get("persistent_storage_size", 0),
        "quorum_only": not fields.get("accept_servers", True),
        "role": "leader" if uid == state.primary else "follower",
        "services": [],
        "shards": [_shard(shard) for shard in held_here],
        "status": "active" if fields["status"] == "active" else "down",
        "version": fields["software_version"],
    }


def _certificates(state: ClusterState) -> list[Json]:
    found = []
    for name, text in sorted(stored_certificates(state).fields.items()):
        if name.endswith("_cert"):
            end = pem.read_certificate(text).not_after
            found.append(
                {
                    "expired": end <= state.now,
                    "type": name.removesuffix("_cert"),
                    "valid_until": format_time(end),
                }
            )
    return found


def _license(state: ClusterState) -> Mapping[str, Json]:
    fields, used = state.license.fields, licenses.shards_in_use(state)
    return {
        "expired": licenses.is_expired(state),
        "flex_shards_in_use": used["flash"],
        "flex_shards_limit": fields.get("flash_shards_limit") or 0,
        "ram_shards_in_use": used["ram"],
        "ram_shards_limit": fields.get("ram_shards_limit") or 0,
        "shards_in_use": sum(used.values()),
        "shards_limit": licenses.shards_limit(state),
        "valid_until": fields.get("expiration_date") or format_time(state.now),
    }


@serves("GET /v4/cluster/health")
def cluster(state: ClusterState, request: Request) -> Response:
    """Show the health of the cluster; with `issues_only` only what is unhealthy."""
    if not placement.has_quorum(state):
        raise ApiError(503, "no_quorum", "the cluster has no quorum")
    spread = placement.shards_by_node(state)
    nodes = [_node(state, uid, spread.get(uid, [])) for uid in sorted(state.nodes)]
    databases = [_database(record) for record in state.bdbs.values()]
    bad = [item for item in (*nodes, *databases) if item["status"] != "active"]
    if _only_issues(request):
        nodes = [item for item in nodes if item in bad]
        databases = [item for item in databases if item in bad]
    report = {
        "active_alerts": [],
        "certificates": _certificates(state),
        "database_infos": databases,
        "fqdn": state.cluster.fields["name"],
        "license": _license(state),
        "nodes": nodes,
        "status": "warning" if bad else "ok",
    }
    return json_response(report)


@serves("GET /v4/db/{uid}/health")
def database(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the health of a database."""
    record = lookup.find_bdb(state, uid)
    fields, up = record.fields, record.fields.get("status") != "creation-failed"
    ends = fields.get("endpoints", ())
    times = {
        "creation_time": fields.get("created_time", ""),
        "last_configured_time": fields.get("last_changed_time", ""),
    }
    persistence = fields.get("data_persistence", "disabled")
    report = {
        "active_alerts": [],
        "availability": "up" if up else "down",
        "availability_errors": [],
        **times,
        "endpoints": [{"availability": "up" if up else "down", "name": end["dns_name"]} for end in ends],
        **_database(record),
        "last_backup_time": fields.get("last_backup_time") or None,
        "persistence": _PERSISTENCE.get(persistence, persistence),
        "shards": [_shard(shard) for shard in placement.shards(state, record)],
        "shards_placement": fields.get("shards_placement", "dense"),
    }
    return json_response(report)


@serves("GET /v1/cluster/witness_disk")
def witness_disk(state: ClusterState, request: Request) -> Response:
    """Show the witness disk: there is none."""
    return json_response({})
