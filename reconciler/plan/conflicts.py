"""Unique values that a plan needs and that are taken: ports, e-mail addresses, names. Pure.

A change that frees such a value comes before the change that needs it; where nothing frees it, that change is held.
The planner calls `taken`, and `order` asks for the edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.diff import changes as differences
from reconciler.kinds import Kind, reference_fields
from reconciler.kinds.uniqueness import PORT, UniqueValue, unique_values
from reconciler.model import Address, LiveObject, Note, Reason
from reconciler.plan.plan import Action, Change
from reconciler.plan.topology import Edges
from reconciler.plan.view import Held, View, warning

Kinds = Mapping[str, Kind]
Key = tuple[str, str, Any]  # cluster, sort of value, value
_NAME = "name"  # names are unique among the objects of a kind, and of the members of one that spans clusters


class Need(NamedTuple):
    """A change that needs a value which another live object has."""

    place: int  # of the change, from 0
    key: Key
    holder: tuple[str, LiveObject]  # cluster and object
    freed_by: int | None  # place of the change that frees the value


def needs(changes: Sequence[Change], live: Iterable[tuple[str, LiveObject]], kinds: Kinds) -> list[Need]:
    """Return what *changes* need of the values that *live* objects have."""
    wanted = {place: keys for place, change in enumerate(changes) if (keys := _new_keys(change, kinds))}
    if not wanted:
        return []
    every = frozenset[Key]().union(*wanted.values())
    holders: dict[Key, list[tuple[str, LiveObject]]] = {}
    for cluster, one in live:
        for key in every.intersection(_live_keys(cluster, one, kinds)):
            holders.setdefault(key, []).append((cluster, one))
    if not holders:
        return []
    ends = [(place, change) for place, change in enumerate(changes) if change.uid is not None]
    found = []
    for place, keys in wanted.items():
        for key in sorted(keys & holders.keys(), key=repr):
            for holder in holders[key]:
                if not _is_of(changes[place], *holder, kinds):
                    freed = (n for n, change in ends if _is_of(change, *holder, kinds) and _frees(change, key, kinds))
                    found.append(Need(place, key, holder, next(freed, None)))
    return found


def unique_edges(found: Iterable[Need]) -> Edges:
    """Return by place of a change the places of those that free what it needs."""
    edges: Edges = {}
    for need in found:
        if need.freed_by is not None:
            edges.setdefault(need.place, set()).add(need.freed_by)
    return edges


def taken(view: View, changes: Sequence[Change]) -> Iterator[Held]:
    """Yield each change that needs a value which another object has and keeps, or that its cluster reserves."""
    for need in needs(changes, view.objects(), view.kinds):
        _, what, value = need.key
        if need.freed_by is None and what != _NAME:
            cluster, one = need.holder
            address = changes[need.place].address
            holder = Address("" if cluster == address.cluster else cluster, one.kind, one.name)
            yield Held(address, Reason.VALUE_TAKEN, (what, str(value), str(holder)))
    for change in changes:
        if change.creates:
            yield from _reserved(view, change)


def _reserved(view: View, change: Change) -> Iterator[Held]:
    kept = (change.rests_on or {}).get("port")
    for one in unique_values(view.kind(change.address), change.body, change.address.cluster):
        state = view.observed.live.get(one.cluster)
        if one.what == PORT and state is not None and one.value in state.reserved_ports and one.value != kept:
            yield Held(change.address, Reason.PORT_RESERVED, (str(one.value),))


def _new_keys(change: Change, kinds: Kinds) -> frozenset[Key]:
    """Return the unique values that *change* sends, and the name that it introduces."""
    if not change.writes:
        return frozenset()
    kind, cluster = kinds[change.address.kind], change.address.cluster
    keys = {one.key for one in unique_values(kind, change.body, cluster)}
    return frozenset(keys | (_name_keys(change, kind) if change.introduces else set()))


def _name_keys(change: Change, kind: Kind) -> set[Key]:
    members = kind.traits.multi_cluster
    if members is None:
        return {(change.address.cluster, _NAME, (kind.name, change.address.name))}
    clusters = [one.get("cluster") for one in change.body.get(members.field, ())]
    return {(cluster, _NAME, (members.member, change.address.name)) for cluster in clusters if cluster}


def _live_keys(cluster: str, one: LiveObject, kinds: Kinds) -> set[Key]:
    kind = kinds[one.kind]
    keys = {value.key for value in unique_values(kind, one.spec, cluster)}
    keys.update(UniqueValue(cluster, PORT, int(port)).key for port in _ports(one))
    return keys | {(cluster, _NAME, (kind.name, one.name))}


def _ports(one: LiveObject) -> Iterator[str]:
    return (port for address in one.addresses if (port := address.rpartition(":")[2]).isdecimal())


def _is_of(change: Change, cluster: str, one: LiveObject, kinds: Kinds) -> bool:
    """Return whether *one* is the object of *change*, or a member of it on another cluster."""
    if change.identity == (cluster, one.kind, one.uid):
        return True
    members = kinds[change.address.kind].traits.multi_cluster
    if members is None:
        return False
    if one.kind == change.address.kind:  # each member cluster lists it
        return one.uid == change.uid
    return one.kind == members.member and bool(one.owner) and one.name == change.address.name


def _frees(change: Change, key: Key, kinds: Kinds) -> bool:
    """Return whether the object of *change* no longer has the value once it is done."""
    if change.action is Action.UPDATE:
        kind, what = kinds[change.address.kind], key[1]
        sent = any(field.form.unique == what for name, field in kind.fields.items() if name in change.body)
        return (sent or (what == _NAME and bool(change.renamed_from))) and key not in _new_keys(change, kinds)
    return change.action is Action.DELETE or (change.action is Action.REPLACE and key not in _new_keys(change, kinds))


def maybe_renamed(view: View, changes: Iterable[Change]) -> Iterator[Note]:
    """Yield a warning for each create that looks like the new name of an owned object that is no longer declared."""
    new = [change for change in changes if change.action is Action.CREATE and not view.kind(change.address).singleton]
    if not new:
        return
    followed = {one.address._replace(name=one.renamed_from) for one in view.resources.values() if one.renamed_from}
    declared = {*view.resources, *view.elsewhere, *followed}
    left = [(old, live) for old in view.observed.owned if old not in declared and (live := view.owned_object(old))]
    for change in new:
        for old, live in left:
            if old[:2] == change.address[:2] and (same := _in_common(view.kind(old), change.body, live)):
                yield warning(change.address, Reason.MAYBE_RENAMED, live.name, ", ".join(same))


def _in_common(kind: Kind, body: Mapping[str, Any], live: LiveObject) -> list[str]:
    """Return the fields of *body* that *live* has too and that hardly two objects share: a port, modules, tags."""
    shared = (name for name in sorted(body) if name in live.spec)
    equal = [name for name in shared if not differences(kind, {name: body[name]}, live.spec)]
    names, fields = {*kind.policy.guard, *kind.rest.key}, kind.fields
    listed = (n for n in equal if body[n] and fields[n].form.key and not reference_fields.contains(fields[n]))
    common = sorted({*names.intersection(equal), *listed})
    return common or (equal if len(equal) == len(body) else [])
