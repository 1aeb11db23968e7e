"""Statistics of the cluster, nodes, databases, shards, endpoints and links: series by interval, and the last sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from reconciler.simulator.access.scope import visible_databases
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import add_handler, serves
from reconciler.simulator.monitoring.series import INTERVALS, sample, sample_window
from reconciler.simulator.nodes import placement
from reconciler.simulator.nodes.endpoints import memory_of
from reconciler.simulator.resources.lookup import find_bdb, find_node, find_shard
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_LAST = 5  # seconds that the last sample covers


class MetricSource(NamedTuple):
    """An object with metrics: the kind of metrics, its id, and the exactly known values."""

    kind: str
    uid: str
    known: Mapping[str, float]


def _values(state: ClusterState, what: MetricSource, at: float, request: Request) -> dict[str, Json]:
    only = [name.strip() for name in request.query.get("metrics", "").split(",") if name.strip()]
    version = state.settings.server_version
    return sample(what.kind, version, f"{what.kind} {what.uid}", at, what.known, only)


def series(state: ClusterState, request: Request, what: MetricSource) -> Json:
    """Return the samples of *what* that the query requests."""
    asked = sample_window(request.query, state.now)
    step = INTERVALS[asked.interval][0]
    return [
        {
            **_values(state, what, at, request),
            "interval": asked.interval,
            "stime": format_time(at),
            "etime": format_time(at + step),
        }
        for at in asked.samples()
    ]


def _last(state: ClusterState, request: Request, what: MetricSource) -> Json:
    at = int(state.now) // _LAST * _LAST
    return {**_values(state, what, at, request), "stime": format_time(at - _LAST), "etime": format_time(at)}


# Sources


def _database(state: ClusterState, record: ObjectRecord) -> MetricSource:
    size = int(record.fields.get("memory_size", 0))
    shards = max(1, len(record.fields.get("shard_list", ())))
    used = 1434144.0 * shards + size // 1000
    stopped = {"total_req": 0.0, "conns": 0.0} if record.fields.get("traffic_manually_disabled") else {}
    known = {"used_memory": 1434144.0 if record.hidden.get("empty") else used, **stopped}
    if record.hidden.get("empty"):
        known.update(no_of_keys=0.0, no_of_expires=0.0)
    return MetricSource("statistics.bdb_metrics", str(record.fields["uid"]), known)


def _node(state: ClusterState, record: ObjectRecord) -> MetricSource:
    uid = record.fields["uid"]
    free, provisional, _ = memory_of(state, record, placement.shards_by_node(state)[uid])
    known = {"free_memory": free, "available_memory": free, "provisional_memory": provisional}
    return MetricSource("statistics.node_metrics", str(uid), known)


def _cluster(state: ClusterState) -> MetricSource:
    spread, total = (
        placement.shards_by_node(state),
        {"free_memory": 0.0, "available_memory": 0.0, "provisional_memory": 0.0},
    )
    for uid, record in state.nodes.items():
        free, provisional, _ = memory_of(state, record, spread[uid])
        total["free_memory"] += free
        total["available_memory"] += free
        total["provisional_memory"] += provisional
    return MetricSource("statistics.cluster_metrics", "", total)


def _shard(state: ClusterState, item: placement.Shard) -> MetricSource:
    return MetricSource("statistics.shard_metrics", str(item.uid), {})


def _all_databases(state: ClusterState, request: Request) -> list[MetricSource]:
    return [_database(state, record) for record in visible_databases(state) if record.fields["status"] == "active"]


def _all_nodes(state: ClusterState, request: Request) -> list[MetricSource]:
    return [_node(state, record) for record in state.nodes.values() if record.fields["status"] != "down"]


def _all_shards(state: ClusterState, request: Request) -> list[MetricSource]:
    parent = request.query.get("parent_uid")
    found = [item for record in visible_databases(state) for item in placement.shards(state, record)]
    return [_shard(state, item) for item in found if parent in (None, str(item.bdb))]


def _one_database(state: ClusterState, uid: str) -> MetricSource:
    record = find_bdb(state, uid)
    if record.fields["status"] == "recovery":
        raise ApiError(503, "service_unavailable", "the database is being recovered")
    if not str(record.fields["status"]).startswith("active"):
        raise ApiError(406, "not_acceptable", "the database is not active")
    return _database(state, record)


def _one_node(state: ClusterState, uid: str) -> MetricSource:
    record = find_node(state, uid)
    if record.fields["status"] == "down":
        raise ApiError(406, "not_acceptable", "the node is not active")
    return _node(state, record)


def _one_shard(state: ClusterState, uid: str) -> MetricSource:
    _, item = find_shard(state, uid)
    if item.node in state.nodes and state.nodes[item.node].fields["status"] == "down":
        raise ApiError(406, "not_acceptable", "the shard is not active")
    return _shard(state, item)


# Endpoints


def _require_any(found: list[MetricSource]) -> list[MetricSource]:
    if not found:
        raise ApiError(404, "not_found", "there is nothing to measure")
    return found


def _list(
    every: Callable[[ClusterState, Request], list[MetricSource]], state: ClusterState, request: Request
) -> Response:
    found = _require_any(every(state, request))
    return json_response([{"intervals": series(state, request, what), "uid": what.uid} for what in found])


def _list_last(
    every: Callable[[ClusterState, Request], list[MetricSource]], state: ClusterState, request: Request
) -> Response:
    return json_response({what.uid: _last(state, request, what) for what in _require_any(every(state, request))})


def _get(one: Callable[[ClusterState, str], MetricSource], state: ClusterState, request: Request, uid: str) -> Response:
    what = one(state, uid)
    return json_response({"intervals": series(state, request, what), "uid": what.uid})


def _get_last(
    one: Callable[[ClusterState, str], MetricSource], state: ClusterState, request: Request, uid: str
) -> Response:
    what = one(state, uid)
    return json_response({what.uid: _last(state, request, what)})


for _path, _every, _one in (
    ("bdbs", _all_databases, _one_database),
    ("nodes", _all_nodes, _one_node),
    ("shards", _all_shards, _one_shard),
):
    add_handler([f"GET /v1/{_path}/stats"], partial(_list, _every))
    add_handler([f"GET /v1/{_path}/stats/last"], partial(_list_last, _every))
    add_handler([f"GET /v1/{_path}/stats/{{uid}}"], partial(_get, _one))
    add_handler([f"GET /v1/{_path}/stats/last/{{uid}}"], partial(_get_last, _one))


@serves("GET /v1/cluster/stats")
def cluster_stats(state: ClusterState, request: Request) -> Response:
    """Show the series of the whole cluster."""
    return json_response({"intervals": series(state, request, _cluster(state))})


@serves("GET /v1/cluster/stats/last")
def cluster_last(state: ClusterState, request: Request) -> Response:
    """Show the last sample of the whole cluster."""
    return json_response(_last(state, request, _cluster(state)))


@serves("GET /v1/endpoints/stats")
def endpoint_stats(state: ClusterState, request: Request) -> Response:
    """Show the series of each endpoint at each proxy that serves it; the uid has all three ids."""
    nodes = {record.fields["addr"]: uid for uid, record in state.nodes.items()}
    found = []
    for record in state.bdbs.values():
        for end in record.fields.get("endpoints", ()):
            for address in end.get("addr", ()):
                uid = f"{end.get('uid', '')}:{nodes.get(address, 0)}"
                found.append({"intervals": series(state, request, MetricSource("endpoint", uid, {})), "uid": uid})
    return json_response(found)


# Links: Active-Active peers and sources of Replica Of


def _peers(state: ClusterState, uid: str) -> list[MetricSource]:
    record = find_bdb(state, uid)
    if not record.fields.get("crdt"):
        raise ApiError(406, "not_acceptable", "the database is not Active-Active")
    return [MetricSource("peer", str(item["uid"]), {}) for item in record.fields.get("crdt_sources", ())]


def _sources(state: ClusterState, uid: str) -> list[MetricSource]:
    return [
        MetricSource("source", str(item["uid"]), {}) for item in find_bdb(state, uid).fields.get("replica_sources", ())
    ]


def _links(
    name: str, every: Callable[[ClusterState, str], list[MetricSource]], state: ClusterState, request: Request, uid: str
) -> Response:
    links = every(state, uid)
    return json_response({name: [{"intervals": series(state, request, what), "uid": what.uid} for what in links]})


def _link(
    every: Callable[[ClusterState, str], list[MetricSource]], state: ClusterState, request: Request, uid: str, link: str
) -> Response:
    for what in every(state, uid):
        if what.uid == link:
            return json_response({"intervals": series(state, request, what), "uid": what.uid})
    raise ApiError(404, "not_found", f"no such link {link[:20]}")


add_handler(["GET /v1/bdbs/{bdb_uid}/peer_stats"], partial(_links, "peer_stats", _peers))
add_handler(["GET /v1/bdbs/{bdb_uid}/peer_stats/{uid}"], partial(_link, _peers))
add_handler(["GET /v1/bdbs/{bdb_uid}/sync_source_stats"], partial(_links, "sync_source_stats", _sources))
add_handler(["GET /v1/bdbs/{bdb_uid}/sync_source_stats/{uid}"], partial(_link, _sources))
