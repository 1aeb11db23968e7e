"""Objects that stand in several clusters: what holds them, and what of them needs a yes. The planner calls this.

Such an object is planned on one of its clusters and done by the server on all of them. It is left alone unless every
cluster that is concerned takes part in the run: only then are their locks held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan.changes import Action, Change, Consent, Options
from reconciler.plan.context import Desk
from reconciler.plan.order import Draft

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def places(kind: Kind, spec: Mapping[str, Any]) -> list[str]:
    """Return the clusters that *spec* stands in, as far as it says."""
    items = spec.get(kind.traits.multi_cluster.field) if kind.traits.multi_cluster else None
    return [str(item.get("cluster", "")) for item in items or () if isinstance(item, Mapping)]


def hold_absent(desk: Desk, drafts: list[Draft]) -> list[Draft]:
    """Hold every draft that concerns a cluster which takes no part in this run."""
    kept = []
    for draft in drafts:
        missing = sorted(set(_concerned(draft)) - desk.live.keys()) if draft.kind.traits.multi_cluster else []
        if missing and draft.action is not Action.FORGET:
            desk.hold(draft.address, f"it stands in several clusters, and {absence(missing, desk.options)}")
        else:
            kept.append(draft)
    return kept


def absence(missing: Sequence[str], options: Options) -> str:
    """Say that the *missing* clusters take no part in this run, and why or what to do about it."""
    those = f"{', '.join(missing)} {'takes' if len(missing) == 1 else 'take'} no part in this run"
    why = [options.absent[name] for name in missing if name in options.absent]
    if why:
        return f"{those}: {'; '.join(why)}"
    way = "leave out --cluster" if all(not name.startswith("#") for name in missing) else "see the project file"
    return f"{those}; {way}"


def _concerned(draft: Draft) -> Iterator[str]:
    """Yield the clusters that must take part; not those that the manifest gives up for lost."""
    spans, spec = draft.kind.traits.multi_cluster, draft.resource.spec if draft.resource is not None else {}
    lost = spec.get(spans.lost, ()) if spans else ()
    yield from places(draft.kind, spec)
    for name in places(draft.kind, draft.live.spec) if draft.live is not None else ():
        # A cluster that the project does not have can be left, and told of changes, without its lock.
        if name not in lost and not (name.startswith("#") and draft.action is Action.UPDATE):
            yield name


def check_new(desk: Desk, resource: Resource, live: LiveObject | None = None) -> None:
    """Note a problem where something new would stand in one cluster only, or a cluster joins without what it needs."""
    kind = desk.kinds[resource.address.kind]
    if not kind.traits.multi_cluster:
        return
    spec, field = desk.spec(resource), kind.traits.multi_cluster.field
    if live is None and len(places(kind, spec)) == 1:
        desk.problem(resource, ("spec", field), f"a new {kind.name} needs at least two clusters", "add another one")
    there = places(kind, live.spec) if live is not None else ()
    for index, item in enumerate(spec.get(field, ())):
        if item.get("cluster") not in there and not any(name in item for name in kind.traits.multi_cluster.needs):
            text = (
                f"the instance on {item.get('cluster')} is new and needs {' or '.join(kind.traits.multi_cluster.needs)}"
            )
            desk.problem(resource, ("spec", field, index), text)


def consent_to_leave(desk: Desk, resource: Resource, live: LiveObject, fields: list[str]) -> tuple[Consent, str]:
    """Return what an update of *fields* needs for what leaves a cluster by it, and in words what that is."""
    kind = desk.kinds[live.kind]
    spec = desk.spec(resource)
    if not kind.traits.multi_cluster or kind.traits.multi_cluster.field not in fields or not places(kind, spec):
        return Consent.NOTHING, ""
    gone = sorted(set(places(kind, live.spec)) - set(places(kind, spec)))
    forced = [name for name in gone if name in spec.get(kind.traits.multi_cluster.lost, ())]
    for name in forced:
        way = f"when that cluster is back, purge it there: PUT {kind.rest.path}/{live.uid}/purge"
        desk.warn(resource.address, f"what it holds on {name} is given up without asking there and stays; {way}")
    protected = resource.protect if resource.protect is not None else kind.policy.protect
    if not gone:
        return Consent.NOTHING, ""
    why = f"it leaves {', '.join(gone)}" + (", by force" if forced else "") + ", with the data there"
    return Consent.ALLOW_DESTROY if protected else Consent.NOTHING, why


def moved_home(address: Address, kind: Kind | None, declared: Iterable[Address]) -> Address | None:
    """Return under which of the *declared* addresses something that spans clusters stands now, if not as *address*."""
    if kind is None or not kind.traits.multi_cluster:
        return None
    same = [one for one in declared if one.kind == address.kind and one.name == address.name]
    return min(same) if same and address not in same else None


def moves(kinds: Mapping[str, Kind], address: Address, declared: Iterable[Address]) -> bool:
    """Tell whether another cluster coordinates now what is owned as *address*."""
    return moved_home(address, kinds.get(address.kind), declared) is not None


def touched(kinds: Mapping[str, Kind], change: Change, live: Mapping[str, LiveState]) -> frozenset[str]:
    """Return the clusters among *live* that *change* writes to: all that its object stands in, or will."""
    home, kind = change.address.cluster, kinds[change.address.kind]
    names = {home, *places(kind, change.body)}
    state = live.get(home)
    for one in state.objects.get(kind.name, ()) if state is not None and kind.traits.multi_cluster else ():
        if one.uid == change.uid:
            names.update(places(kind, one.spec))
    return frozenset(names & live.keys())
