"""The delete of an existing object: read it first, delete only the planned object, wait until it no longer exists."""

from __future__ import annotations

from reconciler.api.codec import Uid
from reconciler.api.endpoints import endpoint
from reconciler.api.precondition import Precondition, Retry, check, check_after_busy, same_object
from reconciler.api.protocol import Backoff, Flow, clock_time, request, wait
from reconciler.api.task import MAX_SENDS, FlowResult, ReadObject, Task, look
from reconciler.diff.normalize import is_blank
from reconciler.errors import ActionFailed, Ambiguous, Rejected


def delete(task: Task, expected: Precondition) -> Flow[FlowResult]:
    """Delete the object that was planned, and wait until it no longer exists."""
    found = yield from look(task, expected.uid)
    if found is None:
        return FlowResult(None)
    retry = Retry((yield from clock_time()))
    if found.object.is_being_deleted:
        return (yield from _wait_until_deleted(task, expected))
    yield from check(task, expected)
    while retry.lost < MAX_SENDS:
        try:
            yield from _send_delete(task, expected.uid, found)
        except Ambiguous:
            task.outcome_unknown = True
            retry.lost += 1
            yield from wait(retry.backoff, "the response was lost")
            found = yield from look(task, expected.uid)
            if found is None or _is_reset(task, found) or found.object.is_being_deleted:
                return (yield from _wait_until_deleted(task, expected))
            same_object(expected, found)
        except Rejected as error:
            yield from check_after_busy(task, expected, error, retry)
        else:
            return (yield from _wait_until_deleted(task, expected))
    raise Ambiguous(f"sent {MAX_SENDS} times without a response, and it still exists; checked again on the next run")


def _send_delete(task: Task, uid: Uid, found: ReadObject) -> Flow[None]:
    if task.hook.delete is not None:
        yield from task.hook.delete(task.write_context({}, uid, found.wire))
    else:
        yield from request(*endpoint(task.kind, "delete", uid))


def _is_reset(task: Task, found: ReadObject) -> bool:
    """Return whether settings, which a read always returns, are empty."""
    return task.kind.singleton and is_blank(task.kind, found.object.spec)


def _wait_until_deleted(task: Task, expected: Precondition) -> Flow[FlowResult]:
    task.accepted = True
    until = (yield from clock_time()) + task.seconds()
    backoff = Backoff()
    while True:
        found = yield from look(task, expected.uid)
        if found is None or (expected.created and found.object.created != expected.created) or _is_reset(task, found):
            return FlowResult(None)
        if (yield from wait(backoff, found.object.status or "being deleted")) > until:
            text = f"deletion not finished after {task.seconds():.0f} s; checked again on the next run"
            return FlowResult(found, ActionFailed(text))
