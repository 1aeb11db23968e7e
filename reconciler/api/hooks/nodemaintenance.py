"""The hook of node maintenance: actions enable and disable it (REST request `nodes/actions`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Uid, WriteContext
from reconciler.api.protocol import Backoff, Call, Flow, request, wait
from reconciler.errors import ActionFailed, ReadIncomplete

_STATUS = "/v1/nodes/status"
_RUNNING = frozenset({"queued", "starting", "running", "cancelling"})
_ONLY_ON = ("overwrite_snapshot", "evict_ha_replica", "evict_active_active_replica", "evict_dbs", "keep_slave_shards")
_ONLY_OFF = ("snapshot_name", "skip_shards_restore")
_MAX_POLLS = 400


def under_maintenance(status: Any) -> bool:
    """Return whether *status* is that of a node in maintenance mode."""
    return isinstance(status, Mapping) and bool(status.get("maintenance_snapshot"))


def statuses() -> Flow[Mapping[str, Any]]:
    """Return the status of each node by uid as text."""
    response = yield Call("GET", _STATUS, missing_ok=False)
    if not isinstance(response.body, Mapping):
        raise ReadIncomplete(f"GET {_STATUS}: an object was expected")
    return response.body


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return each node with whether it is in maintenance mode."""
    found = yield from statuses()
    numbers = sorted(int(uid) for uid in found if uid.isdecimal())
    return [{"uid": uid, "enabled": under_maintenance(found[str(uid)])} for uid in numbers]


def look(uid: Uid) -> Flow[Any]:
    """Return one node with whether it is in maintenance mode."""
    found = yield from listing(None)
    return next((one for one in found if one["uid"] == uid), None)


def update(context: WriteContext) -> Flow[str]:
    """Enable or disable maintenance mode, and wait until the node has completed it."""
    on = bool(context.wire.get("enabled"))
    wanted = _ONLY_ON if on else _ONLY_OFF
    options = {name: value for name, value in context.separate.items() if name in wanted}
    path = f"/v1/nodes/{context.uid}/actions/maintenance_{'on' if on else 'off'}"
    # Enabling it twice would require disabling it twice.
    if bool(context.live.get("enabled")) != on and not (yield from _is_running(path)):
        yield from request("POST", path, options)
    backoff = Backoff()
    for _ in range(_MAX_POLLS):
        response = yield from request("GET", path)
        body = response.body if isinstance(response.body, Mapping) else {}
        status = str(body.get("status", ""))
        if response.status == 404 or status not in _RUNNING:
            if status in ("failed", "aborted", "cancelled"):
                reason = body.get("description") or body.get("error_code") or status
                raise ActionFailed(f"the cluster accepted it, then it failed: {str(reason)[:200]}")
            return ""
        yield from wait(backoff, f"{status}, {body.get('progress', 0)} %")
    raise ActionFailed("it is still running; checked again on the next run")


def _is_running(path: str) -> Flow[bool]:
    response = yield from request("GET", path)
    return isinstance(response.body, Mapping) and str(response.body.get("status", "")) in _RUNNING


HOOK = Hook(listing=listing, look=look, update=update)
