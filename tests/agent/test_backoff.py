"""When the next pass is due, as laws over any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reconciler import errors
from reconciler.agent import backoff
from reconciler.agent.backoff import CREDENTIAL, Fault, Pace, State

CHANCE = st.floats(0, 1)
PACES = st.builds(
    lambda interval, base, more: Pace(interval, base, base + more),
    st.floats(1, 86_400),
    st.floats(1, 600),
    st.floats(0, 86_400),
)
SOON = [fault for fault in Fault if fault is not Fault.UNAUTHORIZED]


@given(PACES, st.sampled_from(SOON), st.integers(1, 200), CHANCE)
def test_a_pause_is_never_longer_than_the_longest_and_never_nothing(
    pace: Pace, fault: Fault, failures: int, chance: float
) -> None:
    pause = backoff.pause_after(fault, failures, pace, chance)
    assert 0 < pause <= pace.longest


@given(PACES, st.sampled_from(SOON), st.integers(1, 60))
def test_pauses_grow_with_the_number_of_failures(pace: Pace, fault: Fault, failures: int) -> None:
    now, next_one = (backoff.pause_after(fault, count, pace, 0.5) for count in (failures, failures + 1))
    assert now <= next_one


@given(PACES, CHANCE)
def test_success_brings_back_the_interval_whatever_was_before(pace: Pace, chance: float) -> None:
    broken = State(due=5.0, failures=9, fault=Fault.UNAUTHORIZED, barred=99_999.0)
    state = backoff.succeeded(broken, 100.0, pace, chance)
    assert (state.failures, state.fault) == (0, None)
    assert state.next == pytest.approx(100.0 + pace.interval, rel=0, abs=0.1 * pace.interval + 1e-6)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.Unauthorized("x"), Fault.UNAUTHORIZED),
        (errors.PlanStale("x"), Fault.STALE),
        (errors.Busy("x"), Fault.STALE),
        (errors.Locked("x"), Fault.LOCKED),
        (errors.SecretMissing([]), Fault.INPUT),
        (errors.PlanTooLarge("x"), Fault.FAILED),
        (errors.Unreachable("x"), Fault.FAILED),
        (errors.Forbidden("x"), Fault.FAILED),
        (errors.AppliedInPart("x"), Fault.FAILED),
        (RuntimeError("x"), Fault.FAILED),
    ],
)
def test_each_failure_has_its_kind(error: Exception, fault: Fault) -> None:
    assert backoff.fault_of(error) is fault


class Life(RuleBasedStateMachine):
    """Any order of events; a pass happens only when it is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.state = State()
        self.pace = Pace(300.0, 10.0, 600.0)
        self.tries: list[float] = []  # of a login that is refused, since it was last changed

    @rule(seconds=st.floats(0, 4000))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(fault=st.sampled_from([*Fault, None]), chance=CHANCE)
    def a_pass(self, fault: Fault | None, chance: float) -> None:
        if self.state.next is None or self.state.next > self.now:
            return
        if fault is None:
            self.state = backoff.succeeded(self.state, self.now, self.pace, chance)
            self.tries.clear()
            return
        if fault is Fault.UNAUTHORIZED:
            self.tries.append(self.now)
        self.state = backoff.failed(self.state, self.now, fault, self.pace, chance)

    @rule()
    def a_revision(self) -> None:
        before = self.state
        self.state = backoff.woken(self.state, self.now)
        if not before.suspended and before.barred <= self.now:
            assert self.state.next is not None
            assert self.state.next <= self.now

    @rule()
    def another_secret(self) -> None:
        self.state = backoff.trusted_again(self.state, self.now)
        self.tries.clear()
        assert self.state.suspended or (self.state.next is not None and self.state.next <= self.now)

    @rule(on=st.booleans())
    def suspend(self, on: bool) -> None:
        self.state = backoff.suspended(self.state, self.now, on)
        assert (self.state.next is None) is on

    @invariant()
    def a_refused_login_is_tried_once_in_twenty_minutes(self) -> None:
        assert all(later - sooner >= CREDENTIAL for sooner, later in zip(self.tries, self.tries[1:], strict=False))

    @invariant()
    def nothing_waits_for_ever(self) -> None:
        if self.state.next is not None:
            assert (
                self.state.next - self.now <= max(self.pace.interval * 1.1, self.pace.longest, CREDENTIAL * 1.1) + 1e-6
            )


TestLife = Life.TestCase
