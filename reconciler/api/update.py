"""The update of an existing object: read it first, write only the planned fields, only to the planned object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.codec import Uid
from reconciler.api.endpoints import endpoint
from reconciler.api.precondition import Precondition, Retry, check, check_after_busy, same_object
from reconciler.api.protocol import Flow, clock_time, request, wait
from reconciler.api.sub_resources import write_sub_resources
from reconciler.api.task import MAX_SENDS, FlowResult, ReadObject, Task, look, running_action
from reconciler.api.wait import verify, wait_until_ready
from reconciler.diff import changes
from reconciler.diff.normalize import hidden_values
from reconciler.errors import Ambiguous, Rejected


def update(task: Task, expected: Precondition) -> Flow[FlowResult]:
    """Write the body to the object that was planned."""
    found = yield from check(task, expected)
    wire = task.object_body()
    if not wire:
        return (yield from _finish(task, expected, FlowResult(found)))
    retry = Retry((yield from clock_time()))
    while retry.lost < MAX_SENDS:
        try:
            action = yield from send_update(task, expected.uid, wire, found)
        except Ambiguous:
            task.outcome_unknown = True
            retry.lost += 1
            yield from wait(retry.backoff, "the response was lost")
            found = yield from _reread(task, expected)
            if _took_effect(task, found):
                result = yield from wait_until_ready(task, expected.uid, running_action(found))
                return (yield from _finish(task, expected, result))
        except Rejected as error:
            if error.error_code in task.hook.same_secret_codes:
                wire = _without_secrets(task, wire)
                if not wire:
                    return (yield from _finish(task, expected, FlowResult(found)))
            else:
                found = yield from check_after_busy(task, expected, error, retry)
        else:
            task.accepted = True
            return (yield from _finish(task, expected, (yield from wait_until_ready(task, expected.uid, action))))
    raise Ambiguous(f"sent {MAX_SENDS} times without a response, and it still differs; checked again on the next run")


def send_update(task: Task, uid: Uid, wire: Mapping[str, Any], found: ReadObject) -> Flow[str]:
    """Send what belongs to the object itself, once; return the action to wait for, "" for none."""
    wire = task.hook.complete(wire, found.wire)
    if task.hook.update is not None:
        action: str = yield from task.hook.update(task.write_context(wire, uid, found.wire))
        return action
    method, path = endpoint(task.kind, "update", uid)
    response = yield from request(method, path, {task.hook.within: wire} if task.hook.within else wire)
    return str((response.body.get("action_uid") if isinstance(response.body, Mapping) else None) or "")


def _finish(task: Task, expected: Precondition, result: FlowResult) -> Flow[FlowResult]:
    """Write the sub-resources, and compare."""
    return (yield from verify(task, (yield from write_sub_resources(task, expected.uid, result))))


def _reread(task: Task, expected: Precondition) -> Flow[ReadObject]:
    """Read the object after a write whose response was lost: it may have its new name already."""
    found = yield from look(task, expected.uid)
    if found is not None and found.object.name == task.address.name:
        expected = expected._replace(name=task.address.name)
    return same_object(expected, found)


def _took_effect(task: Task, found: ReadObject) -> bool:
    """Return whether a write whose response was lost certainly took effect; never certain where it has a secret."""
    if next(iter(hidden_values(task.kind, task.body)), None) is not None:
        return False
    return found.object.name == task.address.name and not changes(task.kind, task.body, found.object.spec)


def _without_secrets(task: Task, wire: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {path.partition(".")[0].partition("[")[0] for path, _ in hidden_values(task.kind, task.body)}
    names = {task.kind.fields[name].wire for name in hidden}
    return {name: value for name, value in wire.items() if name not in names}
