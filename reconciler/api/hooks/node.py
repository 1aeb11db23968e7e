"""What a node does that data cannot say: under maintenance it reads otherwise, and none of that is anybody's wish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json, Marks, Uid
from reconciler.api.hooks.nodemaintenance import statuses, under_maintenance
from reconciler.api.protocol import Call, Flow, ask
from reconciler.errors import ReadIncomplete

_PATH = "/v1/nodes"
_MARK = "@maintenance"


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the nodes, each with whether it is under maintenance."""
    answer = yield Call("GET", _PATH, missing_ok=False, tolerant=True)
    if not isinstance(answer.body, list):
        raise ReadIncomplete(f"GET {_PATH}: the list is no list")
    found = yield from statuses()
    return [
        {**node, _MARK: under_maintenance(found.get(str(node.get("uid"))))} if isinstance(node, dict) else node
        for node in answer.body
    ]


def look(uid: Uid) -> Flow[Any]:
    """Return one node, with whether it is under maintenance."""
    answer = yield from ask("GET", f"{_PATH}/{uid}")
    if answer.status == 404 or not isinstance(answer.body, dict):
        return None
    found = yield from statuses()
    return {**answer.body, _MARK: under_maintenance(found.get(str(uid)))}


def decode(spec: Json, wire: Mapping[str, Any]) -> Marks:
    """Leave a node alone while it is under maintenance: it then accepts nothing and holds nothing."""
    return Marks(owner="maintenance mode (see NodeMaintenance)" if wire.get(_MARK) else "")


HOOK = Hook(needs=(_MARK,), decode=decode, listing=listing, look=look)
