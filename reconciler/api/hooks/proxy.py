"""The hook of a proxy: a PUT wraps the object, because the permission to restart is a field beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, WriteContext
from reconciler.api.protocol import Flow, request


def update(context: WriteContext) -> Flow[str]:
    """Update a proxy; without permission to restart, some fields take effect at its next restart."""
    body = {"proxy": context.wire, **context.separate}
    yield from request("PUT", f"{context.kind.rest.path}/{context.uid}", body)
    return ""


def explain_mismatch(path: str, sent: Mapping[str, Any]) -> str:
    """Explain why a value reads back unchanged: without permission, nothing restarts."""
    if sent.get("allow_restart"):
        return ""
    return (
        "it takes effect at the next restart of the proxy; "
        "declare allow_restart: true to restart it now (disconnects clients)"
    )


HOOK = Hook(update=update, explain_mismatch=explain_mismatch)
