"""When the next reconciliation is due, as laws over any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reconciler import errors
from reconciler.agent import backoff
from reconciler.agent.backoff import LOGIN_RETRY_DELAY, BackoffPolicy, BackoffState, FailureKind

JITTER = st.floats(0, 1)
POLICIES = st.builds(
    lambda interval, base, more: BackoffPolicy(interval, base, base + more),
    st.floats(1, 86_400),
    st.floats(1, 600),
    st.floats(0, 86_400),
)
SOON = [kind for kind in FailureKind if kind is not FailureKind.UNAUTHORIZED]


@given(POLICIES, st.sampled_from(SOON), st.integers(1, 200), JITTER)
def test_a_pause_is_never_longer_than_the_longest_and_never_nothing(
    policy: BackoffPolicy, kind: FailureKind, failures: int, jitter: float
) -> None:
    pause = backoff.delay_after(kind, failures, policy, jitter)
    assert 0 < pause <= policy.longest


@given(POLICIES, st.sampled_from(SOON), st.integers(1, 60))
def test_pauses_grow_with_the_number_of_failures(policy: BackoffPolicy, kind: FailureKind, failures: int) -> None:
    now, next_one = (backoff.delay_after(kind, count, policy, 0.5) for count in (failures, failures + 1))
    assert now <= next_one


@given(POLICIES, JITTER)
def test_success_brings_back_the_interval_whatever_was_before(policy: BackoffPolicy, jitter: float) -> None:
    broken = BackoffState(due=5.0, failures=9, kind=FailureKind.UNAUTHORIZED, login_blocked_until=99_999.0)
    state = backoff.after_success(broken, 100.0, policy, jitter)
    assert (state.failures, state.kind) == (0, None)
    assert state.next == pytest.approx(100.0 + policy.interval, rel=0, abs=0.1 * policy.interval + 1e-6)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Unauthorized("x"), FailureKind.UNAUTHORIZED),
        (errors.PlanStale("x"), FailureKind.STALE),
        (errors.Busy("x"), FailureKind.STALE),
        (errors.Locked("x"), FailureKind.LOCKED),
        (errors.SecretMissing([]), FailureKind.INPUT),
        (errors.PlanTooLarge("x"), FailureKind.FAILED),
        (errors.Unreachable("x"), FailureKind.FAILED),
        (errors.Forbidden("x"), FailureKind.FAILED),
        (errors.AppliedInPart("x"), FailureKind.FAILED),
        (RuntimeError("x"), FailureKind.FAILED),
    ],
)
def test_each_failure_has_its_kind(error: Exception, kind: FailureKind) -> None:
    assert backoff.failure_kind(error) is kind


class Life(RuleBasedStateMachine):
    """Any order of events; a reconciliation happens only when it is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.state = BackoffState()
        self.policy = BackoffPolicy(300.0, 10.0, 600.0)
        self.tries: list[float] = []  # of a login that is refused, since it was last changed

    @rule(seconds=st.floats(0, 4000))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(kind=st.sampled_from([*FailureKind, None]), jitter=JITTER)
    def a_reconciliation(self, kind: FailureKind | None, jitter: float) -> None:
        if self.state.next is None or self.state.next > self.now:
            return
        if kind is None:
            self.state = backoff.after_success(self.state, self.now, self.policy, jitter)
            self.tries.clear()
            return
        if kind is FailureKind.UNAUTHORIZED:
            self.tries.append(self.now)
        self.state = backoff.after_failure(self.state, self.now, kind, self.policy, jitter)

    @rule()
    def a_revision(self) -> None:
        before = self.state
        self.state = backoff.due_now(self.state, self.now)
        if not before.suspended and before.login_blocked_until <= self.now:
            assert self.state.next is not None
            assert self.state.next <= self.now

    @rule()
    def another_secret(self) -> None:
        self.state = backoff.unblock_login(self.state, self.now)
        self.tries.clear()
        assert self.state.suspended or (self.state.next is not None and self.state.next <= self.now)

    @rule(on=st.booleans())
    def suspend(self, on: bool) -> None:
        self.state = backoff.set_suspended(self.state, self.now, on)
        assert (self.state.next is None) is on

    @invariant()
    def a_refused_login_is_tried_once_in_twenty_minutes(self) -> None:
        assert all(
            later - sooner >= LOGIN_RETRY_DELAY for sooner, later in zip(self.tries, self.tries[1:], strict=False)
        )

    @invariant()
    def nothing_waits_for_ever(self) -> None:
        if self.state.next is not None:
            assert (
                self.state.next - self.now
                <= max(self.policy.interval * 1.1, self.policy.longest, LOGIN_RETRY_DELAY * 1.1) + 1e-6
            )


TestLife = Life.TestCase
