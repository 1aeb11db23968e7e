"""From an accepted write to what it came to: actions, status, and what reads back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.codec import Uid
from reconciler.api.protocol import SOON, Flow, Pace, Wait, ask, clock_time, pause
from reconciler.api.task import Ended, Task, look, running_action
from reconciler.diff import FieldChange, changes
from reconciler.errors import ActionFailed, ReadIncomplete, Rejected
from reconciler.kinds import Kind

RUNNING = frozenset({"queued", "starting", "pending", "active", "running"})
AGAIN = 0.25  # seconds; before what reads back differently is read once more
_ENDED_BADLY = frozenset({"failed", "aborted", "cancelled"})


def _words(status: str, progress: Any) -> str:
    try:
        return f"{status}, {float(progress):.0f} %"
    except (TypeError, ValueError, OverflowError):
        return status


def _action_ended(action: str, until: float) -> Flow[str]:
    """Wait for an action; return why it failed, "" otherwise. An action that is gone says nothing (REST: actions)."""
    pace = Pace(SOON)
    while action.replace("-", "").isalnum():
        answer = yield from ask("GET", f"/v1/actions/{action}")
        body = answer.body if isinstance(answer.body, Mapping) else {}
        status = str(body.get("status", ""))
        if status in _ENDED_BADLY:
            return _failure_text(body) or status
        if answer.status == 404 or status not in RUNNING:
            break
        if (yield from pause(pace, _words(status, body.get("progress")))) > until:
            break
    return ""


def _failure_text(action: Mapping[str, Any]) -> str:
    more = action.get("additional_info")
    places = (action, more if isinstance(more, Mapping) else {})
    words = [place[key] for key in ("error", "error_code", "description") for place in places if place.get(key)]
    return str(words[0])[:300] if words else ""


def _failure_on_record(task: Task, uid: Uid) -> Flow[str]:
    """Return what the server recorded of a failed change of this object; "" where it recorded nothing."""
    nouns = ("", singular(task.kind))
    for action in reversed((yield from actions())):
        if about(action) == str(uid) and noun(action) in nouns and str(action.get("status")) in _ENDED_BADLY:
            return _failure_text(action)
    return ""


def actions() -> Flow[list[Mapping[str, Any]]]:
    """Return the actions on record; none where the server is too old to list them."""
    try:
        answer = yield from ask("GET", "/v2/actions")
    except (Rejected, ReadIncomplete):
        return []
    return [action for action in answer.body if isinstance(action, Mapping)] if isinstance(answer.body, list) else []


def about(action: Mapping[str, Any]) -> str:
    more = action.get("additional_info")
    if isinstance(more, Mapping) and more.get("object_uid") is not None:
        return str(more["object_uid"])
    return str(action.get("object_name", "")).rpartition(":")[2]


def noun(action: Mapping[str, Any]) -> str:
    more = action.get("additional_info")
    named = str(more.get("object_type") or "") if isinstance(more, Mapping) else ""
    return named or str(action.get("object_name", "")).rpartition(":")[0]


def singular(kind: Kind) -> str:
    return kind.rest.path.rpartition("/")[2].removesuffix("s")


def settled(task: Task, uid: Uid, action: str = "") -> Flow[Ended]:
    """Wait until the server has done what it accepted, and read the object."""
    until = (yield from clock_time()) + task.seconds()
    readiness = task.kind.traits.readiness
    why = yield from _action_ended(action, until)
    pace = Pace(SOON)
    while True:
        found = yield from look(task, uid)
        status = found.object.status if found else ""
        if found is not None and (why or readiness is None or status in readiness.ready):
            return Ended(found, ActionFailed(f"the cluster accepted it, and then failed: {why}") if why else None)
        if found is not None and readiness is not None and status in readiness.failed:
            text = (yield from _failure_on_record(task, uid)) or "it gives no reason"
            return Ended(found, ActionFailed(f"the cluster reports {status}: {text}"))
        if (yield from pause(pace, status or "not there yet")) > until:
            text = f"still {status or 'not there'} after {task.seconds():.0f} s; the next run looks again"
            return Ended(found, ActionFailed(text))


def verified(task: Task, ended: Ended) -> Flow[Ended]:
    """Compare what is there now with what was sent.

    The first look comes right after the write, when even the action of it may not be listed yet: what reads back
    differently then gets a second one.
    """
    different = _different(task, ended)
    if different and ended.found is not None:
        yield Wait(AGAIN, AGAIN, "it reads back differently so far")
        ended = yield from settled(task, ended.found.object.uid, running_action(ended.found))
        different = _different(task, ended)
    if not different or ended.found is None:
        return ended
    recorded = yield from _failure_on_record(task, ended.found.object.uid)
    reasons = dict.fromkeys(filter(None, (task.hook.unlike(one.path, task.wire) for one in different)))
    why = recorded or "; ".join(reasons)
    text = "accepted, but " + "; ".join(map(_reads_back, different[:5])) + (f" ({why})" if why else "")
    return Ended(ended.found, ActionFailed(text))


def _different(task: Task, ended: Ended) -> tuple[FieldChange, ...]:
    """Return how what is there differs from what was sent; nothing where that is not the question any more."""
    if ended.found is None or ended.problem is not None:
        return ()
    live = ended.found.object
    different = changes(task.kind, task.body, live.spec)
    if not different and live.name != task.address.name:
        return (FieldChange("name", live.name, task.address.name),)
    return different


def _reads_back(change: FieldChange) -> str:
    return f"{change.path} reads back {change.before!r:.80} instead of {change.after!r:.80}"
