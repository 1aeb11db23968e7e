"""Events that code reports while it works: one function, called with one value.

What shows or counts something (progress display, log, metrics) is such a function; the code that reports does not know
which. Attributes hold addresses, counts and messages of the server: never a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Event(NamedTuple):
    """Something that happened: a dotted *name* (`change.started`, `call.retried`) and its plain attributes."""

    name: str
    attributes: Mapping[str, Any]


Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Discard *event*."""
