"""When the next pass over a cluster, or the next fetch of the source, is due: a state machine, pure.

The loop tells it what happened and asks for the time. Times are seconds on any clock that only goes forward, and chance
is a number from 0 to 1: both are arguments. Freezing is not in here, since it forbids writes and never a look.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.errors import (
    AppliedInPart,
    Busy,
    ChangedUnderneath,
    InputError,
    Interrupted,
    Locked,
    PlanStale,
    ReconcilerError,
    Refused,
    Unauthorized,
)

CREDENTIAL: Final = 1200.0  # five refused logins in 15 minutes lock an account; two agents then make at most two


class Fault(enum.Enum):
    """Kinds of failure, by what is to be done about them."""

    FAILED = "failed"  # unreachable, refused by the cluster …: ever longer pauses
    UNAUTHORIZED = "unauthorized"  # one try in 20 minutes, unless the secret or the settings changed
    STALE = "stale"  # somebody moved in between: look again soon
    LOCKED = "locked"  # somebody else is at it: ask again at a steady pace
    INPUT = "input"  # only a change of the manifests, or of what they rest on, can mend it


_FAULTS: Final[tuple[tuple[type[ReconcilerError], Fault], ...]] = (
    (Unauthorized, Fault.UNAUTHORIZED),
    (PlanStale, Fault.STALE),
    (ChangedUnderneath, Fault.STALE),
    (Busy, Fault.STALE),
    (Interrupted, Fault.STALE),
    (Locked, Fault.LOCKED),
    (InputError, Fault.INPUT),
    (Refused, Fault.FAILED),
    (AppliedInPart, Fault.FAILED),
)


def fault_of(error: BaseException) -> Fault:
    """Return the kind of failure that *error* is."""
    return next((fault for kind, fault in _FAULTS if isinstance(error, kind)), Fault.FAILED)


class Pace(NamedTuple):
    """How often to look, in seconds."""

    interval: float
    base: float
    longest: float


@dataclass(frozen=True, slots=True)
class State:
    """Where one cluster stands."""

    due: float = 0.0
    failures: int = 0  # in a row
    fault: Fault | None = None  # of the last pass
    barred: float = 0.0  # until then the login is not tried, whatever else happens
    suspended: bool = False

    @property
    def next(self) -> float | None:
        """When the next pass may begin; None while suspended."""
        return None if self.suspended else max(self.due, self.barred)


def succeeded(state: State, now: float, pace: Pace, chance: float) -> State:
    """A pass went well: look again after the interval, a little sooner or later so that clusters spread out."""
    return replace(state, due=now + pace.interval * (0.9 + 0.2 * chance), failures=0, fault=None, barred=0.0)


def failed(state: State, now: float, fault: Fault, pace: Pace, chance: float) -> State:
    """A pass failed: try again after a pause that the kind of failure and their number give."""
    failures = state.failures + 1
    pause = pause_after(fault, failures, pace, chance)
    state = barred(state, now, chance) if fault is Fault.UNAUTHORIZED else state
    return replace(state, due=now + pause, failures=failures, fault=fault)


def barred(state: State, now: float, chance: float) -> State:
    """Somebody else's pass had its login refused: it is not tried for as long as after one of its own."""
    return replace(state, barred=now + CREDENTIAL * (1.0 + 0.1 * chance))


def pause_after(fault: Fault, failures: int, pace: Pace, chance: float) -> float:
    """Return the pause after so many *failures* in a row, at least half of what it would be without chance."""
    if fault is Fault.UNAUTHORIZED:
        return CREDENTIAL
    if fault is Fault.INPUT:  # a secret may appear, or what a manifest refers to: reading is harmless, but no haste
        full = pace.longest
    elif fault is Fault.LOCKED:
        full = min(pace.base, pace.longest)
    else:
        first = min(pace.base, 2.0) if fault is Fault.STALE else pace.base
        full = min(pace.longest, first * 2.0 ** min(failures - 1, 32))
    return full * (0.5 + 0.5 * chance)


def woken(state: State, now: float) -> State:
    """There is news (a revision, an approval, somebody asks): look at once, but never try a refused login sooner."""
    return replace(state, due=min(state.due, now))


def trusted_again(state: State, now: float) -> State:
    """The secret or the settings changed: what was refused may be tried once more, at once."""
    return replace(state, due=min(state.due, now), barred=0.0)


def suspended(state: State, now: float, is_suspended: bool) -> State:
    """Somebody suspended the cluster, or resumed it: then it is looked at soon."""
    if is_suspended == state.suspended:
        return state
    return replace(state if is_suspended else woken(state, now), suspended=is_suspended)
