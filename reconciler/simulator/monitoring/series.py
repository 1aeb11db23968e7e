"""Generated metrics: each value depends only on the object, the metric and the time.

So a series is reproducible, continues as time passes, and needs no storage.
"""

from __future__ import annotations

import math
import time
from calendar import timegm
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple
from zlib import crc32

from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.data.tables import table
from reconciler.simulator.state.clock import format_time

# name of an interval -> its seconds, and how many samples are retained
INTERVALS: Mapping[str, tuple[int, int]] = {
    "1sec": (1, 10),
    "10sec": (10, 30),
    "5min": (300, 12),
    "15min": (900, 96),
    "1hour": (3600, 168),
    "12hour": (43200, 62),
    "1week": (604800, 53),
}
_SWING = 0.15  # relative deviation of values from their mean
_EXACT = frozenset({"mem_size_lua"})


class SampleWindow(NamedTuple):
    """The requested samples: the name of their interval, and start and end in epoch seconds."""

    interval: str
    start: float
    end: float

    def samples(self) -> Iterator[int]:
        """Return the start of each sample, oldest first."""
        step, most = INTERVALS[self.interval]
        last = int(self.end) // step * step - step
        first = max(math.ceil(self.start / step) * step, last - (most - 1) * step)
        return iter(range(first, last + 1, step))


def parse_time(text: str, name: str) -> float:
    """Parse an ISO 8601 time into epoch seconds, or raise 400."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
        try:
            return float(timegm(time.strptime(text, form)))
        except (ValueError, OverflowError):
            continue
    raise ApiError(400, "invalid_param", f"{name} is not an ISO 8601 time")


def sample_window(query: Mapping[str, str], now: float) -> SampleWindow:
    """Return the samples that the *query* requests, by default all of one second; raise 400 if invalid."""
    interval = query.get("interval") or "1sec"
    if interval not in INTERVALS:
        raise ApiError(400, "invalid_param", f"interval must be one of {', '.join(INTERVALS)}")
    start = parse_time(query["stime"], "stime") if query.get("stime") else 0.0
    end = parse_time(query["etime"], "etime") if query.get("etime") else now
    return SampleWindow(interval, start, min(end, now))


@cache
def _mean_values(kind: str, version: str) -> Mapping[str, float]:
    means = table("metrics")[kind]
    if not kind.startswith("statistics."):
        return {name: float(value) for name, value in means.items()}
    known = field_rows(kind, version)
    return {
        name: float(means.get(name, 0))
        for name, row in known.items()
        if row["type"] == "number" and (name in means or not row.get("optional"))
    }


def sample(
    kind: str, version: str, what: str, at: float, known: Mapping[str, float], only: Iterable[str] = ()
) -> dict[str, Json]:
    """Return the metrics of *kind* for the object *what* at a time; those in *known* are given."""
    wanted, phase = set(only), crc32(what.encode()) % 628 / 100
    found: dict[str, Json] = {}
    for name, mean in _mean_values(kind, version).items():
        if wanted and name not in wanted:
            continue
        if name in known:
            found[name] = float(known[name])
        elif name in _EXACT or not mean:
            found[name] = mean
        else:
            noise = crc32(f"{what} {name} {int(at)}".encode()) % 1000 / 1000 - 0.5
            wave = math.sin(at / 3600 + phase) + noise
            found[name] = round(mean * (1 + _SWING * wave / 1.5), 4 if mean < 10 else 1)
    for name in ("last_req_time", "last_res_time"):
        if kind == "statistics.bdb_metrics" and (not wanted or name in wanted):
            found[name] = format_time(at)
    if "cpu_idle" in found:
        found["cpu_idle"] = round(1 - found.get("cpu_user", 0) - found.get("cpu_system", 0), 4)
    return dict(sorted(found.items()))
