"""The create whose outcome may be unknown: one rule, in one place.

A POST whose answer is lost is never sent again before a look-up has shown, after the settle window, that it took no
effect; and what is found counts as ours by its mark or its whole body, never by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.api.codec import Uid, decode, endpoint
from reconciler.api.hooks import Posted
from reconciler.api.protocol import Flow, Pace, ask, clock_time, pause
from reconciler.api.read import listing
from reconciler.api.settle import RUNNING, about, actions, noun, settled, singular, verified
from reconciler.api.subresources import through_doors
from reconciler.api.task import SENDS, Ended, Found, Task, running_action
from reconciler.diff import changes
from reconciler.errors import Ambiguous, Conflict, ReadIncomplete, Rejected
from reconciler.kinds import SINGLETON
from reconciler.model import LiveObject

TAKEN = frozenset({"name_already_exists", "email_already_exists", "port_unavailable", "uid_exists"})


def create(task: Task, *, sent_before: bool = False) -> Flow[Ended]:
    """Create the object once, whatever gets lost on the way.

    *sent_before*: an earlier run may have sent it, and did not learn the outcome.
    """
    task.unclear = sent_before
    found = (yield from _look_up(task)) if sent_before else None
    for _ in range(SENDS):
        if found is not None:
            break
        try:
            posted = yield from post(task)
        except Ambiguous:
            task.unclear = True
            found = yield from _look_up(task)
        except Rejected as error:
            if error.error_code not in TAKEN:
                raise
            found = (yield from _search(task)).mine
            if found is None:
                raise Conflict(f"{error}; what is there is not ours, so it is left alone") from error
        else:
            task.accepted = True
            if posted.uid is not None:
                return (yield from _finished(task, posted.uid, posted.action))
            found = yield from _look_up(task)
    if found is None:
        task.unclear = True  # the last effect may be later than any window
        raise Ambiguous(f"sent {SENDS} times without an answer, and nothing came of it; the next run looks again")
    task.accepted = True
    return (yield from _finished(task, found.object.uid, running_action(found)))


def post(task: Task) -> Flow[Posted]:
    """Send what goes to the object itself, once."""
    wire = task.plain(created=True)
    if task.hook.post is not None:
        posted: Posted = yield from task.hook.post(task.writing(wire))
        return posted
    method, path = endpoint(task.kind, "create")
    answer = yield from ask(method, path, wire)
    if task.kind.singleton:
        return Posted(SINGLETON)
    made = answer.body if isinstance(answer.body, Mapping) else {}
    uid = made.get(task.kind.rest.id)
    readiness = task.kind.traits.readiness
    action = made.get(readiness.action if readiness else "action_uid")
    return Posted(uid if isinstance(uid, int | str) else None, str(action or ""))


def _finished(task: Task, uid: Uid, action: str) -> Flow[Ended]:
    """Wait until the new object is ready, write what a create does not take, and compare."""
    ended = yield from settled(task, uid, action)
    return (yield from verified(task, (yield from through_doors(task, uid, ended, created=True))))


class _Search(NamedTuple):
    mine: Found | None
    under_way: bool = False  # a create that may be ours is running


def _look_up(task: Task) -> Flow[Found | None]:
    """Look for what our create may have made; None once it is proven that it made nothing."""
    began = now = yield from clock_time()
    until = began + task.window + task.seconds()
    pace = Pace()
    while True:
        try:
            search = yield from _search(task)
        except ReadIncomplete:
            search = _Search(None, under_way=True)  # a read that failed proves nothing
        if search.mine is not None:
            return search.mine
        if not search.under_way and now - began >= task.window:
            task.unclear = False
            return None
        if now > until:
            raise Ambiguous("it may have been created, and no read gives certainty; the next run looks again")
        now = yield from pause(pace, "looking whether it was created")


def _search(task: Task) -> Flow[_Search]:
    """Read the whole list once and pick out what is provably ours."""
    ours, uids = [], set()
    for wire in (yield from listing(task.kind, None)):
        if isinstance(wire, Mapping):
            uids.add(str(wire.get(task.kind.rest.id)))
            try:
                found = Found(wire, decode(task.kind, wire, task.names))
            except ReadIncomplete:
                continue  # nothing of ours: we know how to read what we write
            if _is_ours(task, found.object):
                ours.append(found)
    if len(ours) > 1:
        listed = ", ".join(str(found.object.uid) for found in ours)
        raise Conflict(
            f"{len(ours)} objects carry the mark of one create, with {task.kind.rest.id} {listed}; look at both"
        )
    if not ours and task.hook.under_way is not None:
        return _Search(None, (yield from task.hook.under_way()))
    if ours or task.kind.traits.readiness is None:
        return _Search(ours[0] if ours else None)
    return _Search(None, (yield from _create_under_way(task, uids)))


def _is_ours(task: Task, live: LiveObject) -> bool:
    """Tell whether this is what our create made: by its mark, or by unique name and whole body; never by name alone."""
    if live.operation or task.hook.stamp is not None:
        return live.operation == task.operation
    if live.name != task.address.name or live.builtin or live.owner:
        return False
    bodies = map(task.hook.begun, (task.body, *task.earlier))
    return any(not changes(task.kind, body, live.spec) for body in bodies)


def _create_under_way(task: Task, listed: set[str]) -> Flow[bool]:
    """Tell whether the server is creating something that is not in the list yet."""
    return any(
        str(action.get("status")) in RUNNING
        and "create" in str(action.get("name", "")).lower()
        and noun(action) in ("", singular(task.kind))
        and about(action) not in listed
        for action in (yield from actions())
    )
