"""What a kind does that data cannot say: `x-rest.hook` names a module here."""

from reconciler.api.hooks.base import NOTHING, Door, Hook, Json, Marks, Posted, Uid, Writing
from reconciler.api.hooks.registry import hook_of

__all__ = ["NOTHING", "Door", "Hook", "Json", "Marks", "Posted", "Uid", "Writing", "hook_of"]
