"""When the next reconciliation of a cluster, or the next fetch of the source, is due: a pure state machine.

The loop reports results to it and asks it for the time. Times are seconds of any clock that only moves forward, and
jitter is a number from 0 to 1: both are arguments. Freeze windows are not its concern: they forbid writes, not reads.
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

LOGIN_RETRY_DELAY: Final = 1200.0  # five refused logins in 15 minutes lock an account; two agents then make at most two


class FailureKind(enum.Enum):
    """Kinds of failure, by how they are retried."""

    FAILED = "failed"  # unreachable, rejected by the cluster …: exponential back-off
    UNAUTHORIZED = "unauthorized"  # one attempt in 20 minutes, unless the secret or the settings changed
    STALE = "stale"  # something changed in between: retry soon
    LOCKED = "locked"  # another process is writing: retry at a steady rate
    INPUT = "input"  # only a change of the manifests, or of what they depend on, can fix it


_KINDS: Final[tuple[tuple[type[ReconcilerError], FailureKind], ...]] = (
    (Unauthorized, FailureKind.UNAUTHORIZED),
    (PlanStale, FailureKind.STALE),
    (ChangedUnderneath, FailureKind.STALE),
    (Busy, FailureKind.STALE),
    (Interrupted, FailureKind.STALE),
    (Locked, FailureKind.LOCKED),
    (InputError, FailureKind.INPUT),
    (Refused, FailureKind.FAILED),
    (AppliedInPart, FailureKind.FAILED),
)


def failure_kind(error: BaseException) -> FailureKind:
    """Return the kind of failure that *error* is."""
    return next((kind for error_class, kind in _KINDS if isinstance(error, error_class)), FailureKind.FAILED)


class BackoffPolicy(NamedTuple):
    """How often to reconcile, in seconds."""

    interval: float
    base: float
    longest: float


@dataclass(frozen=True, slots=True)
class BackoffState:
    """The schedule of one cluster, or of the source."""

    due: float = 0.0
    failures: int = 0  # consecutive
    kind: FailureKind | None = None  # of the last failure
    login_blocked_until: float = 0.0  # no login is attempted before, whatever else happens
    suspended: bool = False

    @property
    def next(self) -> float | None:
        """When the next reconciliation may start; None while suspended."""
        return None if self.suspended else max(self.due, self.login_blocked_until)


def after_success(state: BackoffState, now: float, policy: BackoffPolicy, jitter: float) -> BackoffState:
    """Return the state after a success: due after the interval ± 10 %, so that clusters spread out."""
    due = now + policy.interval * (0.9 + 0.2 * jitter)
    return replace(state, due=due, failures=0, kind=None, login_blocked_until=0.0)


def after_failure(
    state: BackoffState, now: float, kind: FailureKind, policy: BackoffPolicy, jitter: float
) -> BackoffState:
    """Return the state after a failure: due after a delay that depends on its kind and the number of failures."""
    failures = state.failures + 1
    delay = delay_after(kind, failures, policy, jitter)
    state = block_login(state, now, jitter) if kind is FailureKind.UNAUTHORIZED else state
    return replace(state, due=now + delay, failures=failures, kind=kind)


def block_login(state: BackoffState, now: float, jitter: float) -> BackoffState:
    """Return the state after a refused login, also one that the reconciliation of another cluster attempted."""
    return replace(state, login_blocked_until=now + LOGIN_RETRY_DELAY * (1.0 + 0.1 * jitter))


def delay_after(kind: FailureKind, failures: int, policy: BackoffPolicy, jitter: float) -> float:
    """Return the delay after *failures* consecutive failures, at least half of what it would be without jitter."""
    if kind is FailureKind.UNAUTHORIZED:
        return LOGIN_RETRY_DELAY
    if kind is FailureKind.INPUT:  # a secret or a referenced object may appear: reading is harmless, but not urgent
        full = policy.longest
    elif kind is FailureKind.LOCKED:
        full = min(policy.base, policy.longest)
    else:
        first = min(policy.base, 2.0) if kind is FailureKind.STALE else policy.base
        full = min(policy.longest, first * 2.0 ** min(failures - 1, 32))
    return full * (0.5 + 0.5 * jitter)


def due_now(state: BackoffState, now: float) -> BackoffState:
    """Return the state after a trigger (a revision, an approval, a request): due now, unless the login is blocked."""
    return replace(state, due=min(state.due, now))


def unblock_login(state: BackoffState, now: float) -> BackoffState:
    """Return the state after the secret or the settings changed: due now, and the login may be attempted again."""
    return replace(state, due=min(state.due, now), login_blocked_until=0.0)


def set_suspended(state: BackoffState, now: float, suspended: bool) -> BackoffState:
    """Return the state after the cluster was suspended or resumed; a resumed one is due now."""
    if suspended == state.suspended:
        return state
    return replace(state if suspended else due_now(state, now), suspended=suspended)
