"""Reads a cluster: one list call a kind, concurrently, and only the fields that somebody asked for.

`reconcile` calls `read` before each plan. A list that cannot be read whole stops everything, since what is missing from
it would look as if it were gone; a single object that makes no sense is held, and costs nothing but itself. Knows
nothing of manifests and plans.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from reconciler.api.codec import decode, natural_key, unnamed, wire_names
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Answer, Around, Call, Flow, Here, Home, Neighbour
from reconciler.api.read import listing
from reconciler.errors import (
    ClusterError,
    Forbidden,
    ReadIncomplete,
    ReconcilerError,
    Refused,
    Rejected,
    Unauthorized,
    Unreachable,
)
from reconciler.kinds import Kind, server_schema, versions
from reconciler.model import Address, LiveObject, LiveState, Note
from reconciler.plan.read_set import Wanted, referred_kinds

if TYPE_CHECKING:
    from reconciler.client import Client

T = TypeVar("T")

BIRTH = "ClusterBootstrap"  # the one kind that can be read before there is a cluster

_PARALLEL = 4


class Getter(Protocol):
    """What reading needs of `client.Client`."""

    def get(
        self, path: str, *, missing_ok: bool = False, shape: type | None = None, tolerant: bool = False
    ) -> Answer: ...

    def at(self, url: str) -> Client: ...

    def home(self, *, reveal: bool = False) -> Home: ...


class Reader(Getter, Protocol):
    """What reading a whole cluster needs of it."""

    @property
    def state_id(self) -> int: ...

    @property
    def user(self) -> str: ...

    def open(self) -> Answer: ...

    def get(
        self,
        path: str,
        *,
        missing_ok: bool = False,
        shape: type | None = None,
        tolerant: bool = False,
        brief: bool = False,
    ) -> Answer: ...


class Surroundings(NamedTuple):
    """The other clusters, for what stands in several of them."""

    clients: Mapping[str, Getter] = {}  # of this run, our own too
    neighbours: Mapping[str, Neighbour] = {}


ALONE = Surroundings()


class Placed(Protocol):
    """What is asked of a target of the project here."""

    @property
    def name(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...


def neighbours(targets: Iterable[Placed], here: Collection[str]) -> dict[str, Neighbour]:
    """Return where every cluster of the project is, and whether it takes part: those of *here* do."""
    return {target.name: Neighbour(target.urls, target.name in here) for target in targets}


def read(
    client: Reader,
    kinds: Mapping[str, Kind],
    wanted: Wanted,
    cluster: str,
    around: Surroundings = ALONE,
    *,
    schemas: bool = False,
) -> LiveState:
    """Return the objects of each *wanted* kind, and of the kinds that they refer to: those with their names only.

    Kinds and fields that the cluster's version lacks are not asked for, and its kinds only are among the objects. With
    *schemas* it is also asked what it says of the wanted kinds itself. Raises ReadIncomplete when a list is not whole,
    Refused while the cluster is being upgraded, and what the client raises.
    """
    from reconciler.client import collector_paused

    if BIRTH in wanted and BIRTH in kinds and not _list(client, kinds[BIRTH], None, around):
        return LiveState(cluster=cluster, objects={BIRTH: ()}, unborn=True)
    version = probe(client, cluster)
    served = _served_schemas(client, kinds, wanted, version) if schemas else {}
    known = {name: server_schema.known_fields(kinds[name], one) for name, one in served.items()}
    kinds = versions.available(kinds, version, known)
    complete = _with_referenced(kinds, {name: fields for name, fields in wanted.items() if name in kinds})
    with collector_paused():  # tens of thousands of values are made here, and none of them is garbage
        queries = [(kinds[name], fields) for name, fields in complete.items()]
        lists = dict(zip(complete, _in_parallel(client, queries, around), strict=True))
        names = {name: _names(kinds[name], lists[name]) for name in complete}
        notes = [note for name in complete for note in _nameless(cluster, kinds[name], lists[name])]
        objects = {
            name: _decoded(_Reading(kinds[name], fields, names, client.user), lists.pop(name))
            for name, fields in complete.items()
        }
    return LiveState(
        cluster=cluster,
        objects=objects,
        state_id=client.state_id,
        notes=tuple(notes),
        version=version,
        schemas=served,
    )


def probe(client: Reader, cluster: str) -> versions.ServerVersion | None:
    """Prove the login with a single GET and return the version that all nodes run, None where they do not say.

    Refuses while nodes differ in version: an upgrade is under way then.
    The vendor advises against configuration changes during an upgrade, and parts of the API answer as unsupported.
    """
    nodes = [node for node in client.open().body if isinstance(node, dict)]
    stated = sorted({node["software_version"] for node in nodes if isinstance(node.get("software_version"), str)})
    if len(stated) > 1:
        label = f"{cluster}: " if cluster else ""
        raise Refused(f"{label}an upgrade is in progress (nodes run {', '.join(stated)}); try again when it is done")
    return versions.parse(stated[0]) if stated else None


def _served_schemas(
    client: Reader, kinds: Mapping[str, Kind], wanted: Wanted, version: versions.ServerVersion | None
) -> dict[str, server_schema.ServerSchema]:
    """Ask the cluster what it says of the *wanted* kinds; its advice is worth having and not worth waiting for.

    One after the other, and no more after the first that fails: failures in a row would take a node out of rotation.
    """
    found = {}
    for name in sorted(wanted):
        kind = kinds[name]
        if not kind.rest.jsonschema or not versions.has(version, kind):
            continue
        try:
            answer = client.get(f"/v1/jsonschema?object={kind.rest.jsonschema}", shape=dict, brief=True)
        except (Rejected, Forbidden):
            continue
        except Unauthorized:
            raise
        except ClusterError:
            break
        hook = hook_of(kind)
        options = (name for name, field in kind.fields.items() if field.access.option_of is not None)
        served = server_schema.parse_answer(answer.body, kind.rest.jsonschema, (*hook.doors, *hook.apart, *options))
        if served is not None:
            found[name] = served
    return found


def read_ports(client: Reader, kind: Kind, objects: Iterable[LiveObject]) -> frozenset[int]:
    """Return the ports that no new object of *kind* may take: those in use and those that the cluster reserves.

    Of one that is not among *objects*, the ones that the plan knows, the port does not count: it came up since, and if
    somebody else has just made what the plan is to make, the server must refuse us its port.
    """
    known = {one.uid for one in objects}
    cluster = client.get("/v1/cluster", shape=dict).body
    ports = {port for item in _listed(cluster, "reserved_ports") for port in _port_range(item)}
    ports.update(port for item in _listed(cluster, "system_reserved_ports") for port in _port_range(item))
    for wire in client.get(f"{kind.rest.path}?fields=endpoints,port,{kind.rest.id}", shape=list).body:
        if not isinstance(wire, dict):
            raise ReadIncomplete(f"GET {kind.rest.path}: an element of the list is not an object")
        if wire.get(kind.rest.id) not in known:
            continue
        ends = [wire, *(end for end in _listed(wire, "endpoints") if isinstance(end, dict))]
        ports.update(port for end in ends if isinstance(port := end.get("port"), int))
    return frozenset(ports - {0})


def with_ports(client: Reader, kinds: Iterable[Kind], state: LiveState) -> LiveState:
    """Return *state* with the ports that no new object of *kinds* may take."""
    taken = (read_ports(client, kind, state.objects[kind.name]) for kind in kinds)
    return replace(state, taken_ports=state.taken_ports.union(*taken))


def measured(
    client: Getter, kinds: Mapping[str, Kind], state: LiveState, wanted: Mapping[str, frozenset[str]]
) -> LiveState:
    """Return *state* with the figures that are *wanted*, by kind, as they are measured now.

    Without permission or an answer there is no figure: nobody may rely on having one.
    """
    found: dict[tuple[str, int | str], dict[str, float]] = {}
    for kind, name in ((kind, name) for kind, names in wanted.items() for name in sorted(names)):
        path = f"{hook_of(kinds[kind]).figures[name]}?metrics={name}"
        try:
            body = client.get(path, missing_ok=True).body
        except (Forbidden, Rejected, ReadIncomplete, Unreachable):
            continue
        for uid, figures in body.items() if isinstance(body, dict) else ():
            figure = figures.get(name) if isinstance(figures, dict) else None
            if isinstance(figure, int | float) and type(figure) is not bool:
                found.setdefault((kind, int(uid) if uid.isdecimal() else uid), {})[name] = figure
    return replace(state, measured=found) if found else state


def _in_parallel(
    client: Reader, queries: list[tuple[Kind, frozenset[str] | None]], around: Surroundings
) -> list[list[Any]]:
    if not queries:
        return []
    with ThreadPoolExecutor(max_workers=min(_PARALLEL, len(queries)), thread_name_prefix="read") as pool:
        return list(pool.map(lambda query: _list(client, query[0], query[1], around), queries))


def _list(client: Reader, kind: Kind, fields: frozenset[str] | None, around: Surroundings) -> list[Any]:
    objects = drive(client, listing(kind, fields), around)
    if not all(isinstance(item, dict) and _usable_uid(item.get(kind.rest.id)) for item in objects):
        raise ReadIncomplete(f"GET {kind.rest.path}: an element of the list is not an object with a {kind.rest.id}")
    return objects


def drive(client: Getter, flow: Flow[T], around: Surroundings = ALONE) -> T:
    """Do what a flow that only reads asks for, and return what it ends with."""
    try:
        step = next(flow)
        while True:
            if isinstance(step, Around | Here):
                step = flow.send(around.neighbours if isinstance(step, Around) else client.home())
                continue
            if not isinstance(step, Call) or step.method != "GET":
                raise TypeError("a flow that reads yields GETs and nothing else")
            try:
                answer = _asked(around.clients[step.cluster] if step.cluster else client, step)
            except ReconcilerError as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def _asked(client: Getter, call: Call) -> Answer:
    if not call.node:
        return client.get(call.path, missing_ok=call.missing_ok, shape=call.shape, tolerant=call.tolerant)
    with closing(client.at(call.node)) as node:
        return node.get(call.path, missing_ok=call.missing_ok, shape=call.shape, tolerant=call.tolerant)


def _usable_uid(uid: Any) -> bool:
    return (isinstance(uid, int) and not isinstance(uid, bool)) or (
        isinstance(uid, str) and uid.isascii() and bool(uid)
    )


class _Reading(NamedTuple):
    """What the list of one kind is read for."""

    kind: Kind
    fields: frozenset[str] | None
    names: Mapping[str, Mapping[int | str, str]]
    user: str  # that we log in as


def _decoded(reading: _Reading, wires: list[Any]) -> tuple[LiveObject, ...]:
    """Decode one by one and let go of each wire object: two copies of a large cluster never stand side by side."""
    kind, fields = reading.kind, reading.fields
    wires.sort(key=lambda wire: (isinstance(wire[kind.rest.id], str), wire[kind.rest.id]), reverse=True)
    # The server sends all of it where a kind does not narrow; what nobody wants may refer to kinds that nobody read.
    kept = None if fields is None or hook_of(kind).narrows else wire_names(kind, fields)
    objects = []
    while wires:
        objects.append(_object(reading, wires.pop(), kept))
    return tuple(objects)


def _object(reading: _Reading, wire: dict[str, Any], kept: frozenset[str] | None) -> LiveObject:
    """Return the decoded object; one that cannot be read stands there as somebody else's, so that nobody touches it."""
    from reconciler.client import Unsound

    kind = reading.kind
    try:
        if not isinstance(wire, Unsound):
            whole = wire if kept is None else {name: wire[name] for name in kept if name in wire}
            found = decode(kind, whole, reading.names)
            if reading.user in (wire.get(name) for name in hook_of(kind).logs_in_by):
                return replace(found, owner="people alone, since this tool logs in as it", ourselves=True)
            return found
        reason = "it holds a number or a text that JSON cannot carry"
    except ReadIncomplete as error:
        reason = str(error)
    uid = wire[kind.rest.id]
    owner = f"something unreadable ({reason})"
    return LiveObject(kind.name, uid, _name(kind, wire) or unnamed(uid), spec={}, owner=owner)


