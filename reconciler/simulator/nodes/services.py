"""Endpoints of the services of a node: status, stop, start, restart."""

from __future__ import annotations

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.data.tables import table
from reconciler.simulator.resources.lookup import typed_fields
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState, Machine

_UPTIME = 3600  # default uptime of a service in seconds
_OPERATIONS = ("stop", "start", "restart")


@serves("GET /v1/local/services")
def list_local(state: ClusterState, request: Request) -> Response:
    """Show the services of the addressed node."""
    machine = state.site.machines[request.node]
    return json_response({name: _shown(state, machine, name) for name in table("services")})


def _shown(state: ClusterState, machine: Machine, name: str) -> Json:
    since = machine.started.get(name, state.now - _UPTIME)
    seconds = max(0, int(state.now - since))
    stopped = name in machine.stopped
    uptime = "" if stopped else f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return {"start_time": format_time(since), "status": "STOPPED" if stopped else "RUNNING", "uptime": uptime}


def _operate(state: ClusterState, machine: Machine, body: Json) -> Response:
    sent = typed_fields(body, {"operation_type": str, "services": list})
    if sent.get("operation_type") not in _OPERATIONS or not sent.get("services"):
        raise ApiError(
            400, "invalid_param", "operation_type must be stop, start or restart, and services must not be empty"
        )
    unknown = [name for name in sent["services"] if name not in table("services")]
    if unknown:
        raise ApiError(400, "invalid_param", f"no service {str(unknown[0])[:40]}")
    for name in sent["services"]:
        if sent["operation_type"] == "stop":
            machine.stopped.add(name)
        else:
            machine.stopped.discard(name)
            machine.started[name] = state.now
    state.changed()
    return json_response(dict.fromkeys(sent["services"], True))


@serves("POST /v1/local/services")
def operate_local(state: ClusterState, request: Request, body: Json) -> Response:
    """Stop, start or restart services of the addressed node."""
    return _operate(state, state.site.machines[request.node], body)


@serves("POST /v1/services")
def operate(state: ClusterState, request: Request, body: Json) -> Response:
    """Stop, start or restart services of the primary."""
    machine = state.site.node(state, state.primary)
    return _operate(state, machine or state.site.machines[request.node], body)
