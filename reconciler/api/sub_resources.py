"""Fields that the API keeps at endpoints of their own: written one after the other, after the object itself."""

from __future__ import annotations

from typing import Any

from reconciler.api.codec import Uid
from reconciler.api.hooks import SubResource
from reconciler.api.protocol import Backoff, Flow, clock_time, wait
from reconciler.api.task import BUSY_SECONDS, MAX_SENDS, FlowResult, ReadObject, Task, is_busy
from reconciler.api.wait import wait_until_ready
from reconciler.errors import Ambiguous, Rejected


def write_sub_resources(task: Task, uid: Uid, result: FlowResult, *, created: bool = False) -> Flow[FlowResult]:
    """Write the sub-resources; stop at the first that fails. *created*: the object is new."""
    for name, sub_resource in task.hook.sub_resources.items():
        wire = task.kind.fields[name].wire
        if result.problem is not None or result.found is None:
            break
        if wire in task.wire and (sub_resource.on_create or not created):
            action = yield from _write(task, uid, sub_resource, task.wire[wire], result.found)
            result = yield from wait_until_ready(task, uid, action)
    if task.hook.after_write is not None and result.problem is None and result.found is not None:
        yield from task.hook.after_write(task.write_context(task.wire, uid, result.found.wire))
        result = yield from wait_until_ready(task, uid)
    return result


def _write(task: Task, uid: Uid, sub_resource: SubResource, value: Any, found: ReadObject) -> Flow[str]:
    context = task.write_context(task.wire, uid, found.wire)
    until = (yield from clock_time()) + BUSY_SECONDS
    backoff, lost = Backoff(), 0
    while True:
        try:
            action = yield from sub_resource.write(context, value)
        except Ambiguous:
            task.outcome_unknown, lost = True, lost + 1
            if not sub_resource.idempotent or lost >= MAX_SENDS:
                raise
            yield from wait(backoff, "the response was lost")
        except Rejected as error:
            if not is_busy(task.kind, error) or (yield from wait(backoff, "busy")) > until:
                raise
        else:
            task.accepted = True
            return action
