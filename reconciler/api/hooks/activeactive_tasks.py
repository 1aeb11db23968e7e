"""The tasks of Active-Active databases: every write is one, and a database takes one at a time.

Used by `activeactive_writing`. A task is told of for some minutes after its end, and is 404 then: the object says the
rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.activeactive_reading import PARTS, look
from reconciler.api.hooks.base import Json, Uid, Writing
from reconciler.api.protocol import SOON, Flow, Pace, ask, clock_time, pause
from reconciler.errors import ActionFailed, Ambiguous, Busy, ReadIncomplete

SECONDS = 1800.0  # of one task; of a wait until nothing else is going on
_OVER = ("finished", "failed")


def running() -> Flow[list[Mapping[str, Any]]]:
    """Return the tasks that are not over."""
    answer = yield from ask("GET", "/v1/crdb_tasks")
    tasks = answer.body if isinstance(answer.body, list) else []
    return [task for task in tasks if isinstance(task, Mapping) and str(task.get("status")) not in _OVER]


def under_way() -> Flow[bool]:
    """Tell whether one is being created: which one, no task says."""
    return any("create" in str(task.get("operation", "create")) for task in (yield from running()))


def done(writing: Writing, method: str, path: str, body: Mapping[str, Any] | None) -> Flow[str]:
    """Send a write and see its task through; return the guid that it names, "" where nothing tells any more.

    Raises ActionFailed with what each cluster said, Ambiguous where it does not end.
    """
    answer = yield from ask(method, path, body)
    if answer.status == 404:  # of a DELETE: gone already
        return ""
    writing.doubt(True)  # if we are stopped now, it goes on all the same
    uid = answer.body.get("id") if isinstance(answer.body, Mapping) else None
    if not isinstance(uid, str) or not uid.replace("-", "").replace("_", "").isalnum():
        raise ReadIncomplete(f"{method} {path} was accepted without a task that could be followed")
    until = (yield from clock_time()) + SECONDS
    pace = Pace(SOON)
    while True:
        answer = yield from ask("GET", f"/v1/crdb_tasks/{uid}")
        task = answer.body if isinstance(answer.body, Mapping) else {}
        status = str(task.get("status", ""))
        if answer.status == 404 or status == "finished":
            return str(task.get("crdb_guid") or "")
        if status == "failed":
            writing.doubt(False)
            raise ActionFailed(f"the cluster accepted it, and then failed: {_errors(task)}")
        if (yield from pause(pace, f"task {status}{_progress(task)}")) > until:
            raise Ambiguous(f"the task {uid} is still {status} after {SECONDS:.0f} s; the next run looks again")


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


def at_rest(uid: Uid) -> Flow[Json | None]:
    """Wait until no task works on it and no instance is busy; return it then, None where it is gone."""
    until = (yield from clock_time()) + SECONDS
    pace = Pace(SOON)
    while True:
        tasks = [task for task in (yield from running()) if str(task.get("crdb_guid", uid)) == str(uid)]
        found: Json | None = yield from look(uid)
        if found is None:
            return None
        busy = [part.cluster for part in found[PARTS] if part.local and part.local.get("status", "active") != "active"]
        if not tasks and not busy:
            return found
        why = f"another task: {tasks[0].get('operation', 'unknown')}" if tasks else f"busy on {', '.join(busy)}"
        if (yield from pause(pace, why)) > until:
            raise Busy(f"still not at rest after {SECONDS:.0f} s ({why})", status=409)
