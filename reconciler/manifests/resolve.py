"""Declared resources to what they mean today: texts from files, secrets due for removal, addresses of other objects.

Pure but for the reader of files that is passed in. Public texts (certificates, licences) are read before planning, so
that they compare with the live state; secrets stay references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.diff.normalize import canonical
from reconciler.errors import InputError, Problem
from reconciler.kinds import Field, Kind, referring
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, LiveState

if TYPE_CHECKING:
    from reconciler.manifests import Resource


Read = Callable[[Mapping[str, Any]], str]  # what `valueFrom` holds → its text; raises InputError


def inlined(kinds: Mapping[str, Kind], resources: Iterable[Resource], read: Read) -> list[Resource]:
    """Return *resources* with the text of each `x-from-file` field in place of its reference.

    Raises InputError with everything that cannot be read or is not what the field takes.
    """
    problems: list[Problem] = []
    found = [_inlined(kinds[resource.address.kind], resource, read, problems) for resource in resources]
    if problems:
        raise InputError(problems)
    return found


def _inlined(kind: Kind, resource: Resource, read: Read, problems: list[Problem]) -> Resource:
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
        problems += [Problem(*place, f"spec.{name}", f"what it gives: {one.message}", one.hint) for one in wrong]
        texts[name] = text
    return replace(resource, spec={**resource.spec, **canonical(kind, texts)}) if texts else resource


def located(kinds: Mapping[str, Kind], resources: Iterable[Resource], live: Mapping[str, LiveState]) -> list[Resource]:
    """Return *resources* with the address of each named object whose kind wants it (`x-ref.addressInto`)."""
    return [_located(kinds[resource.address.kind], resource, live) for resource in resources]


def _located(kind: Kind, resource: Resource, live: Mapping[str, LiveState]) -> Resource:
    spec = {
        name: _filled(field, resource.spec[name], resource.address.cluster, live)
        for name, field in referring.of(kind).items()
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


FIELD, OPTION = "passwords", "retire"


def kept_until_due(kinds: Mapping[str, Kind], resources: Iterable[Resource], now: str) -> list[Resource]:
    """Return *resources* with what is to be retired later put back into its set; *now* as 2026-01-31T00:00:00Z."""
    return [_kept(resource, now) if _rotates(kinds[resource.address.kind]) else resource for resource in resources]


def _rotates(kind: Kind) -> bool:
    return FIELD in kind.fields and OPTION in kind.fields


def _kept(resource: Resource, now: str) -> Resource:
    retire = resource.spec.get(OPTION)
    if not isinstance(retire, Mapping) or now >= retire.get("after", ""):
        return resource
    members = [*resource.spec.get(FIELD, ()), *retire.get(FIELD, ())]
    return replace(resource, spec={**resource.spec, FIELD: [m for i, m in enumerate(members) if m not in members[:i]]})
