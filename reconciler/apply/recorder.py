"""A cluster that accepts everything: it answers reads from the live state of a plan, and records the writes.

`explain` drives flows over it. Of a write it keeps method, path and the names of the fields that are sent. It gives
placeholders for secrets, and raises NotPredictable for a response that only the real cluster knows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from reconciler.api.codec import Uid, encode, uid_of_unnamed
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Call, Flow, Login, OwnClusterInfo, ProjectCluster, Response, Upload
from reconciler.apply.flows import References
from reconciler.kinds import SINGLETON, Kind
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan import Action, Change
from reconciler.secrets import Secret

NEW_UID = 2**53 - 1  # placeholder for a uid that the server will choose; far above those in use
_TASK = "task"
_RESPONSES: Mapping[str, Any] = {  # of reads whose response does not change the calls
    "/v2/actions": [],
    "/v1/nodes": [],
    "/v1/crdb_tasks": [],
    f"/v1/crdb_tasks/{_TASK}": {"status": "finished", "crdb_guid": str(NEW_UID)},
}


class NotPredictable(Exception):
    """The calls depend on something that is not known before they are made."""


class PlannedCall(NamedTuple):
    """One call that changes something."""

    method: str
    path: str  # with {uid} for one that the server will choose
    fields: tuple[str, ...]  # names of what the body sends, sorted
    cluster: str = ""  # where it is another than that of the change


class PlannedCalls(NamedTuple):
    """The calls of one change, in order; *unknown* says why these may not be all, "" where they are."""

    calls: tuple[PlannedCall, ...]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class ExplainContext:
    """What a plan was made from, by cluster, and the clusters of the project."""

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
        return NEW_UID if unnamed is None else unnamed


class Recorder:
    """One step of a change: *calls* are those that it has made so far."""

    def __init__(self, context: ExplainContext, change: Change, action: Action) -> None:
        self.context = context
        self.calls: list[PlannedCall] = []
        self._change = change
        self._action = action
        self._kind = context.kinds[change.address.kind]
        former = change.address._replace(name=change.renamed_from or change.address.name)
        self.live = None if action is Action.CREATE else context.find(former)
        self._sent: list[tuple[PlannedCall, Any, str]] = []
        self._secrets = itertools.count(1)

    def references(self) -> References:
        """Return what the flow finds of other objects."""
        cluster = self._change.address.cluster
        objects = self.context.live[cluster].objects
        names = {kind: {one.uid: one.name for one in found} for kind, found in objects.items()}
        return References(
            kinds=self.context.kinds,
            names=names,
            names_before=names,
            uid=lambda kind, name: self.context.uid_of(Address(cluster, kind, name)),
            uid_of=self.context.uid_of,
            reveal=self._placeholder,
        )

    def _placeholder(self, value_from: Mapping[str, Any]) -> Secret:
        return Secret(f"(secret {next(self._secrets)})")  # each another, since a rotation compares them

    # --- reads: `api.task.ObjectReader` -----------------------------------------------------------------------------

    def one(self, kind: Kind, uid: Uid, fields: frozenset[str] = frozenset()) -> Flow[dict[str, Any] | None]:
        """Return the object of the change: the live one, and after the first write what the change makes of it."""
        yield from ()
        return self._object(uid)

    def listing(self, kind: Kind, fields: frozenset[str] | None = frozenset()) -> Flow[list[Any]]:
        """Return the object of the change, once it is written."""
        yield from ()
        return [self._object(SINGLETON if kind.singleton else NEW_UID)] if self.calls else []

    def _object(self, uid: Uid) -> dict[str, Any] | None:
        written, address = bool(self.calls), self._change.address
        if written and self._action is Action.DELETE:
            return None
        live = self.live or LiveObject(self._kind.name, uid, self._change.renamed_from or address.name, spec={})
        if written or self.live is None:
            name = address.name if written else live.name
            separate = hook_of(self._kind).sub_resources  # written later, and no call depends on their new values
            body = {field: value for field, value in self._change.body.items() if field not in separate}
            live = replace(live, uid=uid, name=name, spec={**live.spec, **body})
        return self._wire_of(live)

    def _wire_of(self, live: LiveObject) -> dict[str, Any]:
        """Return a live object in the form of the API, ready for changes, as far as it was read."""
        kind, references = self.context.kinds[live.kind], self.references()
        wire: dict[str, Any] = {
            **encode(kind, live.spec, references.uid, references.reveal),
            **hook_of(kind).live_wire(live),
            kind.rest.id: live.uid,
        }
        if not kind.singleton:
            wire[next((key for key in kind.rest.key if key in wire), kind.rest.key[0])] = live.name
        if kind.traits.readiness is not None:
            wire[kind.traits.readiness.field] = kind.traits.readiness.ready[0]
        return wire

    def response_to(self, path: str, cluster: str) -> Any:
        """Return the body of a GET that a hook sends."""
        path = path.partition("?")[0]
        if path in _RESPONSES:
            return _RESPONSES[path]
        if path == "/v1/cluster":
            return {"name": cluster}
        if "/actions/" in path:  # no action is running
            return {}
        if path.endswith("/health_report"):
            return []
        found = self._collection(path, cluster)
        if found is None:
            raise NotPredictable(f"it depends on the response to GET {path.replace(str(NEW_UID), '{uid}')}")
        return found

    def _collection(self, path: str, cluster: str) -> Any:
        """Return a list of objects, or one of them; None where it was not read."""
        state, (parent, _, uid) = self.context.live.get(cluster), path.rpartition("/")
        for name, kind in sorted(self.context.kinds.items()):
            if kind.singleton or kind.rest.path not in (path, parent):
                continue
            own = next((one for one in (self._change.uid, NEW_UID) if one is not None and str(one) == uid), None)
            if kind.rest.path == parent and kind is self._kind and own is not None:
                return self._object(own)
            objects = state.objects.get(name) if state else None
            if objects is None or hook_of(kind).look is not None:
                continue
            if kind.rest.path == path:
                return [self._wire_of(one) for one in objects]
            planned = LiveObject(name, NEW_UID, "planned", spec={}, addresses=("planned:1",))
            return self._wire_of(next((one for one in objects if str(one.uid) == uid), planned))
        return None

    # --- writes -----------------------------------------------------------------------------------------------------

    def record(self, call: Call, cluster: str) -> Response:
        """Record what *call* would send, and accept it; one that is repeated needs a real response."""
        body = call.body
        names = (body.field,) if isinstance(body, Upload) else tuple(sorted(body)) if isinstance(body, Mapping) else ()
        other = "" if cluster == self._change.address.cluster else cluster
        planned = PlannedCall(call.method, call.path.replace(str(NEW_UID), "{uid}"), names, other)
        if (planned, body, call.node) in self._sent:
            raise NotPredictable(f"it depends on the response to {call.method} {planned.path}")
        self._sent.append((planned, body, call.node))
        self.calls.append(planned)
        return Response(200, {"id": _TASK, "uid": NEW_UID, self._kind.rest.id: NEW_UID}, {})


class RecordedConnection:
    """A connection to one recorded cluster, or to a node of it."""

    def __init__(self, recorder: Recorder, cluster: str) -> None:
        self._recorder = recorder
        self._cluster = cluster

    def get(self, path: str, **options: Any) -> Response:
        body = self._recorder.response_to(path, self._cluster)
        return Response(404 if body is None else 200, body, {})

    def send(self, call: Call) -> Response:
        return self._recorder.record(call, self._cluster)

    def accepts(self, login: Login) -> bool:
        return True

    def reconnect(self, port: int = 0) -> None:
        """Stay connected."""

    def at(self, url: str) -> RecordedConnection:
        return self

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        found = self._recorder.context.project_clusters.get(self._cluster)
        if found is None:
            raise NotPredictable("it depends on the nodes of the cluster")
        return OwnClusterInfo(found.urls, "", "")

    def close(self) -> None:
        """Nothing is open."""
