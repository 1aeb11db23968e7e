"""What an Active-Active database does that data cannot say: it is several databases, each on a cluster of its own.

Reading is in `activeactive_reading`, writing in `activeactive_writing`, the tasks of the API in `activeactive_tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.activeactive_reading import ACCESS, listing, look
from reconciler.api.hooks.activeactive_tasks import under_way
from reconciler.api.hooks.activeactive_writing import after, post, put, remove
from reconciler.api.hooks.base import Hook, Json


def begun(spec: Mapping[str, Any]) -> Json:
    """Return what of *spec* the create itself makes: who may use an instance is written to its cluster later."""
    if "instances" not in spec:
        return dict(spec)
    items = [{name: value for name, value in item.items() if name not in ACCESS} for item in spec["instances"]]
    return {**spec, "instances": items}


HOOK = Hook(
    apart=frozenset({"force_remove"}),
    listing=listing,
    look=look,
    post=post,
    put=put,
    remove=remove,
    after=after,
    begun=begun,
    under_way=under_way,
)
