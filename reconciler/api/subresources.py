"""Fields that the API keeps behind endpoints of their own: written one after the other, after the object itself."""

from __future__ import annotations

from typing import Any

from reconciler.api.codec import Uid
from reconciler.api.hooks import Door
from reconciler.api.protocol import Flow, Pace, clock_time, pause
from reconciler.api.settle import settled
from reconciler.api.task import BUSY_SECONDS, SENDS, Ended, Found, Task, is_busy
from reconciler.errors import Ambiguous, Rejected


def through_doors(task: Task, uid: Uid, ended: Ended, *, created: bool = False) -> Flow[Ended]:
    """Write what goes through doors; ends at the first that fails. *created*: the object is new."""
    for name, door in task.hook.doors.items():
        wire = task.kind.fields[name].wire
        if ended.problem is not None or ended.found is None:
            break
        if wire in task.wire and (door.on_create or not created):
            action = yield from _through(task, uid, door, task.wire[wire], ended.found)
            ended = yield from settled(task, uid, action)
    if task.hook.after is not None and ended.problem is None and ended.found is not None:
        yield from task.hook.after(task.writing(task.wire, uid, ended.found.wire))
        ended = yield from settled(task, uid)
    return ended


def _through(task: Task, uid: Uid, door: Door, value: Any, found: Found) -> Flow[str]:
    writing = task.writing(task.wire, uid, found.wire)
    until = (yield from clock_time()) + BUSY_SECONDS
    pace, lost = Pace(), 0
    while True:
        try:
            action = yield from door.write(writing, value)
        except Ambiguous:
            task.unclear, lost = True, lost + 1
            if not door.again or lost >= SENDS:
                raise
            yield from pause(pace, "the answer was lost")
        except Rejected as error:
            if not is_busy(task.kind, error) or (yield from pause(pace, "busy")) > until:
                raise
        else:
            task.accepted = True
            return action
