"""Endpoints that change Active-Active databases: each is a task that runs in all participating clusters, or fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.simulator.active_active import config, tasks
from reconciler.simulator.active_active.changes import (
    CrdbConfig,
    Resets,
    apply_patch,
    changed_settings,
    check_clusters,
    check_settings,
    new_instance,
    new_instances,
    parse_patch,
)
from reconciler.simulator.active_active.tasks import TaskError, TaskSpec
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.databases import lifecycle
from reconciler.simulator.databases.upgrade import target_version, upgraded_fields
from reconciler.simulator.resources.lookup import typed_fields, validated_body
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_GUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_SECONDS = {"create": 8.0, "update": 5.0, "delete": 5.0, "flush": 3.0, "purge": 3.0, "upgrade": 6.0}


def _task(
    state: ClusterState, request: Request, operation: str, whole: Mapping[str, Any], work: Callable[[], None]
) -> Response:
    names = [str(instance["cluster"]["name"]) for instance in whole["instances"]]
    job = TaskSpec(operation, whole["guid"], names, _SECONDS[operation], work)
    return json_response(tasks.queued_view(tasks.begin_task(state, request, job)))


@serves("POST /v1/crdbs")
def create(state: ClusterState, request: Request, body: Json) -> Response:
    """Create an Active-Active database with an instance in each named cluster."""
    sent = validated_body(state, "crdb", body)
    for name in ("name", "default_db_config", "instances"):
        if name not in sent:
            raise ApiError(400, "missing_field", f"{name} is needed")
    if "memory_size" not in sent["default_db_config"]:
        raise ApiError(400, "missing_field", "default_db_config.memory_size is needed")
    check_clusters(sent["instances"])
    check_settings(sent["default_db_config"])
    if any(config.config_of(record)["name"] == sent["name"] for record in state.crdbs.values()):
        raise ApiError(406, "not_acceptable", "the name is taken")
    versions = {"featureset_version": config.FEATURESET, "protocol_version": config.PROTOCOL}
    whole: CrdbConfig = {"causal_consistency": False, "encryption": False, **sent, **versions, "guid": state.new_id()}
    whole["instances"] = [new_instance(item, place) for place, item in enumerate(sent["instances"], 1)]

    def work() -> None:
        peers = config.connect(state, whole["instances"])
        if is_dry_run(request):
            return
        config.create_instances(peers, whole)
        for peer in peers:
            config.store_config(peer.state, whole)

    return _task(state, request, "create", whole, work)


def _commit(state: ClusterState, old: CrdbConfig, new: CrdbConfig, resets: Resets) -> None:
    """Apply a changed configuration to all clusters and their instances."""
    peers = config.connect(state, new["instances"])
    config.require_idle_instances(peers, new["guid"])
    for peer in peers:
        record = config.local_instance(peer.state, new["guid"])
        if record is not None:
            record.hidden["reset"] = frozenset(resets.get(peer.instance["id"], ()))
    config.update_instances(
        peers, new, changed_settings(old, new) | {name for gone in resets.values() for name in gone}
    )
    for peer in peers:
        config.store_config(peer.state, new)


def _current(state: ClusterState, guid: str) -> CrdbConfig:
    return dict(config.config_of(config.find_crdb(state, guid)))


def _credentials(state: ClusterState, sent: Mapping[str, Any], whole: CrdbConfig) -> None:
    """Raise 400 where an edit must repeat the credentials of the peers."""
    if not state.settings.on("crdb_credentials", "every-time"):
        return
    given = {item["cluster"]["name"] for item in sent.get("instances", ()) if "credentials" in item.get("cluster", {})}
    for item in whole["instances"]:
        if item["cluster"]["name"] not in given | {config.cluster_name(state)}:
            raise ApiError(400, "missing_field", f"the credentials of {item['cluster']['name']} must be repeated")


@serves("PATCH /v1/crdbs/{crdb_guid}")
def patch(state: ClusterState, request: Request, guid: str, body: Json) -> Response:
    """Change the configuration in part."""
    whole = _current(state, guid)
    sent, resets = parse_patch(state, body)
    _credentials(state, sent, whole)
    new = apply_patch(whole, sent, resets)
    return _task(state, request, "update", new, lambda: _commit(state, whole, new, resets))


@serves("POST /v1/crdbs/{crdb_guid}/updates")
def update(state: ClusterState, request: Request, guid: str, body: Json) -> Response:
    """Change the configuration, and add or remove instances, also by force."""
    whole = _current(state, guid)
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_schema", "body: expected an object")
    inner, force = body.get("crdb"), bool(body.get("force_remove"))
    rest = {name: value for name, value in body.items() if name not in ("crdb", "force_remove")}
    sent = validated_body(state, "crdb.modify_request", rest)
    force = force or bool(sent.get("remove_instances.force_remove"))
    patch_of, resets = parse_patch(state, inner) if inner is not None else ({}, {})
    new = apply_patch(whole, patch_of, resets)
    gone = set(sent.get("remove_instances", ()))
    known = {item["id"] for item in whole["instances"]}
    if not gone <= known:
        raise ApiError(404, "not_found", "no such instance")
    if gone == known:
        raise ApiError(406, "not_acceptable", "one instance must remain")
    joining = new_instances(whole, sent.get("add_instances", []))
    new["instances"] = [item for item in new["instances"] if item["id"] not in gone] + joining
    leaving = [item for item in whole["instances"] if item["id"] in gone]

    def work() -> None:
        peers = config.connect(state, [*new["instances"], *(() if force else leaving)])
        if is_dry_run(request):
            return
        _commit_members(state, (whole, new, resets), peers, {item["id"] for item in joining})
        for peer in peers:
            if peer.instance["id"] in gone:
                config.remove_instance(peer.state, guid)
        if guid in state.crdbs and force:
            hidden = state.crdbs[guid].hidden
            hidden["removed"] = {**hidden["removed"], **{item["id"]: item for item in leaving}}

    return _task(state, request, "update", new, work)


def _commit_members(
    state: ClusterState, change: tuple[CrdbConfig, CrdbConfig, Resets], peers: list[config.Peer], fresh: set[int]
) -> None:
    whole, new, resets = change
    staying = [peer for peer in peers if peer.instance["id"] not in fresh]
    staying = [peer for peer in staying if any(item["id"] == peer.instance["id"] for item in new["instances"])]
    config.require_idle_instances(staying, new["guid"])
    config.create_instances([peer for peer in peers if peer.instance["id"] in fresh], new)
    config.update_instances(
        staying, new, changed_settings(whole, new) | {name for gone in resets.values() for name in gone}
    )
    for peer in peers:
        if any(item["id"] == peer.instance["id"] for item in new["instances"]):
            config.store_config(peer.state, new)


@serves("DELETE /v1/crdbs/{crdb_guid}")
def delete(state: ClusterState, request: Request, guid: str) -> Response:
    """Delete all instances and their data."""
    if not _GUID.match(guid):
        raise ApiError(406, "not_acceptable", "this is not a guid")
    whole = _current(state, guid)

    def work() -> None:
        for peer in config.connect(state, whole["instances"]):
            config.remove_instance(peer.state, guid)

    return _task(state, request, "delete", whole, work)


@serves("PUT /v1/crdbs/{crdb_guid}/flush")
def flush(state: ClusterState, request: Request, guid: str, body: Json) -> Response:
    """Delete the data of all instances."""
    whole = _current(state, guid)
    typed_fields(body, {})

    def work() -> None:
        peers = config.connect(state, whole["instances"])
        config.require_idle_instances(peers, guid)
        for peer in peers:
            record = config.local_instance(peer.state, guid)
            if record is not None:
                lifecycle.begin_change(peer.state, record, "SMFlushBDB", {}, after=_emptier(record))

    return _task(state, request, "flush", whole, work)


def _emptier(record: ObjectRecord) -> Callable[[], None]:
    return lambda: record.hidden.update(empty=True)


@serves("PUT /v1/crdbs/{crdb_guid}/purge")
def purge(state: ClusterState, request: Request, guid: str, body: Json) -> Response:
    """Clean up after a forced removal, here or in the removed cluster."""
    record, sent = config.find_crdb(state, guid), validated_body(state, "crdb_purge_request", body)
    if "instances" not in sent:
        raise ApiError(400, "missing_field", "instances is needed")
    whole, hidden = _current(state, guid), record.hidden
    removed = hidden["removed"]
    own = config.local_instance(state, guid)
    mine = own.fields["crdt_replica_id"] if own is not None else 0
    if any(number not in removed and number != mine for number in sent["instances"]):
        raise ApiError(404, "not_found", "no such instance was removed")

    def work() -> None:
        for number in sent["instances"]:
            if number == mine:
                config.remove_instance(state, guid)
            else:
                config.remove_instance(config.connect(state, [removed[number]])[0].state, guid)
                hidden["removed"] = {key: item for key, item in hidden["removed"].items() if key != number}

    return _task(state, request, "purge", whole, work)


@serves("POST /v1/crdbs/{crdb_guid}/upgrade")
def upgrade(state: ClusterState, request: Request, guid: str, body: Json) -> Response:
    """Upgrade all instances."""
    whole, sent = _current(state, guid), validated_body(state, "crdb_upgrade_request", body)
    own = config.local_instance(state, guid)
    now = str(own.fields["redis_version"]) if own is not None else "0"
    try:
        row = target_version(state, now, sent)
    except ApiError as error:
        raise ApiError(error.status, "not_acceptable", error.description) from error
    new = {**whole, "default_db_config": {**whole["default_db_config"], "redis_version": row["redis_version"]}}
    new["featureset_version"] = whole["featureset_version"] + 1

    def work() -> None:
        peers = config.connect(state, whole["instances"])
        config.require_idle_instances(peers, guid)
        for peer in peers:
            if row not in peer.state.version["databases"]:
                raise TaskError((peer.name, f"redis version {row['redis_version']} is not offered"))
        for peer in peers:
            record = config.local_instance(peer.state, guid)
            if record is not None:
                changes = upgraded_fields(peer.state, record.fields, row)
                lifecycle.begin_change(peer.state, record, "SMUpgradeBDB", changes)
            config.store_config(peer.state, new)

    return _task(state, request, "upgrade", whole, work)
