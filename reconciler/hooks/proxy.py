"""What a proxy does that data cannot say: a PUT wraps it, since the leave to restart stands beside it."""

from __future__ import annotations

from reconciler.calls import Flow, ask
from reconciler.hooks.base import Hook, Writing


def put(writing: Writing) -> Flow[str]:
    """Change a proxy; without leave to restart, what needs a restart waits for the next one."""
    body = {"proxy": writing.wire, **writing.beside}
    yield from ask("PUT", f"{writing.kind.path}/{writing.uid}", body)
    return ""


HOOK = Hook(put=put)
