"""Alerts of databases, of their sources, of nodes and of the cluster: settings and state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.simulator.access.scope import visible_databases
from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.resources.lookup import find_bdb, find_node, validated_body
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section

_OF_SOURCES = {"replica_sources": "bdb_replica_src_", "crdt_sources": "bdb_crdt_src_"}
_OFF = {"enabled": False, "threshold": ""}


def _alert(
    record: ObjectRecord, settings: Mapping[str, Json], state: bool = False, sample: Mapping[str, Json] = {}
) -> Json:
    threshold = settings.get("threshold", "")
    value = {"state": state, **({"threshold": threshold} if threshold else {}), **sample}
    return {
        "change_time": record.fields.get("created_time", "2026-01-15T09:00:00Z"),
        "change_value": value,
        "enabled": settings["enabled"],
        "severity": "WARNING" if state else "INFO",
        "state": state,
        "threshold": threshold,
    }


def _names(state: ClusterState) -> list[str]:
    known = field_rows("db_alerts_settings", state.settings.server_version)
    return sorted(name for name, row in known.items() if not row.get("deprecated"))


def database_alerts(state: ClusterState, record: ObjectRecord) -> dict[str, Json]:
    """Return the alerts of one database by name."""
    held = record.hidden.get("alerts", {})
    found = {}
    for name in _names(state):
        if name.startswith(tuple(_OF_SOURCES.values())):
            continue
        sample = {"memory_util": 0.2} if name == "bdb_size" else {}
        found[name] = _alert(record, held.get(name, _OFF), sample=sample)
    return found


@serves("GET /v1/bdbs/alerts")
def list_all(state: ClusterState, request: Request) -> Response:
    """Show the alerts of all databases by uid."""
    return json_response(
        {str(record.fields["uid"]): database_alerts(state, record) for record in visible_databases(state)}
    )


@serves("GET /v1/bdbs/alerts/{uid}")
def get(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the alerts of one database."""
    return json_response(database_alerts(state, find_bdb(state, uid)))


@serves("GET /v1/bdbs/alerts/{uid}/{alert}")
def get_one(state: ClusterState, request: Request, uid: str, alert: str) -> Response:
    """Show one alert of one database."""
    return json_response(_find_alert(database_alerts(state, find_bdb(state, uid)), alert))


def _find_alert(found: Mapping[str, Json], alert: str) -> Json:
    if alert not in found:
        raise ApiError(404, "not_found", f"no alert {alert[:60]}")
    return found[alert]


