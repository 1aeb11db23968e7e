"""Asks the clusters whether they accept a plan: sends its creates and updates with `dry_run`, which stores nothing.

`reconcile` calls this after planning. What a cluster rejects would fail in an apply, so it becomes a note of that
change. Nothing else does: no response, a login that may only read, or a busy object say nothing about the plan and are
counted. It must not know how a change is executed beyond its one request.
"""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from reconciler.api.codec import Reveal, Uid, encode, uid_of_unnamed
from reconciler.api.create import NAME_TAKEN_CODES, send_create, without_own_values
from reconciler.api.driver import Connections, NodeConnection, NotSent, Policy, Reader, drive
from reconciler.api.endpoints import endpoint
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Call, Flow, OwnClusterInfo, Response
from reconciler.api.task import Task, is_busy, look
from reconciler.api.update import send_update
from reconciler.errors import Busy, ClusterError, Conflict, Forbidden, Rejected, SecretMissing, Unauthorized
from reconciler.kinds import Kind, versions
from reconciler.model import Address, Level, LiveState, Note, Reason
from reconciler.plan import Action, Change, Plan
from reconciler.plan.references import references

MISSING_REFERENCE = "they refer to objects that this plan creates first"
AFTER_DELETE = "they need what this plan deletes first"
MISSING_SECRET = "a secret that they send is not available here"  # noqa: S105 - no secret
FORBIDDEN = "this login may not make such changes, or the licence has lapsed"
BUSY = "the cluster is busy with the objects"
OTHER_REQUEST = "they need other requests first"
NO_RESPONSE = "the cluster sent no usable response"

_PARALLEL = 4
_LOGIN = re.compile(r"//[^/@\s]*@")


class DryRunClient(Reader, Protocol):
    """What a dry run needs of `client.Client`."""

    def send(self, call: Call, *, fail_fast: bool = False) -> Response: ...


class DryRunResult(NamedTuple):
    """What the clusters respond to a plan."""

    objections: tuple[Note, ...]  # in the order of the plan
    asked: int  # how many changes were answered
    unasked: Mapping[str, int]  # reason → how many others were not


class _FailFastReader:
    """A client whose reads do not retry for long: a dry run is advice."""

    def __init__(self, client: DryRunClient) -> None:
        self._client = client

    def get(self, path: str, *, fail_fast: bool = True, **options: Any) -> Response:
        return self._client.get(path, fail_fast=fail_fast, **options)

    def at(self, url: str) -> NodeConnection:
        return self._client.at(url)

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        return self._client.home(reveal=reveal)


@dataclass(frozen=True, slots=True)
class _ClusterView:
    """One cluster in a dry run, and what the changes on it can refer to on all clusters."""

    name: str
    clients: Mapping[str, DryRunClient]
    live: Mapping[str, LiveState]
    uids: Mapping[Address, list[Uid]]  # of every live object on all clusters
    kinds: Mapping[str, Kind]
    reveal: Reveal
    no_response: threading.Event = field(default_factory=threading.Event)

    def uid_of(self, address: Address) -> Uid:
        """Return the uid of an object that a change refers to; raises Conflict where it does not exist yet."""
        found = self.uids.get(address, ())
        unnamed = uid_of_unnamed(address.name)
        if len(found) == 1:
            return found[0]
        if found or unnamed is None:
            raise Conflict(f"{address} does not exist yet")
        return unnamed

    def uid(self, kind: str, name: str) -> Uid:
        return self.uid_of(Address(self.name, kind, name))

    def has(self, address: Address) -> bool:
        """Return whether an object that is referred to exists already."""
        try:
            self.uid_of(address)
        except Conflict:
            return False
        return True


def dry_run(
    plan: Plan,
    kinds: Mapping[str, Kind],
    clients: Mapping[str, DryRunClient],
    live: Mapping[str, LiveState],
    reveal: Reveal,
) -> DryRunResult:
    """Send what *plan* would send, with dry_run, and return what the clusters reject.

    Only to endpoints that support dry_run in the version that the cluster runs: any other would execute the request.
    Raises Unauthorized.
    """
    uids: dict[Address, list[Uid]] = {}
    for state in live.values():
        for found in (one for objects in state.objects.values() for one in objects):
            uids.setdefault(Address(state.cluster, found.kind, found.name), []).append(found.uid)
    notes: list[Note] = []
    unasked: Counter[str] = Counter()
    asked = 0
    freed = {change.number for change in plan.changes if change.action in (Action.DELETE, Action.REPLACE)}
    for name in sorted({change.address.cluster for change in plan.changes}):
        cluster = _ClusterView(name, clients, live, uids, kinds, reveal)
        mine = [change for change in plan.changes if change.address.cluster == name and _is_supported(cluster, change)]
        if not mine:
            continue
        with ThreadPoolExecutor(max_workers=min(_PARALLEL, len(mine)), thread_name_prefix="dry-run") as pool:
            results = list(pool.map(functools.partial(_ask, cluster, freed), mine))
        for change, (reason, rejection) in zip(mine, results, strict=True):
            if reason:
                unasked[reason] += 1
                continue
            asked += 1
            if rejection:
                notes.append(Note(Level.OBJECTION, change.address, Reason.REJECTED, (rejection,)))
    return DryRunResult(tuple(notes), asked, dict(sorted(unasked.items())))


