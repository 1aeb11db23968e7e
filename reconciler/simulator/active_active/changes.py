"""Changes to the configuration of an Active-Active database: validation and merging. Makes no connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.resources.lookup import validated_body
from reconciler.simulator.state.model import ClusterState

_FIXED = ("sharding", "shard_key_regex", "oss_sharding", "module_list", "redis_version")
_UNSAID: Mapping[str, Json] = {"sharding": False, "oss_sharding": False, "shard_key_regex": [], "module_list": []}

CrdbConfig = dict[str, Any]
Resets = Mapping[int, Mapping[str, None]]  # instance -> settings that are reset to the default


def check_clusters(instances: list[Mapping[str, Any]]) -> None:
    """Raise 400 or 406 unless each of the new *instances* has credentials for a different cluster."""
    for place, item in enumerate(instances):
        cluster = item.get("cluster")
        if cluster is None:
            raise ApiError(400, "missing_field", f"instances[{place}].cluster is needed")
        if "credentials" not in cluster and "certificate_auth" not in cluster:
            raise ApiError(400, "missing_field", f"instances[{place}].cluster needs credentials")
    names = [item["cluster"]["name"] for item in instances]
    if len(set(names)) < len(names):
        raise ApiError(406, "not_acceptable", "a cluster can participate only once")


def new_instance(sent: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return a new instance as it is stored."""
    return {"compression": 3, "db_config": {}, **sent, "id": number}


def check_settings(values: Mapping[str, Any]) -> None:
    """Raise 406 for shared settings that no Active-Active database can have."""
    if values.get("data_persistence") == "snapshot":
        raise ApiError(406, "not_acceptable", "an Active-Active database does not write snapshots")
    if values.get("sharding") and not values.get("shard_key_regex") and not values.get("oss_sharding"):
        raise ApiError(406, "not_acceptable", "sharding needs shard_key_regex")


def _split(values: Json) -> tuple[Json, dict[str, None]]:
    """Return *values* without its nulls, and the nulls."""
    if not isinstance(values, dict):
        return values, {}
    gone = {name: None for name, value in values.items() if value is None}
    return {name: value for name, value in values.items() if value is not None}, gone


def parse_patch(state: ClusterState, body: Json) -> tuple[dict[str, Any], dict[int, dict[str, None]]]:
    """Return the fields of a partial configuration, and the settings that instances reset to the default."""
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_schema", "body: expected an object")
    resets, copies, instances = {}, dict(body), body.get("instances")
    if isinstance(instances, list):
        copies["instances"] = []
        for item in instances:
            values, gone = _split(item.get("db_config")) if isinstance(item, dict) else (None, {})
            copies["instances"].append({**item, "db_config": values} if values is not None else item)
            if gone and isinstance(item.get("id"), int):
                resets[item["id"]] = gone
    known = instances if isinstance(instances, list) else []
    sent = validated_body(state, "crdb", {name: value for name, value in copies.items() if name != "instances"})
    if "instances" in body:
        padded = copies["instances"] + [{}] * max(0, 2 - len(known)) if isinstance(instances, list) else instances
        sent["instances"] = validated_body(state, "crdb", {"instances": padded})["instances"][: len(known)]
    return sent, resets


def apply_patch(whole: CrdbConfig, sent: Mapping[str, Any], resets: Resets) -> CrdbConfig:
    """Return the configuration *whole* updated by *sent*, or raise 404 or 406."""
    if sent.get("name", whole["name"]) != whole["name"]:
        raise ApiError(406, "not_acceptable", "the name of an Active-Active database cannot change")
    shared = sent.get("default_db_config", {})
    for name in _FIXED:
        if name in shared and shared[name] != whole["default_db_config"].get(name, _UNSAID.get(name)):
            raise ApiError(406, "not_acceptable", f"{name} is fixed at creation")
    check_settings({**whole["default_db_config"], **shared})
    new = {**whole, **{name: value for name, value in sent.items() if name not in ("instances", "default_db_config")}}
    new["default_db_config"] = {**whole["default_db_config"], **shared}
    by_id = {item["id"]: item for item in whole["instances"]}
    for item in sent.get("instances", ()):
        number = item.get("id") or next((uid for uid, one in by_id.items() if _same(one, item)), 0)
        if number not in by_id:
            raise ApiError(406, "not_acceptable", "instances are added and removed by updates")
        old, values = by_id[number], {**item.get("db_config", {}), **resets.get(number, {})}
        own = {name: value for name, value in {**old["db_config"], **values}.items() if value is not None}
        by_id[number] = {
            **old,
            **item,
            "id": number,
            "cluster": {**old["cluster"], **item.get("cluster", {})},
            "db_config": own,
        }
    new["instances"] = list(by_id.values())
    return new


def _same(one: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    return bool(one["cluster"]["name"] == item.get("cluster", {}).get("name"))


def changed_settings(old: CrdbConfig, new: CrdbConfig) -> frozenset[str]:
    """Return the settings in which two configurations differ."""
    parts = [(old["default_db_config"], new["default_db_config"])]
    before = {item["id"]: item["db_config"] for item in old["instances"]}
    parts += [(before.get(item["id"], {}), item["db_config"]) for item in new["instances"]]
    return frozenset(name for one, two in parts for name in {*one, *two} if one.get(name) != two.get(name))


def new_instances(whole: CrdbConfig, sent: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the instances that join *whole*, with the next ids, or raise 400 or 406."""
    check_clusters(sent)
    names = {item["cluster"]["name"] for item in whole["instances"]}
    if any(item["cluster"]["name"] in names for item in sent):
        raise ApiError(406, "not_acceptable", "the cluster participates already")
    first = max(item["id"] for item in whole["instances"]) + 1
    return [new_instance(item, number) for number, item in enumerate(sent, first)]
