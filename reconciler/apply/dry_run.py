"""Asks clusters what they would say to a plan: its creates and updates, sent with `dry_run`, which stores nothing.

The use case calls this after planning. What a cluster objects to, an apply would fail on, so it becomes a note of that
change. Nothing else does: an answer that does not come, a login that may only read, an object that is busy say nothing
about the plan and are counted. It must not know how a change is carried out beyond its one request.
"""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from reconciler.api.codec import Reveal, Uid, encode, endpoint, uid_of_unnamed
from reconciler.api.create import post
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Answer, Call, Flow
from reconciler.api.task import Task, is_busy, look
from reconciler.api.write import put
from reconciler.errors import Busy, ClusterError, Conflict, Forbidden, Rejected, SecretMissing, Unauthorized
from reconciler.kinds import Kind, versions
from reconciler.model import Address, Level, LiveState, Note, Reason
from reconciler.plan import Action, Change, Plan
from reconciler.plan.references import references

LATER = "they refer to what this plan makes first"
REPLACES = "they replace what is there"
SECRET = "a secret that they send is not to be had here"  # noqa: S105 - no secret
FORBIDDEN = "this login may not make such changes, or the licence has lapsed"
BUSY = "the cluster is busy with the objects"
OTHERWISE = "they take other requests first"
SILENT = "the cluster gave no answer that can be used"

_PARALLEL = 4
_LOGIN = re.compile(r"//[^/@\s]*@")


class Listener(Protocol):
    """What a rehearsal needs of `client.Client`."""

    def get(self, path: str, *, missing_ok: bool = False, brief: bool = False) -> Answer: ...

    def send(self, call: Call, *, brief: bool = False) -> Answer: ...


class Rehearsal(NamedTuple):
    """What clusters say to a plan."""

    objections: tuple[Note, ...]  # in the order of the plan
    asked: int  # how many changes were answered for
    unasked: Mapping[str, int]  # why others were not, and how many


@dataclass(frozen=True, slots=True)
class _Stage:
    """All clusters during a rehearsal, and one that is asked."""

    name: str
    clients: Mapping[str, Listener]
    live: Mapping[str, LiveState]
    uids: Mapping[Address, list[Uid]]  # of all that is there, on all of them
    kinds: Mapping[str, Kind]
    reveal: Reveal
    silent: threading.Event = field(default_factory=threading.Event)

    def uid_of(self, address: Address) -> Uid:
        """Return the uid of what a change refers to; raises Conflict where it is not there yet."""
        found = self.uids.get(address, ())
        unnamed = uid_of_unnamed(address.name)
        if len(found) == 1:
            return found[0]
        if found or unnamed is None:
            raise Conflict(f"{address} is not there yet")
        return unnamed

    def uid(self, kind: str, name: str) -> Uid:
        return self.uid_of(Address(self.name, kind, name))

    def has(self, address: Address) -> bool:
        """Tell whether what is referred to is there already."""
        try:
            self.uid_of(address)
        except Conflict:
            return False
        return True


def rehearse(
    plan: Plan,
    kinds: Mapping[str, Kind],
    clients: Mapping[str, Listener],
    live: Mapping[str, LiveState],
    reveal: Reveal,
) -> Rehearsal:
    """Send what *plan* would send, with dry_run, and return what the clusters object to.

    Only to endpoints that take dry_run in the version that the cluster runs: any other would do it for real. Raises
    Unauthorized.
    """
    uids: dict[Address, list[Uid]] = {}
    for state in live.values():
        for found in (one for objects in state.objects.values() for one in objects):
            uids.setdefault(Address(state.cluster, found.kind, found.name), []).append(found.uid)
    notes: list[Note] = []
    unasked: Counter[str] = Counter()
    asked = 0
    for cluster in sorted({change.address.cluster for change in plan.changes}):
        stage = _Stage(cluster, clients, live, uids, kinds, reveal)
        mine = [change for change in plan.changes if change.address.cluster == cluster and _takes(stage, change)]
        if not mine:
            continue
        with ThreadPoolExecutor(max_workers=min(_PARALLEL, len(mine)), thread_name_prefix="rehearse") as pool:
            said = list(pool.map(functools.partial(_ask, stage), mine))
        for change, (why_not, objection) in zip(mine, said, strict=True):
            if why_not:
                unasked[why_not] += 1
                continue
            asked += 1
            if objection:
                notes.append(Note(Level.OBJECTION, change.address, Reason.REJECTED, (objection,)))
    return Rehearsal(tuple(notes), asked, dict(sorted(unasked.items())))


