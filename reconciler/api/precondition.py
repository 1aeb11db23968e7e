"""What must hold before an existing object is written: it is the planned one, it is unchanged, and it accepts changes.

`update` and `delete` check it before each write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.api.codec import Uid, decode
from reconciler.api.protocol import Backoff, Flow, clock_time, wait
from reconciler.api.task import BUSY_SECONDS, ReadObject, Task, is_busy, look
from reconciler.diff import changes
from reconciler.errors import Busy, ChangedUnderneath, CreationFailed, Rejected


class Precondition(NamedTuple):
    """The object that a write is meant for."""

    uid: Uid
    name: str
    created: str = ""
    rests_on: Mapping[str, Any] | None = None  # canonical values, as they were when the plan was made
    allow_failed: bool = False  # a delete is allowed for an object in a failed status


class Retry:
    """How often and how long one write is sent again."""

    def __init__(self, now: float) -> None:
        self.until = now + BUSY_SECONDS
        self.backoff = Backoff()
        self.lost = 0  # responses


def check(task: Task, expected: Precondition) -> Flow[ReadObject]:
    """Read the object, wait until it accepts changes, and make sure that the plan still applies to it.

    Raises ChangedUnderneath where it does not, CreationFailed for an object in a failed status, Busy after a timeout.
    """
    found = same_object(expected, (yield from look(task, expected.uid)))
    readiness = task.kind.traits.readiness
    until = (yield from clock_time()) + BUSY_SECONDS
    backoff = Backoff()
    while readiness is not None and found.object.status not in readiness.ready:
        if found.object.status in readiness.failed:
            if expected.allow_failed:
                break
            raise CreationFailed(f"the cluster reports {found.object.status}; it has to be replaced")
        if (yield from wait(backoff, f"busy: {found.object.status}")) > until:
            raise Busy(f"still {found.object.status} after {BUSY_SECONDS:.0f} s", status=409)
        found = same_object(expected, (yield from look(task, expected.uid)))
    stale = _stale_fields(task, expected, found)
    if stale:
        raise ChangedUnderneath(f"it changed after the plan was made: {'; '.join(stale)}; nothing was sent; plan again")
    return found


def check_after_busy(task: Task, expected: Precondition, error: Rejected, retry: Retry) -> Flow[ReadObject]:
    """Wait where *error* only means "retry later", and check again; else raise it."""
    if not is_busy(task.kind, error) or (yield from wait(retry.backoff, "busy")) > retry.until:
        raise error
    return (yield from check(task, expected))


def same_object(expected: Precondition, found: ReadObject | None) -> ReadObject:
    """Raise ChangedUnderneath unless *found* is the planned object: a uid may have been reused."""
    if found is None:
        raise ChangedUnderneath("it no longer exists; nothing was sent; plan again")
    live = found.object
    if live.name != expected.name:
        raise ChangedUnderneath(f"{expected.uid} is now called {live.name!r:.80}; nothing was sent; plan again")
    if expected.created and live.created and live.created != expected.created:
        raise ChangedUnderneath(
            f"{expected.uid} is another object, created {live.created:.40}; nothing was sent; plan again"
        )
    return found


def _stale_fields(task: Task, expected: Precondition, found: ReadObject) -> list[str]:
    """Return which values differ from those that the plan was made from; nothing for what this run itself created."""
    if expected.rests_on is None:
        return []
    live = decode(task.kind, found.wire, task.names_before).spec
    new = sorted(name for name in task.body.keys() - expected.rests_on.keys() if live.get(name))
    return [
        *(
            f"{field.path} is {field.before!r:.80} and was {field.after!r:.80}"
            for field in changes(task.kind, expected.rests_on, live)[:5]
        ),
        *(f"{name} is {live[name]!r:.80} and was not set" for name in new),
    ]
