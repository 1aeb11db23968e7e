"""Manifests to the desired state of today: texts read from files, secrets that are not due for removal yet.

Pure but for the reader of files that is passed in. Public texts (certificates, licences) are read before planning, so
that they compare with the live state; secrets stay references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff.normalize import canonical
from reconciler.errors import InputError, Problem
from reconciler.kinds import Kind
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.manifests import Manifests, Resource


Read = Callable[[Mapping[str, Any]], str]  # what `valueFrom` holds → its text; raises InputError


class Desired(NamedTuple):
    """What is declared for the clusters of one run."""

    resources: Sequence[Resource]
    elsewhere: frozenset[Address] = frozenset()  # declared, and coordinated by clusters outside this run


def resolve(kinds: Mapping[str, Kind], manifests: Manifests, read: Read, now: str) -> Desired:
    """Return the desired state that *manifests* declare at *now*, as 2026-01-31T00:00:00Z.

    Raises InputError with everything that cannot be read, or is not what its field takes.
    """
    resources = kept_until_due(kinds, manifests.resources, now)
    return Desired(inlined(kinds, resources, read), manifests.elsewhere)


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
