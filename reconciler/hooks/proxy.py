"""What a proxy does that data cannot say: a PUT wraps it, since the leave to restart stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.hooks.base import Hook, Json

_BESIDE = "allow_restart"


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* in its wrapper; without leave to restart, what needs a restart waits for the next one."""
    inside = {name: value for name, value in body.items() if name != _BESIDE}
    return {"proxy": inside, **({_BESIDE: body[_BESIDE]} if _BESIDE in body else {})}


HOOK = Hook(complete=complete)
