"""Writes to an object that exists: look first, write only what was meant to that object and no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.api.codec import Uid, decode, endpoint
from reconciler.api.protocol import Flow, Pace, ask, clock_time, pause
from reconciler.api.settle import settled, verified
from reconciler.api.subresources import through_doors
from reconciler.api.task import BUSY_SECONDS, SENDS, Ended, Found, Task, is_busy, look, running_action
from reconciler.diff import changes
from reconciler.diff.normalize import hidden_values, is_blank
from reconciler.errors import ActionFailed, Ambiguous, Busy, ChangedUnderneath, Rejected


class Expected(NamedTuple):
    """What an object has to be for a write to it to be right."""

    uid: Uid
    name: str
    created: str = ""
    rests_on: Mapping[str, Any] | None = None  # canonical values, as they were when the plan was made
    broken_too: bool = False  # a delete takes an object that failed, too


def update(task: Task, expected: Expected) -> Flow[Ended]:
    """Write the body to the object that the plan was about, and to no other."""
    found = yield from _before_write(task, expected)
    wire = task.plain()
    if not wire:
        return (yield from _finished(task, expected, Ended(found)))
    until = (yield from clock_time()) + BUSY_SECONDS
    pace, lost = Pace(), 0
    while lost < SENDS:
        try:
            action = yield from put(task, expected.uid, wire, found)
        except Ambiguous:
            task.unclear, lost = True, lost + 1
            yield from pause(pace, "the answer was lost")
            found = yield from _again(task, expected)
            if _is_as_sent(task, found):
                ended = yield from settled(task, expected.uid, running_action(found))
                return (yield from _finished(task, expected, ended))
        except Rejected as error:
            if error.error_code in task.hook.secret_is_so:
                wire = _without_secrets(task, wire)
                if not wire:
                    return (yield from _finished(task, expected, Ended(found)))
            else:
                found = yield from _after_busy(task, expected, error, pace, until)
        else:
            task.accepted = True
            return (yield from _finished(task, expected, (yield from settled(task, expected.uid, action))))
    raise Ambiguous(f"sent {SENDS} times without an answer, and it still differs; the next run looks again")


def put(task: Task, uid: Uid, wire: Mapping[str, Any], found: Found) -> Flow[str]:
    """Send what goes to the object itself; return the action to wait for, "" for none."""
    wire = task.hook.complete(wire, found.wire)
    if task.hook.put is not None:
        action: str = yield from task.hook.put(task.writing(wire, uid, found.wire))
        return action
    method, path = endpoint(task.kind, "update", uid)
    answer = yield from ask(method, path, {task.hook.within: wire} if task.hook.within else wire)
    return str((answer.body.get("action_uid") if isinstance(answer.body, Mapping) else None) or "")


def _finished(task: Task, expected: Expected, ended: Ended) -> Flow[Ended]:
    """Write what goes through doors of its own, and compare."""
    return (yield from verified(task, (yield from through_doors(task, expected.uid, ended))))


def _after_busy(task: Task, expected: Expected, error: Rejected, pace: Pace, until: float) -> Flow[Found]:
    """Wait where *error* only means "later"; the client has waited already where it is a Busy."""
    if not is_busy(task.kind, error) or (yield from pause(pace, "busy")) > until:
        raise error
    return (yield from _before_write(task, expected))


def _is_as_sent(task: Task, found: Found) -> bool:
    """Tell whether a write whose answer was lost is known to have taken effect; of a secret nobody can know."""
    if next(iter(hidden_values(task.kind, task.body)), None) is not None:
        return False
    return found.object.name == task.address.name and not changes(task.kind, task.body, found.object.spec)


def _without_secrets(task: Task, wire: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {path.partition(".")[0].partition("[")[0] for path, _ in hidden_values(task.kind, task.body)}
    gone = {task.kind.fields[name].wire for name in hidden}
    return {name: value for name, value in wire.items() if name not in gone}


def _before_write(task: Task, expected: Expected) -> Flow[Found]:
    """Read the object, wait until it takes changes, and make sure that it is what the plan was made from."""
    found = _same(expected, (yield from look(task, expected.uid)))
    readiness = task.kind.traits.readiness
    until = (yield from clock_time()) + BUSY_SECONDS
    pace = Pace()
    while readiness is not None and found.object.status not in readiness.ready:
        if found.object.status in readiness.failed:
            if expected.broken_too:
                break
            raise ActionFailed(f"the cluster reports {found.object.status}; delete it, or have it repaired, first")
        if (yield from pause(pace, f"busy: {found.object.status}")) > until:
            raise Busy(f"still {found.object.status} after {BUSY_SECONDS:.0f} s", status=409)
        found = _same(expected, (yield from look(task, expected.uid)))
    moved = _moved(task, expected, found)
    if moved:
        raise ChangedUnderneath(f"it changed after the plan was made: {'; '.join(moved)}; nothing was sent; plan again")
    return found


def _moved(task: Task, expected: Expected, found: Found) -> list[str]:
    """Say which values are no longer those that the plan was made from; not for what this run itself has made."""
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


def _again(task: Task, expected: Expected) -> Flow[Found]:
    """Read the object after a write whose answer was lost: it may have its new name already."""
    found = yield from look(task, expected.uid)
    if found is not None and found.object.name == task.address.name:
        expected = expected._replace(name=task.address.name)
    return _same(expected, found)


def _same(expected: Expected, found: Found | None) -> Found:
    """Raise ChangedUnderneath unless this is the object that was meant: a uid may have been given away again."""
    if found is None:
        raise ChangedUnderneath("it is gone since the plan was made; nothing was sent; plan again")
    live = found.object
    if live.name != expected.name:
        raise ChangedUnderneath(f"{expected.uid} is now called {live.name!r:.80}; nothing was sent; plan again")
    if expected.created and live.created and live.created != expected.created:
        raise ChangedUnderneath(
            f"{expected.uid} is another object, made {live.created:.40}; nothing was sent; plan again"
        )
    return found


def delete(task: Task, expected: Expected) -> Flow[Ended]:
    """Delete the object that the plan was about, and wait until it is gone."""
    found = yield from look(task, expected.uid)
    if found is None:
        return Ended(None)
    until = (yield from clock_time()) + BUSY_SECONDS
    pace, lost = Pace(), 0
    if _is_going(found):
        return (yield from _gone(task, expected))
    yield from _before_write(task, expected)
    while lost < SENDS:
        try:
            yield from _remove(task, expected.uid, found)
        except Ambiguous:
            task.unclear, lost = True, lost + 1
            yield from pause(pace, "the answer was lost")
            found = yield from look(task, expected.uid)
            if found is None or _is_gone(task, found) or _is_going(found):
                return (yield from _gone(task, expected))
            _same(expected, found)
        except Rejected as error:
            yield from _after_busy(task, expected, error, pace, until)
        else:
            return (yield from _gone(task, expected))
    raise Ambiguous(f"sent {SENDS} times without an answer, and it is still there; the next run looks again")


def _remove(task: Task, uid: Uid, found: Found) -> Flow[None]:
    if task.hook.remove is not None:
        yield from task.hook.remove(task.writing({}, uid, found.wire))
    else:
        yield from ask(*endpoint(task.kind, "delete", uid))


def _is_gone(task: Task, found: Found) -> bool:
    """Tell whether nothing is left of settings that a read shows all the same."""
    return task.kind.singleton and is_blank(task.kind, found.object.spec)


def _is_going(found: Found) -> bool:
    return "delete" in found.object.status


def _gone(task: Task, expected: Expected) -> Flow[Ended]:
    task.accepted = True
    until = (yield from clock_time()) + task.seconds()
    pace = Pace()
    while True:
        found = yield from look(task, expected.uid)
        if found is None or (expected.created and found.object.created != expected.created) or _is_gone(task, found):
            return Ended(None)
        if (yield from pause(pace, found.object.status or "going")) > until:
            return Ended(found, ActionFailed(f"still there after {task.seconds():.0f} s; the next run looks again"))
