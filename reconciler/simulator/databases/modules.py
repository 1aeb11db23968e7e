"""Modules: those bundled with the server, by its version and that of Redis, and user-defined ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import Json
from reconciler.simulator.data.tables import table
from reconciler.simulator.state.model import ClusterState


def module_uid(name: str, version: str) -> str:
    """Return the uid of a module: a hash, so that it differs from version to version."""
    return hashlib.sha256(f"{name} {version}".encode()).hexdigest()[:32]


def version_number(version: str) -> int:
    """Return a semantic version as one number, as modules encode it."""
    major, minor, patch = (int(part) if part.isdecimal() else 0 for part in (*version.split("."), "0", "0")[:3])
    return major * 10000 + minor * 100 + patch


def _bundled(row: Mapping[str, Json], redis: str, version: str) -> dict[str, Json]:
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
        "min_redis_pack_version": "7.4",
        "min_redis_version": redis,
        "module_name": row["module_name"],
        "platforms": {},
        "semantic_version": version,
        "uid": module_uid(row["module_name"], version),
        "version": version_number(version),
    }


def all_modules(state: ClusterState) -> Iterator[dict[str, Json]]:
    """Yield the modules of the cluster as reads show them: bundled ones, then user-defined ones."""
    known = field_rows("module", state.settings.server_version)
    offered = {item.get("redis_version") for item in state.version["databases"]}
    for row in table("modules"):
        for redis, version in row["versions"].items():
            if redis in offered:
                fields = _bundled(row, redis, version)
                yield {name: value for name, value in fields.items() if name in known}
    for record in state.user_modules.values():
        yield record.fields


def find_module(state: ClusterState, uid: str) -> dict[str, Json] | None:
    """Return the module with this *uid*, None where there is none."""
    return next((fields for fields in all_modules(state) if fields["uid"] == uid), None)


_NEEDED = {"sharding": "clustering", "replica_sources": "replica_of", "backup": "backup_restore"}


def missing_capability(state: ClusterState, fields: Mapping[str, Json]) -> str:
    """Return which capability a module of the database *fields* lacks, empty if none."""
    needed = [_NEEDED[name] for name in _NEEDED if fields.get(name)]
    for item in fields.get("module_list", ()) if needed else ():
        record = state.user_modules.get(item.get("module_id", ""))
        for capability in needed:
            if record is not None and capability not in record.fields["capabilities"]:
                return f"module {item['module_name']} has no capability {capability}"
    return ""
