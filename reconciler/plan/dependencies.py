"""References between the objects of a plan: to nothing, to what is held, to what is deleted or replaced.

The planner calls these once every resource is decided. Each function is pure: it returns what is held or wrong, or the
changes that have to be made in addition.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.errors import Problem
from reconciler.model import Address, Reason
from reconciler.plan.multicluster import absence
from reconciler.plan.plan import Action, Change
from reconciler.plan.references import Ref, kind_references, live_references, references
from reconciler.plan.view import Held, View, problem

if TYPE_CHECKING:
    from reconciler.manifests import Resource

Identity = tuple[str, str, int | str | None]


def needed(view: View, address: Address) -> Iterator[Address]:
    """Yield what the resource at *address* refers to."""
    resource = view.resources.get(address)
    if resource is not None and not resource.absent:
        for ref in references(view.kind(address), resource.spec):
            yield ref.at(address.cluster)


def unresolved(view: View, changes: Sequence[Change], held: Collection[Address]) -> Iterator[Held | Problem]:
    """Yield references to nothing as problems; hold what refers to something that cannot be named or created."""
    makers = {change.address for change in changes if change.introduces}
    gone = {change.address for change in changes if change.action is Action.DELETE}
    planned = {change.address for change in changes}
    for resource in view.selected:
        address = resource.address
        if resource.absent or address in held or (address not in planned and not gone):
            continue
        for ref in references(view.kind(address), view.spec(resource)):
            found = _unresolved(view, resource, ref, makers, gone)
            if found is not None:
                yield found


def _unresolved(
    view: View, resource: Resource, ref: Ref, makers: Collection[Address], gone: Collection[Address]
) -> Held | Problem | None:
    address, home = resource.address, resource.address.cluster
    target, name = ref.at(home), ref.named(home)
    if target.cluster not in view.observed.live:
        return Held(address, Reason.NEEDS_ABSENT_CLUSTER, (str(target), *absence(view, [target.cluster])))
    found, declared = view.named(target), view.resources.get(target)
    if (declared is not None and declared.absent) or target in gone:
        return problem(resource, ("spec", ref.field), f"{name} is declared absent")
    if len(found) > 1:
        return Held(address, Reason.AMBIGUOUS_REFERENCE, (str(len(found)), name))
    if found or target in makers:
        return None
    return Held(address, Reason.NEEDS_MISSING, (name,)) if declared is not None else _unknown(view, resource, ref)


def _unknown(view: View, resource: Resource, ref: Ref) -> Problem:
    """Return the problem that *ref* leads to something that is neither declared nor live."""
    cluster = ref.at(resource.address.cluster).cluster
    names = {found.name for found in view.observed.live[cluster].objects.get(ref.kind, ())}
    names |= {a.name for a, other in view.resources.items() if a[:2] == (cluster, ref.kind) and not other.absent}
    near = difflib.get_close_matches(ref.name, sorted(names), n=1)
    where = f"on cluster {cluster}" if cluster else "on the cluster"
    message = f"{ref.kind} {ref.name!r} is neither declared nor {where}"
    return problem(resource, ("spec", ref.field), message, f"did you mean {near[0]!r}?" if near else "")


def needing_held(view: View, changes: Sequence[Change], held: Collection[Address]) -> Iterator[Held]:
    """Yield what refers to a create that is held, directly or through others."""
    left, blocked = list(changes), set(held)
    while True:
        makers = {change.address for change in left if change.introduces}
        found = {
            change.address: Held(change.address, Reason.NEEDS_HELD, (ref.named(change.address.cluster),))
            for change in left
            if change.writes
            for ref in references(view.kind(change.address), change.body)
            if (target := ref.at(change.address.cluster)) in blocked and not view.named(target) and target not in makers
        }
        if not found:
            return
        yield from (found[address] for address in sorted(found))
        blocked |= found.keys()
        left = [change for change in left if change.address not in found]


def still_referenced(view: View, changes: Sequence[Change], held: Collection[Address]) -> Iterator[Held]:
    """Yield each delete or replacement of something that a live object will still refer to.

    A uid that is deleted or replaced leads nowhere, or later to another object; what refers to it is changed first.
    """
    left = list(changes)
    ends = {c.live_address: c for c in left if c.uid is not None and c.action in (Action.DELETE, Action.REPLACE)}
    for address, change in list(ends.items()):
        if hidden := _unreadable_referrers(view, change.address):
            left.remove(ends.pop(address))
            yield Held(change.address, Reason.REFERRERS_UNREADABLE, (", ".join(hidden),))
    replaces = any(change.action is Action.REPLACE for change in ends.values())
    resent = set(_sent_again(view, held)) if replaces else set()
    while ends:
        blocked = _referrers(view, left, ends, resent)
        for address in sorted(blocked):
            change, who = ends.pop(address), ", ".join(sorted(set(blocked[address]))[:5])
            left = [other for other in left if other is not change]
            deletes = change.action is Action.DELETE
            yield Held(change.address, Reason.STILL_REFERENCED if deletes else Reason.REFERENCED_UNMANAGED, (who,))
        if not blocked:
            return


def _unreadable_referrers(view: View, address: Address) -> list[str]:
    """Return the kinds that may refer to *address* and could not be read."""
    unreadable = view.observed.live[address.cluster].unreadable
    return [
        name
        for name in sorted(unreadable)
        if any(one.kind == address.kind for one in kind_references(view.kinds[name].fields.values()))
    ]


def _referrers(
    view: View, changes: Sequence[Change], ends: Mapping[Address, Change], resent: Collection[tuple[Identity, Ref]]
) -> dict[Address, list[str]]:
    """Return by live address the objects that refer to it, stay, and are not changed by the plan."""
    leaving = {change.identity for change in ends.values() if change.action is Action.DELETE}
    written = {change.identity: change for change in changes if change.uid is not None and change.writes}
    blocked: dict[Address, list[str]] = {}
    for cluster, ref, holder in live_references(view.objects(), view.kinds):
        identity, target = (cluster, holder.kind, holder.uid), ref.at(cluster)
        if target not in ends or identity in leaving:
            continue
        change = written.get(identity)
        rewritten = change is not None and (change.action is Action.REPLACE or ref.field in change.body)
        new_name = view.renames.get(target.cluster, {}).get((ref.kind, ref.name), ref.name)
        if not rewritten and (identity, ref._replace(name=new_name)) not in resent:
            named = Address(cluster if cluster != target.cluster else "", holder.kind, holder.name)
            blocked.setdefault(target, []).append(f"{named} ({ref.field})")
    return blocked


def _sent_again(view: View, held: Collection[Address]) -> Iterator[tuple[Identity, Ref]]:
    """Yield (identity of a live object, reference) for what is updated after a replacement, because it is declared."""
    for resource in view.selected:
        if resource.absent or resource.address in held:
            continue
        for found in view.named(resource.address)[:1]:
            home = resource.address.cluster
            for ref in references(view.kinds[found.kind], view.spec(resource)):
                yield (home, found.kind, found.uid), ref._replace(cluster="" if ref.cluster == home else ref.cluster)
