"""Scheduling slots: which clusters are reconciled next, by due time, so that failing ones never delay the others.

Pure; the loop asks before it starts reconciliations. There are regular slots for any cluster, and extra ones for those
that failed last time or take long: a cluster that turns out slow moves to an extra slot, if one is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

SLOW_AFTER: Final = 2.0  # seconds after which a reconciliation counts as slow


class Pending(NamedTuple):
    """A cluster that may be reconciled."""

    due: float
    name: str
    failing: bool


class Running(NamedTuple):
    """A cluster that is being reconciled."""

    since: float
    failing: bool  # it was, when the reconciliation started


class Capacity(NamedTuple):
    """How many reconciliations may run at a time."""

    regular: int
    extra: int  # for failing and slow clusters


def select(pending: Iterable[Pending], running: Iterable[Running], capacity: Capacity, now: float) -> list[str]:
    """Return the clusters to start at *now*, the longest due first."""
    active = list(running)
    troubled = sum(one.failing or now - one.since >= SLOW_AFTER for one in active)
    regular = len(active) - min(troubled, capacity.extra)
    names: list[str] = []
    for one in sorted(each for each in pending if each.due <= now):
        if len(active) + len(names) >= capacity.regular + capacity.extra:  # more may run, where it was reduced
            break
        if one.failing and troubled < capacity.extra:
            troubled += 1
        elif not one.failing and regular < capacity.regular:
            regular += 1
        else:
            continue
        names.append(one.name)
    return names
