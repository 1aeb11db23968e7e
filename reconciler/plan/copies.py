"""What a field of the API copies of another object: its network address (HOST:PORT) and its secrets. Pure.

A manifest names the other object; the API has values of it (`x-ref.addressInto`, `x-ref.copies`). The planner calls
this, so that such a field differs when the other object's values do. An object that does not exist yet has no address,
and the field is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.kinds import Field, Kind, Reference, copying_fields
from reconciler.kinds.labels import label
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, LiveObject, LiveState

if TYPE_CHECKING:
    from reconciler.manifests import Resource

Json = dict[str, Any]
Edit = Callable[[Json, Reference, Address], Json]


class Copy(NamedTuple):
    """One place in a spec whose values come from another object."""

    path: str  # of the object that holds the reference, as in "replica_sources[0]"
    holder: Mapping[str, Any]
    reference: Reference
    target: Address


def with_copies(
    kinds: Mapping[str, Kind], resources: Sequence[Resource], live: Mapping[str, LiveState]
) -> list[Resource]:
    """Return *resources* with what they copy of the objects that they name: live addresses, declared secrets."""
    declared = {resource.address: resource.spec for resource in resources if not resource.absent}

    def fill(holder: Json, reference: Reference, target: Address) -> Json:
        addresses = _addresses(target, live)
        if len(addresses) == 1 and addresses[0]:
            holder = {reference.address_into: addresses[0][0], **holder}
        spec = declared.get(target, {})
        return {**{name: spec[field] for name, field in reference.copies if field in spec}, **holder}

    return [_with(kinds[resource.address.kind], resource, fill) for resource in resources]


def without_addresses(kind: Kind, spec: Mapping[str, Any], home: str, targets: Collection[Address]) -> Json:
    """Return *spec* without the addresses of *targets*, which get new ones."""

    def strip(holder: Json, reference: Reference, target: Address) -> Json:
        return {k: v for k, v in holder.items() if k != reference.address_into} if target in targets else holder

    return {**spec, **_edited(kind, spec, home, strip)}


def copies(kind: Kind, spec: Mapping[str, Any], home: str) -> Iterator[Copy]:
    """Yield each place in *spec* whose values come from another object; *home* is the cluster of its own object."""
    for name, field in copying_fields.of(kind).items():
        if name in spec:
            yield from _places(field, spec[name], name, home)


def undeclared(kind: Kind, spec: Mapping[str, Any], home: str) -> Iterator[str]:
    """Yield the paths of secrets that *spec* copies of others and that nothing declares: read when they are sent."""
    for copy in copies(kind, spec, home):
        yield from (f"{copy.path}.{name}" for name, _ in copy.reference.copies if name not in copy.holder)


def fields_copying(kinds: Mapping[str, Kind], deleted: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return by kind the fields that may hold the address of an object of the kinds *deleted*, on any cluster."""
    found = {
        kind.name: frozenset(n for n, f in copying_fields.of(kind).items() if not deleted.isdisjoint(_copied_kinds(f)))
        for kind in kinds.values()
    }
    return {name: fields for name, fields in found.items() if fields}


def with_more(
    fields: Mapping[str, frozenset[str] | None], more: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str] | None]:
    """Return *fields* to be read by kind, None for all of a kind, with *more* of them."""
    found = dict(fields)
    for name, names in more.items():
        known = found.get(name, frozenset())
        found[name] = None if known is None else known | names
    return dict(sorted(found.items()))


def live_copies(kind: Kind, spec: Mapping[str, Any], owners: Mapping[str, Address]) -> Iterator[tuple[str, Address]]:
    """Yield (top-level field, object) for each address in a live *spec*; *owners* are objects by their addresses."""
    for name, field in copying_fields.of(kind).items():
        if name in spec:
            for address in _copied_addresses(field, spec[name]):
                if address in owners:
                    yield name, owners[address]


def by_address(live: Iterable[tuple[str, LiveObject]]) -> dict[str, Address]:
    """Return live objects, given as (cluster, object), by the addresses under which clients reach them."""
    return {address: Address(cluster, one.kind, one.name) for cluster, one in live for address in one.addresses}


def _with(kind: Kind, resource: Resource, edit: Edit) -> Resource:
    spec = _edited(kind, resource.spec, resource.address.cluster, edit)
    return replace(resource, spec={**resource.spec, **spec}) if spec else resource


def _edited(kind: Kind, spec: Mapping[str, Any], home: str, edit: Edit) -> Json:
    fields = copying_fields.of(kind)
    return {name: _each(field, spec[name], home, edit) for name, field in fields.items() if name in spec}


def _each(field: Field, value: Any, home: str, edit: Edit) -> Any:
    if isinstance(value, list) and field.items is not None:
        return [_each(field.items, item, home, edit) for item in value]
    if not isinstance(value, dict) or is_value_from(value):
        return value
    below = field.properties
    made = {name: _each(below[name], v, home, edit) if name in below else v for name, v in value.items()}
    for reference, target in _targets(field, value, home):
        made = edit(made, reference, target)
    return made


def _places(field: Field, value: Any, path: str, home: str) -> Iterator[Copy]:
    if isinstance(value, list) and field.items is not None:
        for index, item in enumerate(value):
            name = label(field, item) if field.form.key and isinstance(item, Mapping) else f"[{index}]"
            yield from _places(field.items, item, path + name, home)
    elif isinstance(value, dict) and not is_value_from(value):
        yield from (Copy(path, value, reference, target) for reference, target in _targets(field, value, home))
        for name, below in field.properties.items():
            if name in value:
                yield from _places(below, value[name], f"{path}.{name}", home)


def _targets(field: Field, value: Mapping[str, Any], home: str) -> Iterator[tuple[Reference, Address]]:
    for name, below in field.properties.items():
        reference = below.reference
        if reference is not None and reference.address_into and name in value:
            yield reference, Address(value.get(reference.cluster_from) or home, reference.kind, value[name])


def _copied_kinds(field: Field) -> Iterator[str]:
    if field.reference is not None and field.reference.address_into:
        yield field.reference.kind
    for below in (*field.properties.values(), *((field.items,) if field.items else ())):
        yield from _copied_kinds(below)


def _copied_addresses(field: Field, value: Any) -> Iterator[str]:
    if isinstance(value, list) and field.items is not None:
        for item in value:
            yield from _copied_addresses(field.items, item)
    elif isinstance(value, dict):
        for name, below in field.properties.items():
            into = below.reference.address_into if below.reference is not None else ""
            if isinstance(value.get(into), str):
                yield value[into]
            if name in value:
                yield from _copied_addresses(below, value[name])


def _addresses(where: Address, live: Mapping[str, LiveState]) -> list[tuple[str, ...]]:
    state = live.get(where.cluster)
    objects = state.objects.get(where.kind, ()) if state is not None else ()
    return [one.addresses for one in objects if one.name == where.name]
