"""The hook of an Active-Active database: it consists of several databases, each on another cluster.

`activeactive_reading` reads, `activeactive_writing` writes, `activeactive_tasks` follows the tasks of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.activeactive_reading import ACCESS, listing, look
from reconciler.api.hooks.activeactive_tasks import create_in_progress
from reconciler.api.hooks.activeactive_writing import after_write, create, delete, update
from reconciler.api.hooks.base import Hook, Json
from reconciler.model import LiveObject


def initial_spec(spec: Mapping[str, Any]) -> Json:
    """Return the part of *spec* that the create sends: access to an instance is written to its cluster later."""
    if "instances" not in spec:
        return dict(spec)
    items = [{name: value for name, value in item.items() if name not in ACCESS} for item in spec["instances"]]
    return {**spec, "instances": items}


def live_wire(live: LiveObject) -> Json:
    """Return the instances in the form of the API, which refers to clusters by name and URL."""
    items = live.spec.get("instances", {})
    items = [items[key] for key in sorted(items)] if isinstance(items, Mapping) else items
    return {
        "instances": [
            {**item, "id": number, "cluster": {"name": item["cluster"], "url": ""}}
            for number, item in enumerate(items, 1)
        ]
    }


HOOK = Hook(
    separate_fields=frozenset({"force_remove"}),
    live_wire=live_wire,
    listing=listing,
    look=look,
    create=create,
    update=update,
    delete=delete,
    after_write=after_write,
    initial_spec=initial_spec,
    create_in_progress=create_in_progress,
)
