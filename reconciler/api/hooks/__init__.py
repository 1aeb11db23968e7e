"""What is special about single kinds, beyond what data describes: `x-rest.hook` names a module here."""

from reconciler.api.hooks.base import NO_HOOK, Created, Hook, Json, LiveMetadata, SubResource, Uid, WriteContext
from reconciler.api.hooks.registry import hook_of

__all__ = ["NO_HOOK", "Created", "Hook", "Json", "LiveMetadata", "SubResource", "Uid", "WriteContext", "hook_of"]
