"""From an accepted write to its result: wait for the action and the status, then compare what reads back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.codec import Uid
from reconciler.api.protocol import FIRST_POLL, Backoff, Flow, Wait, clock_time, request, wait
from reconciler.api.task import FlowResult, Task, look, running_action
from reconciler.diff import FieldChange, changes
from reconciler.errors import ActionFailed, CreationFailed, ReadIncomplete, Rejected
from reconciler.kinds import Kind

RUNNING = frozenset({"queued", "starting", "pending", "active", "running"})
REREAD_SECONDS = 0.25  # before a value that reads back differently is read once more
_FAILED = frozenset({"failed", "aborted", "cancelled"})


def wait_until_ready(task: Task, uid: Uid, action: str = "") -> Flow[FlowResult]:
    """Wait until the server has completed what it accepted, and read the object."""
    until = (yield from clock_time()) + task.seconds()
    readiness = task.kind.traits.readiness
    why = yield from _wait_for_action(action, until)
    backoff = Backoff(FIRST_POLL)
    while True:
        found = yield from look(task, uid)
        status = found.object.status if found else ""
        if found is not None and (why or readiness is None or status in readiness.ready):
            failed = CreationFailed if readiness is not None and status in readiness.failed else ActionFailed
            return FlowResult(found, failed(f"the cluster accepted it, then it failed: {why}") if why else None)
        if found is not None and readiness is not None and status in readiness.failed:
            text = (yield from _recorded_failure(task, uid)) or "no reason given"
            return FlowResult(found, CreationFailed(f"the cluster reports {status}: {text}"))
        if (yield from wait(backoff, status or "not listed yet")) > until:
            text = f"still {status or 'not listed'} after {task.seconds():.0f} s; checked again on the next run"
            return FlowResult(found, ActionFailed(text))


def verify(task: Task, result: FlowResult) -> Flow[FlowResult]:
    """Compare the live object with what was sent.

    The first read comes right after the write, when even its action may not be listed yet: what reads back differently
    then is read once more.
    """
    different = _differences(task, result)
    if different and result.found is not None:
        yield Wait(REREAD_SECONDS, REREAD_SECONDS, "it reads back differently so far")
        result = yield from wait_until_ready(task, result.found.object.uid, running_action(result.found))
        different = _differences(task, result)
    if not different or result.found is None:
        return result
    recorded = yield from _recorded_failure(task, result.found.object.uid)
    reasons = dict.fromkeys(filter(None, (task.hook.explain_mismatch(one.path, task.wire) for one in different)))
    why = recorded or "; ".join(reasons)
    text = "accepted, but " + "; ".join(map(_reads_back, different[:5])) + (f" ({why})" if why else "")
    return FlowResult(result.found, ActionFailed(text))


def _differences(task: Task, result: FlowResult) -> tuple[FieldChange, ...]:
    """Return how the live object differs from what was sent; nothing where there is no object or a problem already."""
    if result.found is None or result.problem is not None:
        return ()
    live = result.found.object
    different = changes(task.kind, task.body, live.spec)
    if not different and live.name != task.address.name:
        return (FieldChange("name", live.name, task.address.name),)
    return different


def _reads_back(change: FieldChange) -> str:
    return f"{change.path} reads back {change.before!r:.80} instead of {change.after!r:.80}"


# --- actions -------------------------------------------------------------------------------------------------------


def _wait_for_action(action: str, until: float) -> Flow[str]:
    """Wait for an action; return why it failed, "" otherwise.

    An action that is not found means nothing: the server forgets them (REST: actions).
    """
    backoff = Backoff(FIRST_POLL)
    while action.replace("-", "").isalnum():
        response = yield from request("GET", f"/v1/actions/{action}")
        body = response.body if isinstance(response.body, Mapping) else {}
        status = str(body.get("status", ""))
        if status in _FAILED:
            return _failure_text(body) or status
        if response.status == 404 or status not in RUNNING:
            break
        if (yield from wait(backoff, _status_text(status, body.get("progress")))) > until:
            break
    return ""


def _status_text(status: str, progress: Any) -> str:
    try:
        return f"{status}, {float(progress):.0f} %"
    except (TypeError, ValueError, OverflowError):
        return status


def _failure_text(action: Mapping[str, Any]) -> str:
    more = action.get("additional_info")
    places = (action, more if isinstance(more, Mapping) else {})
    texts = [place[key] for key in ("error", "error_code", "description") for place in places if place.get(key)]
    return str(texts[0])[:300] if texts else ""


def _recorded_failure(task: Task, uid: Uid) -> Flow[str]:
    """Return what the server recorded of a failed change of this object; "" where it recorded nothing."""
    types = ("", singular(task.kind))
    for action in reversed((yield from actions())):
        if object_uid(action) == str(uid) and object_type(action) in types and str(action.get("status")) in _FAILED:
            return _failure_text(action)
    return ""


def actions() -> Flow[list[Mapping[str, Any]]]:
    """Return the recorded actions; none where the server is too old to list them."""
    try:
        response = yield from request("GET", "/v2/actions")
    except (Rejected, ReadIncomplete):
        return []
    found = response.body if isinstance(response.body, list) else []
    return [action for action in found if isinstance(action, Mapping)]


def object_uid(action: Mapping[str, Any]) -> str:
    """Return the uid of the object that an action is about."""
    more = action.get("additional_info")
    if isinstance(more, Mapping) and more.get("object_uid") is not None:
        return str(more["object_uid"])
    return str(action.get("object_name", "")).rpartition(":")[2]


def object_type(action: Mapping[str, Any]) -> str:
    """Return the type of the object that an action is about, as in "bdb"; "" where it does not say."""
    more = action.get("additional_info")
    named = str(more.get("object_type") or "") if isinstance(more, Mapping) else ""
    return named or str(action.get("object_name", "")).rpartition(":")[0]


def singular(kind: Kind) -> str:
    """Return what the API calls one object of *kind* in its actions."""
    return kind.rest.path.rpartition("/")[2].removesuffix("s")
