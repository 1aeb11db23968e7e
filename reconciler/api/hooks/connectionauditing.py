"""The hook of connection auditing: a PUT needs the whole object, since omitted fields would be lost or rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return the live object with *body* merged into it, without the id that this tool gives a singleton."""
    return {**{name: value for name, value in live.items() if not name.startswith("@")}, **body}


HOOK = Hook(complete=complete)
