"""What a session works with beside settings: its ledger, its way to clusters, time. The agent and tests exchange it.

`session.Session` takes it; commands leave it as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from reconciler.client import Client
    from reconciler.ledger import Ledger
    from reconciler.settings import Target


def utc_now() -> str:
    """Return the time of day, as 2026-01-31T00:00:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Outside(NamedTuple):
    """The world of one session."""

    ledger: Ledger | None = None  # shared with others, and left open; None: the session opens its own
    connect: Callable[..., Client] | None = None  # makes a client as its class does
    means: Mapping[str, Any] = {}  # time and chance for the engine, as `apply` takes them
    now: Callable[[], str] = utc_now
    neighbours: tuple[Target, ...] = ()  # clusters that something on a target refers to or stands in as well
    at: Callable[[], float] = time.time  # seconds since the epoch, as `now` says in words
    absent: Mapping[str, str] = {}  # by such cluster that is left out from the start: why


USUAL = Outside()
