"""Which change comes before which: from references between objects. The planner calls this with its drafts.

Creates and updates come after what they refer to; deletes after everything that refers to what they delete. Where
objects refer to each other in a ring, a field that is marked for it is set in a second step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.diff import FieldChange
from reconciler.kinds import Field, Kind
from reconciler.model import Address, LiveObject
from reconciler.plan.changes import Action, Consent
from reconciler.plan.impacts import CUTS_OFF, Impacted
from reconciler.plan.references import live_references, references
from reconciler.plan.topology import Edges, rings, sort

if TYPE_CHECKING:
    from reconciler.manifests import Resource

MAKES = frozenset({Action.CREATE, Action.REPLACE})
WRITES = MAKES | {Action.UPDATE}


@dataclass(eq=False, slots=True)
class Draft:
    """A change that has no number yet."""

    action: Action
    address: Address
    kind: Kind
    fields: tuple[FieldChange, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    live: LiveObject | None = None
    resource: Resource | None = None
    rests_on: Mapping[str, Any] | None = None
    why: str = ""
    renamed_from: str = ""
    consent: Consent = Consent.NOTHING
    impacts: tuple[Impacted, ...] = ()
    first: Draft | None = None  # where this is the second step of another draft

    @property
    def identity(self) -> tuple[str, str, int | str | None]:
        """What tells the live object apart from all others; its name does not."""
        return self.address.cluster, self.address.kind, self.live.uid if self.live is not None else None

    @property
    def live_address(self) -> Address:
        """By what name others refer to it now."""
        return self.address._replace(name=self.live.name) if self.live is not None else self.address

    @property
    def makes(self) -> bool:
        """Whether the name of *address* leads to a new object, or to any at all, only once this is done."""
        return self.action in MAKES or bool(self.renamed_from)

    @property
    def cuts_off(self) -> bool:
        """Whether this tool may lose its own access by it."""
        return any(one.impact == CUTS_OFF for one in self.impacts)


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
        for reference in _kind_references(kinds[name].fields.values()):
            if reference.kind in kinds and reference.kind != name:
                other = names.index(reference.kind)
                edges[place].add(other)
                if reference.defer:
                    late[place].add(other)
    for kept in (late, {}):
        for ring in rings(edges):
            for place in ring:
                edges[place] -= set(ring) - kept.get(place, set())
    return {names[place]: rank for rank, place in enumerate(sort(edges, names))}


def _kind_references(fields: Iterable[Field]) -> Iterator[Any]:
    for field_ in fields:
        if field_.reference is not None:
            yield field_.reference
        yield from _kind_references(field_.properties.values())
        if field_.items is not None:
            yield from _kind_references((field_.items,))


def refers_to(field_: Field, kind: str) -> bool:
    """Tell whether *field_* may refer to objects of *kind*, at any depth."""
    return any(reference.kind == kind for reference in _kind_references((field_,)))


def break_rings(drafts: list[Draft]) -> list[list[Draft]]:
    """Add a second step where that opens a ring of creates; return the rings that stay."""
    splits: list[Draft] = []
    for ring in rings(_hard_edges(drafts)):
        inside = {drafts[place].address for place in ring}
        for place in sorted(ring, key=lambda place: drafts[place].address):
            second = _split(drafts[place], inside)
            if second is not None:
                splits.append(second)
    drafts.extend(splits)
    return [[drafts[place] for place in ring] for ring in rings(_hard_edges(drafts))]


def _split(draft: Draft, inside: set[Address]) -> Draft | None:
    """Take the deferrable fields that close a ring out of *draft*; return the step that sets them."""
    cluster = draft.address.cluster
    loops = [ref for ref in references(draft.kind, draft.body) if ref.at(cluster) in inside]
    names = {ref.field for ref in loops if ref.defer}
    required = {rule["field"] for rule in draft.kind.required_on_create}
    if draft.action not in MAKES or not names or names & required:
        return None
    later = {name: draft.body.pop(name) for name in sorted(names)}
    shown = tuple(change for change in draft.fields if change.path.partition("[")[0].partition(".")[0] in names)
    draft.fields = tuple(change for change in draft.fields if change not in shown)
    others = ", ".join(sorted({f"{ref.kind}/{ref.name}" for ref in loops if ref.defer}))
    return Draft(
        Action.UPDATE,
        draft.address,
        draft.kind,
        fields=shown,
        body=later,
        resource=draft.resource,
        why=f"second step: it and {others} refer to each other",
        first=draft,
    )


def order(
    drafts: Sequence[Draft], live: Iterable[tuple[str, LiveObject]], kinds: Mapping[str, Kind]
) -> list[tuple[Draft, set[int]]]:
    """Return *drafts* in the order of execution, each with the places (from 0) of those that must be done before.

    *live* gives (cluster, object) of everything that may refer to what is deleted. What may cut this tool off from a
    cluster comes last, since nothing may be possible after it; and with it only what cannot be done before.
    """
    hard = _hard_edges(drafts)
    live = tuple(live) if any(draft.action is Action.DELETE for draft in drafts) else ()
    _add(hard, _delete_edges(drafts, live, kinds, defer=False))
    soft = _soft_edges(drafts)
    _add(soft, _kind_edges(drafts))
    _add(soft, _delete_edges(drafts, live, kinds, defer=True))
    last = _with_followers(hard, {place for place, draft in enumerate(drafts) if draft.cuts_off})
    for place in soft.keys() - last:
        soft[place] -= last
    both = {place: hard[place] | soft.get(place, set()) for place in hard}
    for ring in rings(both):
        for place in ring:
            both[place] = hard[place] | (both[place] - set(ring))
    ranks = kind_ranks(kinds)
    keys = [(place in last, *_rank(draft, ranks)) for place, draft in enumerate(drafts)]
    places = sort(both, keys)
    new = {place: number for number, place in enumerate(places)}
    return [(drafts[place], {new[before] for before in both[place]}) for place in places]


def _rank(draft: Draft, ranks: Mapping[str, int]) -> tuple[Any, ...]:
    goes = draft.action in (Action.DELETE, Action.FORGET)
    rank = ranks.get(draft.address.kind, 0)
    return goes, draft.address.cluster, -rank if goes else rank, draft.address.name, draft.first is not None


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


def _hard_edges(drafts: Sequence[Draft]) -> Edges:
    makers = {draft.address: place for place, draft in enumerate(drafts) if draft.makes}
    edges: Edges = {}
    for place, draft in enumerate(drafts):
        before = edges[place] = set()
        if draft.first is not None:
            before.add(makers[draft.first.address])
        if draft.action in WRITES:
            for address in _referred(draft):
                if address in makers and not (draft.first is not None and address == draft.address):
                    before.add(makers[address])
    return edges


def _soft_edges(drafts: Sequence[Draft]) -> Edges:
    """Updates after the updates that they refer to: good manners, dropped where it would make a ring."""
    updates = {d.address: place for place, d in enumerate(drafts) if d.action is Action.UPDATE and d.first is None}
    return {
        place: {
            updates[address] for address in _referred(draft, deferred=False) if updates.get(address, place) != place
        }
        for place, draft in enumerate(drafts)
        if draft.action in WRITES
    }


def _kind_edges(drafts: Sequence[Draft]) -> Edges:
    """What builds on a kind as a whole comes after its writes and before its deletes, on the same cluster."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, draft in enumerate(drafts):
        places.setdefault((draft.address.cluster, draft.address.kind), []).append(place)
    edges: Edges = {}
    for (cluster, _), mine in places.items():
        for base in drafts[mine[0]].kind.policy.after:
            for other in places.get((cluster, base), ()):
                for place in mine:
                    if drafts[other].action is Action.DELETE:
                        edges.setdefault(other, set()).add(place)
                    elif drafts[other].action in WRITES and drafts[place].action in WRITES:
                        edges.setdefault(place, set()).add(other)
    return edges


def _referred(draft: Draft, *, deferred: bool = True) -> Iterator[Address]:
    for ref in references(draft.kind, draft.body):
        if deferred or not ref.defer:
            yield ref.at(draft.address.cluster)


def _delete_edges(
    drafts: Sequence[Draft], live: Iterable[tuple[str, LiveObject]], kinds: Mapping[str, Kind], *, defer: bool
) -> Edges:
    gone = {draft.address: place for place, draft in enumerate(drafts) if draft.action is Action.DELETE}
    if not gone:
        return {}
    by_uid = {
        (draft.address.cluster, draft.address.kind, draft.live.uid): place
        for place, draft in enumerate(drafts)
        if draft.live is not None and draft.action is not Action.FORGET
    }
    edges: Edges = {}
    for cluster, ref, referrer in live_references(live, kinds):
        place = gone.get(ref.at(cluster))
        before = by_uid.get((cluster, referrer.kind, referrer.uid))
        if place is None or before is None or before == place:
            continue
        soft = ref.defer and drafts[before].action is Action.DELETE
        if soft == defer:
            edges.setdefault(place, set()).add(before)
    return edges
