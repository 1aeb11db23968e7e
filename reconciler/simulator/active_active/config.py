"""Active-Active databases: one configuration, stored in each participating cluster, and an instance in each.

Clusters connect to each other by URL, with credentials that may be wrong, over links that may be down. Functions that
connect raise `TaskError` with the error of each cluster before they change anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.simulator.access import authentication
from reconciler.simulator.active_active.tasks import TaskError
from reconciler.simulator.api.fields import default_values, field_rows
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.databases import lifecycle
from reconciler.simulator.databases.fields import new_fields, normalised, with_defaults
from reconciler.simulator.databases.rules import ProposedDatabase, check_rules
from reconciler.simulator.state.model import ClusterState, reachable
from reconciler.simulator.state.records import ObjectRecord

FEATURESET, PROTOCOL = 8, 1
_SECRETS = ("credentials", "certificate_auth")
_SHOWN = ("data_persistence", "eviction_policy", "replication")  # defaults that reads show
_OWN = frozenset({"name"})  # fields of a configuration that are not settings of an instance


class Peer(NamedTuple):
    """One instance and the cluster that it is in."""

    instance: Mapping[str, Any]
    state: ClusterState

    @property
    def name(self) -> str:
        """The name of the cluster."""
        return str(self.instance["cluster"]["name"])


def cluster_name(state: ClusterState) -> str:
    """Return the name of a cluster."""
    return str(state.cluster.fields.get("name", ""))


# Connections


def _peer(state: ClusterState, instance: Mapping[str, Any]) -> Peer:
    cluster = instance["cluster"]
    name = str(cluster["name"])
    there = state.site.world.cluster(str(cluster["url"]))
    if there is None or not reachable(state, there):
        raise TaskError((name, "cannot connect to the cluster"))
    if cluster_name(there) != name:
        raise TaskError((name, f"the cluster at this URL has the name {cluster_name(there)}"))
    credentials = cluster.get("credentials")
    if credentials is not None:
        try:
            user = authentication.authenticate(there, str(credentials["username"]), str(credentials["password"]))
            authentication.require_permission(there, user, "create_crdb")
        except ApiError as error:
            raise TaskError((name, f"Error [{error.status}]")) from error
    elif there is not state and "certificate_auth" not in cluster:
        raise TaskError((name, "Error [401]"))
    return Peer(instance, there)


def connect(state: ClusterState, instances: Iterable[Mapping[str, Any]]) -> list[Peer]:
    """Return the clusters of all *instances*, or raise `TaskError` with each cluster that is not available."""
    found: list[Peer] = []
    errors: list[tuple[str, str]] = []
    for instance in instances:
        try:
            found.append(_peer(state, instance))
        except TaskError as trouble:
            errors += trouble.errors
    if errors:
        raise TaskError(*errors)
    return found


# The configuration


def find_crdb(state: ClusterState, guid: str) -> ObjectRecord:
    """Return the Active-Active database *guid*, or raise 404."""
    if guid not in state.crdbs:
        raise ApiError(404, "not_found", "no such Active-Active database")
    return state.crdbs[guid]


def config_of(record: ObjectRecord) -> Mapping[str, Any]:
    """Return the configuration in *record*, secrets included."""
    held: Mapping[str, Any] = record.hidden["config"]
    return held


def crdb_view(state: ClusterState, record: ObjectRecord) -> Json:
    """Return what a read shows of the Active-Active database *record*."""
    whole, reading = config_of(record), state.settings.switches["crdb_credentials_read"]
    instances = []
    for instance in whole["instances"]:
        cluster = {name: value for name, value in instance["cluster"].items() if name not in _SECRETS}
        for name in _SECRETS:
            if name in instance["cluster"] and reading != "absent":
                cluster[name] = instance["cluster"][name] if reading == "value" else _masked(instance["cluster"][name])
        uid = _local(state, whole["guid"], instance["id"])
        instances.append({**instance, "cluster": cluster, "db_uid": uid})
    own = [{"bdb_uid": item["db_uid"], "id": item["id"]} for item in instances if item["db_uid"]]
    basis = default_values("crdb.database_config", state.settings.server_version)
    shared = {name: basis[name] for name in _SHOWN if name in basis} | {"name": whole["name"]}
    shared.update(whole["default_db_config"])
    modules = [
        {"featureset_version": 1, "module_name": item["module_name"]}
        for item in whole["default_db_config"].get("module_list", ())
    ]
    parts = {"default_db_config": shared, "instances": instances, "local_databases": own, "modules": modules}
    return dict(sorted({**whole, **parts}.items()))


def _masked(secret: Mapping[str, Json]) -> Json:
    return {name: value if name == "username" else "********" for name, value in secret.items()}


def local_instance(state: ClusterState, guid: str) -> ObjectRecord | None:
    """Return the instance of an Active-Active database in the cluster *state*."""
    return next((record for record in state.bdbs.values() if record.fields.get("crdt_guid") == guid), None)


def _local(state: ClusterState, guid: str, number: int) -> str:
    record = local_instance(state, guid)
    return str(record.fields["uid"]) if record is not None and record.fields["crdt_replica_id"] == number else ""


def store_config(state: ClusterState, whole: Mapping[str, Any], status: str = "commit-completed") -> None:
    """Store a configuration in one cluster, as the next version."""
    record = state.crdbs.setdefault(whole["guid"], ObjectRecord({}, {"version": 0, "removed": {}}))
    record.hidden["version"] += 1
    record.hidden["config"] = dict(whole)
    record.hidden["status"] = status
    state.changed()


# Instances


def _values(state: ClusterState, whole: Mapping[str, Any], instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the database that an instance is."""
    version = state.settings.server_version
    said = {**whole["default_db_config"], **instance.get("db_config", {})}
    basis = {name: value for name, value in default_values("crdb.database_config", version).items() if name not in _OWN}
    if len(list(state.members())) < 2:
        basis["replication"] = False
    known = field_rows("bdb", version)
    return {name: value for name, value in {**basis, **said}.items() if name in known and name not in _OWN}


