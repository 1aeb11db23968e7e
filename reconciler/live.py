"""Reads a cluster: one list call for each kind, concurrently, and only the fields of the read set.

`reconcile` calls `read` before each plan. An incomplete list is an error, since objects that are missing from it would
seem to be deleted; a single malformed object is held. It must not know manifests and plans.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reconciler.api.codec import decode, natural_key, unnamed
from reconciler.api.driver import ONE_CLUSTER, Connections, Reader, drive
from reconciler.api.endpoints import wire_names
from reconciler.api.hooks import hook_of
from reconciler.api.identity import CLUSTER
from reconciler.api.offer import offer
from reconciler.api.own_account import access
from reconciler.api.protocol import ProjectCluster
from reconciler.api.read import listing
from reconciler.errors import (
    ClusterError,
    Forbidden,
    ReadIncomplete,
    Refused,
    Rejected,
    Unauthorized,
    Unreachable,
)
from reconciler.kinds import Kind, server_schema, versions
from reconciler.model import Address, Level, LiveObject, LiveState, Note, Offer, Reason
from reconciler.plan.read_set import Fields, Metrics, ReadSet, referred_kinds

if TYPE_CHECKING:
    from reconciler.client.shared_reads import ClusterReader

PORTS = ("port", "endpoints")  # fields of a database that hold the ports it uses

_PARALLEL = 4


class Placed(Protocol):
    """The attributes of a target that this module needs."""

    @property
    def name(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...


def project_clusters(targets: Iterable[Placed], here: Collection[str]) -> dict[str, ProjectCluster]:
    """Return the nodes of every cluster of the project, and whether it is part of this run: those of *here* are."""
    return {target.name: ProjectCluster(target.urls, target.name in here) for target in targets}


def read(
    client: ClusterReader,
    kinds: Mapping[str, Kind],
    read_set: ReadSet,
    cluster: str,
    connections: Connections = ONE_CLUSTER,
) -> LiveState:
    """Return the objects of each kind of *read_set*, and of the kinds that they refer to: those with their names only.

    Each list is read once; ports in use and figures are read where the lists show that the plan needs them. Kinds and
    fields that the cluster's version lacks are not asked for, and its kinds only are among the objects. Raises
    ReadIncomplete when a list is not whole, Refused while the cluster is being upgraded, and what the client raises;
    optional kinds that cannot be read are among `unreadable`, and what refers to them has their uids.
    """
    asked = (kinds[name] for name in read_set.fields if name in kinds)
    bootstrap = next((kind for kind in asked if kind.traits.creates_cluster), None)
    if bootstrap is not None and not _list(client, _Query(bootstrap), connections):
        return LiveState(cluster=cluster, objects={bootstrap.name: ()}, bootstrapped=False)
    version = probe(client, cluster)
    served = _served_schemas(client, kinds, read_set.fields, version) if read_set.schemas else {}
    known = {name: server_schema.known_fields(kinds[name], one) for name, one in served.items()}
    kinds = versions.available(kinds, version, known)
    found = _objects(client, kinds, read_set, cluster, connections)
    return LiveState(
        cluster=cluster,
        objects=found.objects,
        taken_ports=found.ports | found.reserved_ports,
        reserved_ports=found.reserved_ports,
        state_id=client.state_id,
        notes=found.notes,
        version=version,
        schemas=served,
        access=drive(access(client.user, client.login_method), client) if read_set.access else frozenset(),
        measured=_measured(client, kinds, read_set.metrics_needed(kinds, found.objects)),
        unreadable=found.unreadable,
        offer=_offer(client, kinds, read_set, found.objects),
    )


def _offer(
    client: Reader, kinds: Mapping[str, Kind], read_set: ReadSet, objects: Mapping[str, Collection[LiveObject]]
) -> Offer:
    """Return what the cluster offers, where databases are to be created."""
    new = read_set.new_databases(kinds, objects)
    if not new:
        return Offer()
    specs = [one.spec.get(kinds[one.address.kind].traits.settings or "", one.spec) for one in new]
    memory = [spec.get("memory_size", 0) for spec in specs]
    memory += [one.spec.get("memory_size", 0) for items in objects.values() for one in items]
    names = {(kind, one.name) for kind, items in objects.items() for one in items}
    return drive(
        offer(
            modules=any("module_list" in spec for spec in specs),
            licence=any(one.address[1:] in names for one in new),
            memory=sum(memory),
        ),
        client,
    )


class _Found(NamedTuple):
    """What the lists hold."""

    objects: dict[str, tuple[LiveObject, ...]]
    notes: tuple[Note, ...]  # of each object that has no name
    ports: frozenset[int]  # that databases use
    unreadable: dict[str, str]
    reserved_ports: frozenset[int] = frozenset()  # by the settings of the cluster


def _objects(
    client: ClusterReader, kinds: Mapping[str, Kind], read_set: ReadSet, cluster: str, connections: Connections
) -> _Found:
    """Return the decoded objects by kind, and what else the lists tell."""
    from reconciler.client import gc_paused

    fields = _with_referenced(kinds, {name: fields for name, fields in read_set.fields.items() if name in kinds})
    with_ports = {address.kind for address in read_set.ports}
    with gc_paused():  # creates tens of thousands of values, and none of them is garbage
        queries = [_Query(kinds[name], mine, name in with_ports) for name, mine in fields.items()]
        answers = dict(zip(fields, _in_parallel(client, queries, connections, read_set.optional), strict=True))
        unreadable = {name: str(one) for name, one in answers.items() if isinstance(one, ClusterError)}
        lists = {name: one for name, one in answers.items() if not isinstance(one, ClusterError)}
        fields = {name: mine for name, mine in fields.items() if name in lists}
        with_ports &= lists.keys()
        names = {name: _names(kinds[name], lists[name]) for name in fields}
        notes = tuple(note for name in fields for note in _nameless(cluster, kinds[name], lists[name]))
        needs_ports = read_set.needs_ports({name: names[name].values() for name in with_ports & names.keys()})
        listed = (lists[name] for name in with_ports & fields.keys() if needs_ports)
        ports = {port for wires in listed for wire in wires for port in _ports_of(wire)}
        settings = next((lists[name][0] for name in fields if kinds[name].rest.path == CLUSTER and lists[name]), None)
        objects = {
            name: _decoded(_Reading(kinds[name], mine, names, client.user), lists.pop(name))
            for name, mine in fields.items()
        }
    if not needs_ports:
        return _Found(objects, notes, frozenset(), unreadable)
    reserved = settings if settings is not None else client.get(CLUSTER, shape=dict).body
    return _Found(objects, notes, frozenset(ports - {0}), unreadable, frozenset(_reserved_ports(reserved)))


def probe(client: ClusterReader, cluster: str) -> versions.ServerVersion | None:
    """Verify the login with a single GET and return the version of all nodes, None where it is unknown.

    Refuses while nodes differ in version: an upgrade is in progress.
    The vendor advises against configuration changes during an upgrade, and parts of the API answer as unsupported.
    """
    nodes = [node for node in client.open().body if isinstance(node, dict)]
    stated = sorted({node["software_version"] for node in nodes if isinstance(node.get("software_version"), str)})
    if len(stated) > 1:
        label = f"{cluster}: " if cluster else ""
        raise Refused(f"{label}an upgrade is in progress (nodes run {', '.join(stated)}); try again when it is done")
    return versions.parse(stated[0]) if stated else None


def _served_schemas(
    client: ClusterReader, kinds: Mapping[str, Kind], names: Iterable[str], version: versions.ServerVersion | None
) -> dict[str, server_schema.ServerSchema]:
    """Return the schemas that the cluster serves of the kinds *names*: optional, so failures are ignored.

    One at a time, and none after the first failure: consecutive failures would take a node out of rotation.
    """
    found = {}
    for name in sorted(names):
        kind = kinds[name]
        if not kind.rest.jsonschema or not versions.has(version, kind):
            continue
        try:
            answer = client.get(f"/v1/jsonschema?object={kind.rest.jsonschema}", shape=dict, fail_fast=True)
        except (Rejected, Forbidden):
            continue
        except Unauthorized:
            raise
        except ClusterError:
            break
        hook = hook_of(kind)
        options = (name for name, field in kind.fields.items() if field.access.option_of is not None)
        served = server_schema.parse_answer(
            answer.body, kind.rest.jsonschema, (*hook.sub_resources, *hook.separate_fields, *options)
        )
        if served is not None:
            found[name] = served
    return found


def _ports_of(wire: Mapping[str, Any]) -> Iterator[int]:
    """Yield the ports of one live object."""
    ends = [wire, *(end for end in _listed(wire, "endpoints") if isinstance(end, dict))]
    return (port for end in ends if isinstance(port := end.get("port"), int))


def _reserved_ports(cluster: Mapping[str, Any]) -> Iterator[int]:
    """Yield the ports that a cluster reserves, by its settings."""
    for name in ("reserved_ports", "system_reserved_ports"):
        for item in _listed(cluster, name):
            yield from _port_range(item)


def _measured(
    client: Reader, kinds: Mapping[str, Kind], metrics: Metrics
) -> dict[tuple[str, int | str], dict[str, float]]:
    """Return the figures *metrics*, as they are measured now, by kind and uid.

    Without permission or a response there is no figure: callers must not rely on one.
    """
    found: dict[tuple[str, int | str], dict[str, float]] = {}
    for kind, name in ((kind, name) for kind, names in metrics.items() for name in sorted(names)):
        path = f"{hook_of(kinds[kind]).metrics[name]}?metrics={name}"
        try:
            body = client.get(path, missing_ok=True).body
        except (Forbidden, Rejected, ReadIncomplete, Unreachable):
            continue
        for uid, figures in body.items() if isinstance(body, dict) else ():
            figure = figures.get(name) if isinstance(figures, dict) else None
            if isinstance(figure, int | float) and type(figure) is not bool:
                found.setdefault((kind, int(uid) if uid.isdecimal() else uid), {})[name] = figure
    return found


class _Query(NamedTuple):
    """One list to be read."""

    kind: Kind
    fields: frozenset[str] | None = None
    ports: bool = False  # also the ports that its objects use


def _in_parallel(
    client: ClusterReader, queries: list[_Query], connections: Connections, optional: Collection[str]
) -> list[list[Any] | ClusterError]:
    """Return the list of each query; of an *optional* kind that cannot be read, the error."""

    def listed(query: _Query) -> list[Any] | ClusterError:
        try:
            return _list(client, query, connections)
        except (Forbidden, Rejected, ReadIncomplete) as error:
            if query.kind.name not in optional:
                raise
            return error

    if not queries:
        return []
    with ThreadPoolExecutor(max_workers=min(_PARALLEL, len(queries)), thread_name_prefix="read") as pool:
        return list(pool.map(listed, queries))


def _list(client: ClusterReader, query: _Query, connections: Connections) -> list[Any]:
    kind = query.kind
    objects = drive(listing(kind, query.fields, PORTS if query.ports else ()), client, connections=connections)
    if not all(isinstance(item, dict) and _usable_uid(item.get(kind.rest.id)) for item in objects):
        raise ReadIncomplete(f"GET {kind.rest.path}: an element of the list is not an object with a {kind.rest.id}")
    return objects


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
    """Decode one by one and let go of each wire object: there are never two copies of a large cluster."""
    kind, fields = reading.kind, reading.fields
    wires.sort(key=lambda wire: (isinstance(wire[kind.rest.id], str), wire[kind.rest.id]), reverse=True)
    # Fields outside the read set, which a kind that does not narrow returns too, may refer to kinds that were not read.
    kept = None if fields is None or hook_of(kind).narrows else wire_names(kind, fields)
    objects = []
    while wires:
        objects.append(_object(reading, wires.pop(), kept))
    return tuple(objects)


def _object(reading: _Reading, wire: dict[str, Any], kept: frozenset[str] | None) -> LiveObject:
    """Return the decoded object; an unreadable one is marked as managed elsewhere, so that it is never changed."""
    from reconciler.client import MalformedObject

    kind = reading.kind
    try:
        if not isinstance(wire, MalformedObject):
            whole = wire if kept is None else {name: wire[name] for name in kept if name in wire}
            found = decode(kind, whole, reading.names)
            if reading.user in (wire.get(name) for name in hook_of(kind).login_fields):
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
    """Yield a note for each object without a name: it may be one of those that seem to be missing."""
    for wire in wires:
        if not any(isinstance(wire.get(name), str) for name in kind.rest.key) and not _name(kind, wire):
            details = (f"{kind.rest.id} {wire[kind.rest.id]}", " or ".join(kind.rest.key))
            yield Note(Level.HELD, Address(cluster, kind.name, ""), Reason.NAMELESS, details)


def _names(kind: Kind, wires: Iterable[Mapping[str, Any]]) -> dict[int | str, str]:
    return {wire[kind.rest.id]: name for wire in wires if (name := _name(kind, wire))}


def _with_referenced(kinds: Mapping[str, Kind], wanted: Fields) -> dict[str, frozenset[str] | None]:
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
