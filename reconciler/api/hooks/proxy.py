"""What a proxy does that data cannot say: a PUT wraps it, since the leave to restart stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Writing
from reconciler.api.protocol import Flow, ask


def put(writing: Writing) -> Flow[str]:
    """Change a proxy; without leave to restart, what needs a restart waits for the next one."""
    body = {"proxy": writing.wire, **writing.beside}
    yield from ask("PUT", f"{writing.kind.rest.path}/{writing.uid}", body)
    return ""


def unlike(path: str, sent: Mapping[str, Any]) -> str:
    """Say why a value reads back as it was: without leave, nothing restarts."""
    if sent.get("allow_restart"):
        return ""
    return "it waits for the next restart of the proxy; declare allow_restart: true to restart it now (clients are cut)"


HOOK = Hook(put=put, unlike=unlike)
