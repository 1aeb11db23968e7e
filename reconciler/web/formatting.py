"""Times, names, revisions and errors for people. No I/O: the time of day is an argument.

The views call it. Every text that foreign input can make long is cut here or there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from reconciler.agent.status import Failure
from reconciler.render.escape import shorten

MAX_TEXT: Final = 1500  # characters; only hostile texts are longer
_MAX_LINES: Final = 50


class DisplayTime(NamedTuple):
    """A time for people: relative and exact."""

    relative: str
    exact: str


def duration(seconds: float) -> str:
    """Return a duration in its largest unit."""
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.{int(seconds < 10 * size)}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def display_time(at: float | None, now: float) -> DisplayTime | None:
    """Return the time *at* for people; None where there is none."""
    if at is None:
        return None
    try:
        exact = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
    except (OverflowError, ValueError, OSError):
        return DisplayTime("at an unknown time", "")
    return DisplayTime(f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}", exact)


def display_time_of(at: float, now: float) -> DisplayTime:
    """Return the time *at* for people."""
    return display_time(at, now) or DisplayTime("", "")


def cluster_name(name: str) -> str:
    """Return the name of a cluster; the one configured by the environment has none."""
    return name or "default"


def cluster_title(name: str) -> str:
    """Return the title of the page of a cluster."""
    return shorten(cluster_name(name), 120)


def short_revision(revision: str) -> str:
    """Return an abbreviated commit, or digest of a folder; any other revision is kept, unless it is long."""
    algorithm, colon, digest = revision.rpartition(":")
    hexadecimal = len(digest) >= 40 and all(char in "0123456789abcdef" for char in digest)
    known = hexadecimal and algorithm in ("", "sha256")
    return f"{algorithm}{colon}{digest[:10]}" if known else shorten(revision, 40)


def failure(found: Failure | None, now: float) -> Mapping[str, Any] | None:
    """Return a failure for people."""
    if found is None:
        return None
    return {
        "kind": shorten(found.kind, 60),
        "lines": [shorten(line, MAX_TEXT) for line in found.text.splitlines()[:_MAX_LINES]],
        "when": display_time(found.at, now),
        "count": found.count,
    }
