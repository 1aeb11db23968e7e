"""The hook of a node: in maintenance mode it returns other values, which are not declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json, LiveMetadata, Uid
from reconciler.api.hooks.nodemaintenance import statuses, under_maintenance
from reconciler.api.protocol import Call, Flow, request
from reconciler.errors import ReadIncomplete

_PATH = "/v1/nodes"
_IN_MAINTENANCE = "@maintenance"


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the nodes, each with whether it is in maintenance mode."""
    response = yield Call("GET", _PATH, missing_ok=False, tolerant=True)
    if not isinstance(response.body, list):
        raise ReadIncomplete(f"GET {_PATH}: the response is not a list")
    found = yield from statuses()
    return [
        {**node, _IN_MAINTENANCE: under_maintenance(found.get(str(node.get("uid"))))}
        if isinstance(node, dict)
        else node
        for node in response.body
    ]


def look(uid: Uid) -> Flow[Any]:
    """Return one node, with whether it is in maintenance mode."""
    response = yield from request("GET", f"{_PATH}/{uid}")
    if response.status == 404 or not isinstance(response.body, dict):
        return None
    found = yield from statuses()
    return {**response.body, _IN_MAINTENANCE: under_maintenance(found.get(str(uid)))}


def decode(spec: Json, wire: Mapping[str, Any]) -> LiveMetadata:
    """Leave a node unchanged while it is in maintenance mode: it then accepts no changes and hosts no shards."""
    return LiveMetadata(owner="maintenance mode (see NodeMaintenance)" if wire.get(_IN_MAINTENANCE) else "")


HOOK = Hook(required_fields=(_IN_MAINTENANCE,), decode=decode, listing=listing, look=look)
