"""Endpoints of the bootstrap. Outside a cluster they need no login."""

from __future__ import annotations

import math

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes.bootstrap import BootstrapRequest, begin_bootstrap, error_view, find_problem
from reconciler.simulator.resources.lookup import validated_body
from reconciler.simulator.state.model import ClusterState


@serves("GET /v1/bootstrap")
def get(state: ClusterState, request: Request) -> Response:
    """Show the addressed machine and the status of its bootstrap."""
    machine = state.site.machines[request.node]
    info = {
        "architecture": "x86_64",
        "available_addresses": [{"address": machine.address, "format": "ipv4", "if_name": "eth0", "private": True}],
        "bigredis_storage_path": "/var/opt/redislabs/flash",
        "cores": 8,
        "os_family": "ubuntu",
        "software_version": state.version["software_version"],
        "supported_bigstore_drivers": ["rocksdb"],
        "supported_database_versions": state.version["databases"],
        "total_memory": state.settings.node_memory,
        "uptime": 60 + math.floor(state.now) % 3600,
    }
    status = machine.bootstrap
    if machine.state is not None:
        info["uid"] = str(machine.uid)
        if status["state"] == "idle":  # a member since before the simulator started
            since = state.cluster.fields.get("created_time", state.stamp())
            status = {"state": "completed", "start_time": since, "end_time": since}
    return json_response({"bootstrap_status": status, "local_node_info": info})


def _bootstrap_request(state: ClusterState, request: Request, action: str, body: Json) -> BootstrapRequest:
    sent = validated_body(state, "bootstrap", body)
    if sent.setdefault("action", action) != action:
        raise ApiError(400, "invalid_param", "action in the body differs from that of the path")
    return BootstrapRequest(state.site.machines[request.node], action, sent)


@serves("POST /v1/bootstrap/validate/{action}")
def validate(state: ClusterState, request: Request, action: str, body: Json) -> Response:
    """Validate a bootstrap request."""
    wrong = find_problem(state, _bootstrap_request(state, request, action, body))
    return json_response(None) if wrong is None else json_response({"state": "error", **error_view(wrong)}, 406)


@serves("POST /v1/bootstrap/{action}")
def start(state: ClusterState, request: Request, action: str, body: Json) -> Response:
    """Begin a bootstrap; its status can be read from the same machine."""
    spec = _bootstrap_request(state, request, action, body)
    if spec.machine.state is not None or spec.machine.bootstrap["state"] not in ("idle", "error"):
        raise ApiError(409, "busy", "a bootstrap is running or completed")
    begin_bootstrap(state, spec)
    state.changed()
    return json_response(spec.machine.bootstrap)
