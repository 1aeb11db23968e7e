"""What the hashing of passwords does that data cannot say: it is written under another name than it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* under the name that the request has (`change_password_hashing_algorithm`)."""
    return {"algorithm": body["password_hashing_algorithm"]}


HOOK = Hook(complete=complete)
