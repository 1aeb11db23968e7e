"""The tasks of Active-Active databases: every write is one, and a database accepts one at a time.

Used by `activeactive_writing`. The API returns a task until some minutes after its end, and 404 then; after that only
the object shows the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.activeactive_reading import PARTS, look
from reconciler.api.hooks.base import Json, Uid, WriteContext
from reconciler.api.protocol import FIRST_POLL, Backoff, Flow, clock_time, request, wait
from reconciler.errors import ActionFailed, Ambiguous, Busy, ReadIncomplete

SECONDS = 1800.0  # timeout of one task, and of a wait for other tasks
_ENDED = ("finished", "failed")


def running() -> Flow[list[Mapping[str, Any]]]:
    """Return the tasks that have not ended."""
    response = yield from request("GET", "/v1/crdb_tasks")
    tasks = response.body if isinstance(response.body, list) else []
    return [task for task in tasks if isinstance(task, Mapping) and str(task.get("status")) not in _ENDED]


def create_in_progress() -> Flow[bool]:
    """Return whether a create is running: a task does not say of which database."""
    return any("create" in str(task.get("operation", "create")) for task in (yield from running()))


def run_task(context: WriteContext, method: str, path: str, body: Mapping[str, Any] | None) -> Flow[str]:
    """Send a write and wait for its task; return the guid that it reports, "" where it is no longer known.

    Raises ActionFailed with the errors of each cluster, Ambiguous where it does not end.
    """
    response = yield from request(method, path, body)
    if response.status == 404:  # of a DELETE: deleted already
        return ""
    context.set_outcome_unknown(True)  # it continues even if this run is stopped
    uid = response.body.get("id") if isinstance(response.body, Mapping) else None
    if not isinstance(uid, str) or not uid.replace("-", "").replace("_", "").isalnum():
        raise ReadIncomplete(f"{method} {path} was accepted without a task to wait for")
    until = (yield from clock_time()) + SECONDS
    backoff = Backoff(FIRST_POLL)
    while True:
        response = yield from request("GET", f"/v1/crdb_tasks/{uid}")
        task = response.body if isinstance(response.body, Mapping) else {}
        status = str(task.get("status", ""))
        if response.status == 404 or status == "finished":
            return str(task.get("crdb_guid") or "")
        if status == "failed":
            context.set_outcome_unknown(False)
            raise ActionFailed(f"the cluster accepted it, then it failed: {_errors(task)}")
        if (yield from wait(backoff, f"task {status}{_progress(task)}")) > until:
            raise Ambiguous(f"the task {uid} is still {status} after {SECONDS:.0f} s; checked again on the next run")


def _errors(task: Mapping[str, Any]) -> str:
    found = task.get("errors")
    texts = []
    for one in found if isinstance(found, list) else ():
        if isinstance(one, Mapping):
            words = str(one.get("description") or one.get("error_code") or "no reason given")
            texts.append(f"{one['cluster_name']}: {words}" if one.get("cluster_name") else words)
    return ("; ".join(texts) or "no reason given")[:300]


def _progress(task: Mapping[str, Any]) -> str:
    progress = task.get("progress")
    clusters = progress.get("clusters") if isinstance(progress, Mapping) else None
    ready = [one for one in clusters or () if isinstance(one, Mapping) and one.get("progress") == "done"]
    return f", {len(ready)} of {len(clusters)} clusters" if isinstance(clusters, list) and clusters else ""


def wait_until_idle(uid: Uid) -> Flow[Json | None]:
    """Wait until no task is running and no instance is busy; return the object, None where it does not exist."""
    until = (yield from clock_time()) + SECONDS
    backoff = Backoff(FIRST_POLL)
    while True:
        tasks = [task for task in (yield from running()) if str(task.get("crdb_guid", uid)) == str(uid)]
        found: Json | None = yield from look(uid)
        if found is None:
            return None
        busy = [part.cluster for part in found[PARTS] if part.local and part.local.get("status", "active") != "active"]
        if not tasks and not busy:
            return found
        why = f"another task: {tasks[0].get('operation', 'unknown')}" if tasks else f"busy on {', '.join(busy)}"
        if (yield from wait(backoff, why)) > until:
            raise Busy(f"still busy after {SECONDS:.0f} s ({why})", status=409)
