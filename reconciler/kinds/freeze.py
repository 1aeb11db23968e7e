"""Freeze windows: whether something may be changed at a given time, and until when. Home of cronsim.

For clusters (the project file) and for single objects (their manifests); the agent and `apply` check both. Pure: the
time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Window(NamedTuple):
    """A recurring time: it starts by *cron* in *time_zone* and lasts for *seconds*."""

    name: str
    cron: str
    seconds: float
    time_zone: str = "UTC"
    deny: bool = True  # else: changes are allowed in such windows only


HINT = "write minute, hour, day, month and weekday, such as 0 8 * * 1-5"


class Frozen(NamedTuple):
    """Why nothing may be changed now, and until when (seconds since the epoch)."""

    why: str
    until: float
    cluster: str = ""  # whose windows these are; "" = those of the object

    @property
    def end(self) -> str:
        """Until when, in UTC."""
        return f"{datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M} UTC"

    def __str__(self) -> str:
        """Return why and until when."""
        return f"{self.why}, until {self.end}"


def is_cron(text: str) -> bool:
    """Return whether *text* is a cron expression of five fields that has a next occurrence."""
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        return False
    return len(text.split()) == 5


def is_usable(window: Window) -> bool:
    """Return whether the time zone and cron expression of *window* are valid."""
    try:
        ZoneInfo(window.time_zone)
    except (KeyError, ValueError, OSError):
        return False
    return is_cron(window.cron)


def frozen(windows: Iterable[Window], now: float) -> Frozen | None:
    """Return why nothing may be written at *now*; None if it may. A window that denies takes precedence."""
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
    return Frozen(f"outside the windows that allow changes ({names})", min(starts, default=now + 86_400.0))


def _end(window: Window, now: float) -> float | None:
    """Return the end of the occurrence of *window* at *now*; None if there is none."""
    from cronsim import CronSim

    moment = datetime.fromtimestamp(now, ZoneInfo(window.time_zone))
    for start in CronSim(window.cron, moment + timedelta(minutes=1), reverse=True):
        begun = start.timestamp()
        if begun <= now:
            return begun + window.seconds if now < begun + window.seconds else None
    return None


def _next(window: Window, now: float) -> float | None:
    from cronsim import CronSim

    moment = datetime.fromtimestamp(now, ZoneInfo(window.time_zone))
    return next((start.timestamp() for start in CronSim(window.cron, moment)), None)
