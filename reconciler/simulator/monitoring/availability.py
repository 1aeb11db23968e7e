"""Probes for load balancers and monitoring: whether a database, an endpoint, a node is there."""

from __future__ import annotations

from reconciler.simulator.api.messages import ApiError, Request, Response, answer
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes import placement
from reconciler.simulator.resources.lookup import bdb
from reconciler.simulator.state.model import State
from reconciler.simulator.state.records import Record


def _asked(request: Request) -> None:
    lag = request.query.get("availability_lag_tolerance_ms", "0")
    if not lag.isdecimal():
        raise ApiError(400, "invalid_param", "availability_lag_tolerance_ms is no number")


def _no(code: str, description: str) -> ApiError:
    return ApiError(503, code, description)


def _serving(state: State, record: Record) -> None:
    """Raise 503 with the reason why *record* does not serve clients."""
    if not placement.has_quorum(state):
        raise _no("no_quorum", "the cluster has lost its majority")
    status = str(record.fields["status"])
    if not status.startswith("active"):
        raise _no("bdb_unavailable", f"the database is {status}")
    if record.hidden.get("stopped"):
        raise _no("bdb_unavailable_port_unbound", "its traffic is stopped")
    for shard in placement.shards(state, record):
        if shard.role == "master" and not _up(state, shard.node):
            raise _no("bdb_unavailable_shard_unreachable", f"primary shard {shard.uid} is not reachable")


def _up(state: State, node: int) -> bool:
    return node in state.nodes and state.nodes[node].fields["status"] != "down"


@serves("GET /v1/bdbs/{uid}/availability")
def database(state: State, request: Request, uid: str) -> Response:
    """Say whether a database serves clients: an empty answer, or 503 with the reason."""
    record = bdb(state, uid)
    _asked(request)
    _serving(state, record)
    return answer(None)


@serves("GET /v1/local/bdbs/{uid}/endpoint/availability")
def endpoint(state: State, request: Request, uid: str) -> Response:
    """Say whether a database is served at the node that is asked."""
    record = bdb(state, uid)
    _asked(request)
    if not placement.has_quorum(state):
        raise _no("no_quorum", "the cluster has lost its majority")
    node = state.nodes.get(state.site.machines[request.node].uid)
    local = node is not None and any(node.fields["addr"] in end["addr"] for end in record.fields.get("endpoints", ()))
    if not local or record.hidden.get("stopped") or not str(record.fields["status"]).startswith("active"):
        raise _no("bdb_endpoint_unavailable", "the database is not served here")
    return answer(None)


@serves("GET /v1/local/node/master_healthcheck")
def primary(state: State, request: Request) -> Response:
    """Say whether the node that is asked is the primary."""
    here = state.site.machines[request.node].uid == state.primary
    return answer({"status": "active" if here else "inactive"})
