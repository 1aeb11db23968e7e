"""Validation across the settings of a database. Each rule checks the proposed object and may raise `ApiError`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.cluster import licenses, pem
from reconciler.simulator.data.tables import table
from reconciler.simulator.databases.modules import missing_capability
from reconciler.simulator.nodes.placement import blueprint_problem
from reconciler.simulator.state.model import ClusterState

PORTS = range(10000, 20000)
_TAG_RULES = {row["name"]: re.compile(row["rule"]) for row in table("objects")["bdb.tag"]["fields"] if "rule" in row}
_RESERVED_TAGS = frozenset({"redis", "cluster", "db"})
_SHARD_LEAST = 1 << 20  # bytes: about the size of an empty shard
_POLICIES = frozenset({"single", "all-master-shards", "all-nodes"})


class ProposedDatabase(NamedTuple):
    """A proposed database: merged fields, the fields of the request, and the old fields (None on creation)."""

    state: ClusterState
    new: Mapping[str, Json]
    sent: Mapping[str, Json]
    old: Mapping[str, Json] | None

    def sent_any(self, *names: str) -> bool:
        """Return whether the request contains one of *names*."""
        return any(name in self.sent for name in names)


def _refuse(code: str, description: str) -> ApiError:
    return ApiError(406, code, description)


def _port(draft: ProposedDatabase) -> None:
    port = draft.new["port"]
    if draft.old is not None or port == 0:
        return
    if port not in PORTS or port in reserved_ports(draft.state) or port in draft.state.ports:
        raise _refuse("port_unavailable", f"port {port} is taken, reserved or out of range")


def reserved_ports(state: ClusterState) -> frozenset[int]:
    """Return the ports that are reserved for the cluster."""
    closed = set(state.cluster.fields.get("system_reserved_ports", ()))
    for item in state.cluster.fields.get("reserved_ports", ()):
        first, _, last = str(item).partition("-")
        closed.update(range(int(first), int(last or first) + 1))
    return frozenset(closed)


def _version(draft: ProposedDatabase) -> None:
    offered = {item.get("redis_version") for item in draft.state.version["databases"]}
    if draft.old is None and draft.new["type"] == "redis" and draft.new["redis_version"] not in offered:
        raise _refuse("invalid_version", f"redis version {draft.new['redis_version']} is not offered")
    if draft.old is not None and draft.new["redis_version"] != draft.old["redis_version"]:
        raise _refuse("invalid_version", "the version of a database is changed by an upgrade")


def _modules(draft: ProposedDatabase) -> None:
    wanted = draft.sent.get("module_list") or ()
    if draft.old is not None:
        return
    if wanted and draft.new["type"] == "memcached":
        raise _refuse("memcached_cannot_use_modules", "memcached does not support modules")
    known = {row["module_name"] for row in table("modules") if draft.new["redis_version"] in row["versions"]}
    known |= {record.fields["module_name"] for record in draft.state.user_modules.values()}
    for item in wanted:
        if item["module_name"] not in known:
            raise _refuse("missing_module", f"module {item['module_name']} is not on the cluster")


def _capabilities(draft: ProposedDatabase) -> None:
    if draft.old is None or draft.sent_any("sharding", "replica_sources", "backup"):
        wrong = missing_capability(draft.state, draft.new)
        if wrong:
            raise _refuse("unsupported_module_capabilities", wrong)


def _older(version: str, than: tuple[int, ...]) -> bool:
    return tuple(int(part) for part in version.split(".") if part.isdecimal()) < than


def _memcached(draft: ProposedDatabase) -> None:
    new = draft.new
    names = ("authentication_sasl_uname", "authentication_sasl_pass")
    given = [name for name in names if new[name]]
    if draft.old is not None or new["type"] != "memcached" or len(given) == len(names):
        return
    if given or draft.state.settings.on("memcached_sasl", "required"):
        raise _refuse("invalid_sasl_credentials", f"memcached needs {' and '.join(names)}")


def _eviction(draft: ProposedDatabase) -> None:
    new, policy = draft.new, str(draft.new["eviction_policy"])
    if not draft.sent_any("eviction_policy"):
        return
    if policy.endswith("-lfu") and _older(new["redis_version"], (4,)):
        raise _refuse("eviction_policy_violation", f"{policy} needs Redis 4")
    if policy.endswith("-lrm") and new["crdt"]:
        raise _refuse("eviction_policy_violation", f"an Active-Active database cannot have {policy}")


def _blueprint(draft: ProposedDatabase) -> None:
    wanted = draft.sent.get("shards_blueprint")
    wrong = blueprint_problem(wanted, draft.new, {str(uid) for uid in draft.state.nodes}) if wanted else ""
    if wrong:
        raise _refuse("bad_shards_blueprint", wrong)


def _sharding(draft: ProposedDatabase) -> None:
    new, old = draft.new, draft.old
    count = new["shards_count"]
    if new["sharding"] and not new["shard_key_regex"] and not new.get("oss_sharding"):
        raise _refuse("invalid_sharding", "sharding needs shard_key_regex")
    if not new["sharding"] and count > 1:
        raise _refuse("invalid_sharding", "several shards need sharding")
    if new["sharding"] and count == 1 and draft.state.settings.on("sharding_single", "refuse"):
        raise _refuse("invalid_sharding", "a clustered database has at least two shards")
    if old is None:
        return
    if old["sharding"] and not new["sharding"]:
        raise _refuse("invalid_sharding", "sharding cannot be turned off")
    if count < old["shards_count"] or count % old["shards_count"]:
        raise _refuse("invalid_sharding", "shards_count can only grow, by multiples")


def _replication(draft: ProposedDatabase) -> None:
    if draft.old is None and draft.sent.get("crdt") and draft.sent.get("replication") is False:
        raise _refuse("replication_violation", "an Active-Active database must be replicated")
    if not draft.new["replication"] or not draft.sent_any("replication"):
        return
    if len(list(draft.state.members())) < 2:
        code = "invalid_replication" if draft.old is None else "replication_node_violation"
        raise _refuse(code, "replication needs a second node")
    size = draft.new["memory_size"]
    if draft.old is not None and not draft.old["replication"] and 0 < size < shard_total(draft.new) * _SHARD_LEAST:
        raise _refuse("replication_size_violation", "memory_size includes replicas and is too small for them")


def _racks(draft: ProposedDatabase) -> None:
    if draft.new["rack_aware"] and draft.sent_any("rack_aware") and not draft.state.cluster.fields.get("rack_aware"):
        code = "not_rack_aware" if draft.old is None else "rack_awareness_violation"
        raise _refuse(code, "the cluster is not rack-aware")
    if not (draft.new["rack_aware"] and draft.new["replication"] and draft.sent_any("rack_aware", "replication")):
        return
    if len({node.fields.get("rack_id", "") for node in draft.state.members()}) < 2:
        raise _refuse("rack_awareness_violation", "replicas need a second rack")


def _persistence(draft: ProposedDatabase) -> None:
    if not draft.sent_any("data_persistence", "snapshot_policy"):
        return
    if draft.new["data_persistence"] == "snapshot" and not draft.new["snapshot_policy"]:
        raise _refuse("invalid_data_persistence", "snapshots need snapshot_policy")


def _backup(draft: ProposedDatabase) -> None:
    known = draft.sent if draft.old is None else draft.new
    if draft.new["backup"] and draft.sent_any("backup", "backup_interval") and not known.get("backup_interval"):
        raise _refuse("missing_backup_interval", "backup needs backup_interval")


def _proxies(draft: ProposedDatabase) -> None:
    new = draft.new
    if new["proxy_policy"] not in _POLICIES:
        raise _refuse("invalid_proxy_policy", "proxy_policy must be one of " + ", ".join(sorted(_POLICIES)))
    touched = draft.sent_any("oss_cluster", "proxy_policy", "hash_slots_policy")
    narrow = new["proxy_policy"] == "single" or new["hash_slots_policy"] == "legacy"
    if new["oss_cluster"] and touched and narrow:
        raise _refuse("invalid_oss_cluster_configuration", "oss_cluster needs a multi-proxy policy and 16k slots")


def _is_expired(text: str, now: float) -> bool:
    try:
        return pem.read_certificate(text).not_after <= now
    except ValueError:  # only the frame was checked before
        return False


def _certificates(draft: ProposedDatabase) -> None:
    for name in ("authentication_ssl_client_certs", "authentication_ssl_crdt_certs"):
        texts = [item["client_cert"].strip() for item in draft.sent.get(name, ())]
        if any("-----BEGIN CERTIFICATE-----" not in text for text in texts):
            raise _refuse("invalid_certificate", f"{name} contains something that is not a certificate")
        if len(set(texts)) < len(texts):
            raise _refuse("duplicated_certs", f"{name} contains the same certificate twice")
        if not draft.new.get("mtls_allow_outdated_certs") and any(_is_expired(text, draft.state.now) for text in texts):
            raise _refuse("certificate_expired", f"{name} contains an expired certificate")


def _tags(draft: ProposedDatabase) -> None:
    before = {(item["key"], item["value"]) for item in (draft.old or {}).get("tags", ())}
    seen: set[str] = set()
    for item in draft.sent.get("tags", ()):
        key, value = item["key"], item["value"]
        if key in seen:
            raise _refuse("invalid_bdb_tags", f"tag {key} is given twice")
        seen.add(key)
        if (key, value) in before:
            continue
        if key in _RESERVED_TAGS or not _TAG_RULES["key"].search(key) or not _TAG_RULES["value"].search(value):
            raise _refuse("invalid_bdb_tags", f"tag {key} is not valid")


def _permissions(draft: ProposedDatabase) -> None:
    wanted = draft.sent.get("roles_permissions", ())
    if wanted and (draft.new["type"] == "memcached" or _older(draft.new["redis_version"], (6,))):
        raise _refuse("redis_acl_unsupported", "ACLs need Redis 6")
    roles, acls = (draft.state.roles.alive(), draft.state.acls.alive()) if wanted else ({}, {})
    for item in wanted:
        if item["role_uid"] not in roles:
            raise _refuse("invalid_param", f"no role with uid {item['role_uid']}")
        if item["redis_acl_uid"] not in acls:
            raise _refuse("invalid_param", f"no ACL with uid {item['redis_acl_uid']}")


def _capacity(draft: ProposedDatabase) -> None:
    if not draft.sent_any("memory_size", "shards_count", "replication"):
        return
    state, uid = draft.state, draft.new["uid"]
    memory, shards = draft.new["memory_size"], shard_total(draft.new)
    for other, record in state.bdbs.items():
        if other != uid:
            memory += record.fields.get("memory_size", 0)
            shards += len(record.fields.get("shard_list", ()))
    if memory > sum(node.fields["total_memory"] for node in state.members()):
        raise _refuse("insufficient_resources", "not enough memory on any node")
    if shards > licenses.shards_limit(state):
        raise _refuse("insufficient_resources", "the licence does not allow so many shards")


def shard_total(fields: Mapping[str, Json]) -> int:
    """Return how many shards a database has, replicas included."""
    return int(fields["shards_count"]) * (2 if fields["replication"] else 1)


RULES: tuple[Callable[[ProposedDatabase], None], ...] = (
    _version,
    _port,
    _modules,
    _memcached,
    _sharding,
    _capabilities,
    _eviction,
    _replication,
    _racks,
    _persistence,
    _backup,
    _proxies,
    _certificates,
    _tags,
    _permissions,
    _capacity,
    _blueprint,
)


def check_rules(draft: ProposedDatabase) -> None:
    """Raise the error of the first rule that *draft* violates."""
    for rule in RULES:
        rule(draft)