@serves("POST /v1/bdbs/alerts/{uid}")
def update(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Set alerts by name; the others do not change."""
    record = find_bdb(state, uid)
    sent = validated_body(state, "db_alerts_settings", body)
    held = record.hidden.get("alerts", {})
    changed = {**held, **{name: {**held.get(name, _OFF), **value} for name, value in sent.items()}}
    for name in sent:
        threshold = changed[name]["threshold"]
        if threshold and not threshold.replace(".", "", 1).isdecimal():
            raise ApiError(406, "not_acceptable", f"{name}: threshold is not a number")
    if not is_dry_run(request):
        record.hidden["alerts"] = changed
        state.changed()
    return json_response({name: changed[name] for name in sorted(changed)})


# Sources


def _links(state: ClusterState, record: ObjectRecord, field: str) -> dict[str, Json]:
    held, prefix = record.hidden.get("alerts", {}), _OF_SOURCES[field]
    names = [name for name in _names(state) if name.startswith(prefix)]
    found = {}
    for source in record.fields.get(field, ()):
        broken = bool(source.get("last_error"))
        wrong = {f"{prefix}syncer_connection_error": broken}
        found[str(source["uid"])] = {
            name: _alert(record, held.get(name, _OFF), wrong.get(name, False)) for name in names
        }
    return found


def _link(state: ClusterState, uid: str, field: str, source: str) -> Mapping[str, Json]:
    found = _links(state, find_bdb(state, uid), field)
    if source not in found:
        raise ApiError(404, "not_found", f"no source {source[:20]}")
    links: Mapping[str, Json] = found[source]
    return links


def _field(request: Request) -> str:
    return request.path.split("/")[3]


@serves("GET /v1/bdbs/replica_sources/alerts", "GET /v1/bdbs/crdt_sources/alerts")
def list_links(state: ClusterState, request: Request) -> Response:
    """Show the alerts of the sources of all databases."""
    found = {str(record.fields["uid"]): _links(state, record, _field(request)) for record in visible_databases(state)}
    return json_response({uid: links for uid, links in found.items() if links})


@serves("GET /v1/bdbs/replica_sources/alerts/{uid}", "GET /v1/bdbs/crdt_sources/alerts/{uid}")
def get_links(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the alerts of the sources of one database."""
    return json_response(_links(state, find_bdb(state, uid), _field(request)))


@serves(
    "GET /v1/bdbs/replica_sources/alerts/{uid}/{replica_src_id}",
    "GET /v1/bdbs/crdt_sources/alerts/{uid}/{crdt_src_id}",
)
def get_link(state: ClusterState, request: Request, uid: str, source: str) -> Response:
    """Show the alerts of one source."""
    return json_response(_link(state, uid, _field(request), source))


@serves(
    "GET /v1/bdbs/replica_sources/alerts/{uid}/{replica_src_id}/{alert}",
    "GET /v1/bdbs/crdt_sources/alerts/{uid}/{crdt_src_id}/{alert}",
)
def get_link_alert(state: ClusterState, request: Request, uid: str, source: str, alert: str) -> Response:
    """Show one alert of one source."""
    return json_response(_find_alert(_link(state, uid, _field(request), source), alert))


# Nodes: the settings are in the cluster


def _of_node(state: ClusterState, request: Request, record: ObjectRecord) -> dict[str, Json]:
    settings, every = state.cluster.fields.get("alert_settings", {}), request.query.get("ignore_settings") is not None
    known = field_rows("cluster.alert_settings", state.settings.server_version)
    found = {}
    for name in sorted(name for name in known if name.startswith("node_")):
        held = settings.get(name, False)
        enabled = bool(held.get("enabled")) if isinstance(held, dict) else bool(held)
        if not (enabled or every):
            continue
        raised = name == "node_failed" and record.fields["status"] == "down"
        value: dict[str, Json] = {"state": raised}
        if isinstance(held, dict):
            value["global_threshold"] = str(held.get("threshold", ""))
        found[name] = {
            "change_time": state.cluster.fields.get("created_time", state.stamp()),
            "change_value": value,
            "enabled": enabled,
            "severity": "WARNING" if raised else "INFO",
            "state": raised,
        }
    return found


@serves("GET /v1/nodes/alerts")
def list_nodes(state: ClusterState, request: Request) -> Response:
    """Show the alerts of all nodes by uid."""
    return json_response({str(uid): _of_node(state, request, state.nodes[uid]) for uid in sorted(state.nodes)})


@serves("GET /v1/nodes/alerts/{uid}")
def get_node(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the alerts of one node."""
    return json_response(_of_node(state, request, find_node(state, uid)))


@serves("GET /v1/nodes/alerts/{uid}/{alert}")
def get_node_alert(state: ClusterState, request: Request, uid: str, alert: str) -> Response:
    """Show one alert of one node."""
    return json_response(_find_alert(_of_node(state, request, find_node(state, uid)), alert))


# The cluster

_SEVERITY = {True: "WARNING", False: "INFO"}


def _raised_alerts(state: ClusterState) -> Mapping[str, bool]:
    """Return which of the supported cluster alerts are raised now."""
    nodes = list(state.nodes.values())
    up = len(list(state.members()))
    memory = sum(bdb.fields.get("memory_size", 0) for bdb in state.bdbs.values())
    end = state.license.fields.get("expiration_date")
    days = int(_threshold(state, "cluster_license_about_to_expire") or 0)
    soon = format_time(state.now + days * 86400)
    return {
        "cluster_even_node_count": len(nodes) % 2 == 0,
        "cluster_inconsistent_rl_sw": len({node.fields.get("software_version") for node in nodes}) > 1,
        "cluster_license_about_to_expire": isinstance(end, str) and end <= soon,
        "cluster_multiple_nodes_down": len(nodes) - up > 1,
        "cluster_ram_overcommit": memory > sum(node.fields.get("total_memory", 0) for node in nodes),
        "cluster_too_few_nodes_for_replication": up < 2,
    }


def _setting(state: ClusterState, name: str) -> Any:
    return state.cluster.fields.get("alert_settings", {}).get(name, False)


def _threshold(state: ClusterState, name: str) -> Any:
    setting = _setting(state, name)
    return setting.get("threshold") if isinstance(setting, dict) else None


def _cluster_alerts(state: ClusterState, request: Request) -> dict[str, Json]:
    """Return the alerts that are enabled or raised; all of them with `ignore_settings`."""
    raised = _raised_alerts(state)
    names = {name for name in state.cluster.fields.get("alert_settings", {}) if name.startswith("cluster_")}
    all_of_them = request.query.get("ignore_settings", "false").lower() in ("true", "1", "")
    found: dict[str, Json] = {}
    for name in sorted(names | set(raised)):
        setting, on = _setting(state, name), raised.get(name, False)
        enabled = bool(setting.get("enabled") if isinstance(setting, dict) else setting)
        if not (enabled or on or all_of_them):
            continue
        value = {"state": on, **({"global_threshold": setting["threshold"]} if _threshold(state, name) else {})}
        times = {"change_time": state.cluster.fields["created_time"], "change_value": value}
        found[name] = {**times, "enabled": enabled, "severity": _SEVERITY[on], "state": on}
    return found


@serves("GET /v1/cluster/alerts")
def list_cluster(state: ClusterState, request: Request) -> Response:
    """Show the alerts of the cluster by name."""
    return json_response(_cluster_alerts(state, request))


@serves("GET /v1/cluster/alerts/{alert}")
def get_cluster_alert(state: ClusterState, request: Request, name: str) -> Response:
    """Show one alert."""
    found = _cluster_alerts(state, request._replace(query={"ignore_settings": "true"}))
    if name not in found:
        raise ApiError(404, "not_found", f"no alert {name}")
    return json_response(found[name])


def _load(state: ClusterState, body: Mapping[str, Any]) -> None:
    for uid, held in body.items():
        if int(uid) in state.bdbs:
            settings = {name: {key: alert.get(key) for key in ("enabled", "threshold")} for name, alert in held.items()}
            state.bdbs[int(uid)].hidden["alerts"] = settings


def _save(state: ClusterState) -> Json:
    saved = {
        str(uid): database_alerts(state, record) for uid, record in state.bdbs.items() if record.hidden.get("alerts")
    }
    return saved or None


add_section("/v1/bdbs/alerts", _load, _save)
