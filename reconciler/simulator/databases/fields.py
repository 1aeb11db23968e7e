"""Fields of a database: defaults, normalised values, modules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from reconciler.simulator.api.fields import VERSIONS, default_values, field_rows, stored_form
from reconciler.simulator.api.messages import Json
from reconciler.simulator.data.tables import table
from reconciler.simulator.databases.modules import module_uid
from reconciler.simulator.state.model import ClusterState

EXTENDED = tuple(name for name, row in field_rows("bdb").items() if row.get("extended"))
_MERGED = ("audit_settings", "gradual_sync_policy_parameters", *EXTENDED)
_MODULE_SETTINGS = {"search": "search", "timeseries": "timeseries", "bf": "probabilistic"}
_SECRETS = frozenset({"account_key", "client_key", "key", "private_key", "sas_token", "secret_access_key"})
MASK = "********"
_CREDENTIALS = ("authentication_admin_pass", "authentication_sasl_pass")


def mask_credentials(state: ClusterState, fields: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return *fields* of a database with masked credentials, if the cluster masks them."""
    if not state.cluster.fields.get("mask_bdb_credentials"):
        return fields
    return {**fields, **{name: MASK for name in _CREDENTIALS if fields.get(name)}}


def change_view(state: ClusterState, fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields of a database in the response to a change."""
    return {name: value for name, value in mask_credentials(state, fields).items() if name not in EXTENDED}


# Defaults of a new database that come from the policy of the cluster.
_FROM_POLICY: Mapping[str, str] = {
    "data_internode_encryption": "data_internode_encryption",
    "db_conns_auditing": "db_conns_auditing",
    "oss_cluster": "default_oss_cluster",
    "oss_cluster_api_preferred_endpoint_type": "oss_cluster_api_preferred_endpoint_type",
    "oss_cluster_api_preferred_ip_type": "oss_cluster_api_preferred_ip_type",
    "recovery_wait_time": "default_recovery_wait_time",
    "resp3": "resp3_default",
    "shards_placement": "default_shards_placement",
    "tracking_table_max_keys": "default_tracking_table_max_keys_policy",
}


@cache
def _base(version: str = VERSIONS[-1]) -> Mapping[str, Json]:
    found = field_rows("bdb", version).items()
    return {name: row["default"] for name, row in found if "default" in row and not row.get("extended")}


def with_defaults(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return *fields* with defaults for missing fields, as an object from a snapshot may have."""
    rest = {"memory_size": 0, "redis_version": "", "proxy_policy": "single", "port": 0, "module_list": []}
    return {**_base(), **rest, **fields}


def _policy(state: ClusterState, sent: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields of a new database that the policy of the cluster sets."""
    policy = state.singletons["cluster_settings"].fields
    known = field_rows("bdb", state.settings.server_version)
    found = {name: policy[theirs] for name, theirs in _FROM_POLICY.items() if theirs in policy and name in known}
    oss = sent.get("oss_cluster", found.get("oss_cluster", False))
    sort = "default_sharded_proxy_policy" if sent.get("sharding") else "default_non_sharded_proxy_policy"
    found["proxy_policy"] = policy[sort]
    if oss and found["proxy_policy"] == "single":
        found["proxy_policy"] = "all-master-shards"
    return found


def new_fields(state: ClusterState, uid: int, sent: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields of a new database: server defaults, then what was *sent*."""
    memcached = sent.get("type") == "memcached"
    fields = {
        **_base(state.settings.server_version),
        **_policy(state, sent),
        "audit_settings": default_values("bdb.audit_settings"),
        "gradual_sync_policy_parameters": default_values("bdb.gradual_sync_policy_parameters"),
        "created_time": state.stamp(),
        "last_changed_time": state.stamp(),
        "eviction_policy": "allkeys-lru" if memcached else "volatile-lru",
        "max_aof_file_size": 161061273600 if sent.get("bigstore") else 322122547200,
        "port": 0,
        "redis_version": "1.4" if memcached else _redis_version(state),
        "slave_ha": bool(sent.get("replication")) and bool(state.cluster.fields.get("slave_ha")),
        "endpoints": [],
        "shard_list": [],
        "uid": uid,
    }
    fields.update(normalised(state, fields, sent))
    versions = [item for item in state.version["databases"] if item.get("redis_version") == fields["redis_version"]]
    fields["version"] = versions[0]["version"] if versions else "1.4.17" if memcached else fields["redis_version"]
    add_modules(state, fields, sent)
    known = field_rows("bdb", state.settings.server_version)
    return {name: fields[name] for name in sorted(fields) if name in known}


def _redis_version(state: ClusterState) -> str:
    return str(state.singletons["cluster_settings"].fields["default_provisioned_redis_version"])


def add_modules(state: ClusterState, fields: dict[str, Json], sent: Mapping[str, Json]) -> None:
    """Add to *fields* the bundled modules of its Redis version, and those in *sent*."""
    redis, wanted = fields["redis_version"], {item["module_name"]: item for item in sent.get("module_list") or ()}
    bundled = fields["type"] == "redis" and redis.split(".")[0].isdecimal() and int(redis.split(".")[0]) >= 8
    fields["module_list"] = []
    for row in table("modules"):
        name, version = row["module_name"], row["versions"].get(redis, "")
        if not version or not (bundled or name in wanted):
            continue
        args = wanted.get(name, {}).get("module_args", "")
        item = {"module_args": args, "module_id": module_uid(name, version), "module_name": name}
        fields["module_list"].append({**item, "semantic_version": version})
        if bundled and (settings := _MODULE_SETTINGS.get(name)):
            fields[settings] = {**default_values(f"bdb.{settings}"), **fields.get(settings, {})}
    own = {record.fields["module_name"]: record.fields for record in state.user_modules.values()}
    for name in sorted(set(own) & set(wanted) - {item["module_name"] for item in fields["module_list"]}):
        args, module = wanted[name].get("module_args", ""), own[name]
        item = {"module_args": args, "module_id": module["uid"], "module_name": name}
        fields["module_list"].append({**item, "semantic_version": module["semantic_version"]})
    if bundled:
        setting = "query_performance_factor"
        fields[setting] = {**default_values(f"bdb.{setting}"), **fields.get(setting, {})}


def normalised(state: ClusterState, old: Mapping[str, Json], sent: Mapping[str, Json]) -> dict[str, Json]:
    """Return *sent* in the form in which the server stores and shows it."""
    kept: dict[str, Json] = {}
    for name, value in sent.items():
        row = field_rows("bdb")[name]
        if row.get("write_only") or name in ("uid", "module_list"):
            continue
        if name in _MERGED:
            over = old.get(name, {}) if state.settings.on("nested_settings", "merge") else default_values(row["ref"])
            kept[name] = _overlaid(over, value)
        elif "items_ref" in row:
            kept[name] = [stored_form(row["items_ref"], item) for item in value]
        else:
            kept[name] = value
    _normalise(state, old, kept)
    return kept


def _overlaid(old: Json, new: Json) -> Json:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _overlaid(old.get(name), value) for name, value in new.items()}}
    return new


