"""Finds the hook of a kind: `x-rest.hook` names a module beside this one.

Flows, `live` and `apply` call it.
"""

from __future__ import annotations

import functools
from importlib import import_module

from reconciler.api.hooks.base import NO_HOOK, Hook
from reconciler.kinds import Kind


def hook_of(kind: Kind) -> Hook:
    """Return what is special about *kind*; `NO_HOOK` for a kind that data describes completely."""
    return _load(kind.hook) if kind.hook else NO_HOOK


@functools.cache
def _load(name: str) -> Hook:
    hook: Hook = import_module(f"reconciler.api.hooks.{name}").HOOK
    return hook
