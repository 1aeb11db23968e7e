"""Changes that would end the access of this tool for good: they are held, whatever consent there is. Pure.

`LiveState.access` has what that access rests on. Consent covers what may happen, and not what this tool could not take
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.kinds import MISSING, Kind
from reconciler.model import Address, LiveState, Reason
from reconciler.plan.plan import Action, Change
from reconciler.plan.view import Held

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def ending_access(
    kinds: Mapping[str, Kind], live: Mapping[str, LiveState], changes: Iterable[Change]
) -> Iterator[Held]:
    """Yield each of *changes* that ends the access of this tool to its cluster, as held."""
    for change in changes:
        kind, state = kinds.get(change.address.kind), live.get(change.address.cluster)
        found = next(_ends(kind, change, state.access), None) if kind and state and state.access else None
        if found is not None:
            yield Held(change.address, Reason.ENDS_ACCESS, found)


def may_end_access(kinds: Mapping[str, Kind], resources: Iterable[Resource], leaving: Iterable[Address]) -> bool:
    """Return whether a login may depend on what *resources* declare, or on what is *leaving*."""
    deciding = {name: kind for name, kind in kinds.items() if _decides(kind, None)}
    return any(address.kind in deciding for address in leaving) or any(
        one.absent or _decides(deciding[one.address.kind], one.spec)
        for one in resources
        if one.address.kind in deciding
    )


def clusters_of_ending(kinds: Mapping[str, Kind], changes: Iterable[Change]) -> frozenset[str]:
    """Return the clusters of those of *changes* that a login may depend on."""
    ending = (Action.DELETE, Action.REPLACE)
    return frozenset(
        change.address.cluster
        for change in changes
        if _decides(kinds[change.address.kind], None if change.action in ending else change.body)
    )


def _decides(kind: Kind, spec: Mapping[str, Any] | None) -> bool:
    """Return whether a login may depend on what *spec* sets, or on an object that is deleted: None."""
    return any(
        impact.login and (spec is None or (name in spec and spec[name] in impact.to))
        for name, field in kind.fields.items()
        for impact in field.change.impacts
    )


def _ends(kind: Kind, change: Change, access: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield what *change* ends of *access*, and the field."""
    name = change.address.name
    for field, after in _new_values(kind, change):
        for impact in kind.fields[field].change.impacts:
            if name not in (impact.names or (name,)) or (after is not MISSING and after not in impact.to):
                continue
            if impact.login in access or f"{impact.login} {name}" in access:
                yield impact.login, field


def _new_values(kind: Kind, change: Change) -> Iterator[tuple[str, Any]]:
    """Yield the fields that *change* changes, and their values; MISSING where the object is deleted."""
    if change.action in (Action.UPDATE, Action.CREATE):
        yield from ((one.path, one.after) for one in change.fields if one.path in kind.fields)
    elif change.action is Action.DELETE and kind.singleton:  # its settings return to their defaults
        for name, before in (change.rests_on or {}).items():
            usual = kind.fields[name].usual.default if name in kind.fields else before
            if usual != before:
                yield name, False if usual is MISSING else usual
    elif change.action is not Action.FORGET:
        yield from ((name, MISSING) for name in kind.fields)