def _marks(whole: Mapping[str, Any], instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Active-Active fields of an instance's database."""
    others = [item for item in whole["instances"] if item["id"] != instance["id"]]
    return {
        "crdt": True,
        "crdt_causal_consistency": whole["causal_consistency"],
        "crdt_config_version": 1,
        "crdt_featureset_version": whole["featureset_version"],
        "crdt_guid": whole["guid"],
        "crdt_protocol_version": whole["protocol_version"],
        "crdt_replica_id": instance["id"],
        "crdt_replicas": ",".join(str(item["id"]) for item in whole["instances"]),
        "crdt_sources": [_source(whole, item) for item in others],
        "crdt_sync": "enabled",
    }


def _source(whole: Mapping[str, Any], other: Mapping[str, Any]) -> Json:
    port = whole["default_db_config"].get("port", 12000)
    end = other["cluster"].get("replication_endpoint") or f"{whole['name']}.{other['cluster']['name']}:{port}"
    state = {"lag": 0, "last_error": "", "last_update": "", "rdb_size": 0, "rdb_transferred": 0, "status": "in-sync"}
    compression = {"compression": other.get("compression", 3), "encryption": whole["encryption"]}
    return {**state, **compression, "uid": other["id"], "uri": f"redis://{end.split('@')[-1]}"}


def _draft(peer: Peer, whole: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, Any]]:
    """Return the fields of a new instance and the settings that were sent, or raise `TaskError`."""
    sent = {**_values(peer.state, whole, peer.instance), "name": whole["name"]}
    fields = new_fields(peer.state, peer.state.bdbs.next_uid, sent)
    fields.update(_marks(whole, peer.instance))
    try:
        check_rules(ProposedDatabase(peer.state, fields, sent, None))
    except ApiError as error:
        raise TaskError((peer.name, error.description)) from error
    return fields, sent


def create_instances(peers: Iterable[Peer], whole: Mapping[str, Any]) -> None:
    """Create instances, in all clusters or in none."""
    _all(peers, lambda peer: _draft(peer, whole) and None)
    for peer in peers:
        fields, sent = _draft(peer, whole)
        hidden = (
            {"authentication_redis_pass": sent["authentication_redis_pass"]}
            if "authentication_redis_pass" in sent
            else {}
        )
        lifecycle.begin_create(peer.state, fields, hidden)


def _all(peers: Iterable[Peer], work: Callable[[Peer], None]) -> None:
    errors: list[tuple[str, str]] = []
    for peer in peers:
        try:
            work(peer)
        except TaskError as trouble:
            errors += trouble.errors
    if errors:
        raise TaskError(*errors)


def require_idle_instances(peers: Iterable[Peer], guid: str) -> None:
    """Raise `TaskError` where an instance is busy or missing."""

    def idle(peer: Peer) -> None:
        record = local_instance(peer.state, guid)
        if record is None or record.fields["status"] != "active":
            raise TaskError((peer.name, "the instance is busy or missing"))

    _all(peers, idle)


def update_instances(peers: Iterable[Peer], whole: Mapping[str, Any], touched: frozenset[str]) -> None:
    """Apply a changed configuration to the instances, in the fields *touched*; local overrides keep their values."""
    changes = []
    for peer in peers:
        record = local_instance(peer.state, whole["guid"])
        if record is None:
            continue
        own = peer.instance.get("db_config", {})
        reset = record.hidden.get("reset", frozenset())
        kept = set(record.hidden.get("local", ())) - set(reset) - set(own)
        if peer.state.settings.on("crdb_local_override", "replaced"):
            kept -= touched
        record.hidden["local"] = kept
        wanted = _values(peer.state, whole, peer.instance)
        sent = {name: value for name, value in wanted.items() if name in touched and name not in kept}
        sent = {name: value for name, value in sent.items() if name not in ("port", "sharding", "module_list")}
        values = normalised(peer.state, record.fields, sent)
        try:
            new = with_defaults({**record.fields, **values})
            check_rules(ProposedDatabase(peer.state, new, sent, with_defaults(record.fields)))
        except ApiError as error:
            raise TaskError((peer.name, error.description)) from error
        changes.append((peer.state, record, {**values, **_marks(whole, peer.instance)}))
    for state, record, values in changes:
        values["crdt_config_version"] = record.fields.get("crdt_config_version", 0) + 1
        values["crdt_sources"] = values["crdt_sources"] or []
        lifecycle.begin_change(state, record, "SMUpdateBDB", values)


def remove_instance(state: ClusterState, guid: str) -> None:
    """Remove the instance and the configuration from one cluster."""
    record = local_instance(state, guid)
    if record is not None and record.fields["status"] != "delete-pending":
        record.set(status="active", crdt=False, crdt_guid="")
        lifecycle.begin_delete(state, record)
    state.crdbs.pop(guid, None)
    state.changed()
