"""Who is worked on next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent.slots import SLOW_AFTER, Capacity, Pending, Running, select

PENDING = st.lists(
    st.builds(Pending, st.floats(0, 20), st.text("abc", min_size=1, max_size=6), st.booleans()),
    max_size=30,
    unique_by=lambda one: one.name,
)
RUNNING = st.lists(st.builds(Running, st.floats(0, 10), st.booleans()), max_size=12)
CAPACITIES = st.builds(Capacity, st.integers(1, 6), st.integers(1, 4))


@given(PENDING, RUNNING, CAPACITIES)
def test_never_more_than_there_is_room_for(pending: list[Pending], running: list[Running], capacity: Capacity) -> None:
    names = select(pending, running, capacity, 10.0)
    assert len(running) + len(names) <= max(len(running), capacity.regular + capacity.extra)
    assert len(names) == len(set(names))


@given(PENDING, RUNNING, CAPACITIES)
def test_nobody_begins_before_the_time(pending: list[Pending], running: list[Running], capacity: Capacity) -> None:
    due = {one.name for one in pending if one.due <= 10.0}
    assert set(select(pending, running, capacity, 10.0)) <= due


@given(PENDING, CAPACITIES)
def test_who_is_well_goes_by_the_time_and_is_not_held_up_by_the_sick(
    pending: list[Pending], capacity: Capacity
) -> None:
    extra = [Running(0.0, failing=True)] * (capacity.extra + 3)
    names = select(pending, [*extra[: capacity.extra]], capacity, 10.0)
    well = sorted(one for one in pending if one.due <= 10.0 and not one.failing)
    assert names == [one.name for one in well[: capacity.regular]]


@given(st.integers(1, 6), st.integers(1, 4))
def test_a_pass_that_turns_out_slow_frees_its_place(regular: int, extra: int) -> None:
    pending = [Pending(0.0, f"n{number:02}", failing=False) for number in range(20)]
    quick, slow = Running(9.9, failing=False), Running(10.0 - SLOW_AFTER, failing=False)
    assert select(pending, [quick] * regular, Capacity(regular, extra), 10.0) == []
    assert len(select(pending, [slow] * regular, Capacity(regular, extra), 10.0)) == min(regular, extra)


def test_at_most_so_many_places_are_lost_to_the_sick() -> None:
    pending = [Pending(0.0, f"n{number:02}", failing=True) for number in range(20)]
    assert len(select(pending, [], Capacity(8, 3), 10.0)) == 3


def test_after_the_room_became_smaller_nobody_begins_until_there_is_some() -> None:
    active = [Running(9.0, False), Running(9.0, False)]
    assert select([Pending(0.0, "a", True)], active, Capacity(1, 1), 10.0) == []
    assert select([Pending(0.0, "a", True)], active[:1], Capacity(1, 1), 10.0) == ["a"]
