"""Resolves manifests to the desired state: texts from files, passwords that are not to be retired yet.

Pure except for the file reader that is passed in. Public texts (certificates, licences) are read before planning, so
that they compare with the live state; secrets stay references.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff.normalize import canonical
from reconciler.errors import InputError, Problem, SecretMissing
from reconciler.kinds import Kind
from reconciler.kinds.vocabulary import is_value_from, sources_in
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.manifests import Manifests, Resource


Read = Callable[[Mapping[str, Any]], str]  # what `valueFrom` holds → its text; raises InputError
Reveal = Callable[[Mapping[str, Any]], object]  # what `valueFrom` holds → a secret; raises SecretMissing


class Desired(NamedTuple):
    """What is declared for the clusters of one run."""

    resources: Sequence[Resource]
    elsewhere: frozenset[Address] = frozenset()  # declared for clusters outside this run

    def only(self, clusters: Collection[str]) -> Desired:
        """Return what is declared for *clusters*; addresses of other clusters are kept in `elsewhere`."""
        rest = [one.address for one in self.resources if one.address.cluster not in clusters]
        mine = [one for one in self.resources if one.address.cluster in clusters]
        return Desired(mine, self.elsewhere.union(rest)) if rest else self


def resolve(kinds: Mapping[str, Kind], manifests: Manifests, read: Read, reveal: Reveal, now: str) -> Desired:
    """Return the desired state that *manifests* declare at *now*, as 2026-01-31T00:00:00Z.

    Raises InputError with everything that cannot be read, or is not valid for its field. Secrets are looked up first
    where there is public text to read, so that none of them can pass as such.
    """
    resources = with_pending_retirements(kinds, manifests.resources, now)
    if any(_public_references(kinds[resource.address.kind], resource) for resource in resources):
        for resource in resources:
            public = _public_references(kinds[resource.address.kind], resource)
            for source in sources_in([value for name, value in resource.spec.items() if name not in public]):
                with suppress(SecretMissing):
                    reveal(source)
    return Desired(with_file_texts(kinds, resources, read), manifests.elsewhere)


def _public_references(kind: Kind, resource: Resource) -> list[str]:
    """Return the fields of *resource* whose public text comes from elsewhere."""
    fields = kind.fields
    return [n for n, v in resource.spec.items() if n in fields and fields[n].access.from_file and is_value_from(v)]


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
    texts: dict[str, Any] = {}
    cluster = resource.address.cluster
    for name in _public_references(kind, resource):
        place = resource.place(("spec", name))
        try:
            text = read(resource.spec[name]["valueFrom"])
        except InputError as error:
            said = [(f"{one.path} {one.message}".strip(), one.hint) for one in error.problems]
            problems += [Problem(*place, f"spec.{name}", *one, cluster) for one in said]
            continue
        wrong = [one for one in kind.validator.findings({name: text}) if one.path[:1] == (name,)]
        texts_of = [(f"the text of the file: {one.message}", one.hint) for one in wrong]
        problems += [Problem(*place, f"spec.{name}", *text_of, cluster) for text_of in texts_of]
        texts[name] = text
    return replace(resource, spec={**resource.spec, **canonical(kind, texts)}) if texts else resource


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
