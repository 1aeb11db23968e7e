"""Liveness and readiness, decided from the status: what `/healthz` and `/readyz` return. No I/O.

Alive: the process responds and its loop ticks; if not, a restart may help. Ready: the agent can do its work; if not,
an operator should look, and a restart would not help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reconciler.agent.status import AgentStatus
from reconciler.ledger import Run


def _no_runs(limit: int) -> Sequence[Run]:
    return ()


def _no_run(run: str) -> Run | None:
    return None


def _no_fetch() -> None:
    return None


@dataclass(frozen=True, slots=True)
class AgentHandle:
    """What the web server needs of the agent besides the status; the loop and the ledger provide it."""

    since_tick: Callable[[], float] = lambda: 0.0  # seconds since the last tick of the loop
    tick_timeout: float = 120.0  # seconds without a tick: the loop hangs
    interval: float = 60.0  # seconds between two fetches of the source
    writable: Callable[[], bool] = lambda: True  # whether the ledger can be written
    runs: Callable[[int], Sequence[Run]] = _no_runs  # the latest runs, newest first
    run: Callable[[str], Run | None] = _no_run
    fetch_now: Callable[[], object] = _no_fetch  # called by a webhook; returns at once


class HealthCheck(NamedTuple):
    """One check."""

    name: str
    ok: bool
    why: str


def alive(since_tick: float, tick_timeout: float) -> tuple[HealthCheck, ...]:
    """Return the liveness checks."""
    why = f"last tick {since_tick:.0f} s ago; limit {tick_timeout:.0f} s"
    return (HealthCheck("loop", since_tick < tick_timeout, why),)


def ready(status: AgentStatus, now: float, agent: AgentHandle, *, writable: bool) -> tuple[HealthCheck, ...]:
    """Return the readiness checks."""
    fetched, limit = status.source.fetched, 3 * agent.interval
    if fetched is None:
        source = HealthCheck("source", False, "not fetched yet")
    else:
        age = max(0.0, now - fetched)
        source = HealthCheck("source", age <= limit, f"last fetched {age:.0f} s ago; limit {limit:.0f} s")
    return (
        *alive(agent.since_tick(), agent.tick_timeout),
        source,
        HealthCheck(
            "revision", bool(status.source.revision), "in force" if status.source.revision else "none accepted yet"
        ),
        HealthCheck("ledger", writable, "writable" if writable else "not writable: nothing is applied"),
        HealthCheck("leader", status.leader, "holds the lease" if status.leader else "another agent holds the lease"),
        HealthCheck("running", not status.stopping, "stopping" if status.stopping else "not stopping"),
    )
