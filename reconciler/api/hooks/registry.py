"""What a kind does that data cannot say: `x-rest.hook` names a module here, and the engine asks it through `Hook`.

Called by rest, flows and plan. Hooks are pure functions over plain dicts, and flows that yield calls: they know no
client, clock, file or plan.
"""

from __future__ import annotations

import functools
from importlib import import_module

from reconciler.api.hooks.base import NOTHING, Hook
from reconciler.kinds import Kind


def hook_of(kind: Kind) -> Hook:
    """Return what *kind* does differently; `NOTHING` for a kind that data describes in full."""
    return _load(kind.hook) if kind.hook else NOTHING


@functools.cache
def _load(name: str) -> Hook:
    hook: Hook = import_module(f"reconciler.api.hooks.{name}").HOOK
    return hook
