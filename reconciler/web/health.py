"""Alive and ready, decided from what is known: what `/healthz` and `/readyz` say. No I/O.

Alive: the process answers and its loop turns; if not, a restart may help. Ready: it does what it is there for; if
not, somebody should look, and a restart would not help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reconciler.agent.status import Status
from reconciler.ledger import Run


def _no_runs(limit: int) -> Sequence[Run]:
    return ()


def _no_run(run: str) -> Run | None:
    return None


@dataclass(frozen=True, slots=True)
class Means:
    """What the outside is told beside the board; the loop and the ledger give it."""

    since_tick: Callable[[], float] = lambda: 0.0  # seconds since the loop last turned
    stuck_after: float = 120.0  # seconds without a turn: the loop hangs
    interval: float = 60.0  # seconds between two looks at the source
    writable: Callable[[], bool] = lambda: True  # whether the ledger takes a record
    runs: Callable[[int], Sequence[Run]] = _no_runs  # the latest applies, newest first
    run: Callable[[str], Run | None] = _no_run


class Check(NamedTuple):
    """One thing that must be so."""

    name: str
    ok: bool
    why: str


def alive(since_tick: float, stuck_after: float) -> tuple[Check, ...]:
    """Return what must be so for the process to be left running."""
    turned = f"turned {since_tick:.0f} s ago"
    return (Check("loop", since_tick < stuck_after, f"{turned}; at most {stuck_after:.0f} s are expected"),)


def ready(status: Status, now: float, means: Means, *, writable: bool) -> tuple[Check, ...]:
    """Return what must be so for the agent to do its work."""
    fetched, limit = status.source.fetched, 3 * means.interval
    if fetched is None:
        source = Check("source", False, "not fetched yet")
    else:
        age = max(0.0, now - fetched)
        source = Check("source", age <= limit, f"fetched {age:.0f} s ago; at most {limit:.0f} s are expected")
    return (
        *alive(means.since_tick(), means.stuck_after),
        source,
        Check("revision", bool(status.source.revision), "enforced" if status.source.revision else "none is known yet"),
        Check("ledger", writable, "can be written" if writable else "cannot be written: nothing is applied"),
        Check("leader", status.leader, "holds the lease" if status.leader else "another agent holds the lease"),
        Check("running", not status.stopping, "stopping" if status.stopping else "not stopping"),
    )
