"""Freeze windows."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds.freeze import frozen, is_cron
from reconciler.settings import Window

HOUR = 3600.0
ALWAYS_FROZEN = Window("office", "0 8 * * 1-5", 10 * HOUR, "Europe/Berlin")
NIGHT = Window("night", "0 22 * * *", 6 * HOUR, "Europe/Berlin", deny=False)
MONTH_END = Window("month-end", "0 0 28 * *", 72 * HOUR, "UTC")


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("2026-01-15 07:59:59", None),
        ("2026-01-15 08:00:00", "freeze window office"),
        ("2026-01-15 17:59:59", "freeze window office"),
        ("2026-01-15 18:00:00", None),
        ("2026-01-17 12:00:00", None),  # a Saturday
        ("2026-07-15 08:30:00", "freeze window office"),  # summer time
        ("2026-03-30 08:00:00", "freeze window office"),  # the Monday after the clocks changed
    ],
)
def test_a_window_begins_by_the_clock_of_its_zone(moment: str, why: str | None) -> None:
    found = frozen([ALWAYS_FROZEN], at(moment))
    assert (found.why if found else None) == why


def test_it_says_until_when() -> None:
    found = frozen([ALWAYS_FROZEN], at("2026-01-15 09:00:00"))
    assert found is not None
    assert found.until == at("2026-01-15 18:00:00")


def test_outside_of_windows_that_allow_nothing_is_written() -> None:
    found = frozen([NIGHT], at("2026-01-15 12:00:00"))
    assert found is not None
    assert (found.why, found.until) == ("outside the windows that allow changes (night)", at("2026-01-15 22:00:00"))
    assert frozen([NIGHT], at("2026-01-16 01:00:00")) is None  # it goes on past midnight


def test_deny_wins_over_allow() -> None:
    assert frozen([NIGHT], at("2026-01-29 23:00:00", "UTC")) is None
    found = frozen([NIGHT, MONTH_END], at("2026-01-29 23:00:00", "UTC"))
    assert found is not None
    assert found.why == "freeze window month-end"


def test_a_window_may_span_several_days() -> None:
    assert frozen([MONTH_END], at("2026-01-30 23:59:00", "UTC")) is not None
    assert frozen([MONTH_END], at("2026-01-31 00:00:00", "UTC")) is None


@given(st.floats(1.7e9, 2.0e9))
def test_a_frozen_moment_ends_later_and_is_over_then(moment: float) -> None:
    found = frozen([ALWAYS_FROZEN], moment)
    if found is not None:
        assert moment < found.until <= moment + ALWAYS_FROZEN.seconds
        assert frozen([ALWAYS_FROZEN], found.until) is None


@pytest.mark.parametrize(
    "cron", ["61 0 * * *", "* * * *", "0 0 31 2", "0 0 31 2 *", "0 0 0 * * *", "tomorrow noon ok a b"]
)
def test_a_cron_expression_without_sense_is_invalid(cron: str) -> None:
    assert not is_cron(cron)
    assert is_cron(ALWAYS_FROZEN.cron)
