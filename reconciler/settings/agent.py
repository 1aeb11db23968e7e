"""Settings of the agent, as a whole and per cluster: mode, intervals, limits of a reconciliation, freeze windows.

Read by `project` from the defaults, the groups and the cluster in the project file, merged; used by `agent`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from reconciler.kinds.freeze import Window
from reconciler.kinds.quantities import quantity

MODES = ("observe", "plan", "apply")


class AgentPolicy(NamedTuple):
    """How the agent treats one cluster. Times are in seconds."""

    mode: str = "observe"
    suspend: bool = False
    interval: float = 300.0
    retry_base: float = 10.0
    retry_max: float = 600.0
    prune: bool = False  # delete owned objects that are not declared any more
    max_deletes: int = 10  # in one reconciliation, including replacements and tombstones
    freeze: tuple[Window, ...] = ()


class Agent(NamedTuple):
    """Settings of the agent as a whole."""

    parallelism: int = 8  # clusters at once
    max_failing: int = 16  # further clusters at once that fail or are slow
    keep_runs: int = 1000
    keep_days: int = 90


PER_CLUSTER_KEYS = ("mode", "suspend", "interval", "retryInterval", "prune", "maxDeletes", "freeze")
"""The keys of the agent section that can also be set for groups and clusters."""


def agent_of(section: Mapping[str, Any]) -> Agent:
    """Return the settings in *section*, which matches the schema."""
    usual, keep = Agent(), section.get("keep", {})
    return Agent(
        parallelism=section.get("parallelism", usual.parallelism),
        max_failing=section.get("maxFailing", usual.max_failing),
        keep_runs=keep.get("runs", usual.keep_runs),
        keep_days=keep.get("days", usual.keep_days),
    )


def agent_policy_of(merged: Mapping[str, Any], report: Callable[[str, str], None]) -> AgentPolicy:
    """Return the settings of one cluster in *merged*, which matches the schema.

    *report* is called with the key and a message for each invalid time.
    """
    usual, retry = AgentPolicy(), merged.get("retryInterval", {})
    base = _seconds(retry.get("base"), usual.retry_base)
    longest = _seconds(retry.get("max"), usual.retry_max)
    if longest < base:
        report("retryInterval", f"max ({longest:g} s) is below base ({base:g} s)")
    return AgentPolicy(
        mode=merged.get("mode", usual.mode),
        suspend=merged.get("suspend", usual.suspend),
        interval=_seconds(merged.get("interval"), usual.interval),
        retry_base=base,
        retry_max=max(base, longest),
        prune=merged.get("prune", usual.prune),
        max_deletes=merged.get("maxDeletes", usual.max_deletes),
        freeze=tuple(window_of(one, report) for one in merged.get("freeze", ())),
    )


def window_of(written: Mapping[str, Any], report: Callable[[str, str], None]) -> Window:
    """Return the window in *written*, which matches the schema; its default name is its cron expression.

    *report* is called with the key and a message for an unknown time zone; the caller validates the cron expression.
    """
    zone = written.get("timeZone", "UTC")
    try:
        ZoneInfo(zone)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError, and that is caught next
        report("freeze", f"{zone} is not a time zone")
    except KeyError:
        report("freeze", f"{zone} is not a time zone known on this machine; use one such as Europe/Berlin")
    deny = written.get("effect", "deny") == "deny"
    return Window(written.get("name", written["cron"]), written["cron"], _seconds(written["duration"], 0.0), zone, deny)


def _seconds(text: str | None, otherwise: float) -> float:
    return otherwise if text is None else float(quantity(text, "seconds") or 0)
