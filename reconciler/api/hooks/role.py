"""What a role does that data cannot say: a PUT without `resources` widens it to every database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* with the live resources where it names none: leaving them out clears them (8.2 prose)."""
    kept = {"resources": live["resources"]} if "resources" not in body and live.get("resources") else {}
    return {**kept, **body}


HOOK = Hook(complete=complete)
