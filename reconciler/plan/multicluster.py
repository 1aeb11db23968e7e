"""Objects that span several clusters: when they are held, and what of them needs consent. The planner calls this.

Such an object is planned on one of its clusters, and the server changes it on all of them. It is held unless all
clusters that it concerns are part of the run, since only then are their locks held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.errors import Problem
from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject, LiveState, Note, Reason
from reconciler.plan.plan import Action, Change
from reconciler.plan.view import Held, View, problem, warning

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def spanned_clusters(kind: Kind, spec: Mapping[str, Any]) -> list[str]:
    """Return the clusters that *spec* names as members."""
    items = spec.get(kind.traits.multi_cluster.field) if kind.traits.multi_cluster else None
    return [str(item.get("cluster", "")) for item in items or () if isinstance(item, Mapping)]


def absent_members(view: View, changes: Iterable[Change]) -> Iterator[Held]:
    """Yield what is held because it concerns a cluster that is not part of this run."""
    for change in changes:
        kind = view.kind(change.address)
        if kind.traits.multi_cluster and change.action is not Action.FORGET:
            missing = sorted(set(_concerned(view, kind, change)) - view.observed.live.keys())
            if missing:
                yield Held(change.address, Reason.SPANS_ABSENT_CLUSTER, absence(view, missing))


def absence(view: View, missing: Sequence[str]) -> tuple[str, str]:
    """Return the details of a reason about *missing* clusters: their names, and why they are not part of the run."""
    absent = view.observed.absent
    return ", ".join(missing), "; ".join(absent[name] for name in missing if name in absent)


def _concerned(view: View, kind: Kind, change: Change) -> Iterator[str]:
    """Yield the clusters that must be part of the run; not those that the manifest declares as lost."""
    resource, live = view.resources.get(change.address), view.object_of(change)
    spans, spec = kind.traits.multi_cluster, resource.spec if resource is not None else {}
    lost = spec.get(spans.lost, ()) if spans else ()
    yield from spanned_clusters(kind, spec)
    for name in spanned_clusters(kind, live.spec) if live is not None else ():
        # A cluster that the project does not have can be left, and gets changes, without its lock.
        if name not in lost and not (name.startswith("#") and change.action is Action.UPDATE):
            yield name


def check_instances(view: View, resource: Resource, live: LiveObject | None = None) -> Iterator[Problem]:
    """Yield a problem where a new object would exist on one cluster only, or a new instance lacks what it needs."""
    kind = view.kind(resource.address)
    if not kind.traits.multi_cluster:
        return
    spec, field = view.spec(resource), kind.traits.multi_cluster.field
    if live is None and len(spanned_clusters(kind, spec)) == 1:
        yield problem(resource, ("spec", field), f"a new {kind.name} needs at least two clusters", "add another one")
    there = spanned_clusters(kind, live.spec) if live is not None else ()
    for index, item in enumerate(spec.get(field, ())):
        if item.get("cluster") not in there and not any(name in item for name in kind.traits.multi_cluster.needs):
            text = (
                f"the instance on {item.get('cluster')} is new and needs {' or '.join(kind.traits.multi_cluster.needs)}"
            )
            yield problem(resource, ("spec", field, index), text)


class Departure(NamedTuple):
    """What an update removes from clusters that its object spans."""

    clusters: tuple[str, ...] = ()
    details: tuple[str, ...] = ()  # of `Reason.LEAVES_CLUSTER`
    warnings: tuple[Note, ...] = ()


def departure(view: View, resource: Resource, live: LiveObject, fields: list[str]) -> Departure:
    """Return which clusters the object leaves by an update of *fields*, and what that needs."""
    kind = view.kinds[live.kind]
    spec = view.spec(resource)
    if (
        not kind.traits.multi_cluster
        or kind.traits.multi_cluster.field not in fields
        or not spanned_clusters(kind, spec)
    ):
        return Departure()
    gone = sorted(set(spanned_clusters(kind, live.spec)) - set(spanned_clusters(kind, spec)))
    forced = [name for name in gone if name in spec.get(kind.traits.multi_cluster.lost, ())]
    request = f"PUT {kind.rest.path}/{live.uid}/purge"
    warnings = tuple(warning(resource.address, Reason.DATA_GIVEN_UP, name, request) for name in forced)
    if not gone:
        return Departure(warnings=warnings)
    return Departure(tuple(gone), (", ".join(gone), "forced" if forced else ""), warnings)


def moved_to(address: Address, kind: Kind | None, declared: Iterable[Address]) -> Address | None:
    """Return under which of the *declared* addresses a multi-cluster object is declared now, if not as *address*."""
    if kind is None or not kind.traits.multi_cluster:
        return None
    same = [one for one in declared if one.kind == address.kind and one.name == address.name]
    return min(same) if same and address not in same else None


def moves(kinds: Mapping[str, Kind], address: Address, declared: Iterable[Address]) -> bool:
    """Return whether another cluster coordinates now what is owned as *address*."""
    return moved_to(address, kinds.get(address.kind), declared) is not None


def written_clusters(kinds: Mapping[str, Kind], change: Change, live: Mapping[str, LiveState]) -> frozenset[str]:
    """Return the clusters among *live* that *change* writes to: all that its object spans, or will span."""
    home, kind = change.address.cluster, kinds[change.address.kind]
    names = {home, *spanned_clusters(kind, change.body)}
    state = live.get(home)
    for one in state.objects.get(kind.name, ()) if state is not None and kind.traits.multi_cluster else ():
        if one.uid == change.uid:
            names.update(spanned_clusters(kind, one.spec))
    return frozenset(names & live.keys())
