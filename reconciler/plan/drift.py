"""Drift: where a cluster and its manifests differ, and which side changed since the last apply.

Pure. `reconcile` calls it with a plan and its observed state.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.diff import SECRET, FieldChange, changes
from reconciler.kinds import MISSING, Kind
from reconciler.model import Address, Level, LiveObject, Observed, Owned, Reason
from reconciler.plan import Action, Change, Plan

_HELD = frozenset(
    {
        Reason.BEING_DELETED,
        Reason.FAILED,
        Reason.IN_PROGRESS,
        Reason.NAME_TAKEN_OUTSIDE,
        Reason.RECREATED_OUTSIDE,
        Reason.RENAMED_OUTSIDE,
    }
)


class Ahead(enum.Enum):
    """Which side changed since the last apply."""

    MANIFESTS = "ours"  # the manifests changed; an apply is due
    CLUSTER = "theirs"  # the cluster changed outside this tool
    BOTH = "both"


class Drift(NamedTuple):
    """One field (or, with no path, one whole object) on which the cluster and the manifests differ."""

    address: Address
    path: str
    ahead: Ahead
    reason: Reason
    details: tuple[str, ...] = ()  # of the reason
    live: Any = MISSING
    declared: Any = MISSING


def find(kinds: Mapping[str, Kind], plan: Plan, observed: Observed) -> tuple[Drift, ...]:
    """Return every difference that *plan* would remove, in the order of the plan, with the side that changed.

    A secret that is sent along with another change is reported as sent along. After these come the objects that are
    held because they are not what was applied: another object, in progress, failed.
    """
    objects = observed.objects()
    found = (
        drift
        for change in plan.changes
        for drift in _of(
            kinds[change.address.kind], change, objects.get(change.address), observed.owned.get(change.address)
        )
    )
    held = (
        Drift(note.address, "", Ahead.CLUSTER, note.reason, note.details)
        for note in plan.notes
        if note.level is Level.HELD and note.reason in _HELD
    )
    return (*(_sent_along(drift, observed) for drift in found), *held)


def _sent_along(drift: Drift, observed: Observed) -> Drift:
    if drift.live is drift.declared is SECRET and observed.secrets.get((drift.address, drift.path)) != "changed":
        return drift._replace(reason=Reason.SENT_ALONG, details=())
    return drift


def _of(kind: Kind, change: Change, live: LiveObject | None, owned: Owned | None) -> Iterable[Drift]:
    address = change.address
    if change.action is Action.CREATE:
        if owned is None:
            return [Drift(address, "", Ahead.MANIFESTS, Reason.NOT_APPLIED)]
        return [Drift(address, "", Ahead.CLUSTER, Reason.REMOVED_OUTSIDE)]
    if change.action in (Action.DELETE, Action.FORGET):
        return [Drift(address, "", Ahead.MANIFESTS, change.reason, change.details)]
    if live is None or owned is None:
        return [
            Drift(address, field.path, Ahead.MANIFESTS, Reason.NEVER_APPLIED, (), field.before, field.after)
            for field in change.fields
        ]
    theirs = [field.path for field in changes(kind, owned.fields, live.spec)]
    return [_field(address, field, owned, theirs) for field in change.fields]


def _field(address: Address, field: FieldChange, owned: Owned, theirs: list[str]) -> Drift:
    ahead, reason = _changed_side(field, owned, theirs)
    return Drift(address, field.path, ahead, reason, (), field.before, field.after)


def _changed_side(field: FieldChange, owned: Owned, theirs: list[str]) -> tuple[Ahead, Reason]:
    if field.path.partition(".")[0].partition("[")[0] not in owned.fields:
        return Ahead.MANIFESTS, Reason.DECLARED_NEW
    if not any(_overlap(field.path, other) for other in theirs):
        return Ahead.MANIFESTS, Reason.DECLARED_CHANGED
    applied = _at(owned.fields, field.path)
    if applied is not MISSING and applied != field.after:
        return Ahead.BOTH, Reason.CHANGED_BOTH
    return Ahead.CLUSTER, Reason.CHANGED_OUTSIDE


def _overlap(one: str, other: str) -> bool:
    """Return whether one path is the other or lies below it."""
    short, long = sorted((one, other), key=len)
    return long == short or long.startswith((f"{short}.", f"{short}["))


def _at(fields: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path of plain objects; MISSING where the path goes through a list."""
    value: Any = fields
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value