def _is_supported(cluster: _ClusterView, change: Change) -> bool:
    """Return whether the cluster supports dry_run for the request of *change*."""
    kind, version = cluster.kinds[change.address.kind], cluster.live[cluster.name].version
    if not versions.takes_dry_run(version, kind) or change.action in (Action.DELETE, Action.FORGET):
        return False
    options = {name for name, it in kind.fields.items() if it.access.option_of is not None}
    own = change.body.keys() - hook_of(kind).sub_resources.keys() - options
    return bool(own or change.renamed_from or change.action is not Action.UPDATE)


def _ask(cluster: _ClusterView, freed: Collection[int], change: Change) -> tuple[str, str]:
    """Return why *change* could not be sent, and why the cluster rejects it; "" for neither.

    *freed*: the numbers of changes that delete something; a create that waits for one may need its port or name.
    """
    if change.creates and not set(freed).isdisjoint(change.after):
        return AFTER_DELETE, ""
    kind = cluster.kinds[change.address.kind]
    body = _known_body(cluster, kind, change)
    if body is None:
        return MISSING_REFERENCE, ""
    if cluster.no_response.is_set():
        return NO_RESPONSE, ""
    try:
        return _send(cluster, kind, change, body), ""
    except Unauthorized:
        raise
    except SecretMissing:
        return MISSING_SECRET, ""
    except Conflict:
        return MISSING_REFERENCE, ""
    except ClusterError as error:
        return _meaning(cluster, kind, change, error)


def _send(cluster: _ClusterView, kind: Kind, change: Change, body: Mapping[str, Any]) -> str:
    """Send the request of *change* with dry_run; return why it could not be sent, "" where it was accepted."""
    client = cluster.clients[cluster.name]
    others = Connections({name: _FailFastReader(one) for name, one in cluster.clients.items()})
    request = endpoint(kind, "create") if change.creates else endpoint(kind, "update", change.uid)
    call = dry_run_call(_flow(cluster, kind, change, body), request, _FailFastReader(client), others)
    if call is None:
        return OTHER_REQUEST
    client.send(call, fail_fast=True)
    return ""


def dry_run_call(flow: Flow[Any], request: tuple[str, str], client: Reader, connections: Connections) -> Call | None:
    """Return the first write of *flow* as a dry run of it; None where that is not *request*, a method and a path.

    Only for a kind and a version that take `dry_run`: any other would execute it.
    """
    try:
        drive(flow, client, Policy.DRY_RUN, connections=connections)
    except NotSent as reached:
        call = reached.call
        if call is not None and (call.method, call.path) == request and not call.cluster:
            return call._replace(path=f"{call.path}?dry_run=true")
    return None


def _meaning(cluster: _ClusterView, kind: Kind, change: Change, error: ClusterError) -> tuple[str, str]:
    """Return what an error means: why nothing is known, and why the cluster rejects the change; "" for neither."""
    if isinstance(error, Forbidden):
        return FORBIDDEN, ""
    if isinstance(error, Busy) or (isinstance(error, Rejected) and is_busy(kind, error)):
        return BUSY, ""
    if isinstance(error, Rejected):
        if change.action is Action.REPLACE and error.error_code in NAME_TAKEN_CODES:
            return "", ""  # by the object that is replaced
        return "", "" if error.error_code in hook_of(kind).same_secret_codes else _message(error)
    cluster.no_response.set()
    return NO_RESPONSE, ""


def _known_body(cluster: _ClusterView, kind: Kind, change: Change) -> Mapping[str, Any] | None:
    """Return the body of *change* without references to objects that do not exist yet; None where too little is left.

    A database can be sent before its roles exist: fields that may be set in a second step are left out.
    """
    if change.action is Action.UPDATE and change.uid is None:
        return None  # the object itself does not exist yet
    home = change.address.cluster
    missing = {ref for ref in references(kind, change.body) if not cluster.has(ref.at(home))}
    required = {rule["field"] for rule in kind.required_on_create}
    if any(not ref.defer or ref.field in required for ref in missing):
        return None
    late = {ref.field for ref in missing}
    body = {name: value for name, value in change.body.items() if name not in late}
    return body if body or change.creates or change.renamed_from else None


def _flow(cluster: _ClusterView, kind: Kind, change: Change, body: Mapping[str, Any]) -> Flow[Any]:
    """Do what an apply would do for *change*, up to its request to the object itself."""
    wire = encode(kind, body, cluster.uid, cluster.reveal)
    if change.renamed_from:
        wire[kind.rest.key[0]] = change.address.name
    elif change.creates and not kind.singleton:
        wire.setdefault(kind.rest.key[0], change.address.name)
    if change.action is Action.REPLACE:
        wire = without_own_values(kind, wire, change.rests_on or {})
    task = Task(kind, change.address, body, wire, {}, {}, read_fields=frozenset(body), uid_of=cluster.uid_of)
    if change.creates or change.uid is None:
        return (yield from send_create(task))
    found = yield from look(task, change.uid)
    if found is None:
        raise Conflict(f"{change.address} no longer exists")
    return (yield from send_update(task, change.uid, task.object_body(), found))


def _message(error: Rejected) -> str:
    """Return the message of the server, without logins in addresses: some were looked up for this request alone."""
    text = ": ".join(part for part in (error.error_code, error.description) if part)
    return _LOGIN.sub("//(secret)@", f"{error.status} {text}".strip())
