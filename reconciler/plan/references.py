"""The references of a spec, by the fields of its kind. The planner and `export` call this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.kinds import Field, Kind, Reference, reference_fields
from reconciler.model import Address, LiveObject
from reconciler.plan.copies import by_address, live_copies


class Ref(NamedTuple):
    """One reference that a spec holds."""

    field: str  # top-level field of spec
    kind: str
    name: str
    defer: bool
    cluster: str = ""  # of the other object; "" = the same

    def at(self, home: str) -> Address:
        """Return what is referred to, by something on cluster *home*."""
        return Address(self.cluster or home, self.kind, self.name)

    def named(self, home: str) -> str:
        """Return how something on cluster *home* names it: with its cluster only if that is another one."""
        target = self.at(home)
        return str(target._replace(cluster="") if target.cluster == home else target)


def references(kind: Kind, spec: Mapping[str, Any]) -> Iterator[Ref]:
    """Yield what *spec* refers to, in a stable order; the same reference may come twice."""
    for name, field_ in reference_fields.of(kind).items():
        if name in spec:
            for reference, target, cluster in _targets(field_, spec[name], spec):
                yield Ref(name, reference.kind, target, reference.defer, cluster)


def _targets(field_: Field, value: Any, beside: Mapping[str, Any]) -> Iterator[tuple[Reference, str, str]]:
    """Yield (reference, name, cluster) of all below; *beside* has the fields of the objects around *value*."""
    if isinstance(value, list):
        items = field_.items
        if items is not None and reference_fields.contains(items):
            for item in value:
                yield from _targets(items, item, beside)
        elif field_.reference is not None:
            for item in value:
                yield from _name(field_, item, beside)
    elif isinstance(value, dict):
        for name, below in field_.properties.items():
            if name in value and reference_fields.contains(below):
                yield from _targets(below, value[name], {**beside, **value})
    else:
        yield from _name(field_, value, beside)


def _name(field_: Field, value: Any, beside: Mapping[str, Any]) -> Iterator[tuple[Reference, str, str]]:
    reference = field_.reference
    if reference is not None and isinstance(value, str) and value not in reference.literals:
        cluster = beside.get(reference.cluster_from) if reference.cluster_from else None
        yield reference, value, cluster if isinstance(cluster, str) else ""


def with_names(kind: Kind, spec: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return *spec* with another name in each reference to a (kind, name) that *names* has."""
    renamed = {
        name: _renamed(field_, spec[name], names) for name, field_ in reference_fields.of(kind).items() if name in spec
    }
    return {**spec, **renamed}


def _renamed(field_: Field, value: Any, names: Mapping[tuple[str, str], str]) -> Any:
    if isinstance(value, list):
        carrier = field_.items if field_.items is not None and reference_fields.contains(field_.items) else field_
        return [_renamed(carrier, item, names) for item in value]
    if isinstance(value, dict):
        below = field_.properties
        return {name: _renamed(below[name], v, names) if name in below else v for name, v in value.items()}
    reference = field_.reference
    if reference is None or reference.cluster_from or not isinstance(value, str) or value in reference.literals:
        return value
    return names.get((reference.kind, value), value)


def live_references(
    live: Iterable[tuple[str, LiveObject]], kinds: Mapping[str, Kind]
) -> Iterator[tuple[str, Ref, LiveObject]]:
    """Yield (cluster, reference, object that holds it) of everything live that was read, by uid or by address."""
    live = tuple(live)
    owners = by_address(live)
    for cluster, found in live:
        kind = kinds.get(found.kind)
        if kind is not None:
            for ref in references(kind, found.spec):
                yield cluster, ref, found
            for field_, target in live_copies(kind, found.spec, owners):
                other = target.cluster if target.cluster != cluster else ""
                yield cluster, Ref(field_, target.kind, target.name, False, other), found


def kind_references(fields: Iterable[Field]) -> Iterator[Reference]:
    """Yield the references that *fields* may hold, at any depth."""
    for field_ in fields:
        if field_.reference is not None:
            yield field_.reference
        yield from kind_references(field_.properties.values())
        if field_.items is not None:
            yield from kind_references((field_.items,))


def refers_to(field_: Field, kind: str) -> bool:
    """Return whether *field_* may refer to objects of *kind*, at any depth."""
    return any(reference.kind == kind for reference in kind_references((field_,)))
