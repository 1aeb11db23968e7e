"""Bootstrap of a machine: it creates a cluster, joins one, or recovers one from a file.

A request is validated first (`find_problem`), then executed over time (`begin_bootstrap`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from reconciler.simulator.access import authentication
from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.cluster import initial, licenses
from reconciler.simulator.nodes import placement
from reconciler.simulator.state import snapshots
from reconciler.simulator.state.model import ClusterState, Machine
from reconciler.simulator.state.records import ObjectRecord

_NAME = re.compile(r"^(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$")
_KEPT = ("accept_servers", "addr", "external_addr", "use_internal_ipv6")
_PATHS = {
    "bigstore_path": "bigredis_storage_path",
    "ephemeral_path": "ephemeral_storage_path",
    "persistent_path": "persistent_storage_path",
}


CODES: frozenset[str] = frozenset(field_rows("bootstrap_status")["error_code"]["enum"])


class BootstrapProblem(NamedTuple):
    """Why a bootstrap is refused: the error code and details."""

    code: str
    details: Mapping[str, Json]


class BootstrapRequest(NamedTuple):
    """A requested bootstrap: the machine, the action, and the body."""

    machine: Machine
    action: str
    body: Mapping[str, Any]

    def part(self, *names: str) -> Mapping[str, Any]:
        """Return the object at *names* in the body, empty if missing."""
        found: Mapping[str, Any] = self.body
        for name in names:
            found = found.get(name) or {}
        return found


def _message(text: str) -> Mapping[str, Json]:
    return {"message": text}


def find_problem(state: ClusterState, spec: BootstrapRequest) -> BootstrapProblem | None:
    """Return why *spec* is refused, None if it is valid."""
    paths = spec.part("node", "paths")
    if any(not str(path).startswith("/") for path in paths.values()):
        return BootstrapProblem("path_error", _message("a path is not absolute"))
    credentials = spec.part("credentials")
    if not ({"username", "password"} <= set(credentials) or {"client_cert", "client_key"} <= set(credentials)):
        return BootstrapProblem("config_error", _message("credentials are needed"))
    return _CHECKS[spec.action](state, spec)


def _create_problem(state: ClusterState, spec: BootstrapRequest) -> BootstrapProblem | None:
    if not _NAME.match(str(spec.part("cluster").get("name", ""))):
        return BootstrapProblem("config_error", _message("cluster.name is not a host name of at most 64 characters"))
    if not spec.part("credentials").get("password"):
        return BootstrapProblem("config_error", _message("the first account needs a password"))
    text = spec.body.get("license")
    try:
        if text:
            licenses.read_license(state, text, str(spec.part("cluster")["name"]))
    except ApiError as error:
        return BootstrapProblem("invalid_license", _message(error.description))
    return None


def join_target(state: ClusterState, spec: BootstrapRequest) -> ClusterState | None:
    """Return the cluster to join: the first available one at the given addresses."""
    for address in spec.part("cluster").get("nodes") or ():
        peer = state.site.world.machine(str(address))
        if peer is not None and peer.state is not None and peer.up and not peer.partitioned:
            return peer.state
    return None


def _join_problem(state: ClusterState, spec: BootstrapRequest) -> BootstrapProblem | None:
    there, credentials, identity = join_target(state, spec), spec.part("credentials"), spec.part("node", "identity")
    if there is None:
        return BootstrapProblem("connect_error", _message("no member of the cluster responds"))
    try:
        user = authentication.authenticate(
            there, str(credentials.get("username", "")), str(credentials.get("password", ""))
        )
        authentication.require_permission(there, user, "update_cluster")
    except ApiError:
        return BootstrapProblem("access_denied", _message("the cluster refuses the login"))
    return _place_problem(there, spec, identity)


def _place_problem(there: ClusterState, spec: BootstrapRequest, identity: Mapping[str, Any]) -> BootstrapProblem | None:
    dead = [uid for uid, node in there.nodes.items() if node.fields["status"] == "down"]
    uid = identity.get("uid")
    if uid is not None and uid not in dead:
        return BootstrapProblem("config_error", _message("identity.uid is not a node that is down"))
    if dead and uid is None:
        return BootstrapProblem("repair_required", {"failed_nodes": dead, "replace_candidate": dead[0]})
    if uid is not None and there.nodes[uid].fields["total_memory"] > there.settings.node_memory:
        return BootstrapProblem(
            "insufficient_node_memory", {"required_memory": there.nodes[uid].fields["total_memory"]}
        )
    if there.cluster.fields.get("rack_aware") and uid is None and not identity.get("rack_id"):
        racks = sorted({node.fields.get("rack_id", "") for node in there.nodes.values()})
        return BootstrapProblem("rack_id_required", {"current_rack_ids": racks})
    return None


def _recover_problem(state: ClusterState, spec: BootstrapRequest) -> BootstrapProblem | None:
    if _file(spec) not in state.site.saved:
        return BootstrapProblem("path_error", _message("recovery_filename is not a file"))
    return None


def _file(spec: BootstrapRequest) -> str:
    return str(spec.body.get("recovery_filename", "")).rsplit("/", 1)[-1]


_CHECKS: Mapping[str, Callable[[ClusterState, BootstrapRequest], BootstrapProblem | None]] = {
    "create_cluster": _create_problem,
    "join_cluster": _join_problem,
    "recover_cluster": _recover_problem,
}


# Execution

_STATES = {
    "create_cluster": "creating_cluster",
    "join_cluster": "joining_cluster",
    "recover_cluster": "recovering_cluster",
}


def begin_bootstrap(state: ClusterState, spec: BootstrapRequest) -> None:
    """Start a bootstrap; the machine's `bootstrap` shows its progress."""
    machine, seconds = spec.machine, state.settings.bootstrap_seconds
    machine.bootstrap = {"state": "initiated", "start_time": state.stamp()}
    stuck, fails = state.outcome == "stuck", state.outcome == "fail"
    code = state.outcome_code if state.outcome_code in CODES else "internal_error"

    def work() -> None:
        machine.bootstrap = {**machine.bootstrap, "state": _STATES[spec.action]}

    def end() -> None:
        wrong = BootstrapProblem(code, _message("it failed")) if fails else find_problem(state, spec)
        done = {**machine.bootstrap, "end_time": state.stamp()}
        if wrong is not None:
            machine.bootstrap = {**done, "state": "error", **error_view(wrong)}
            return
        _DOING[spec.action](state, spec)
        machine.bootstrap = {**done, "state": "completed"}

    state.time.later(state.settings.scaled(seconds * 0.1), work)
    if not stuck:
        state.time.later(state.settings.scaled(seconds), end)


