"""Maintenance of a node: switched on and off by actions (REST request `nodes/actions`), seen in its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Uid, Writing
from reconciler.api.protocol import Call, Flow, Pace, ask, pause
from reconciler.errors import ActionFailed, ReadIncomplete

_STATUS = "/v1/nodes/status"
_RUNNING = frozenset({"queued", "starting", "running", "cancelling"})
_ONLY_ON = ("overwrite_snapshot", "evict_ha_replica", "evict_active_active_replica", "evict_dbs", "keep_slave_shards")
_ONLY_OFF = ("snapshot_name", "skip_shards_restore")
_LOOKS = 400


def under_maintenance(status: Any) -> bool:
    """Say whether the status of a node is that of one under maintenance."""
    return isinstance(status, Mapping) and bool(status.get("maintenance_snapshot"))


def statuses() -> Flow[Mapping[str, Any]]:
    """Return the status of each node by uid as text."""
    answer = yield Call("GET", _STATUS, missing_ok=False)
    if not isinstance(answer.body, Mapping):
        raise ReadIncomplete(f"GET {_STATUS}: an object was expected")
    return answer.body


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return each node with whether it is under maintenance."""
    found = yield from statuses()
    numbers = sorted(int(uid) for uid in found if uid.isdecimal())
    return [{"uid": uid, "enabled": under_maintenance(found[str(uid)])} for uid in numbers]


def look(uid: Uid) -> Flow[Any]:
    """Return one node with whether it is under maintenance."""
    found = yield from listing(None)
    return next((one for one in found if one["uid"] == uid), None)


def put(writing: Writing) -> Flow[str]:
    """Switch maintenance on or off, and wait until the node is ready for it."""
    on = bool(writing.wire.get("enabled"))
    wanted = _ONLY_ON if on else _ONLY_OFF
    options = {name: value for name, value in writing.beside.items() if name in wanted}
    path = f"/v1/nodes/{writing.uid}/actions/maintenance_{'on' if on else 'off'}"
    if bool(writing.live.get("enabled")) != on and not (yield from _runs(path)):  # two "on" would need two "off"
        yield from ask("POST", path, options)
    pace = Pace()
    for _ in range(_LOOKS):
        answer = yield from ask("GET", path)
        body = answer.body if isinstance(answer.body, Mapping) else {}
        status = str(body.get("status", ""))
        if answer.status == 404 or status not in _RUNNING:
            if status in ("failed", "aborted", "cancelled"):
                reason = body.get("description") or body.get("error_code") or status
                raise ActionFailed(f"the cluster accepted it, and then failed: {str(reason)[:200]}")
            return ""
        yield from pause(pace, f"{status}, {body.get('progress', 0)} %")
    raise ActionFailed("it still runs; the next run looks again")


def _runs(path: str) -> Flow[bool]:
    answer = yield from ask("GET", path)
    return isinstance(answer.body, Mapping) and str(answer.body.get("status", "")) in _RUNNING


HOOK = Hook(listing=listing, look=look, put=put)
