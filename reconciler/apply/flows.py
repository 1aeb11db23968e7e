"""The flow of one change: `execute_change` drives it, and `explain` records its calls.

It must not know where names, uids and secrets come from, nor what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.api.codec import Ids, Names, Reveal, Uid, encode
from reconciler.api.create import create
from reconciler.api.delete import delete
from reconciler.api.hooks import hook_of
from reconciler.api.precondition import Precondition
from reconciler.api.protocol import Body, Flow
from reconciler.api.reconnect import with_access_check
from reconciler.api.task import FlowResult, Task
from reconciler.api.update import update
from reconciler.kinds import MISSING, Kind
from reconciler.model import Address
from reconciler.plan import Action, Change


@dataclass(frozen=True, slots=True)
class References:
    """Where a flow finds what a change refers to."""

    kinds: Mapping[str, Kind]
    names: Names
    names_before: Names  # before this run renamed anything: a plan uses these names
    uid: Ids  # on the cluster of the change
    uid_of: Callable[[Address], Uid]  # on any cluster
    reveal: Reveal


def task_of(change: Change, references: References, action: Action, operation: str) -> Task:
    """Return the task of *change*; *action* is CREATE, UPDATE or DELETE, since a replacement is two of them.

    Looks up the secrets of the change. Raises Conflict for a reference to an object that does not exist.
    """
    kind, address = references.kinds[change.address.kind], change.address
    wire = Body()
    if action is not Action.DELETE:
        wire = encode(kind, change.body, references.uid, references.reveal)
    if action is Action.CREATE:
        if not kind.singleton:
            wire.setdefault(kind.rest.key[0], address.name)
        stamp = hook_of(kind).stamp
        if stamp is not None:
            wire = Body(stamp(wire, operation))
    elif action is Action.UPDATE and change.renamed_from:
        wire[kind.rest.key[0]] = address.name
    return Task(
        kind=kind,
        address=address,
        body={} if action is Action.DELETE else change.body,
        wire=wire,
        names=references.names,
        names_before=references.names_before,
        operation=operation,
        read_fields=frozenset({*change.body, *(change.rests_on or ())}),
        changed={one.path: one.before is MISSING for one in change.fields},
        uid_of=references.uid_of,
    )


def create_flow(change: Change, task: Task, *, sent_before: bool = False) -> Flow[FlowResult]:
    """Return the flow that creates the object.

    *sent_before*: an earlier run may have sent it without learning the outcome.
    """
    return _checked(change, task, create(task, sent_before=sent_before))


def update_flow(change: Change, task: Task, expected: Precondition) -> Flow[FlowResult]:
    """Return the flow that updates the object."""
    return _checked(change, task, update(task, expected))


def delete_flow(change: Change, task: Task, expected: Precondition) -> Flow[FlowResult]:
    """Return the flow that deletes the object, whatever its status."""
    return _checked(change, task, delete(task, expected._replace(allow_failed=True)))


def _checked(change: Change, task: Task, flow: Flow[FlowResult]) -> Flow[FlowResult]:
    return with_access_check(task, flow) if change.may_lock_out else flow