def error_view(wrong: BootstrapProblem) -> dict[str, Json]:
    """Return *wrong* as fields of a bootstrap status."""
    return {"error_code": wrong.code, "error_details": dict(wrong.details)}


def _own_state(state: ClusterState, spec: BootstrapRequest, name: str) -> ClusterState:
    """Return the state for a new cluster: that of the core if it is unused, else another."""
    credentials, settings = spec.part("credentials"), state.settings
    account = {"username": credentials["username"], "password": credentials["password"]}
    if not state.nodes:
        for field, value in {**account, "cluster_name": name, "nodes": 1}.items():
            setattr(settings, field, value)
        return state
    return state.site.new_state(
        replace(settings, **account, cluster_name=name, nodes=1, older_nodes=0, rack_aware=False)
    )


def _create(state: ClusterState, spec: BootstrapRequest) -> None:
    new = _own_state(state, spec, str(spec.part("cluster")["name"]))
    if not spec.body.get("license"):
        new.settings.license = "trial"
    initial.create_cluster(new)
    snapshots.ensure_operator(new)
    if spec.body.get("license"):
        licenses.install(new, spec.body["license"])
    policy, known = spec.part("policy"), new.singletons["cluster_settings"].fields
    new.singletons["cluster_settings"].set(**{name: value for name, value in policy.items() if name in known})
    ports = ("cnm_https_port", "crdb_coordinator_port", "envoy_admin_port", "envoy_mgmt_server_port")
    new.cluster.set(**{name: spec.body[name] for name in ports if name in spec.body})
    spec.machine.enter(new, 1)
    _identify(new, 1, spec)
    new.event("cluster_node_joined", node_uid=1)
    new.changed()


def _identify(state: ClusterState, uid: int, spec: BootstrapRequest) -> None:
    """Set the fields of node *uid* that the bootstrap request contains."""
    identity, limits = spec.part("node", "identity"), spec.part("node", "limits")
    values: dict[str, Json] = {"addr": spec.machine.address}
    values.update({name: identity[name] for name in _KEPT if name in identity})
    values.update({name: str(identity[name]).lower() for name in ("rack_id", "second_rack_id") if name in identity})
    values.update(limits)
    values.update({_PATHS[name]: path for name, path in spec.part("node", "paths").items() if name in _PATHS})
    if "bigstore_enabled" in spec.part("node"):
        values["bigstore_enabled"] = spec.part("node")["bigstore_enabled"]
    state.nodes[uid].set(**values)
    state.nodes[uid].hidden["since"] = state.now


def _join(state: ClusterState, spec: BootstrapRequest) -> None:
    there = join_target(state, spec)
    if there is None:
        return
    replaced = spec.part("node", "identity").get("uid")
    uid = int(replaced) if replaced is not None else there.nodes.claim()
    if replaced is not None:
        old = there.site.node(there, uid)
        if old is not None:
            old.leave(fresh=False)
    else:
        there.nodes[uid] = ObjectRecord(initial.new_node(there, uid, spec.machine.address))
    spec.machine.enter(there, uid)
    _identify(there, uid, spec)
    placement.set_node_status(there, uid, True)
    for record in there.bdbs.values():
        placement.rebind_endpoints(there, record)
    there.event("cluster_node_joined", node_uid=uid)
    there.changed()


def _recover(state: ClusterState, spec: BootstrapRequest) -> None:
    saved = state.site.saved[_file(spec)]
    name = str(saved.get("/v1/cluster", {}).get("name", state.settings.cluster_name))
    new = _own_state(state, spec, name)
    initial.create_cluster(new)
    snapshots.load(new, {path: body for path, body in saved.items() if path != "/v1/nodes"})
    snapshots.ensure_operator(new)
    new.primary = 1
    spec.machine.enter(new, 1)
    _identify(new, 1, spec)
    for record in new.bdbs.values():
        record.set(status="recovery")
        record.hidden.pop("shards", None)
    new.changed(new.bdbs)


_DOING: Mapping[str, Callable[[ClusterState, BootstrapRequest], None]] = {
    "create_cluster": _create,
    "join_cluster": _join,
    "recover_cluster": _recover,
}
