"""Resolves declared resources: texts from files, passwords to be retired later, addresses of other objects.

Pure except for the file reader that is passed in. Public texts (certificates, licences) are read before planning, so
that they compare with the live state; secrets stay references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.diff.normalize import canonical
from reconciler.errors import InputError, Problem
from reconciler.kinds import Field, Kind, reference_fields
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, LiveState

if TYPE_CHECKING:
    from reconciler.manifests import Resource


Read = Callable[[Mapping[str, Any]], str]  # what `valueFrom` holds → its text; raises InputError


def with_file_texts(kinds: Mapping[str, Kind], resources: Iterable[Resource], read: Read) -> list[Resource]:
    """Return *resources* with the text of each `x-from-file` field in place of its reference.

    Raises InputError with everything that cannot be read or is not valid for the field.
    """
    problems: list[Problem] = []
    found = [_with_file_texts(kinds[resource.address.kind], resource, read, problems) for resource in resources]
    if problems:
        raise InputError(problems)
    return found


def _with_file_texts(kind: Kind, resource: Resource, read: Read, problems: list[Problem]) -> Resource:
    names = [
        n for n, v in resource.spec.items() if n in kind.fields and kind.fields[n].access.from_file and is_value_from(v)
    ]
    texts: dict[str, Any] = {}
    for name in names:
        place = resource.place(("spec", name))
        try:
            text = read(resource.spec[name]["valueFrom"])
        except InputError as error:
            problems += [Problem(*place, f"spec.{name}", one.message, one.hint) for one in error.problems]
            continue
        wrong = [one for one in kind.validator.findings({name: text}) if one.path[:1] == (name,)]
        problems += [Problem(*place, f"spec.{name}", f"the text of the file: {one.message}", one.hint) for one in wrong]
        texts[name] = text
    return replace(resource, spec={**resource.spec, **canonical(kind, texts)}) if texts else resource


def with_addresses(
    kinds: Mapping[str, Kind], resources: Iterable[Resource], live: Mapping[str, LiveState]
) -> list[Resource]:
    """Return *resources* with the address of each referenced object where the field takes it (`x-ref.addressInto`)."""
    return [_with_addresses(kinds[resource.address.kind], resource, live) for resource in resources]


def _with_addresses(kind: Kind, resource: Resource, live: Mapping[str, LiveState]) -> Resource:
    spec = {
        name: _with_address(field, resource.spec[name], resource.address.cluster, live)
        for name, field in reference_fields.of(kind).items()
        if name in resource.spec and _takes_address(field)
    }
    return replace(resource, spec={**resource.spec, **spec}) if spec else resource


def _takes_address(field: Field) -> bool:
    below = (*field.properties.values(), *((field.items,) if field.items else ()))
    return bool(field.reference and field.reference.address_into) or any(map(_takes_address, below))


def _with_address(field: Field, value: Any, home: str, live: Mapping[str, LiveState]) -> Any:
    if isinstance(value, list) and field.items is not None:
        return [_with_address(field.items, item, home, live) for item in value]
    if not isinstance(value, dict) or is_value_from(value):
        return value
    below_it = field.properties
    filled = {
        name: _with_address(below_it[name], v, home, live) if name in below_it else v for name, v in value.items()
    }
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


FIELD, OPTION = "passwords", "retire"


def with_pending_retirements(kinds: Mapping[str, Kind], resources: Iterable[Resource], now: str) -> list[Resource]:
    """Return *resources* with the passwords that are to be retired after *now* (as 2026-01-31T00:00:00Z)."""
    return [
        _with_pending(resource, now) if _has_rotation(kinds[resource.address.kind]) else resource
        for resource in resources
    ]


def _has_rotation(kind: Kind) -> bool:
    return FIELD in kind.fields and OPTION in kind.fields


def _with_pending(resource: Resource, now: str) -> Resource:
    retire = resource.spec.get(OPTION)
    if not isinstance(retire, Mapping) or now >= retire.get("after", ""):
        return resource
    members = [*resource.spec.get(FIELD, ()), *retire.get(FIELD, ())]
    return replace(resource, spec={**resource.spec, FIELD: [m for i, m in enumerate(members) if m not in members[:i]]})
