"""What Ctrl-C and SIGTERM do: leave at once while a command only reads, and finish what is under way once it writes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from reconciler.errors import Interrupted

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def leaving() -> Iterator[None]:
    """End the process where it stands: nothing has been written, and a read may take long to give up by itself."""

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
    """Turn every signal from here on into a wish: calls in flight are finished, and no other is begun.

    It lasts until `leaving` ends: once something may have been written, nobody may leave before it is told.
    """

    def wish(number: int, _frame: object) -> None:
        stop.set()
        _say(f"\n{signal.Signals(number).name}: finishing what is under way, starting nothing new …")

    for number in _NUMBERS:
        signal.signal(number, wish)


def _say(text: str) -> None:
    """Write past Python's own streams: a handler may run in the middle of their work, and they do not like that."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())
