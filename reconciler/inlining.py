"""Public text that a manifest takes from a file: read before planning, so that it compares with what is live. Pure.

Certificates and licences are long and come from elsewhere; they are no secrets, and so they are compared and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import InputError, Problem
from reconciler.kinds import Kind
from reconciler.normalize import canonical, is_value_from

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
    names = [n for n, v in resource.spec.items() if n in kind.fields and kind.fields[n].from_file and is_value_from(v)]
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
