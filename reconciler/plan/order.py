"""Which change comes before which: from references between objects. The planner calls this with its changes.

Creates and updates come after what they refer to, and after what frees a port or another unique value that they need;
deletes come after everything that refers to their object. Where
objects refer to each other in a cycle, a deferrable field is set in a second step. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject, Reason
from reconciler.plan.conflicts import needs, unique_edges
from reconciler.plan.plan import Action, Change
from reconciler.plan.references import kind_references, live_references, references
from reconciler.plan.topology import Edges, cycles, sort
from reconciler.plan.view import Held

Kinds = Mapping[str, Kind]


def kind_ranks(kinds: Mapping[str, Kind]) -> dict[str, int]:
    """Return the place of each kind in a list where what is referred to comes first.

    Where kinds refer to each other, the references that may come late decide: they are the usual ones (databases name
    roles every day, roles name databases now and then). This only sorts what the references of objects leave open.
    """
    names = sorted(kinds)
    edges: Edges = {place: set() for place in range(len(names))}
    late: Edges = {place: set() for place in range(len(names))}
    for place, name in enumerate(names):
        edges[place].update(names.index(base) for base in kinds[name].policy.after if base in kinds)
        for reference in kind_references(kinds[name].fields.values()):
            if reference.kind in kinds and reference.kind != name:
                other = names.index(reference.kind)
                edges[place].add(other)
                if reference.defer:
                    late[place].add(other)
    for kept in (late, {}):
        for cycle in cycles(edges):
            for place in cycle:
                edges[place] -= set(cycle) - kept.get(place, set())
    return {names[place]: rank for rank, place in enumerate(sort(edges, names))}


def break_cycles(changes: Sequence[Change], kinds: Kinds) -> tuple[list[Change], list[list[Change]]]:
    """Split creates into two steps where that opens a cycle; return all changes, and the cycles that remain."""
    whole = list(changes)
    seconds: list[Change] = []
    for cycle in cycles(_hard_edges(whole, kinds)):
        inside = {whole[place].address for place in cycle}
        for place in sorted(cycle, key=lambda place: whole[place].address):
            first, second = _split(whole[place], inside, kinds)
            whole[place] = first
            seconds += [second] if second is not None else []
    whole += seconds
    return whole, [[whole[place] for place in cycle] for cycle in cycles(_hard_edges(whole, kinds))]


def _split(change: Change, inside: set[Address], kinds: Kinds) -> tuple[Change, Change | None]:
    """Take the deferrable fields that close a cycle out of *change*; return it, and the step that sets them."""
    cluster, kind = change.address.cluster, kinds[change.address.kind]
    loops = [ref for ref in references(kind, change.body) if ref.at(cluster) in inside]
    names = {ref.field for ref in loops if ref.defer}
    required = {rule["field"] for rule in kind.required_on_create}
    if not change.creates or not names or names & required:
        return change, None
    shown = tuple(one for one in change.fields if one.path.partition("[")[0].partition(".")[0] in names)
    others = ", ".join(sorted({f"{ref.kind}/{ref.name}" for ref in loops if ref.defer}))
    first = replace(
        change,
        fields=tuple(one for one in change.fields if one not in shown),
        body={name: value for name, value in change.body.items() if name not in names},
    )
    second = Change(
        Action.UPDATE,
        change.address,
        fields=shown,
        body={name: change.body[name] for name in sorted(names)},
        freeze=change.freeze,
        reason=Reason.SECOND_STEP,
        details=(others,),
        source=change.source,
    )
    return first, second


def order(
    changes: Sequence[Change], live: Iterable[tuple[str, LiveObject]], kinds: Kinds
) -> list[tuple[Change, set[int]]]:
    """Return *changes* in the order of execution, each with the places (from 0) of those that must be done before.

    *live* gives (cluster, object) of everything that may refer to what is deleted. A change that may lock out the
    management account comes last, with the changes that have to follow it: nothing may be possible afterwards.
    """
    live = tuple(live) if changes else ()
    hard = _hard_edges(changes, kinds)
    _add(hard, unique_edges(needs(changes, live, kinds)))
    _add(hard, _delete_edges(changes, live, kinds, defer=False))
    soft = _soft_edges(changes, kinds)
    _add(soft, _kind_edges(changes, kinds))
    _add(soft, _delete_edges(changes, live, kinds, defer=True))
    last = _with_followers(hard, {place for place, change in enumerate(changes) if change.may_lock_out})
    for place in soft.keys() - last:
        soft[place] -= last
    both = {place: hard[place] | soft.get(place, set()) for place in hard}
    for cycle in cycles(both):
        for place in cycle:
            both[place] = hard[place] | (both[place] - set(cycle))
    ranks = kind_ranks(kinds)
    keys = [(place in last, *_rank(change, ranks)) for place, change in enumerate(changes)]
    places = sort(both, keys)
    new = {place: number for number, place in enumerate(places)}
    return [(changes[place], {new[before] for before in both[place]}) for place in places]


def deadlocked(changes: Sequence[Change], live: Iterable[tuple[str, LiveObject]], kinds: Kinds) -> Iterator[Held]:
    """Yield what needs a unique value that is freed only after it, because of references or of an exchange."""
    live = tuple(live) if changes else ()
    found = [need for need in needs(changes, live, kinds) if need.freed_by is not None]
    if not found:
        return
    edges = _hard_edges(changes, kinds)
    _add(edges, _delete_edges(changes, live, kinds, defer=False))
    _add(edges, unique_edges(found))
    for cycle in map(set, cycles(edges)):
        for need in found:
            if need.place in cycle and need.freed_by in cycle:
                _, what, value = need.key
                yield Held(changes[need.place].address, Reason.VALUE_FREED_LATER, (what, str(value)))


def _rank(change: Change, ranks: Mapping[str, int]) -> tuple[Any, ...]:
    goes = change.action in (Action.DELETE, Action.FORGET)
    rank = ranks.get(change.address.kind, 0)
    return goes, change.address.cluster, -rank if goes else rank, change.address.name, change.is_second_step


def _with_followers(edges: Edges, places: set[int]) -> set[int]:
    """Return *places* and all that has to come after them."""
    found: set[int] = set()
    while places:
        found |= places
        places = {place for place, before in edges.items() if before & places} - found
    return found


def _add(edges: Edges, more: Edges) -> None:
    for place, before in more.items():
        edges.setdefault(place, set()).update(before)


def _hard_edges(changes: Sequence[Change], kinds: Kinds) -> Edges:
    makers = {change.address: place for place, change in enumerate(changes) if change.introduces}
    edges: Edges = {}
    for place, change in enumerate(changes):
        before = edges[place] = set()
        if change.is_second_step:
            before.add(makers[change.address])
        if change.writes:
            for address in _referred(change, kinds):
                if address in makers and not (change.is_second_step and address == change.address):
                    before.add(makers[address])
    return edges


def _soft_edges(changes: Sequence[Change], kinds: Kinds) -> Edges:
    """Updates after the updates that they refer to: preferred, and dropped where it would close a cycle."""
    updates = {
        d.address: place for place, d in enumerate(changes) if d.action is Action.UPDATE and not d.is_second_step
    }
    return {
        place: {
            updates[address]
            for address in _referred(change, kinds, deferred=False)
            if updates.get(address, place) != place
        }
        for place, change in enumerate(changes)
        if change.writes
    }


def _kind_edges(changes: Sequence[Change], kinds: Kinds) -> Edges:
    """Objects that depend on a whole kind come after its writes and before its deletes, on the same cluster."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, change in enumerate(changes):
        places.setdefault((change.address.cluster, change.address.kind), []).append(place)
    edges: Edges = {}
    for (cluster, _), mine in places.items():
        for base in kinds[changes[mine[0]].address.kind].policy.after:
            for other in places.get((cluster, base), ()):
                for place in mine:
                    if changes[other].action is Action.DELETE:
                        edges.setdefault(other, set()).add(place)
                    elif changes[other].writes and changes[place].writes:
                        edges.setdefault(place, set()).add(other)
    return edges


def _referred(change: Change, kinds: Kinds, *, deferred: bool = True) -> Iterator[Address]:
    for ref in references(kinds[change.address.kind], change.body):
        if deferred or not ref.defer:
            yield ref.at(change.address.cluster)


def _delete_edges(
    changes: Sequence[Change], live: Iterable[tuple[str, LiveObject]], kinds: Kinds, *, defer: bool
) -> Edges:
    gone = {change.address: place for place, change in enumerate(changes) if change.action is Action.DELETE}
    if not gone:
        return {}
    by_uid = {
        change.identity: place
        for place, change in enumerate(changes)
        if change.uid is not None and change.action is not Action.FORGET
    }
    edges: Edges = {}
    for cluster, ref, referrer in live_references(live, kinds):
        place = gone.get(ref.at(cluster))
        before = by_uid.get((cluster, referrer.kind, referrer.uid))
        if place is None or before is None or before == place:
            continue
        soft = ref.defer and changes[before].action is Action.DELETE
        if soft == defer:
            edges.setdefault(place, set()).add(before)
    return edges
