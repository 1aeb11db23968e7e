"""Freeze windows of a plan: what must not be changed now, and the plan without it. Pure: the time is an argument.

Windows are those of the changes themselves (`metadata.freeze`) and those of clusters (the project file). `apply` and
`plan` call this; the agent holds what `frozen_changes` returns on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.freeze import Frozen, Window, frozen
from reconciler.model import Address, Level, Note, Reason
from reconciler.plan.plan import Action, Change, Plan

ClusterWindows = Mapping[str, Sequence[Window]]  # by cluster of the project


def frozen_changes(plan: Plan, now: float, of_clusters: ClusterWindows) -> dict[Address, Frozen]:
    """Return what must not be changed at *now* (seconds since the epoch) without consent to it, and why."""
    found: dict[Address, Frozen] = {}
    for change in plan.changes:
        reasons = () if change.action is Action.FORGET else tuple(_reasons(plan, change, now, of_clusters))
        if reasons:
            found[change.address] = max(reasons, key=lambda one: one.until)
    return found


def _reasons(plan: Plan, change: Change, now: float, of_clusters: ClusterWindows) -> Iterator[Frozen]:
    if change.freeze and not change.ignores_freeze and (own := frozen(change.freeze, now)):
        yield own
    for name in (change.address.cluster, *change.other_clusters):
        windows = of_clusters.get(name, ()) if name not in plan.ignored_freezes else ()
        if windows and (of_cluster := frozen(windows, now)):
            yield of_cluster._replace(why=f"{of_cluster.why} of cluster {name}", cluster=name)


def without_frozen(plan: Plan, held: Mapping[Address, Frozen]) -> Plan:
    """Return *plan* without the changes of *held* and what comes after them; notes name both with the reason."""
    missing: dict[int, Note] = {}
    for change in plan.changes:  # in the order of execution
        before = next((number for number in change.after if number in missing), None)
        if change.address in held:
            details = (held[change.address].why, held[change.address].end)
            missing[change.number] = Note(Level.HELD, change.address, Reason.FROZEN, details)
        elif before is not None:
            name = str(missing[before].address)
            missing[change.number] = Note(Level.HELD, change.address, Reason.AFTER_FROZEN, (name,))
    changes = tuple(change for change in plan.changes if change.number not in missing)
    return replace(plan, changes=changes, notes=(*plan.notes, *dict.fromkeys(missing.values())))
