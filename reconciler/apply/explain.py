"""The calls that a change will make, known in advance: the flow of the change, driven over a recorded cluster.

`plan --calls` shows them. Nothing is sent and no secret is looked up: reads are answered from the live state that the
plan was made from, writes with success, and only the names of the fields that a write sends are kept. Where a flow
needs a response that cannot be predicted, the result says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.api.codec import Uid, encode, uid_of_unnamed
from reconciler.api.driver import Connections, Host, Policy, drive
from reconciler.api.hooks import hook_of
from reconciler.api.precondition import Precondition
from reconciler.api.protocol import Call, Flow, Login, OwnClusterInfo, ProjectCluster, Response, Upload
from reconciler.api.task import FlowResult
from reconciler.apply.flows import References, create_flow, delete_flow, task_of, update_flow
from reconciler.errors import ReconcilerError
from reconciler.kinds import SINGLETON, Kind
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan import Action, Change
from reconciler.runtime import Runtime
from reconciler.secrets import Secret

UNKNOWN = "not known in advance"
_NEW = 2**53 - 1  # stands for a uid that the server will choose; no cluster counts so far
_TASK = "task"
_OTHER = "{uid}"  # what is shown for it


class PlannedCall(NamedTuple):
    """One call that changes something."""

    method: str
    path: str  # with {uid} where the server has not chosen it yet
    fields: tuple[str, ...]  # names of what the body sends, sorted
    cluster: str = ""  # another cluster than that of the change


class PlannedCalls(NamedTuple):
    """The calls of one change, in order; *unknown* says why there may be more or others, "" where all are known."""

    calls: tuple[PlannedCall, ...]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the plan was made from."""

    kinds: Mapping[str, Kind]
    live: Mapping[str, LiveState]
    project_clusters: Mapping[str, ProjectCluster] = field(default_factory=dict)

    def find(self, address: Address) -> LiveObject | None:
        """Return a live object by name."""
        state = self.live.get(address.cluster)
        objects = state.objects.get(address.kind, ()) if state else ()
        return next((one for one in objects if one.name == address.name), None)

    def uid_of(self, address: Address) -> Uid:
        """Return the uid of *address*; a placeholder where the plan creates it."""
        found = self.find(address)
        if found is not None:
            return found.uid
        unnamed = uid_of_unnamed(address.name)
        return _NEW if unnamed is None else unnamed


# Responses on which no call depends: by path.
_USUAL: Mapping[str, Any] = {
    "/v2/actions": [],
    "/v1/nodes": [],
    f"/v1/crdb_tasks/{_TASK}": {"status": "finished", "crdb_guid": str(_NEW)},
    "/v1/crdb_tasks": [],
    "/v1/cluster": {"name": "cluster"},
}


class _NotPredictable(Exception):
    """The flow needs something that only the cluster can answer."""


def calls_of(change: Change, observed: Observed) -> PlannedCalls:
    """Return the calls that executing *change* makes."""
    actions = {
        Action.CREATE: (Action.CREATE,),
        Action.UPDATE: (Action.UPDATE,),
        Action.DELETE: (Action.DELETE,),
        Action.REPLACE: (Action.DELETE, Action.CREATE),
        Action.FORGET: (),
    }
    calls: list[PlannedCall] = []
    for action in actions[change.action]:
        recorder = _Recorder(observed, change, action)
        try:
            recorder.run()
        except (_NotPredictable, ReconcilerError) as error:
            return PlannedCalls((*calls, *recorder.calls), f"{UNKNOWN}: {error}")
        calls += recorder.calls
    return PlannedCalls(tuple(calls))


