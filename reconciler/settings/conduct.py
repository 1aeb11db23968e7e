"""How the agent treats one cluster: mode, pace, limits of a pass, windows in which it may write.

Read by `project` from what the project file says for all, for groups and for one cluster, merged; used by `agent`.
Whether a cron expression makes sense is the agent's to say, since only its extra brings the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from reconciler.kinds.freeze import Window
from reconciler.kinds.quantities import quantity

MODES = ("observe", "plan", "apply")


class Conduct(NamedTuple):
    """What the agent does with one cluster. Times are in seconds."""

    mode: str = "observe"
    suspend: bool = False
    interval: float = 300.0
    retry_base: float = 10.0
    retry_max: float = 600.0
    prune: bool = False  # delete what we own and nobody declares any more
    max_deletes: int = 10  # in one pass, replacements and tombstones included
    freeze: tuple[Window, ...] = ()


class Agent(NamedTuple):
    """What holds for the agent as a whole."""

    parallelism: int = 8  # clusters at once
    max_failing: int = 16  # further clusters at once that fail or are slow
    keep_runs: int = 1000
    keep_days: int = 90


WORDS = ("mode", "suspend", "interval", "retryInterval", "prune", "maxDeletes", "freeze")
"""The words of the agent's section that can also be given for groups and clusters."""


def agent_of(section: Mapping[str, Any]) -> Agent:
    """Return what *section*, which fits the schema, says of the agent."""
    usual, keep = Agent(), section.get("keep", {})
    return Agent(
        parallelism=section.get("parallelism", usual.parallelism),
        max_failing=section.get("maxFailing", usual.max_failing),
        keep_runs=keep.get("runs", usual.keep_runs),
        keep_days=keep.get("days", usual.keep_days),
    )


def conduct_of(merged: Mapping[str, Any], complain: Callable[[str, str], None]) -> Conduct:
    """Return what *merged*, which fits the schema, says of one cluster.

    *complain* hears, with the word in question, of times that make none.
    """
    usual, retry = Conduct(), merged.get("retryInterval", {})
    base = _seconds(retry.get("base"), usual.retry_base)
    longest = _seconds(retry.get("max"), usual.retry_max)
    if longest < base:
        complain("retryInterval", f"max ({longest:g} s) is below base ({base:g} s)")
    return Conduct(
        mode=merged.get("mode", usual.mode),
        suspend=merged.get("suspend", usual.suspend),
        interval=_seconds(merged.get("interval"), usual.interval),
        retry_base=base,
        retry_max=max(base, longest),
        prune=merged.get("prune", usual.prune),
        max_deletes=merged.get("maxDeletes", usual.max_deletes),
        freeze=tuple(window_of(one, complain) for one in merged.get("freeze", ())),
    )


def window_of(written: Mapping[str, Any], complain: Callable[[str, str], None]) -> Window:
    """Return the window that *written*, which fits the schema, describes; one without a name is called as its cron."""
    zone = written.get("timeZone", "UTC")
    try:
        ZoneInfo(zone)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError, and that is caught next
        complain("freeze", f"{zone} is no time zone")
    except KeyError:
        complain("freeze", f"{zone} is no time zone that this machine knows; write one such as Europe/Berlin")
    deny = written.get("effect", "deny") == "deny"
    return Window(written.get("name", written["cron"]), written["cron"], _seconds(written["duration"], 0.0), zone, deny)


def _seconds(text: str | None, otherwise: float) -> float:
    return otherwise if text is None else float(quantity(text, "seconds") or 0)
