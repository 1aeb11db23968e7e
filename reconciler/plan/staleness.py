"""Staleness of a plan: the identities and values that it was made from, compared with the live state. Pure.

`reconcile` calls this before it executes a plan that was made earlier, and for a saved plan also compares it with what
is decided now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from reconciler.kinds import MISSING, Kind
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan.impacts import increased
from reconciler.plan.own_login import ending_access
from reconciler.plan.plan import Action, Change, Plan
from reconciler.plan.plan_file import keys_of, plain_changes


class StaleField(NamedTuple):
    """A value that a plan was made from and that changed since."""

    address: Address
    field: str  # "" where the object was created or deleted
    planned: Any
    now: Any


def fingerprint(live: LiveObject, rests_on: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a change was decided from: the object's identity and the values that mattered."""
    return _hash({"uid": live.uid, "created": live.created, "rests_on": rests_on})


def stale_fields(plan: Plan, live: Mapping[str, LiveState]) -> list[StaleField]:
    """Return everything that *plan* was made from and that *live* no longer shows.

    Other fields than those do not matter, and clusters that could not be read say nothing. An empty list means that the
    plan is not stale.
    """
    by_uid = {
        (state.cluster, kind, found.uid): found
        for state in live.values()
        for kind, objects in state.objects.items()
        for found in objects
    }
    by_name = {(cluster, kind, found.name): found for (cluster, kind, _), found in by_uid.items()}
    differences: list[StaleField] = []
    for change in plan.changes:
        cluster, kind, name = change.address
        if cluster not in live:
            continue
        if change.action is Action.CREATE:
            found = by_name.get((cluster, kind, name))
            if found is not None:
                differences.append(StaleField(change.address, "", "absent", f"uid {found.uid}"))
            port = change.body.get("port")
            if port in live[cluster].taken_ports:
                differences.append(StaleField(change.address, "port", f"{port} free", "taken"))
        elif change.uid is not None and change.action is not Action.FORGET:
            differences += _stale(change, by_uid.get((cluster, kind, change.uid)))
    return differences


def increased_impacts(plan: Plan, live: Mapping[str, LiveState], kinds: Mapping[str, Kind]) -> Iterator[StaleField]:
    """Yield where a change has, by what is measured now, more impact than was planned.

    With another login than that of the plan, it may also end the access of this tool.
    """
    for held in ending_access(kinds, live, plan.changes):
        yield StaleField(held.address, held.details[1], "harmless", f"the end of the {held.details[0]} that is used")
    for change in plan.changes:
        state = live.get(change.address.cluster)
        if change.action is Action.UPDATE and change.uid is not None and state is not None:
            figures = state.figures(change.address.kind, change.uid)
            kind = kinds[change.address.kind]
            for one in increased(kind, change.address.name, change.fields, change.impacts, figures):
                yield StaleField(change.address, one.field, "harmless", one.impact)


def _stale(change: Change, found: LiveObject | None) -> Iterator[StaleField]:
    address = change.address
    if found is None:
        yield StaleField(address, "", f"uid {change.uid}", "deleted")
        return
    if found.created != change.created:
        yield StaleField(address, "created_time", change.created, found.created)
    planned_name = change.renamed_from or address.name
    if found.name != planned_name:
        yield StaleField(address, "name", planned_name, found.name)
    for name, planned in sorted((change.rests_on or {}).items()):
        now = found.spec.get(name, MISSING)
        if now != planned:
            yield StaleField(address, name, planned, now)
    if change.action is Action.UPDATE:
        for name in sorted({*change.body} - {*(change.rests_on or {})}):
            if found.spec.get(name):  # a server reports a field that was never set as empty
                yield StaleField(address, name, MISSING, found.spec[name])


def decided_again(saved: Plan, now: Plan) -> tuple[Plan, list[StaleField]]:
    """Return *now* with the changes of *saved* alone, and where these are not as they were saved.

    What else would be changed now was not shown, and is left out.
    """
    before, again = plain_changes(saved), plain_changes(now)
    found = [
        difference
        for key, plain in before.items()
        for difference in (
            _differences(key[0], "", plain, again[key])
            if key in again
            else [StaleField(key[0], "", plain["action"], "not changed")]
        )
    ]
    chosen = [change for key, change in keys_of(now).items() if key in before]
    numbers = {change.number: number for number, change in enumerate(chosen, 1)}
    changes = [
        replace(change, number=number, after=tuple(numbers[other] for other in change.after if other in numbers))
        for number, change in enumerate(chosen, 1)
    ]
    return replace(now, changes=tuple(changes)), found


def _differences(address: Address, path: str, before: Any, now: Any) -> Iterator[StaleField]:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        if before != now or type(before) is not type(now):
            yield StaleField(address, path, before, now)
        return
    for name in sorted({*before, *now}):
        below = f"{path}.{name}" if path else name
        yield from _differences(address, below, before.get(name, MISSING), now.get(name, MISSING))


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
