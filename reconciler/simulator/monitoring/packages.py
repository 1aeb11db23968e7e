"""Support packages and the usage report: responses that are not JSON."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, encode
from reconciler.simulator.api.routes import serves
from reconciler.simulator.monitoring.series import parse_time
from reconciler.simulator.nodes.placement import shards
from reconciler.simulator.resources.lookup import find_bdb, find_node
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_DAY = 86400
_DAYS = 30  # default period of the report


def _package(state: ClusterState, files: Mapping[str, Json]) -> Response:
    """Return *files* as a compressed archive, deterministic for the same content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in sorted(files.items()):
            data = encode(content).encode()
            entry = tarfile.TarInfo(f"debuginfo/{name}")
            entry.size, entry.mtime = len(data), int(state.now)
            archive.addfile(entry, io.BytesIO(data))
    disposition = f'attachment; filename="debuginfo.{state.cluster.fields.get("name", "cluster")}.tar.gz"'
    headers = {"content-type": "application/x-gzip", "content-disposition": disposition}
    return Response(200, headers, gzip.compress(raw.getvalue(), 6, mtime=int(state.now)))


def _database(state: ClusterState, record: ObjectRecord) -> Json:
    fields = record.fields
    names = ("uid", "name", "status", "version", "memory_size", "shards_count", "replication", "shard_list")
    about = {name: fields[name] for name in names if name in fields}
    return {**about, "shards": [shard._asdict() for shard in shards(state, record)]}


def _databases(state: ClusterState, only: str = "") -> dict[str, Json]:
    records = [find_bdb(state, only)] if only else list(state.bdbs.values())
    return {f"database_{record.fields['uid']}.json": _database(state, record) for record in records}


def _nodes(state: ClusterState, *uids: int) -> dict[str, Json]:
    return {
        f"node_{uid}/node.json": state.nodes[uid].fields for uid in uids or sorted(state.nodes) if uid in state.nodes
    }


def _cluster(state: ClusterState) -> dict[str, Json]:
    names = ("name", "created_time", "cnm_https_port")
    return {"cluster.json": {name: state.cluster.fields.get(name) for name in names}, "log.json": list(state.log)}


@serves("GET /v1/debuginfo/all", "GET /v1/cluster/debuginfo")
def everything(state: ClusterState, request: Request) -> Response:
    """Pack what is known of the cluster, its nodes and its databases."""
    return _package(state, {**_cluster(state), **_nodes(state), **_databases(state)})


@serves("GET /v1/debuginfo/all/bdb/{bdb_uid}")
def everything_of_bdb(state: ClusterState, request: Request, uid: str) -> Response:
    """Pack what is known of the cluster, its nodes and one database."""
    return _package(state, {**_cluster(state), **_nodes(state), **_databases(state, uid)})


@serves("GET /v1/debuginfo/node")
def local_node(state: ClusterState, request: Request) -> Response:
    """Pack what is known of the node that is asked."""
    return _package(state, _nodes(state, state.site.machines[request.node].uid))


@serves("GET /v1/debuginfo/node/bdb/{bdb_uid}")
def local_node_of_bdb(state: ClusterState, request: Request, uid: str) -> Response:
    """Pack what is known of the node that is asked, and of one database."""
    return _package(state, {**_nodes(state, state.site.machines[request.node].uid), **_databases(state, uid)})


@serves("GET /v1/nodes/debuginfo")
def all_nodes(state: ClusterState, request: Request) -> Response:
    """Pack what is known of all nodes."""
    return _package(state, _nodes(state))


@serves("GET /v1/nodes/{node_uid}/debuginfo")
def one_node(state: ClusterState, request: Request, uid: str) -> Response:
    """Pack what is known of one node."""
    find_node(state, uid)
    return _package(state, _nodes(state, int(uid)))


@serves("GET /v1/bdbs/debuginfo")
def all_databases(state: ClusterState, request: Request) -> Response:
    """Pack what is known of all databases."""
    return _package(state, _databases(state))


@serves("GET /v1/bdbs/{bdb_uid}/debuginfo")
def one_database(state: ClusterState, request: Request, uid: str) -> Response:
    """Pack what is known of one database."""
    return _package(state, _databases(state, uid))


# Usage


def _used(state: ClusterState, record: ObjectRecord, day: float) -> Json:
    fields = record.fields
    return {
        "active": True,
        "api_version": 1,
        "bdb_uid": str(fields["uid"]),
        "cluster_name": state.cluster.fields.get("name", ""),
        "cluster_uuid": hashlib.sha256(str(state.cluster.fields.get("name", "")).encode()).hexdigest()[:32],
        "date": format_time(day)[:10],
        "db_name": fields.get("name", ""),
        "master_shards_count": fields.get("shards_count", 1),
        "ops_sec": 118.0,
        "provisioned_memory": fields.get("memory_size", 0),
        "replication": bool(fields.get("replication")),
        "software_version": state.version["software_version"],
        "total_shards_count": len(fields.get("shard_list", ())),
        "type": "hourly",
        "used_memory": 1434144 * max(1, len(fields.get("shard_list", ()))),
    }


@serves("GET /v1/usage_report")
def usage(state: ClusterState, request: Request) -> Response:
    """Report the usage of each database on each day: one JSON object per line, then a digest."""
    query = request.query
    if any(item.fields["status"] == "down" for item in state.nodes.values()):
        raise ApiError(503, "service_unavailable", "a node does not respond")
    end = parse_time(query["end"], "end") if query.get("end") else state.now
    start = parse_time(query["start"], "start") if query.get("start") else end - _DAYS * _DAY
    lines = []
    for day in range(int(max(start, end - 366 * _DAY)) // _DAY * _DAY, int(min(end, state.now)) + 1, _DAY):
        for record in state.bdbs.values():
            if str(record.fields.get("created_time", ""))[:10] <= format_time(day)[:10]:
                lines.append(encode(_used(state, record, day)))
    text = "".join(f"{line}\n" for line in lines)
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    data = f"{text}{encode({'md5': md5})}\n".encode()
    headers = {"content-type": "application/x-ndjson"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, {**headers, "content-encoding": "gzip"}, gzip.compress(data, mtime=int(state.now)))
    return Response(200, headers, data)
