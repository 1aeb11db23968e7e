"""Asks clusters what they would say to a plan: its creates and updates, sent with `dry_run`, which stores nothing.

The use case calls this after planning. What a cluster objects to, an apply would fail on, so it becomes a note of that
change. Nothing else does: an answer that does not come, a login that may only read, an object that is busy say nothing
about the plan and are counted. It must not know how a change is carried out beyond its one request.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from reconciler import versions
from reconciler.calls import Answer, Body, Call
from reconciler.errors import Busy, ClusterError, Conflict, Forbidden, Rejected, SecretMissing, Unauthorized
from reconciler.flows import one
from reconciler.hooks import NOTHING, hook_of
from reconciler.kinds import Kind
from reconciler.live import Getter, drive
from reconciler.plan import Action, Change, LiveState, Note, Plan
from reconciler.plan.graph import Ref, references
from reconciler.rest import Reveal, Uid, encode, endpoint, uid_of_unnamed

OBJECTION = "objection"  # level of the notes
LATER = "they refer to what this plan makes first"
REPLACES = "they replace what is there"
SECRET = "a secret that they send is not to be had here"  # noqa: S105 - no secret
FORBIDDEN = "this login may not make such changes, or the licence has lapsed"
BUSY = "the cluster is busy with the objects"
SILENT = "the cluster gave no answer that can be used"

_PARALLEL = 4


class Listener(Getter, Protocol):
    """What a rehearsal needs of `client.Client`."""

    def send(self, call: Call, *, brief: bool = False) -> Answer: ...


class Rehearsal(NamedTuple):
    """What clusters say to a plan."""

    objections: tuple[Note, ...]  # in the order of the plan
    asked: int  # how many changes were answered for
    unasked: Mapping[str, int]  # why others were not, and how many


@dataclass(slots=True)
class _Stage:
    """One cluster during a rehearsal."""

    client: Listener
    live: LiveState
    kinds: Mapping[str, Kind]
    reveal: Reveal
    silent: threading.Event = field(default_factory=threading.Event)

    def uid(self, kind: str, name: str) -> Uid:
        """Return the uid of what a change refers to; raises Conflict where it is not there yet."""
        found = [one.uid for one in self.live.objects.get(kind, ()) if one.name == name]
        unnamed = uid_of_unnamed(name)
        if len(found) == 1:
            return found[0]
        if found or unnamed is None:
            raise Conflict(f"{kind}/{name} is not there yet")
        return unnamed

    def has(self, ref: Ref) -> bool:
        """Tell whether what is referred to is there already."""
        try:
            self.uid(ref.kind, ref.name)
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
    notes: list[Note] = []
    unasked: Counter[str] = Counter()
    asked = 0
    for cluster in sorted({change.address.cluster for change in plan.changes}):
        stage = _Stage(clients[cluster], live[cluster], kinds, reveal)
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
                notes.append(Note(OBJECTION, change.address, f"the cluster would refuse this: {objection}"))
    return Rehearsal(tuple(notes), asked, dict(sorted(unasked.items())))


def _takes(stage: _Stage, change: Change) -> bool:
    """Tell whether the cluster knows dry_run for what *change* sends."""
    kind, version = stage.kinds[change.address.kind], stage.live.version
    if not kind.dry_run or change.action in (Action.DELETE, Action.FORGET):
        return False
    if kind.dry_run_since and (version is None or not versions.reached(version, kind.dry_run_since)):
        return False
    hook = hook_of(kind)
    creates = change.action is not Action.UPDATE
    if (hook.post if creates else hook.put) is not None:
        return False  # several requests, and only the hook knows which
    return creates or any(name not in hook.doors for name in change.body) or bool(change.renamed_from)


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
    try:
        stage.client.send(_call(stage, kind, change, body), brief=True)
    except Unauthorized:
        raise
    except SecretMissing:
        return SECRET, ""
    except Forbidden:
        return FORBIDDEN, ""
    except Busy:
        return BUSY, ""
    except Rejected as error:
        if any(error.status == rule["status"] and error.error_code == rule.get("error_code") for rule in kind.busy):
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
    missing = {ref for ref in references(kind, change.body) if ref.at(home).cluster != home or not stage.has(ref)}
    required = {rule["field"] for rule in kind.required_on_create}
    if any(not ref.defer or ref.field in required for ref in missing):
        return None
    late = {ref.field for ref in missing}
    body = {name: value for name, value in change.body.items() if name not in late}
    return body if body or change.action is Action.CREATE or change.renamed_from else None


def _call(stage: _Stage, kind: Kind, change: Change, body: Mapping[str, Any]) -> Call:
    """Return the request that an apply would send for *change* to the object itself, as a dry run."""
    hook = hook_of(kind)
    wire: Mapping[str, Any] = encode(kind, body, stage.uid, stage.reveal)
    if change.action is Action.CREATE:
        doors = {kind.fields[name].wire for name, door in hook.doors.items() if door.on_create}
        named = {} if kind.singleton else {kind.key[0]: change.address.name}
        method, path = endpoint(kind, "create")
        wire = {**named, **{name: value for name, value in wire.items() if name not in doors}}
    else:
        assert change.uid is not None  # noqa: S101 - those without were turned away
        doors = {kind.fields[name].wire for name in hook.doors}
        named = {kind.key[0]: change.address.name} if change.renamed_from else {}
        method, path = endpoint(kind, "update", change.uid)
        wire = {**{name: value for name, value in wire.items() if name not in doors}, **named}
        if hook.complete is not NOTHING.complete:
            found = drive(stage.client, one(kind, change.uid))
            wire = hook.complete(wire, found or {})
        wire = {kind.within: wire} if kind.within else wire
    return Call(method, f"{path}?dry_run=true", Body(wire))


def _words(error: Rejected) -> str:
    said = ": ".join(part for part in (error.error_code, error.description) if part)
    return f"{error.status} {said}".strip() if error.status else str(error)
