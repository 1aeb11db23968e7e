"""What must be read of a cluster before its manifests can be planned. Pure; the use case asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from reconciler.diff import changes
from reconciler.kinds import Field, Kind
from reconciler.model import Address, LiveState
from reconciler.plan import Plan, undecided
from reconciler.plan.multicluster import places
from reconciler.plan.references import references

if TYPE_CHECKING:
    from reconciler.manifests import Resource

Wanted = Mapping[str, frozenset[str] | None]  # by kind: fields of its spec; None = all of them


def wanted_for(kinds: Mapping[str, Kind], resources: Iterable[Resource], owned: Iterable[Address]) -> Wanted:
    """Return what must be read to plan *resources*: what they declare, and who refers to what may go.

    What declares a field that cannot be changed may have to be replaced, and goes then.
    """
    fields: dict[str, set[str]] = {}
    leaving = {address.kind for address in owned}
    for resource in resources:
        kind = kinds[resource.address.kind]
        asked = kind.fields if kind.singleton and resource.absent else resource.spec
        fields.setdefault(resource.address.kind, set()).update(asked)
        if kind.traits.multi_cluster:
            fields[resource.address.kind].add(kind.traits.multi_cluster.field)
        if resource.absent or any(kind.fields[name].change.immutable for name in resource.spec if name in kind.fields):
            leaving.add(resource.address.kind)
    for kind in kinds.values() if leaving else ():
        referring = {name for name, field in kind.fields.items() if leaving.intersection(referred_kinds(field))}
        if referring or kind.name in leaving:
            fields.setdefault(kind.name, set()).update(referring)
        if kind.traits.multi_cluster and kind.name in leaving:
            fields[kind.name].add(kind.traits.multi_cluster.field)  # where it goes away from
    return {name: frozenset(names) for name, names in sorted(fields.items())}


def wanted_elsewhere(kinds: Mapping[str, Kind], resources: Iterable[Resource]) -> Mapping[str, frozenset[str]]:
    """Return by cluster the kinds that something refers to there by its name: who is called what must be known.

    A cluster that something stands in takes part too, whether or not anything there is referred to.
    """
    found: dict[str, set[str]] = {}
    for resource in resources:
        if not resource.absent:
            kind = kinds[resource.address.kind]
            for name in places(kind, resource.spec):
                found.setdefault(name, set())
            for ref in references(kind, resource.spec):
                if ref.cluster:
                    found.setdefault(ref.cluster, set()).add(ref.kind)
    return {cluster: frozenset(names) for cluster, names in sorted(found.items())}


def referred_kinds(field: Field) -> Iterator[str]:
    """Yield the kinds that *field* refers to on its own cluster, at any depth."""
    if field.reference and not field.reference.cluster_from:
        yield field.reference.kind
    for child in (*field.properties.values(), *((field.items,) if field.items else ())):
        yield from referred_kinds(child)


def needing_ports(kinds: Mapping[str, Kind], resources: Iterable[Resource], state: LiveState) -> list[Kind]:
    """Return the kinds of which something is to be created whose guard is a port that nobody declared."""
    names: dict[str, set[str]] = {kind: {item.name for item in items} for kind, items in state.objects.items()}
    found = {
        resource.address.kind
        for resource in resources
        if "port" in kinds[resource.address.kind].policy.guard
        and not resource.absent
        and not resource.spec.get("port")
        and resource.address.name not in names.get(resource.address.kind, ())
    }
    return [kinds[name] for name in sorted(found)]


def needing_figures(
    kinds: Mapping[str, Kind], resources: Iterable[Resource], state: LiveState
) -> Mapping[str, frozenset[str]]:
    """Return by kind the figures that decide what a change of something declared may lose."""
    found: dict[str, frozenset[str]] = {}
    deciding = {name: fields for name in state.objects if (fields := _deciding(kinds[name]))}
    live = {(name, one.name): one for name in deciding for one in state.objects[name]}
    for resource in resources:
        kind = resource.address.kind
        for name in {resource.address.name, resource.renamed_from}:
            one = live.get((kind, name)) if name else None
            if one is not None:
                spec = {field: resource.spec[field] for field in deciding[kind] if field in resource.spec}
                names = undecided(kinds[kind], changes(kinds[kind], spec, one.spec))
                found[kind] = found.get(kind, frozenset()) | names
    return {kind: names for kind, names in sorted(found.items()) if names}


def figures_behind(kinds: Mapping[str, Kind], plan: Plan) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return by cluster and kind the figures that decide what the changes of a finished *plan* may lose."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for change in plan.changes:
        cluster, kind, _ = change.address
        names = undecided(kinds[kind], change.fields)
        if names:
            mine = found.setdefault(cluster, {})
            mine[kind] = mine.get(kind, frozenset()) | names
    return found


def _deciding(kind: Kind) -> frozenset[str]:
    return frozenset(
        name for name, field in kind.fields.items() if any(impact.below for impact in field.change.impacts)
    )
