"""Which objects become ours although nothing has to be done to them, and which were ours by an earlier revision.

The use case asks after an apply over all that is declared, and before a plan that knows an earlier revision. To own an
object is to know what it looked like when it was last right: drift then has a direction, and `--prune` may take the
object once its manifest is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff.normalize import comparable
from reconciler.kinds import Kind
from reconciler.model import Address, LiveState, Note, Owned
from reconciler.plan.changes import Plan

if TYPE_CHECKING:
    from reconciler.manifests import Resource

_BEFORE = "declared at the earlier revision and no longer"


class Adopted(NamedTuple):
    """A live object that equals its manifest, with the declared fields that say so."""

    address: Address
    uid: int | str
    created: str
    fields: Mapping[str, Any]


def adopted(
    kinds: Mapping[str, Kind],
    resources: Iterable[Resource],
    plan: Plan,
    live: Mapping[str, LiveState],
    owned: Mapping[Address, Owned],
) -> Iterator[Adopted]:
    """Yield each object that *plan* leaves as it is because it is right, where the ledger does not say so yet.

    What cannot be read back is not claimed to be right: secrets and write-only fields stay out.
    """
    others = {change.address for change in plan.changes} | {n.address for n in plan.notes if n.level == "held"}
    found = {
        Address(state.cluster, kind, one.name): one
        for state in live.values()
        for kind, objects in state.objects.items()
        for one in objects
    }
    for resource in resources:
        address = resource.address
        there = found.get(address)
        if there is None or resource.absent or address in others:
            continue
        kind = kinds[address.kind]
        right = {name: v for name, v in comparable(kind, resource.spec).items() if name not in resource.ignore}
        mine = owned.get(address)
        known = mine.fields if mine is not None and mine.uid == there.uid else None
        if known is None or any(name not in known or known[name] != value for name, value in right.items()):
            yield Adopted(address, there.uid, there.created, {**(known or {}), **right})


def inherited(
    kinds: Mapping[str, Kind], previous: Iterable[Address], live: Mapping[str, LiveState]
) -> tuple[dict[Address, Owned], tuple[Note, ...]]:
    """Return what is ours because an earlier revision declared it, and what cannot be said to be, with the reason.

    A name is all that git knows of an object: it has to lead to exactly one, and to one that nobody else manages.
    """
    mine: dict[Address, Owned] = {}
    notes: list[Note] = []
    for address in sorted(previous):
        state, kind = live.get(address.cluster), kinds.get(address.kind)
        if state is None or kind is None or "delete" not in kind.rest.verbs:
            continue
        found = [one for one in state.objects.get(address.kind, ()) if one.name == address.name]
        if len(found) > 1:
            uids = ", ".join(str(one.uid) for one in found)
            text = f"{_BEFORE}, but {len(found)} live objects have this name (uid {uids}); none is deleted"
            notes.append(Note("warning", address, text))
        elif found and (found[0].builtin or found[0].owner):
            whose = f"managed by {found[0].owner}" if found[0].owner else "built into the cluster"
            notes.append(Note("warning", address, f"{_BEFORE}, but it is {whose}; never touched"))
        elif found:
            mine[address] = Owned(found[0].uid, found[0].created, {})
    return mine, tuple(notes)


def with_inherited(
    kinds: Mapping[str, Kind],
    previous: Iterable[Address],
    live: Mapping[str, LiveState],
    owned: Mapping[Address, Owned],
) -> tuple[dict[str, LiveState], Mapping[Address, Owned]]:
    """Add what is ours by an earlier revision to what the ledger knows, and what is doubtful to the notes."""
    mine, notes = inherited(kinds, previous, live)
    noted = {
        name: replace(state, notes=(*state.notes, *(note for note in notes if note.address.cluster == name)))
        for name, state in live.items()
    }
    return noted, {**owned, **mine}
