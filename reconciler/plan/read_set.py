"""The read set of each cluster: kinds, fields, ports and metrics, determined once. Pure.

`reconcile.observe` computes the read sets and gives each to `live.read`, which reads every list once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from reconciler.diff import changes
from reconciler.kinds import Field, Kind
from reconciler.kinds.uniqueness import unique_values
from reconciler.model import Address, LiveObject
from reconciler.plan.copies import fields_copying, with_more
from reconciler.plan.impacts import undecided
from reconciler.plan.multicluster import spanned_clusters
from reconciler.plan.own_login import may_end_access
from reconciler.plan.references import kind_references, references

if TYPE_CHECKING:
    from reconciler.manifests import Resource

Fields = Mapping[str, frozenset[str] | None]  # by kind: fields of its spec; None = all of them
Metrics = Mapping[str, frozenset[str]]  # by kind: names of figures, such as used_memory


class ReadSet(NamedTuple):
    """What has to be read of one cluster."""

    fields: Fields = MappingProxyType({})
    ports: tuple[Address, ...] = ()  # if one of these does not exist, the ports that it may take are needed
    metrics: Metrics = MappingProxyType({})  # figures that are needed in any case
    deciding: tuple[Resource, ...] = ()  # a figure decides the impact of what they declare
    schemas: bool = False  # the cluster's own schemas too
    access: bool = False  # what the access of this tool rests on: the plan may end it
    databases: tuple[Resource, ...] = ()  # declared: where one has to be created, what the cluster offers is needed
    optional: frozenset[str] = frozenset()  # kinds that are left out where this account cannot read them

    def new_databases(self, kinds: Mapping[str, Kind], objects: Mapping[str, Collection[LiveObject]]) -> list[Resource]:
        """Return which of *databases* may have to be created, replaced or upgraded, given the live *objects*."""
        named = {one.address.kind for one in self.databases} & kinds.keys()
        live = {(kind, one.name): one for kind in named for one in objects.get(kind, ())}
        decisive = {kind: [n for n, f in kinds[kind].fields.items() if _is_decisive(f)] for kind in named}
        found = []
        for resource in (one for one in self.databases if one.address.kind in named):
            kind, there = resource.address.kind, live.get(resource.address[1:])
            spec = {name: resource.spec[name] for name in decisive[kind] if name in resource.spec}
            if there is None or (
                not spec.items() <= there.spec.items() and any(changes(kinds[kind], spec, there.spec))
            ):
                found.append(resource)
        return found

    def needs_ports(self, names: Mapping[str, Collection[str]]) -> bool:
        """Return whether something is to be created that needs a port, given the *names* of live objects by kind."""
        known = {kind: frozenset(names.get(kind, ())) for kind in {address.kind for address in self.ports}}
        return any(address.name not in known[address.kind] for address in self.ports)

    def metrics_needed(self, kinds: Mapping[str, Kind], objects: Mapping[str, Collection[LiveObject]]) -> Metrics:
        """Return the figures that decide what a plan may lose, given the live *objects*."""
        found = dict(self.metrics)
        live = {one: objects.get(one, ()) for one in {resource.address.kind for resource in self.deciding}}
        decided = {name: _decided_fields(kinds[name]) for name in live}
        named = {(kind, one.name): one for kind, ones in live.items() for one in ones}
        for resource in self.deciding:
            kind = kinds[resource.address.kind]
            spec = {name: resource.spec[name] for name in decided[kind.name] if name in resource.spec}
            for name in filter(None, (resource.address.name, resource.renamed_from)):
                one = named.get((kind.name, name))
                if one is None or spec.items() <= one.spec.items():
                    continue
                if figures := undecided(kind, changes(kind, spec, one.spec)):
                    found[kind.name] = found.get(kind.name, frozenset()) | figures
        return dict(sorted(found.items()))


def read_sets(
    kinds: Mapping[str, Kind],
    resources: Iterable[Resource],
    leaving: Iterable[Address],
    clusters: Iterable[str],
) -> dict[str, ReadSet]:
    """Return by cluster what must be read to plan *resources*, and to delete or forget what is *leaving*.

    *clusters* are those of the run; what a resource refers to on another one cannot be read.
    """
    resources, leaving = list(resources), list(leaving)
    elsewhere = other_clusters(kinds, resources)
    by_cluster: dict[str, list[Resource]] = {name: [] for name in clusters}
    for resource in resources:
        by_cluster[resource.address.cluster].append(resource)
    decided = {name: _decided_fields(kind) for name, kind in kinds.items()}
    copying = fields_copying(kinds, frozenset({*_deleted(kinds, resources), *(address.kind for address in leaving)}))
    found = {}
    for name, mine in by_cluster.items():
        fields = fields_of(kinds, mine, [a for a in leaving if a.cluster == name])
        named = dict.fromkeys(elsewhere.get(name, ()), frozenset[str]())
        found[name] = ReadSet(
            with_more({**named, **fields}, copying),
            tuple(_needing_ports(kinds, mine)),
            deciding=tuple(one for one in mine if not decided[one.address.kind].isdisjoint(one.spec)),
            schemas=True,
            databases=tuple(
                one for one in mine if not one.absent and kinds[one.address.kind].traits.settings is not None
            ),
            access=may_end_access(kinds, mine, [a for a in leaving if a.cluster == name]),
            optional=_optional(kinds, mine, [a for a in leaving if a.cluster == name]) - named.keys(),
        )
    return found


def _optional(kinds: Mapping[str, Kind], resources: Iterable[Resource], leaving: Iterable[Address]) -> frozenset[str]:
    """Return the kinds that are read only because they may refer to something that has to be replaced.

    An account that sees less can plan what it sees; a replacement is held then.
    """
    resources = list(resources)
    ends = {address.kind for address in leaving} | {one.address.kind for one in resources if one.absent}
    declared: dict[str, set[str]] = {}
    for resource in resources:
        declared.setdefault(resource.address.kind, set()).update(resource.spec)
    needed = ends | declared.keys()
    for name, names in declared.items():
        needed.update(*(referred_kinds(field) for field in kinds[name].fields.values() if field.name in names))
    referring = {
        kind.name for kind in kinds.values() if any(ends.intersection(referred_kinds(f)) for f in kind.fields.values())
    }
    return frozenset(kinds) - needed - referring


def fields_of(kinds: Mapping[str, Kind], resources: Iterable[Resource], leaving: Iterable[Address]) -> Fields:
    """Return the fields that *resources* declare, and those that refer to what may be deleted.

    What declares an immutable field may have to be replaced, and is deleted then.
    """
    fields: dict[str, set[str]] = {}
    resources = tuple(resources)
    deleted = {*_deleted(kinds, resources), *(address.kind for address in leaving)}
    for resource in resources:
        kind = kinds[resource.address.kind]
        asked = kind.fields if kind.singleton and resource.absent else resource.spec
        fields.setdefault(kind.name, set()).update(asked)
        if kind.traits.multi_cluster:
            fields[kind.name].add(kind.traits.multi_cluster.field)
            if unique_values(kind, resource.spec, ""):
                fields.setdefault(kind.traits.multi_cluster.member, set())  # what may have these values
    for kind in kinds.values() if deleted else ():
        referring = {name for name, field in kind.fields.items() if deleted.intersection(referred_kinds(field))}
        if referring or kind.name in deleted:
            fields.setdefault(kind.name, set()).update(referring)
        if kind.traits.multi_cluster and kind.name in deleted:
            fields[kind.name].add(kind.traits.multi_cluster.field)  # the clusters that it leaves
    return {name: frozenset(names) for name, names in sorted(fields.items())}


def _deleted(kinds: Mapping[str, Kind], resources: Iterable[Resource]) -> Iterator[str]:
    """Yield the kinds of which objects may be deleted or replaced."""
    for resource in resources:
        kind = kinds[resource.address.kind]
        if resource.absent or any(kind.fields[name].change.immutable for name in resource.spec if name in kind.fields):
            yield kind.name


def referred_kinds(field: Field) -> Iterator[str]:
    """Yield the kinds that *field* refers to on its own cluster, at any depth."""
    return (reference.kind for reference in kind_references((field,)) if not reference.cluster_from)


def other_clusters(kinds: Mapping[str, Kind], resources: Iterable[Resource]) -> Mapping[str, frozenset[str]]:
    """Return by other cluster the kinds whose names have to be known there, for references across clusters.

    A cluster that an object spans is part of the run too, whether or not anything there is referred to.
    """
    found: dict[str, set[str]] = {}
    for resource in resources:
        if not resource.absent:
            kind = kinds[resource.address.kind]
            for name in spanned_clusters(kind, resource.spec):
                members = kind.traits.multi_cluster
                unique = members is not None and unique_values(kind, resource.spec, "")
                found.setdefault(name, set()).update((members.member,) if members is not None and unique else ())
            for ref in references(kind, resource.spec):
                if ref.cluster:
                    found.setdefault(ref.cluster, set()).add(ref.kind)
    return {cluster: frozenset(names) for cluster, names in sorted(found.items())}


def _needing_ports(kinds: Mapping[str, Kind], resources: Iterable[Resource]) -> Iterator[Address]:
    for resource in resources:
        kind = kinds[resource.address.kind]
        if "port" in kind.policy.guard and not resource.absent:
            yield resource.address


def _is_decisive(field: Field) -> bool:
    """Return whether a change of *field* may need a new object or an upgrade."""
    return field.change.immutable or field.change.only_grows


def _decided_fields(kind: Kind) -> frozenset[str]:
    """Return the fields of which a figure decides what a change may lose."""
    return frozenset(f.name for f in kind.fields.values() if any(impact.below for impact in f.change.impacts))
