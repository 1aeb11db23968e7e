"""Availability checks of databases, endpoints and nodes, for load balancers and monitoring."""

from __future__ import annotations

from reconciler.simulator.api.messages import ApiError, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes import placement
from reconciler.simulator.resources.lookup import find_bdb
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord


def _check_query(request: Request) -> None:
    lag = request.query.get("availability_lag_tolerance_ms", "0")
    if not lag.isdecimal():
        raise ApiError(400, "invalid_param", "availability_lag_tolerance_ms is not a number")


def _unavailable(code: str, description: str) -> ApiError:
    return ApiError(503, code, description)


def _require_serving(state: ClusterState, record: ObjectRecord) -> None:
    """Raise 503 with the reason why *record* does not serve clients."""
    if not placement.has_quorum(state):
        raise _unavailable("no_quorum", "the cluster has no quorum")
    status = str(record.fields["status"])
    if not status.startswith("active"):
        raise _unavailable("bdb_unavailable", f"the database is {status}")
    if record.hidden.get("stopped"):
        raise _unavailable("bdb_unavailable_port_unbound", "its traffic is stopped")
    for shard in placement.shards(state, record):
        if shard.role == "master" and not _up(state, shard.node):
            raise _unavailable("bdb_unavailable_shard_unreachable", f"primary shard {shard.uid} is not reachable")


def _up(state: ClusterState, node: int) -> bool:
    return node in state.nodes and state.nodes[node].fields["status"] != "down"


@serves("GET /v1/bdbs/{uid}/availability")
def database(state: ClusterState, request: Request, uid: str) -> Response:
    """Check whether a database serves clients: an empty response, or 503 with the reason."""
    record = find_bdb(state, uid)
    _check_query(request)
    _require_serving(state, record)
    return json_response(None)


@serves("GET /v1/local/bdbs/{uid}/endpoint/availability")
def endpoint(state: ClusterState, request: Request, uid: str) -> Response:
    """Check whether the addressed node serves a database."""
    record = find_bdb(state, uid)
    _check_query(request)
    if not placement.has_quorum(state):
        raise _unavailable("no_quorum", "the cluster has no quorum")
    node = state.nodes.get(state.site.machines[request.node].uid)
    local = node is not None and any(node.fields["addr"] in end["addr"] for end in record.fields.get("endpoints", ()))
    if not local or record.hidden.get("stopped") or not str(record.fields["status"]).startswith("active"):
        raise _unavailable("bdb_endpoint_unavailable", "the database is not served here")
    return json_response(None)


@serves("GET /v1/local/node/master_healthcheck")
def primary(state: ClusterState, request: Request) -> Response:
    """Show whether the addressed node is the primary."""
    here = state.site.machines[request.node].uid == state.primary
    return json_response({"status": "active" if here else "inactive"})
