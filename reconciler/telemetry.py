"""What the engine tells about itself while it works: one function, called with one value.

Whoever wants to show or count something (progress display, log, metrics) listens; the engine never asks who.
Attributes hold addresses, counts and server words: never a secret.
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
    """Listen to nothing."""
