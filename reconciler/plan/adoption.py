"""Adoption of existing objects that match their manifests, and of objects that an earlier revision declared. Pure.

`reconcile` calls this after an apply, and before a plan with `--previous`. For an owned object it is known what was
last applied: drift then has a direction, and `--prune` may delete the object once its manifest is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff.normalize import comparable
from reconciler.kinds import Kind
from reconciler.model import NOT_COMPARABLE, Address, Level, LiveState, Note, Observed, Owned, Reason
from reconciler.plan.plan import Plan
from reconciler.plan.view import warning

if TYPE_CHECKING:
    from reconciler.manifests import Resource


class Adopted(NamedTuple):
    """A live object that equals its manifest, with the declared fields that say so."""

    address: Address
    uid: int | str
    created: str
    fields: Mapping[str, Any]


def adopted(
    kinds: Mapping[str, Kind], resources: Iterable[Resource], plan: Plan, observed: Observed
) -> Iterator[Adopted]:
    """Yield each object that *plan* does not change because it is as declared, where the ledger does not say so yet.

    Values that cannot be read back are left out: secrets and write-only fields.
    """
    others = {change.address for change in plan.changes}
    others |= {n.address for n in plan.notes if n.level is Level.HELD and n.reason not in NOT_COMPARABLE}
    found = observed.objects()
    for resource in resources:
        address = resource.address
        live = found.get(address)
        if live is None or live.builtin or live.owner or resource.absent or address in others:
            continue
        kind = kinds[address.kind]
        right = {name: v for name, v in comparable(kind, resource.spec).items() if name not in resource.ignore}
        mine = observed.owned.get(address)
        known = mine.fields if mine is not None and mine.uid == live.uid else None
        if known is None or any(name not in known or known[name] != value for name, value in right.items()):
            yield Adopted(address, live.uid, live.created, {**(known or {}), **right})


def with_inherited(kinds: Mapping[str, Kind], previous: Iterable[Address], observed: Observed) -> Observed:
    """Return *observed* with the objects of *previous*, which an earlier revision declared, among the owned ones.

    A name is all that git knows of an object: it has to lead to exactly one, and to one that nothing else manages.
    Otherwise there is a note with the reason.
    """
    owned = dict(observed.owned)
    live = dict(observed.live)
    for address in sorted(previous):
        state, kind = live.get(address.cluster), kinds.get(address.kind)
        if state is not None and kind is not None and "delete" in kind.rest.verbs:
            found = _inherited(state, address)
            if isinstance(found, Note):
                live[address.cluster] = replace(state, notes=(*state.notes, found))
            elif found is not None:
                owned[address] = found
    return observed._replace(live=live, owned=owned)


def _inherited(state: LiveState, address: Address) -> Owned | Note | None:
    found = [one for one in state.objects.get(address.kind, ()) if one.name == address.name]
    if len(found) > 1:
        uids = ", ".join(str(one.uid) for one in found)
        return warning(address, Reason.PREVIOUS_AMBIGUOUS, str(len(found)), uids)
    for one in found:
        if one.owner:
            return warning(address, Reason.PREVIOUS_MANAGED, one.owner)
        return (
            warning(address, Reason.PREVIOUS_BUILTIN)
            if one.builtin
            else Owned(one.uid, one.created, {}, inherited=True)
        )
    return None
