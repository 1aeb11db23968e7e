"""Which PATCH changes the settings of an Active-Active database: the shared ones and those of single instances. Pure.

Used by `activeactive_writing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.activeactive_reading import OVERRIDES, PARTS, SHARED, Part
from reconciler.api.hooks.base import Json, WriteContext
from reconciler.kinds.labels import label

_FIXED = frozenset({"sharding", "shard_key_regex", "oss_sharding", "module_list", "redis_version"})
_HIDDEN = frozenset({"authentication_redis_pass", "authentication_admin_pass", "private_key"})  # never read back
LOGINS = ("credentials", "certificate_auth")


def patch(context: WriteContext, live: Mapping[str, Any]) -> Json:
    """Return the PATCH that makes *live* match what is declared; of what no read shows, only what the plan changes."""
    wire = context.wire
    body: Json = {
        name: wire[name]
        for name in ("causal_consistency", "encryption")
        if name in wire and wire[name] != live.get(name)
    }
    shared = _differing(_sent(context, "default_db_config", wire.get("default_db_config", {})), live[SHARED])
    if shared:
        body["default_db_config"] = shared
    resets = overrides_to_reset(wire, live)
    items = [item for part in live[PARTS] if (item := _instance_patch(context, part, resets.get(part.id, {})))]
    if items:
        body["instances"] = items
    return body


def _instance_patch(context: WriteContext, part: Part, reset: Mapping[str, None]) -> Json:
    wanted = by_cluster(context.wire).get(part.cluster, {})
    path = f"instances{label(context.kind.fields['instances'], wanted)}.db_config"
    declared = _sent(context, path, wanted.get("db_config", {}))
    config = {**_differing(declared, {**part.config, **_own(part)}), **reset}
    reported = {"compression": wanted["compression"]} if "compression" in wanted else {}
    found: Json = {name: value for name, value in reported.items() if value != part.reported.get(name)}
    if config:
        found["db_config"] = config
    about = part.reported.get("cluster", {})
    cluster = {name: wanted[name] for name in LOGINS if name in wanted}
    for name in ("replication_endpoint", "replication_tls_sni"):
        if name in wanted and wanted[name] != about.get(name):
            cluster[name] = wanted[name]
    if cluster:
        found["cluster"] = {**{name: about[name] for name in ("name", "url") if name in about}, **cluster}
    return {"id": part.id, **found} if found else {}


def _sent(context: WriteContext, path: str, config: Mapping[str, Any]) -> Json:
    """Return *config*, which is at *path*, without unchanged secrets; a key goes with its certificate."""
    changed = {name for name in config if f"{path}.{name}" in context.changed}
    changed |= {"private_key"} if "cert" in changed else set()
    return {name: value for name, value in config.items() if name not in _HIDDEN or name in changed}


def _own(part: Part) -> Json:
    """Return the effective values of the settings of this instance alone."""
    return {name: part.local[name] for name in part.config if part.local and name in part.local and name != "port"}


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Json:
    return {
        name: value
        for name, value in wanted.items()
        if name not in _FIXED and name != "port" and (name in _HIDDEN or not same_value(found.get(name), value))
    }


def overrides_to_reset(wire: Mapping[str, Any], live: Mapping[str, Any]) -> dict[int, dict[str, None]]:
    """Return the overrides to reset by instance, since the settings are declared for all."""
    shared, own = wire.get("default_db_config", {}), by_cluster(wire)
    found = {}
    for part in live[PARTS]:
        declared = own.get(part.cluster, {}).get("db_config", {})
        names = [name for name in live[OVERRIDES].get(part.cluster, ()) if name in shared and name not in declared]
        if names:
            found[part.id] = dict.fromkeys(sorted(names))
    return found


def without_resets(body: Json, shared: Mapping[str, Any]) -> Json:
    items = [
        {**item, "db_config": {n: shared[n] if v is None else v for n, v in item["db_config"].items()}}
        if "db_config" in item
        else item
        for item in body.get("instances", ())
    ]
    return {**body, "instances": items} if items else body


def by_cluster(wire: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(item["cluster"]): item for item in wire.get("instances", ())}


def same_value(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) and isinstance(found, list):
        return sorted(map(repr, map(_plain, found))) == sorted(map(repr, map(_plain, wanted)))
    return bool(found == wanted)


def _plain(item: Any) -> Any:
    return sorted(item.items()) if isinstance(item, Mapping) else item
