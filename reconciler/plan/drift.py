"""Who is ahead where a cluster and its manifests differ: the ledger's last applied values are the third witness.

Pure. The use case calls it with a plan and what the plan was made from; it must not know how either was got.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.diff import SECRET, changes
from reconciler.kinds import MISSING, Kind
from reconciler.model import Address, LiveObject, LiveState, Owned
from reconciler.plan import Action, Change, Plan

GOES_ALONG = "goes along with the other changes; the cluster does not show it"


class Ahead(enum.Enum):
    """Which side moved since the last apply."""

    OURS = "ours"  # the manifests moved on; an apply is due
    THEIRS = "theirs"  # somebody changed the cluster
    BOTH = "both"


class Drift(NamedTuple):
    """One field (or, with no path, one whole object) on which the cluster and the manifests differ."""

    address: Address
    path: str
    ahead: Ahead
    why: str
    live: Any = MISSING
    declared: Any = MISSING


def find(
    kinds: Mapping[str, Kind],
    plan: Plan,
    live: Mapping[str, LiveState],
    owned: Mapping[Address, Owned],
    secrets: Mapping[tuple[Address, str], str],
) -> tuple[Drift, ...]:
    """Return every difference that *plan* would mend, in the order of the plan, with who is ahead.

    A secret that goes along with another change is told as that: by its status in *secrets* nobody declared it anew.
    """
    objects = {
        Address(state.cluster, kind, item.name): item
        for state in live.values()
        for kind, items in state.objects.items()
        for item in items
    }
    return tuple(
        drift._replace(why=GOES_ALONG)
        if drift.live is drift.declared is SECRET and secrets.get((drift.address, drift.path)) != "changed"
        else drift
        for change in plan.changes
        for drift in _of(kinds[change.address.kind], change, objects.get(change.address), owned.get(change.address))
    )


def _of(kind: Kind, change: Change, live: LiveObject | None, owned: Owned | None) -> Iterable[Drift]:
    address = change.address
    if change.action is Action.CREATE:
        if owned is None:
            return [Drift(address, "", Ahead.OURS, "declared, not applied yet")]
        return [Drift(address, "", Ahead.THEIRS, "applied before, and gone from the cluster")]
    if change.action in (Action.DELETE, Action.FORGET):
        return [Drift(address, "", Ahead.OURS, change.why or "no longer declared")]
    if live is None or owned is None:
        return [
            Drift(address, field.path, Ahead.OURS, "declared, never applied by us", field.before, field.after)
            for field in change.fields
        ]
    theirs = [field.path for field in changes(kind, owned.fields, live.spec)]
    return [_field(address, field.path, field.before, field.after, owned, theirs) for field in change.fields]


def _field(address: Address, path: str, before: Any, after: Any, owned: Owned, theirs: list[str]) -> Drift:
    if path.partition(".")[0].partition("[")[0] not in owned.fields:
        return Drift(address, path, Ahead.OURS, "declared since the last apply", before, after)
    if not any(_meet(path, other) for other in theirs):
        return Drift(address, path, Ahead.OURS, "declared anew since the last apply", before, after)
    applied = _at(owned.fields, path)
    if applied is not MISSING and applied != after:
        return Drift(address, path, Ahead.BOTH, "changed on both sides since the last apply", before, after)
    return Drift(address, path, Ahead.THEIRS, "changed on the cluster since the last apply", before, after)


def _meet(one: str, other: str) -> bool:
    """Say whether one path is the other or lies below it."""
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
