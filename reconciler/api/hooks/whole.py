"""What a kind does whose PUT takes the whole object: what is left out would be lost or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* over what is live; the engine's own id of a single object is none of the server's fields."""
    return {**{name: value for name, value in live.items() if not name.startswith("@")}, **body}


HOOK = Hook(complete=complete)
