"""The one clock, lock and queue of coming events that the clusters of a world share.

A change that one cluster starts may end in another, so events of all clusters are kept in one order.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]


class Timeline:
    """Time as the simulator sees it. Use it, and every state that hangs on it, under `lock`."""

    def __init__(self, clock: Clock = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.now = clock()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self.ahead = 0.0  # by how much it runs before its clock

    def advance(self) -> None:
        """Let everything happen that is due by now, each event at its own time, and set `now` to the clock."""
        until = self.clock() + self.ahead
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def skip(self, seconds: float) -> None:
        """Run ahead of the clock by *seconds* more, as the next `advance` will find."""
        self.ahead += seconds

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        """Let *event* happen in *seconds* of this clock."""
        self._sequence += 1
        heapq.heappush(self._events, (self.now + seconds, self._sequence, event))
