"""The hook of password hashing: the field has another name in a request than in a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* with the name of the request (`change_password_hashing_algorithm`)."""
    return {"algorithm": body["password_hashing_algorithm"]}


HOOK = Hook(complete=complete)
