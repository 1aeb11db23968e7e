"""Time, randomness, identifiers, the request to stop, and the observer: what code takes from its process.

One `Runtime` is passed down from the command or the agent to whatever needs it; tests pass one with a virtual clock. It
must not know what it is used for.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from reconciler import telemetry


def utc_text(seconds: float) -> str:
    """Return seconds since the epoch as 2026-01-31T00:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_id() -> str:
    """Return 32 random hexadecimal digits."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a run takes from its process. Each has its own request to stop; `dataclasses.replace` changes the rest."""

    clock: Callable[[], float] = time.monotonic  # seconds, for durations
    now: Callable[[], float] = time.time  # seconds since the epoch; `utc_text` formats them
    sleep: Callable[[float], object] = time.sleep
    random: Random = field(default_factory=Random)
    new_id: Callable[[], str] = random_id
    stop: threading.Event = field(default_factory=threading.Event)  # set: finish what is in flight, start nothing
    observe: telemetry.Observer = telemetry.ignore
    redact: Callable[[str], str] = str  # masks secrets in a text that leaves the process
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def emit(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Report an event to the observer, one at a time whatever the number of threads.

        An observer that fails, for example on a closed terminal, must not leave changes half done.
        """
        with self._lock, contextlib.suppress(Exception):
            self.observe(telemetry.Event(name, attributes))
