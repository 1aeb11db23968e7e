"""Network addresses (HOST:PORT) of live objects, for fields of the API that refer to an object by address. Pure.

The planner calls this. An object that does not exist yet has no address, and the field is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.kinds import Field, Kind, reference_fields
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, LiveState

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def with_addresses(
    kinds: Mapping[str, Kind], resources: Iterable[Resource], live: Mapping[str, LiveState]
) -> list[Resource]:
    """Return *resources* with the address of each named object whose kind wants it (`x-ref.addressInto`)."""
    return [_located(kinds[resource.address.kind], resource, live) for resource in resources]


def _located(kind: Kind, resource: Resource, live: Mapping[str, LiveState]) -> Resource:
    spec = {
        name: _filled(field, resource.spec[name], resource.address.cluster, live)
        for name, field in reference_fields.of(kind).items()
        if name in resource.spec and _locates(field)
    }
    return replace(resource, spec={**resource.spec, **spec}) if spec else resource


def _locates(field: Field) -> bool:
    below = (*field.properties.values(), *((field.items,) if field.items else ()))
    return bool(field.reference and field.reference.address_into) or any(map(_locates, below))


def _filled(field: Field, value: Any, home: str, live: Mapping[str, LiveState]) -> Any:
    if isinstance(value, list) and field.items is not None:
        return [_filled(field.items, item, home, live) for item in value]
    if not isinstance(value, dict) or is_value_from(value):
        return value
    below_it = field.properties
    filled = {name: _filled(below_it[name], v, home, live) if name in below_it else v for name, v in value.items()}
    for name, below in below_it.items():
        reference = below.reference
        if reference is not None and reference.address_into and name in value:
            where = Address(value.get(reference.cluster_from) or home, reference.kind, value[name])
            addresses = _addresses(where, live)
            if len(addresses) == 1 and addresses[0]:
                filled.setdefault(reference.address_into, addresses[0][0])
    return filled


def _addresses(where: Address, live: Mapping[str, LiveState]) -> list[tuple[str, ...]]:
    state = live.get(where.cluster)
    objects = state.objects.get(where.kind, ()) if state is not None else ()
    return [one.addresses for one in objects if one.name == where.name]
