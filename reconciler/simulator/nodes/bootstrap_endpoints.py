"""Bootstrap: what a machine is, in a cluster or not, and how it gets into one. Anybody may ask a machine outside."""

from __future__ import annotations

import math

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, answer
from reconciler.simulator.api.routes import serves
from reconciler.simulator.nodes.bootstrap import Wish, begin, problem, told
from reconciler.simulator.resources.lookup import taken
from reconciler.simulator.state.model import State


@serves("GET /v1/bootstrap")
def get(state: State, request: Request) -> Response:
    """Show the machine that is asked, and how its bootstrap went."""
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
        if status["state"] == "idle":  # a member since before the server began
            since = state.cluster.fields.get("created_time", state.stamp())
            status = {"state": "completed", "start_time": since, "end_time": since}
    return answer({"bootstrap_status": status, "local_node_info": info})


def _wish(state: State, request: Request, action: str, body: Json) -> Wish:
    sent = taken(state, "bootstrap", body)
    if sent.setdefault("action", action) != action:
        raise ApiError(400, "invalid_param", "action in the body is not that of the path")
    return Wish(state.site.machines[request.node], action, sent)


@serves("POST /v1/bootstrap/validate/{action}")
def validate(state: State, request: Request, action: str, body: Json) -> Response:
    """Say whether a bootstrap would be accepted, without doing anything."""
    wrong = problem(state, _wish(state, request, action, body))
    return answer(None) if wrong is None else answer({"state": "error", **told(wrong)}, 406)


@serves("POST /v1/bootstrap/{action}")
def start(state: State, request: Request, action: str, body: Json) -> Response:
    """Begin a bootstrap; ask the same machine how it goes."""
    wish = _wish(state, request, action, body)
    if wish.machine.state is not None or wish.machine.bootstrap["state"] not in ("idle", "error"):
        raise ApiError(409, "busy", "a bootstrap is under way or done")
    begin(state, wish)
    state.changed()
    return answer(wish.machine.bootstrap)