class _Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class _Recorder:
    """One step of a change, on a cluster that accepts everything."""

    def __init__(self, observed: Observed, change: Change, action: Action) -> None:
        self.observed = observed
        self.change = change
        self.action = action
        self.kind = observed.kinds[change.address.kind]
        self.calls: list[PlannedCall] = []
        self._bodies: list[tuple[PlannedCall, Any, str]] = []
        self._secrets = itertools.count(1)
        self._task = task_of(change, self._references(), action, "recorded")
        self._uid = self._expected_uid()
        self._task.reader = self

    def run(self) -> None:
        """Drive the flow to its end."""
        clock = _Clock()
        runtime = Runtime(clock=clock.now, now=clock.now, sleep=clock.sleep)
        clients = {name: _Recorded(self, name) for name in self.observed.live}
        drive(
            self._flow(),
            _Recorded(self, self.change.address.cluster),
            Policy.ALL,
            connections=Connections(clients, self.observed.project_clusters),
            host=Host(runtime, _no_file),
        )

    def _flow(self) -> Flow[FlowResult]:
        if self.action is Action.CREATE:
            return create_flow(self.change, self._task)
        expected = Precondition(self._uid, self.change.renamed_from or self.change.address.name)
        start = update_flow if self.action is Action.UPDATE else delete_flow
        return start(self.change, self._task, expected)

    def _expected_uid(self) -> Uid:
        if self.kind.singleton:
            return SINGLETON
        return self.change.uid if self.change.uid is not None and self.action is not Action.CREATE else _NEW

    def _references(self) -> References:
        cluster = self.change.address.cluster
        names = {
            kind: {one.uid: one.name for one in objects}
            for kind, objects in self.observed.live[cluster].objects.items()
        }
        return References(
            kinds=self.observed.kinds,
            names=names,
            names_before=names,
            uid=lambda kind, name: self.observed.uid_of(Address(cluster, kind, name)),
            uid_of=self.observed.uid_of,
            reveal=self._placeholder,
        )

    def _placeholder(self, value_from: Mapping[str, Any]) -> Secret:
        return Secret(f"(secret {next(self._secrets)})")

    # --- what reads return ------------------------------------------------------------------------------------------

    def one(self, kind: Kind, uid: Uid, fields: frozenset[str] = frozenset()) -> Flow[dict[str, Any] | None]:
        """Return the object of the change: as it is live, and after the first write as the change makes it."""
        yield from ()
        written = bool(self.calls)
        if self.action is Action.DELETE and written:
            return None
        live = self.observed.find(self._task.address._replace(name=self.change.renamed_from or self._task.address.name))
        wire = self.wire_of(live) if live is not None and self.action is not Action.CREATE else {}
        name = self._task.address.name if written else self.change.renamed_from or self._task.address.name
        made = {**wire, **(self._task.wire if written or live is None else {}), self.kind.id: uid}
        if not self.kind.singleton:
            made[next((key for key in self.kind.key if key in made), self.kind.key[0])] = name
        condition = self.kind.wait or {}
        if "field" in condition:
            made[condition["field"]] = next(iter(condition.get("ready", ())), "")
        return made

    def listing(self, kind: Kind, fields: frozenset[str] | None = frozenset()) -> Flow[list[Any]]:
        """Return the object of the change alone."""
        found = yield from self.one(kind, self._uid)
        return [] if found is None or not self.calls else [found]

    def wire_of(self, live: LiveObject) -> dict[str, Any]:
        """Return a live object as the API would, as far as it was read."""
        kind = self.observed.kinds[live.kind]
        wire = encode(kind, live.spec, self._references().uid, self._placeholder)
        return {**wire, **hook_of(kind).live_wire(live), kind.id: live.uid, kind.key[0]: live.name}

    def answer(self, path: str, cluster: str) -> Any:
        """Return the body of a GET; raises _NotPredictable where only the cluster knows it."""
        path = path.partition("?")[0]
        if path in _USUAL or "/actions/" in path:
            return _USUAL.get(path, {})
        collection, _, uid = path.rpartition("/")
        state = self.observed.live.get(cluster)
        for name, kind in sorted(self.observed.kinds.items()):
            objects = state.objects.get(name) if state else None
            if objects is not None and hook_of(kind).look is None and not kind.singleton:
                if kind.path == path and uid:
                    return [self.wire_of(one) for one in objects]
                if kind.path == collection:
                    return next((self.wire_of(one) for one in objects if str(one.uid) == uid), self._unborn(kind))
        raise _NotPredictable(f"it depends on the response to GET {path}")

    def _unborn(self, kind: Kind) -> dict[str, Any]:
        """Return an object that the plan creates before this change."""
        blank = LiveObject(kind.name, _NEW, "new", spec={}, addresses=("new:1",))
        return self.wire_of(blank)

    # --- what is recorded -------------------------------------------------------------------------------------------

    def record(self, call: Call, cluster: str) -> Response:
        """Keep what *call* would send, and accept it."""
        body = call.body
        names = (body.field,) if isinstance(body, Upload) else tuple(sorted(body)) if isinstance(body, Mapping) else ()
        other = "" if cluster == self.change.address.cluster else cluster
        planned = PlannedCall(call.method, call.path.replace(str(_NEW), _OTHER), names, other)
        if (planned, body, call.node) in self._bodies:
            raise _NotPredictable(f"it depends on the response to {call.method} {planned.path}")
        self._bodies.append((planned, body, call.node))
        self.calls.append(planned)
        return Response(200, {"id": _TASK, "uid": _NEW, self.kind.id: _NEW}, {})


class _Recorded:
    """A connection to one cluster, or to one node of it, of which nothing is real."""

    def __init__(self, recorder: _Recorder, cluster: str) -> None:
        self._recorder = recorder
        self._cluster = cluster

    def get(
        self, path: str, *, missing_ok: bool = False, shape: type | None = None, tolerant: bool = False
    ) -> Response:
        return Response(200, self._recorder.answer(path, self._cluster), {})

    def send(self, call: Call) -> Response:
        return self._recorder.record(call, self._cluster)

    def accepts(self, login: Login) -> bool:
        return True

    def reconnect(self, port: int = 0) -> None:
        pass

    def at(self, url: str) -> _Recorded:
        return self

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        found = self._recorder.observed.project_clusters.get(self._cluster)
        if found is None:
            raise _NotPredictable("it depends on the nodes of the cluster")
        return OwnClusterInfo(found.urls, "", "")

    def close(self) -> None:
        pass


def _no_file(path: str) -> bytes:
    raise _NotPredictable(f"it depends on the file {path}")
