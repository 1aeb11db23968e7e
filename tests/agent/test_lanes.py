"""Who is worked on next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent.lanes import PATIENCE, Room, Running, Waiting, chosen

WAITING = st.lists(
    st.builds(Waiting, st.floats(0, 20), st.text("abc", min_size=1, max_size=6), st.booleans()),
    max_size=30,
    unique_by=lambda one: one.name,
)
RUNNING = st.lists(st.builds(Running, st.floats(0, 10), st.booleans()), max_size=12)
ROOMS = st.builds(Room, st.integers(1, 6), st.integers(1, 4))


@given(WAITING, RUNNING, ROOMS)
def test_never_more_than_there_is_room_for(waiting: list[Waiting], running: list[Running], room: Room) -> None:
    names = chosen(waiting, running, room, 10.0)
    assert len(running) + len(names) <= max(len(running), room.usual + room.sick)
    assert len(names) == len(set(names))


@given(WAITING, RUNNING, ROOMS)
def test_nobody_begins_before_the_time(waiting: list[Waiting], running: list[Running], room: Room) -> None:
    due = {one.name for one in waiting if one.due <= 10.0}
    assert set(chosen(waiting, running, room, 10.0)) <= due


@given(WAITING, ROOMS)
def test_who_is_well_goes_by_the_time_and_is_not_held_up_by_the_sick(waiting: list[Waiting], room: Room) -> None:
    sick = [Running(0.0, failing=True)] * (room.sick + 3)
    names = chosen(waiting, [*sick[: room.sick]], room, 10.0)
    well = sorted(one for one in waiting if one.due <= 10.0 and not one.failing)
    assert names == [one.name for one in well[: room.usual]]


@given(st.integers(1, 6), st.integers(1, 4))
def test_a_pass_that_turns_out_slow_frees_its_place(usual: int, sick: int) -> None:
    waiting = [Waiting(0.0, f"n{number:02}", failing=False) for number in range(20)]
    quick, slow = Running(9.9, failing=False), Running(10.0 - PATIENCE, failing=False)
    assert chosen(waiting, [quick] * usual, Room(usual, sick), 10.0) == []
    assert len(chosen(waiting, [slow] * usual, Room(usual, sick), 10.0)) == min(usual, sick)


def test_at_most_so_many_places_are_lost_to_the_sick() -> None:
    waiting = [Waiting(0.0, f"n{number:02}", failing=True) for number in range(20)]
    assert len(chosen(waiting, [], Room(8, 3), 10.0)) == 3


def test_after_the_room_became_smaller_nobody_begins_until_there_is_some() -> None:
    at_work = [Running(9.0, False), Running(9.0, False)]
    assert chosen([Waiting(0.0, "a", True)], at_work, Room(1, 1), 10.0) == []
    assert chosen([Waiting(0.0, "a", True)], at_work[:1], Room(1, 1), 10.0) == ["a"]
