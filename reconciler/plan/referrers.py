"""What must stay because something live refers to it. The planner calls this once every object is decided.

A uid that is deleted or replaced leads nowhere, or one day to another object; whoever refers to it must be told first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.model import Address
from reconciler.plan.changes import Action
from reconciler.plan.context import Desk
from reconciler.plan.order import WRITES, Draft
from reconciler.plan.references import Ref, live_references, references

if TYPE_CHECKING:
    from reconciler.manifests import Resource

_ENDS = (Action.DELETE, Action.REPLACE)


def hold_referred(desk: Desk, drafts: list[Draft], mine: Sequence[Resource]) -> list[Draft]:
    """Hold each delete or replacement of something that a live object will still refer to."""
    goes = {draft.live_address: draft for draft in drafts if draft.live is not None and draft.action in _ENDS}
    resent = set(_sent_again(desk, mine)) if any(draft.action is Action.REPLACE for draft in goes.values()) else set()
    while goes:
        leaving = {d.identity for d in goes.values() if d.action is Action.DELETE}
        written = {d.identity: d for d in drafts if d.live is not None and d.action in WRITES}
        blocked: dict[Address, list[str]] = {}
        for cluster, ref, holder in live_references(desk.everything(), desk.kinds):
            identity = (cluster, holder.kind, holder.uid)
            target = ref.at(cluster)
            new_name = desk.renames.get(target.cluster, {}).get((ref.kind, ref.name), ref.name)
            writes = written.get(identity)
            rewritten = writes is not None and (writes.action is Action.REPLACE or ref.field in writes.body)
            told = rewritten or (identity, ref._replace(name=new_name)) in resent
            if target in goes and identity not in leaving and not told:
                blocked.setdefault(target, []).append(f"{holder.kind}/{holder.name} ({ref.field})")
        if not blocked:
            break
        for address in sorted(blocked):
            draft, who = goes.pop(address), ", ".join(sorted(set(blocked[address]))[:5])
            drafts = [other for other in drafts if other is not draft]
            if draft.action is Action.DELETE:
                desk.hold(draft.address, f"not deleted: {who} still refers to it")
            else:
                way = "declare that here too, or change it first"
                desk.hold(draft.address, f"not replaced: {who} refers to it and would lose it; {way}")
    return drafts


def _sent_again(desk: Desk, mine: Iterable[Resource]) -> Iterator[tuple[tuple[str, str, int | str], Ref]]:
    """Yield (identity of a live object, reference) for what is told of a replacement, because it is declared."""
    for resource in mine:
        if resource.absent or resource.address in desk.held:
            continue
        for found in desk.named(resource.address)[:1]:
            for ref in references(desk.kinds[found.kind], desk.spec(resource)):
                yield (resource.address.cluster, found.kind, found.uid), ref
