"""Ctrl-C and SIGTERM: exit at once while a command only reads; complete in-flight operations once it writes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from reconciler.errors import Interrupted

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def exiting() -> Iterator[None]:
    """End the process at once on a signal: nothing was written, and a read may take long."""

    def leave(_number: int, _frame: object) -> None:
        _say("interrupted; nothing was written")
        os._exit(Interrupted.exit_code)

    before = {number: signal.signal(number, leave) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def stopping(stop: threading.Event) -> None:
    """Turn every signal into a request to stop: in-flight calls complete, and no new ones start.

    It lasts until `exiting` ends: once something may have been written, the report must be printed.
    """

    def request(number: int, _frame: object) -> None:
        stop.set()
        _say(f"\n{signal.Signals(number).name}: completing in-flight operations; no new ones started …")

    for number in _NUMBERS:
        signal.signal(number, request)


def _say(text: str) -> None:
    """Write without Python's streams: a handler may interrupt them, and they are not reentrant."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())
