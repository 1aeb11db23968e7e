"""Freeze windows: whether anything may be written at a moment, and when that changes. Home of cronsim.

Called by a pass before it writes, with what the settings say. Pure: the moment is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from reconciler.errors import InputError, Problem
from reconciler.settings import Window


class Frozen(NamedTuple):
    """Why nothing may be written now, and until when (seconds since the epoch)."""

    why: str
    until: float


def check(windows: Iterable[Window], where: str) -> None:
    """Raise InputError for a cron expression that makes no sense."""
    problems = []
    for window in dict.fromkeys(windows):
        try:
            CronSim(window.cron, datetime(2026, 1, 1, tzinfo=UTC))
            wrong = len(window.cron.split()) != 5
        except CronSimError:
            wrong = True
        if wrong:
            message = f"freeze window {window.name}: {window.cron} is no cron expression"
            hint = "write minute, hour, day, month and weekday, such as 0 8 * * 1-5"
            problems.append(Problem(where, 0, 0, "agent.freeze", message, hint))
    if problems:
        raise InputError(problems)


def frozen(windows: Iterable[Window], now: float) -> Frozen | None:
    """Return why nothing may be written at *now*; None if it may. A window that denies goes before one that allows."""
    windows = tuple(windows)
    ends = [(end, window.name) for window in windows if window.deny and (end := _end(window, now)) is not None]
    if ends:
        until, name = max(ends)
        return Frozen(f"freeze window {name}", until)
    allowing = [window for window in windows if not window.deny]
    if not allowing or any(_end(window, now) is not None for window in allowing):
        return None
    starts = [start for window in allowing if (start := _next(window, now)) is not None]
    names = ", ".join(window.name for window in allowing)
    return Frozen(f"outside of the windows that allow changes ({names})", min(starts, default=now + 86_400.0))


def _end(window: Window, now: float) -> float | None:
    """Return when the occurrence of *window* that *now* lies in ends; None if it lies in none."""
    moment = datetime.fromtimestamp(now, ZoneInfo(window.time_zone))
    for start in CronSim(window.cron, moment + timedelta(minutes=1), reverse=True):
        begun = start.timestamp()
        if begun <= now:
            return begun + window.seconds if now < begun + window.seconds else None
    return None


def _next(window: Window, now: float) -> float | None:
    moment = datetime.fromtimestamp(now, ZoneInfo(window.time_zone))
    return next((start.timestamp() for start in CronSim(window.cron, moment)), None)
