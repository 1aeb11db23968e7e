"""Changes to calls, and live JSON to specs. Pure: flows are generators that yield calls and are sent answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One request, before anything is sent."""

    method: str
    path: str  # with its query
    body: Any = None


class Answer(NamedTuple):
    """A clean 2xx answer (404 too, where the caller asked for it)."""

    status: int
    body: Any  # parsed JSON; None where there was none
    headers: Mapping[str, str]
