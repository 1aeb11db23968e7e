"""Signals as bytes of a pipe: for `run`, whose main thread waits for them while the loop ticks in another thread."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_END = b"\0"  # no signal has this number


@contextmanager
def signal_pipe() -> Iterator[tuple[int, Callable[[], None]]]:
    """Write signals to a pipe; yield its reading end, and a function that ends the reading.

    The system may deliver a signal to any thread, and Python runs handlers only when the main thread returns from what
    it waits for: only the wake-up descriptor is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def end() -> None:
        with suppress(OSError):
            os.write(writer, _END)

    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    waker = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader, end
    finally:
        signal.set_wakeup_fd(waker)
        for number, old in before.items():
            signal.signal(number, old)
        os.close(reader)
        os.close(writer)


def next_signal(reader: int) -> int:
    """Wait, and return the number of the next signal; 0 for the end."""
    select.select([reader], [], [])
    return os.read(reader, 1)[0]
