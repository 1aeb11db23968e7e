"""Which declared objects become ours although nothing has to be done to them.

The use case asks after an apply over all that is declared. To own an object is to know what it looked like when it was
last right: drift then has a direction, and `--prune` may take the object once its manifest is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.kinds import Address, Kind
from reconciler.normalize import comparable
from reconciler.plan.changes import LiveState, Owned, Plan

if TYPE_CHECKING:
    from reconciler.manifests import Resource


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