def _name(kind: Kind, wire: Mapping[str, Any]) -> str:
    try:
        return natural_key(kind, wire)
    except (TypeError, ValueError):
        return ""


def _nameless(cluster: str, kind: Kind, wires: Iterable[Mapping[str, Any]]) -> Iterator[Note]:
    """Yield a note where an object has no name at all: it might be any of those that seem to be missing."""
    for wire in wires:
        if not any(isinstance(wire.get(name), str) for name in kind.rest.key) and not _name(kind, wire):
            text = f"{kind.rest.id} {wire[kind.rest.id]} has no {' or '.join(kind.rest.key)} that can be read"
            yield Note("held", Address(cluster, kind.name, ""), f"{text}; nothing new of this kind is made meanwhile")


def _names(kind: Kind, wires: Iterable[Mapping[str, Any]]) -> dict[int | str, str]:
    return {wire[kind.rest.id]: name for wire in wires if (name := _name(kind, wire))}


def _with_referenced(kinds: Mapping[str, Kind], wanted: Wanted) -> dict[str, frozenset[str] | None]:
    """Return *wanted* with each kind that a wanted field refers to, by name order: same input, same requests."""
    complete: dict[str, frozenset[str] | None] = dict(wanted)
    for name, fields in wanted.items():
        for field_name, field in kinds[name].fields.items():
            if fields is None or field_name in fields:
                for kind in referred_kinds(field):
                    if kind in kinds:
                        complete.setdefault(kind, frozenset())
    return dict(sorted(complete.items()))


def _listed(owner: Mapping[str, Any], name: str) -> list[Any]:
    value = owner.get(name)
    return value if isinstance(value, list) else []


def _port_range(item: Any) -> range:
    """Return the ports of 8001, "8001" or "8001-8010"; none for anything else."""
    first, _, last = str(item).partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and len(first) <= 5 and len(last) <= 5):
        return range(0)
    return range(int(first), min(int(last or first), 65535) + 1)