def _takes(stage: _Stage, change: Change) -> bool:
    """Tell whether the cluster knows dry_run for what *change* sends."""
    kind, version = stage.kinds[change.address.kind], stage.live[stage.name].version
    if not kind.rest.dry_run or change.action in (Action.DELETE, Action.FORGET):
        return False
    if kind.rest.dry_run_since and (version is None or not versions.reached(version, kind.rest.dry_run_since)):
        return False
    apart = hook_of(kind).doors.keys() | {name for name, it in kind.fields.items() if it.access.option_of is not None}
    return bool(change.body.keys() - apart or change.renamed_from or change.action is not Action.UPDATE)


def _ask(stage: _Stage, change: Change) -> tuple[str, str]:
    """Return why *change* could not be asked about, and what the cluster objects to; "" for nothing."""
    if change.action is Action.REPLACE:
        return REPLACES, ""
    kind = stage.kinds[change.address.kind]
    body = _speakable(stage, kind, change)
    if body is None:
        return LATER, ""
    if stage.silent.is_set():
        return SILENT, ""
    verb = "create" if change.action is Action.CREATE else "update"
    try:
        call = _first_write(stage, _flow(stage, kind, change, body))
        if call is None or (call.method, call.path) != endpoint(kind, verb, change.uid) or call.cluster:
            return OTHERWISE, ""
        stage.clients[stage.name].send(call._replace(path=f"{call.path}?dry_run=true"), brief=True)
    except Unauthorized:
        raise
    except SecretMissing:
        return SECRET, ""
    except Conflict:
        return LATER, ""
    except Forbidden:
        return FORBIDDEN, ""
    except Busy:
        return BUSY, ""
    except Rejected as error:
        if is_busy(kind, error):
            return BUSY, ""
        return "", "" if error.error_code in hook_of(kind).secret_is_so else _words(error)
    except ClusterError:
        stage.silent.set()
        return SILENT, ""
    return "", ""


def _speakable(stage: _Stage, kind: Kind, change: Change) -> Mapping[str, Any] | None:
    """Return the body of *change* as far as what it refers to is there by now; None where that is too little.

    A database can be asked about before its roles are there: the fields that may be set in a second step are left out.
    """
    if change.action is Action.UPDATE and change.uid is None:
        return None  # it waits for the object itself
    home = change.address.cluster
    missing = {ref for ref in references(kind, change.body) if not stage.has(ref.at(home))}
    required = {rule["field"] for rule in kind.required_on_create}
    if any(not ref.defer or ref.field in required for ref in missing):
        return None
    late = {ref.field for ref in missing}
    body = {name: value for name, value in change.body.items() if name not in late}
    return body if body or change.action is Action.CREATE or change.renamed_from else None


def _flow(stage: _Stage, kind: Kind, change: Change, body: Mapping[str, Any]) -> Flow[Any]:
    """Do what an apply would do for *change*, as far as its request to the object itself."""
    wire = encode(kind, body, stage.uid, stage.reveal)
    if change.renamed_from:
        wire[kind.rest.key[0]] = change.address.name
    elif change.action is Action.CREATE and not kind.singleton:
        wire.setdefault(kind.rest.key[0], change.address.name)
    task = Task(kind, change.address, body, wire, {}, {}, asked=frozenset(body), uid_of=stage.uid_of)
    if change.action is Action.CREATE or change.uid is None:
        return (yield from post(task))
    found = yield from look(task, change.uid)
    if found is None:
        raise Conflict(f"{change.address} is gone")
    return (yield from put(task, change.uid, task.plain(), found))


def _first_write(stage: _Stage, flow: Flow[Any]) -> Call | None:
    """Read what *flow* wants to read, and return the first request that would change something; None for none."""
    try:
        step = next(flow)
        while isinstance(step, Call) and step.method == "GET":
            client = stage.clients[step.cluster or stage.name]
            step = flow.send(client.get(step.path, missing_ok=True, brief=True))
    except StopIteration:
        return None
    flow.close()
    return step if isinstance(step, Call) else None


def _words(error: Rejected) -> str:
    """Return what the server said, without logins in addresses: some were looked up for this request alone."""
    said = ": ".join(part for part in (error.error_code, error.description) if part)
    return _LOGIN.sub("//(secret)@", f"{error.status} {said}".strip())
