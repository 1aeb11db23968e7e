"""The cluster itself, its nodes, licence, modules and bootstrap status; what a fresh cluster holds."""

from __future__ import annotations

import hashlib
import math

from . import singles
from .data import table
from .messages import ApiError, Json, Request, Response, answer
from .state import Record, State

BUILTIN_ROLES = (
    ("Admin", "admin"),
    ("Cluster Member", "cluster_member"),
    ("Cluster Viewer", "cluster_viewer"),
    ("DB Member", "db_member"),
    ("DB Viewer", "db_viewer"),
    ("None", "none"),
)
BUILTIN_ACLS = (("Full Access", "+@all ~*"), ("Not Dangerous", "+@all -@dangerous ~*"), ("Read Only", "+@read ~*"))


def found(state: State) -> None:
    """Fill *state* with what a cluster holds right after its bootstrap."""
    settings = state.settings
    singles.found(state)
    for uid in range(1, settings.nodes + 1):
        state.nodes[state.nodes.claim(uid)] = Record(_node(state, uid))
    for name, management in BUILTIN_ROLES:
        uid = state.roles.claim()
        state.roles[uid] = Record({"management": management, "name": name, "uid": uid}, {"builtin": True})
    if settings.on("user_manager_builtin", "present"):
        uid = state.roles.claim()
        state.roles[uid] = Record({"management": "user_manager", "name": "User Manager", "uid": uid}, {"builtin": True})
    for name, acl in BUILTIN_ACLS:
        uid = state.acls.claim()  # the first uids stay taken even where a build shows one predefined ACL only
        if name == "Full Access" or settings.on("older_acls", "present"):
            versions = {"min_version": "6.2", "max_version": "9999"}
            state.acls[uid] = Record({"acl": acl, "name": name, "uid": uid, **versions}, {"builtin": True})
    state.license = Record(_license(state))


def _node(state: State, uid: int) -> dict[str, Json]:
    return {
        **table("node"),
        "uid": uid,
        "rack_id": f"rack-{uid}" if state.settings.rack_aware else "",
        "addr": f"10.20.0.{10 + uid}",
        "software_version": state.version["software_version"],
        "supported_database_versions": state.version["databases"],
        "total_memory": state.settings.node_memory,
        "status": "active",
    }


def _license(state: State) -> dict[str, Json]:
    text = "----- LICENSE START -----\nSIMULATED\n----- LICENSE END -----\n"
    return {
        "activation_date": "2020-01-01T00:00:00Z",
        "cluster_name": state.settings.cluster_name,
        "expiration_date": "2020-02-01T00:00:00Z" if state.settings.license_expired else "2099-01-01T00:00:00Z",
        "expired": state.settings.license_expired,
        "features": ["bigstore"],
        "flash_shards_limit": state.settings.shards_limit,
        "key": text,
        "license": text,
        "owner": "Simulator",
        "ram_shards_limit": state.settings.shards_limit,
        "shards_limit": state.settings.shards_limit * 2,
    }


def get_license(state: State, request: Request) -> Response:
    """GET /v1/license"""
    if not state.license.fields:
        raise ApiError(404, "license_not_found", "no licence is installed")
    in_use = sum(len(bdb.fields.get("shard_list", ())) for bdb in state.bdbs.values())
    return answer({**state.license.fields, "ram_shards_in_use": in_use, "flash_shards_in_use": 0})


def module_uid(name: str, version: str) -> str:
    """Return the uid of a module: a hash, so that it differs from version to version."""
    return hashlib.sha256(f"{name} {version}".encode()).hexdigest()[:32]


def list_modules(state: State, request: Request) -> Response:
    """GET /v1/modules"""
    offered = {item.get("redis_version") for item in state.version["databases"]}
    return answer(
        [
            _module(row, redis, version)
            for row in table("modules")
            for redis, version in row["versions"].items()
            if redis in offered
        ]
    )


def _module(row: Json, redis: str, version: str) -> Json:
    major, minor, patch = map(int, version.split("."))
    return {
        "author": "Redis",
        "bigstore_version_2_support": False,
        "capabilities": row["capabilities"],
        "capability_name": row["capability_name"],
        "command_line_args": "",
        "compatible_redis_version": redis,
        "config_command": "",
        "crdb": {},
        "dependencies": {},
        "description": row["display_name"],
        "display_name": row["display_name"],
        "email": "",
        "homepage": "",
        "is_bundled": True,
        "license": "",
        "min_redis_version": redis,
        "module_name": row["module_name"],
        "semantic_version": version,
        "uid": module_uid(row["module_name"], version),
        "version": major * 10000 + minor * 100 + patch,
    }


def bootstrap(state: State, request: Request) -> Response:
    """GET /v1/bootstrap: about the node that was addressed, whether it is in the cluster or not."""
    member = request.node in state.nodes
    info = {
        "architecture": "x86_64",
        "available_addresses": [
            {"address": f"10.20.0.{10 + request.node}", "format": "ipv4", "if_name": "eth0", "private": True}
        ],
        "cores": 8,
        "os_family": "ubuntu",
        "software_version": state.version["software_version"],
        "supported_database_versions": state.version["databases"],
        "total_memory": state.settings.node_memory,
        "uptime": 60 + math.floor(state.now) % 3600,
    }
    if not member:
        return answer({"bootstrap_status": {"state": "idle"}, "local_node_info": info})
    since = state.cluster.fields["created_time"]
    status = {"state": "completed", "start_time": since, "end_time": since}
    return answer({"bootstrap_status": status, "local_node_info": {**info, "uid": str(request.node)}})
