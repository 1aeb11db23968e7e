"""The clock, lock and event queue that the clusters of a world share.

A change in one cluster may complete in another, so all clusters share one event queue.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]


def format_time(seconds: float) -> str:
    """Return epoch *seconds* in the format of the API."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Timeline:
    """Simulated time. Use it, and every state that belongs to it, under `lock`."""

    def __init__(self, clock: Clock = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.now = clock()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self.ahead = 0.0  # seconds by which it is ahead of its clock

    def advance(self) -> None:
        """Run all events that are due, each at its time, and set `now` to the clock."""
        until = self.clock() + self.ahead
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def skip(self, seconds: float) -> None:
        """Move ahead of the clock by *seconds*; the next `advance` runs the events."""
        self.ahead += seconds

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        """Schedule *event* in *seconds* of this clock."""
        self._sequence += 1
        heapq.heappush(self._events, (self.now + seconds, self._sequence, event))
