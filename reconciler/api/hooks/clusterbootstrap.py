"""The hook of the bootstrap: the first machine creates the cluster, the others join one by one (REST `bootstrap`).

The order is that of the urls in the project file. A machine starts a bootstrap only when it is idle or has failed
before, so repeating a request does no harm: it answers 409. Meanwhile its services restart; broken connections and
refused logins are expected for a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.api.hooks.base import Created, Hook, Json, Uid, WriteContext
from reconciler.api.protocol import Backoff, Body, Call, Flow, OwnCluster, OwnClusterInfo, clock_time, request, wait
from reconciler.errors import ActionFailed, Ambiguous, Conflict, ReconcilerError, Rejected, Unauthorized
from reconciler.kinds import SINGLETON

PATH = "/v1/bootstrap"
SECONDS = 900.0  # timeout for one machine
_REFUSALS = 2  # logins that may be rejected while services restart; the client sends no third one
_BUSY = frozenset({"initiated", "creating_cluster", "joining_cluster", "recovering_cluster"})
_HINTS = {
    "rack_id_required": "the cluster is rack-aware: declare the rack_id of the machine",
    "repair_required": "the cluster has a dead node: remove or replace it first",
    "time_not_sync": "its clock differs from that of the cluster",
    "access_denied": "the cluster refuses the login of the project file",
    "invalid_license": "the licence is not valid for this cluster",
    "connect_error": "no member of the cluster can be reached from it",
}


def place(url: str) -> str:
    """Return HOST:PORT of a node's URL, as manifests name machines."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port}"


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the cluster that the machines form, with its members; nothing while all of them are idle.

    A machine that does not respond counts as no member, unless none does: then the read has failed.
    """
    home: OwnClusterInfo = yield OwnCluster()
    members, idle, failure = [], 0, None
    for url in home.urls:
        try:
            state, _ = yield from _state(url)
        except Unauthorized:
            raise
        except ReconcilerError as error:
            failure = error
            continue
        idle += state != "completed"
        members += [url] if state == "completed" else []
    if not members:
        if failure is not None and not idle:
            raise failure
        return []
    response = yield Call("GET", "/v1/cluster", missing_ok=False, shape=dict, node=members[0])
    machines = [{"address": place(url)} for url in members]
    return [{"@id": SINGLETON, "name": response.body.get("name", ""), "machines": machines}]


def look(uid: Uid) -> Flow[Any]:
    """Return the cluster that the machines form; None while they are idle."""
    found = yield from listing(None)
    return found[0] if found else None


def _state(url: str) -> Flow[tuple[str, Mapping[str, Any]]]:
    response = yield Call("GET", PATH, node=url)
    body = response.body if isinstance(response.body, Mapping) else {}
    status = body.get("bootstrap_status")
    status = status if isinstance(status, Mapping) else body
    return str(status.get("state", "")), status


def create(context: WriteContext) -> Flow[Created]:
    """Create the cluster: the first machine creates it, the others join."""
    yield from _form_cluster(context)
    return Created(SINGLETON)


def update(context: WriteContext) -> Flow[str]:
    """Let the remaining machines join."""
    yield from _form_cluster(context)
    return ""


def _form_cluster(context: WriteContext) -> Flow[None]:
    home: OwnClusterInfo = yield OwnCluster()
    urls = {place(url): url for url in home.urls}
    machines = [dict(machine) for machine in context.wire["machines"]]
    unknown = [machine["address"] for machine in machines if machine["address"] not in urls]
    if unknown:
        raise Conflict(f"{', '.join(unknown)}: not in the project file; add it to the cluster's urls")
    machines.sort(key=lambda machine: [*urls].index(machine["address"]))
    states = {}
    for machine in machines:
        states[machine["address"]], _ = yield from _state(urls[machine["address"]])
    members = [urls[address] for address, state in states.items() if state == "completed"]
    if not members:
        initial_spec = [machine for machine in machines if states[machine["address"]] in _BUSY]
        first = (initial_spec or machines)[0]
        cluster: Json = {"name": context.wire.get("name") or context.live.get("name"), "nodes": []}
        body = {**_common(home, first), "cluster": cluster, **_options(context)}
        yield from _bootstrap_node("create_cluster", urls[first["address"]], body)
        members.append(urls[first["address"]])
        states[first["address"]] = "completed"
    for machine in machines:
        if states[machine["address"]] != "completed":
            nodes = yield from _addresses(members[0])
            body = {**_common(home, machine), "cluster": {"nodes": nodes}}
            yield from _bootstrap_node("join_cluster", urls[machine["address"]], body)


def _common(home: OwnClusterInfo, machine: Mapping[str, Any]) -> Json:
    identity = {name: machine[name] for name in _IDENTITY if name in machine}
    limits = {name: machine[name] for name in _LIMITS if name in machine}
    node: Json = {name: part for name, part in (("identity", identity), ("limits", limits)) if part}
    if "paths" in machine:
        node["paths"] = machine["paths"]
    if "bigstore_enabled" in machine:
        node["bigstore_enabled"] = machine["bigstore_enabled"]
    return {"credentials": {"username": home.user, "password": home.password}, **({"node": node} if node else {})}


_IDENTITY = ("accept_servers", "addr", "external_addr", "rack_id", "second_rack_id", "use_internal_ipv6")
_LIMITS = ("max_listeners", "max_redis_servers")


def _options(context: WriteContext) -> Json:
    return {name: context.separate[name] for name in ("license", "dns_suffixes") if name in context.separate}


def _addresses(member: str) -> Flow[list[str]]:
    response = yield Call("GET", "/v1/nodes", node=member)
    nodes = response.body if isinstance(response.body, list) else []
    return [str(node["addr"]) for node in nodes if isinstance(node, Mapping) and node.get("addr")]


def _bootstrap_node(action: str, url: str, body: Json) -> Flow[None]:
    """Start the bootstrap of one machine, and wait until it is a node."""
    state, _ = yield from _state(url)
    if state not in (*_BUSY, "completed"):
        try:
            yield from request("POST", f"{PATH}/{action}", Body({"action": action, **body}), node=url)
        except Ambiguous:
            pass  # it starts, or it stays idle; the wait shows which
        except Rejected as error:
            if error.status != 409:
                raise
    until = (yield from clock_time()) + SECONDS
    backoff, refused = Backoff(), 0
    while True:
        now = yield from wait(backoff, f"{place(url)}: {state or 'restarting'}")
        try:
            state, status = yield from _state(url)
        except Unauthorized:
            state, status, refused = "", {}, refused + 1
            if refused >= _REFUSALS:
                raise
        except ReconcilerError:
            state, status = "", {}
        if state == "completed":
            return
        if state == "error":
            raise ActionFailed(f"{place(url)}: {_explained(status)}")
        if state == "idle" or now > until:
            what = "it did not start" if state == "idle" else f"not finished after {SECONDS:.0f} s"
            raise ActionFailed(f"{place(url)}: {what}; checked again on the next run")


def _explained(status: Mapping[str, Any]) -> str:
    return ": ".join(_words(status)) or "the bootstrap failed"


def _words(status: Mapping[str, Any]) -> Iterator[str]:
    code, details = str(status.get("error_code", "")), status.get("error_details")
    yield code or "the bootstrap failed"
    if isinstance(details, Mapping) and details.get("message"):
        yield str(details["message"])[:200]
    if code in _HINTS:
        yield _HINTS[code]


HOOK = Hook(listing=listing, look=look, create=create, update=update)
