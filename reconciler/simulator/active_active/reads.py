"""Endpoints that read Active-Active databases, their health report, and their section of snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.simulator.active_active import config
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.state.model import ClusterState, reachable
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section


@serves("GET /v1/crdbs")
def list_all(state: ClusterState, request: Request) -> Response:
    """List the Active-Active databases of this cluster."""
    return json_response([config.crdb_view(state, record) for record in state.crdbs.values()])


@serves("GET /v1/crdbs/{crdb_guid}")
def get(state: ClusterState, request: Request, guid: str) -> Response:
    """Show one."""
    record = config.find_crdb(state, guid)
    _wanted(record, request)
    return json_response(config.crdb_view(state, record))


def _wanted(record: ObjectRecord, request: Request) -> list[Mapping[str, Any]]:
    """Return the instances selected by the query, or raise 404."""
    text, instances = request.query.get("instance_id"), config.config_of(record)["instances"]
    found = [item for item in instances if text in (None, str(item["id"]))]
    if not found:
        raise ApiError(404, "not_found", "no such instance")
    return found


@serves("GET /v1/crdbs/{crdb_guid}/health_report")
def health(state: ClusterState, request: Request, guid: str) -> Response:
    """Show how each instance sees the others."""
    return json_response(
        [_report(state, guid, instance) for instance in _wanted(config.find_crdb(state, guid), request)]
    )


def _report(state: ClusterState, guid: str, instance: Mapping[str, Any]) -> Json:
    there = state.site.world.cluster(str(instance["cluster"]["url"]))
    about = {"cluster_name": instance["cluster"]["name"], "name": config.config_of(state.crdbs[guid])["name"]}
    if there is None or not reachable(state, there) or guid not in there.crdbs:
        return {**about, "connection_error": "cannot connect to the cluster"}
    record = there.crdbs[guid]
    whole, version, own = config.config_of(record), record.hidden["version"], config.local_instance(there, guid)
    names = ("causal_consistency", "encryption", "featureset_version", "name", "protocol_version")
    instances = [
        {
            "cluster": {"name": item["cluster"]["name"], "url": item["cluster"]["url"]},
            "db_uid": str(own.fields["uid"]) if own is not None and item["id"] == instance["id"] else "",
            "id": item["id"],
        }
        for item in whole["instances"]
    ]
    status = {"instances": instances, "status": record.hidden["status"], "version": version}
    uid = own.fields["uid"] if own is not None else 0
    return {
        **about,
        "active_config_version": version,
        "configurations": [{**{name: whole[name] for name in names}, **status}],
        "connections": [_connection(there, uid, item) for item in whole["instances"] if item["id"] != instance["id"]],
    }


def _connection(there: ClusterState, uid: int, other: Mapping[str, Any]) -> Json:
    peer = there.site.world.cluster(str(other["cluster"]["url"]))
    up = peer is not None and reachable(there, peer)
    link = {"link_uid": f"{uid}:{other['id']}", "status": "up" if up else "down"}
    return {"name": other["cluster"]["name"], "replication_links": [link], "status": "ok" if up else "error"}


_COMPUTED = ("local_databases", "modules")  # fields that are computed on read


def _load(state: ClusterState, body: list[Mapping[str, Any]]) -> None:
    for item in body:
        instances = [{name: value for name, value in one.items() if name != "db_uid"} for one in item["instances"]]
        whole = {name: value for name, value in item.items() if name not in _COMPUTED}
        config.store_config(state, {**whole, "instances": instances})


add_section("/v1/crdbs", _load, lambda state: [config.crdb_view(state, one) for one in state.crdbs.values()] or None)
