"""The hook of a role: a PUT without `resources` extends the role to every database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* with the live resources where it has none: omitting them clears them (8.2, described in prose)."""
    kept = {"resources": live["resources"]} if "resources" not in body and live.get("resources") else {}
    return {**kept, **body}


HOOK = Hook(complete=complete)
