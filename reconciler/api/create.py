"""The create, whose outcome may be unknown.

A POST whose response is lost is never sent again before a look-up has shown, after the settle window, that it had no
effect. An object that the look-up finds counts as matches by its operation id or its whole body, never by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.api.codec import Uid, decode
from reconciler.api.endpoints import endpoint
from reconciler.api.hooks import Created
from reconciler.api.protocol import Backoff, Body, Flow, clock_time, request, wait
from reconciler.api.sub_resources import write_sub_resources
from reconciler.api.task import MAX_SENDS, FlowResult, ReadObject, Task, running_action
from reconciler.api.wait import RUNNING, actions, object_type, object_uid, singular, verify, wait_until_ready
from reconciler.diff import changes
from reconciler.errors import Ambiguous, Conflict, ReadIncomplete, Rejected
from reconciler.kinds import SINGLETON, Kind
from reconciler.model import LiveObject

NAME_TAKEN_CODES = frozenset({"name_already_exists", "email_already_exists", "uid_exists"})
ALREADY_EXISTS_CODES = NAME_TAKEN_CODES | {"port_unavailable"}


def create(task: Task, *, sent_before: bool = False) -> Flow[FlowResult]:
    """Create the object exactly once, whatever response is lost.

    *sent_before*: an earlier run may have sent it without learning the outcome.
    """
    task.outcome_unknown = sent_before
    found = (yield from _look_up(task)) if sent_before else None
    for _ in range(MAX_SENDS):
        if found is not None:
            break
        try:
            created = yield from send_create(task)
        except Ambiguous:
            task.outcome_unknown = True
            found = yield from _look_up(task)
        except Rejected as error:
            if error.error_code not in ALREADY_EXISTS_CODES:
                raise
            found = (yield from _search(task)).mine
            if found is None:
                raise Conflict(f"{error}; conflicts with an existing unmanaged object; left unchanged") from error
        else:
            task.accepted = True
            if created.uid is not None:
                return (yield from _finish(task, created.uid, created.action))
            found = yield from _look_up(task)
    if found is None:
        task.outcome_unknown = True  # the last one may take effect later than any window
        raise Ambiguous(
            f"sent {MAX_SENDS} times without a response, and nothing was created; checked again on the next run"
        )
    task.accepted = True
    return (yield from _finish(task, found.object.uid, running_action(found)))


def send_create(task: Task) -> Flow[Created]:
    """Send what belongs to the object itself, once."""
    wire = task.object_body(created=True)
    if task.hook.create is not None:
        created: Created = yield from task.hook.create(task.write_context(wire))
        return created
    method, path = endpoint(task.kind, "create")
    response = yield from request(method, path, wire)
    if task.kind.singleton:
        return Created(SINGLETON)
    made = response.body if isinstance(response.body, Mapping) else {}
    uid = made.get(task.kind.rest.id)
    readiness = task.kind.traits.readiness
    action = made.get(readiness.action if readiness else "action_uid")
    return Created(uid if isinstance(uid, int | str) else None, str(action or ""))


def without_own_values(kind: Kind, wire: Mapping[str, Any], old: Mapping[str, Any]) -> Body:
    """Return what validates the create of a replacement: *wire* without unique values that the *old* object holds."""
    unique = {name for name, field in kind.fields.items() if field.form.unique}
    return Body({name: value for name, value in wire.items() if name not in unique or old.get(name) != value})


def _finish(task: Task, uid: Uid, action: str) -> Flow[FlowResult]:
    """Wait until the new object is ready, write what a create does not accept, and compare."""
    result = yield from wait_until_ready(task, uid, action)
    return (yield from verify(task, (yield from write_sub_resources(task, uid, result, created=True))))


class _Search(NamedTuple):
    mine: ReadObject | None
    create_in_progress: bool = False  # a create that may be matches is running


def _look_up(task: Task) -> Flow[ReadObject | None]:
    """Look for the object that our create may have created; None once it is certain that there is none."""
    began = now = yield from clock_time()
    until = began + task.settle_window + task.seconds()
    backoff = Backoff()
    while True:
        try:
            search = yield from _search(task)
        except ReadIncomplete:
            search = _Search(None, create_in_progress=True)  # a failed read proves nothing
        if search.mine is not None:
            return search.mine
        if not search.create_in_progress and now - began >= task.settle_window:
            task.outcome_unknown = False
            return None
        if now > until:
            raise Ambiguous("it may have been created, and no read can confirm it; checked again on the next run")
        now = yield from wait(backoff, "checking whether it was created")


def _search(task: Task) -> Flow[_Search]:
    """Read the whole list once, and return the object that this create certainly made."""
    matches, uids = [], set()
    for wire in (yield from task.reader.listing(task.kind, None)):
        if isinstance(wire, Mapping):
            uids.add(str(wire.get(task.kind.rest.id)))
            try:
                found = ReadObject(wire, decode(task.kind, wire, task.names))
            except ReadIncomplete:
                continue  # another object: what this tool writes can be decoded
            if _is_created(task, found.object):
                matches.append(found)
    if len(matches) > 1:
        listed = ", ".join(str(found.object.uid) for found in matches)
        raise Conflict(
            f"{len(matches)} objects have the operation id of one create ({task.kind.rest.id} {listed}); "
            "resolve this by hand"
        )
    if not matches and task.hook.create_in_progress is not None:
        return _Search(None, (yield from task.hook.create_in_progress()))
    if matches or task.kind.traits.readiness is None:
        return _Search(matches[0] if matches else None)
    return _Search(None, (yield from _create_in_progress(task, uids)))


def _is_created(task: Task, live: LiveObject) -> bool:
    """Return whether our create made this: by operation id, or by unique name and whole body; never by name alone."""
    if live.operation or task.hook.stamp is not None:
        return live.operation == task.operation
    if live.name != task.address.name or live.builtin or live.owner:
        return False
    bodies = map(task.hook.initial_spec, (task.body, *task.earlier_bodies))
    return any(not changes(task.kind, body, live.spec) for body in bodies)


def _create_in_progress(task: Task, listed: set[str]) -> Flow[bool]:
    """Return whether the server is creating something that is not in the list yet."""
    return any(
        str(action.get("status")) in RUNNING
        and "create" in str(action.get("name", "")).lower()
        and object_type(action) in ("", singular(task.kind))
        and object_uid(action) not in listed
        for action in (yield from actions())
    )