def _normalise(state: ClusterState, old: Mapping[str, Json], kept: dict[str, Json]) -> None:
    settings = state.settings
    if "active_defrag_ignore_bytes" in kept:
        kept["active_defrag_ignore_bytes"] = _bytes(kept["active_defrag_ignore_bytes"])
    if "authentication_redis_pass" in kept and settings.on("default_password_reads", "empty"):
        kept["authentication_redis_pass"] = ""
    for name in ("replica_sources", "crdt_sources", "sync_sources"):
        if name in kept:
            kept[name] = [_source(state, old.get(name, ()), item) for item in kept[name]]
    if settings.on("placement_hints", "one-shot"):
        kept.pop("avoid_nodes", None)
        kept.pop("use_nodes", None)
    if "backup_location" in kept and settings.on("secrets_on_read", "masked"):
        place = kept["backup_location"]
        kept["backup_location"] = {name: MASK if name in _SECRETS else value for name, value in place.items()}
    policy = kept.get("gradual_sync_policy", old.get("gradual_sync_policy"))
    if policy != "custom" and ("gradual_sync_policy" in kept or "gradual_sync_policy_parameters" in kept):
        kept["gradual_sync_policy_parameters"] = default_values("bdb.gradual_sync_policy_parameters")


_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def _bytes(text: str) -> str:
    number, unit = text[:-2], text[-2:].lower()
    return str(int(number) * _UNITS[unit]) if unit in _UNITS and number.isdecimal() else text


def _source(state: ClusterState, before: Json, item: Json) -> Json:
    """Return a replica source with the fields that the server adds: uid and state of the link."""
    known = next((one for one in before if one["uri"] == item["uri"]), None)
    if known is None:
        known = {"uid": state.next_source, "lag": 0, "last_error": "", "last_update": state.stamp()}
        known.update({"rdb_size": 0, "rdb_transferred": 0, "status": "in-sync"})
        state.next_source += 1
    return dict(sorted({**known, **item}.items()))
