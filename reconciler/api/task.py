"""What flows work on: the task of one change, a read of its object, the result.

`apply` creates a task for each change. It must not know how an object of the kind is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from reconciler.api import read
from reconciler.api.codec import Names, Uid, decode
from reconciler.api.hooks import Hook, WriteContext, hook_of
from reconciler.api.protocol import Body, Flow
from reconciler.errors import Busy, Conflict, ReconcilerError, Rejected
from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject

WAIT_SECONDS = 60.0  # for kinds that define no timeout of their own
BUSY_SECONDS = 600.0
MAX_SENDS = 4  # of one write whose response is lost again and again
# Seconds in which a write whose response was lost may still take effect: twice the longest request.
SETTLE_WINDOW = 120.0


class ReadObject(NamedTuple):
    """An object as it was just read: the whole response, and what we decode of it."""

    wire: Mapping[str, Any]
    object: LiveObject


class FlowResult(NamedTuple):
    """The result of a flow. A problem together with an object: the write took effect, and something is wrong."""

    found: ReadObject | None
    problem: ReconcilerError | None = None


class ObjectReader(Protocol):
    """How the flows of a change read objects of its kind: see the module `read`."""

    def one(self, kind: Kind, uid: Uid, fields: frozenset[str] = ...) -> Flow[dict[str, Any] | None]: ...

    def listing(self, kind: Kind, fields: frozenset[str] | None = ...) -> Flow[list[Any]]: ...


def _unknown_address(address: Address) -> Uid:
    raise Conflict(f"it refers to {address}, which does not exist")


@dataclass(slots=True)
class Task:
    """What the flows of one change work on.

    If a flow is interrupted, *accepted* and *outcome_unknown* say what is known about its writes.
    """

    kind: Kind
    address: Address
    body: Mapping[str, Any]  # in the form of a spec
    wire: Body  # what is sent; holds secrets in the clear
    names: Names
    names_before: Names  # as they were when the plan was made
    operation: str = ""
    settle_window: float = SETTLE_WINDOW
    read_fields: frozenset[str] = frozenset()  # fields that reads must return: some need another request
    changed: Mapping[str, bool] = field(default_factory=dict)  # paths that the plan changes → whether they are new
    uid_of: Callable[[Address], Uid] = _unknown_address  # of an object that it refers to, on any cluster
    earlier_bodies: Sequence[Mapping[str, Any]] = ()  # bodies that a create of the same operation has sent before
    reader: ObjectReader = read
    accepted: bool = False  # a write was answered with success
    outcome_unknown: bool = False  # a write was sent, and its outcome is not known

    @property
    def hook(self) -> Hook:
        return hook_of(self.kind)

    def set_outcome_unknown(self, unknown: bool) -> None:
        """Record whether something was sent whose outcome is not known."""
        self.outcome_unknown = unknown

    def write_context(
        self, wire: Mapping[str, Any], uid: Uid | None = None, live: Mapping[str, Any] | None = None
    ) -> WriteContext:
        """Return what the flows of a hook get for one write."""
        return WriteContext(
            kind=self.kind,
            address=self.address,
            uid=uid,
            wire=wire,
            live=live or {},
            uid_of=self.uid_of,
            separate={name: value for name, value in self.wire.items() if name not in wire},
            changed=self.changed,
            set_outcome_unknown=self.set_outcome_unknown,
        )

    def object_body(self, *, created: bool = False) -> dict[str, Any]:
        """Return what is sent to the object itself: no sub-resource and no option."""
        separate = {name for name, one in self.hook.sub_resources.items() if one.on_create or not created}
        separate |= {name for name, field_ in self.kind.fields.items() if field_.access.option_of is not None}
        wires = {self.kind.fields[name].wire for name in separate}
        return {name: value for name, value in self.wire.items() if name not in wires}

    def seconds(self) -> float:
        """Return how long the server may take for one write."""
        readiness = self.kind.traits.readiness
        return readiness.seconds if readiness else WAIT_SECONDS


def look(task: Task, uid: Uid) -> Flow[ReadObject | None]:
    """Read one object; None where it does not exist."""
    wire = yield from task.reader.one(task.kind, uid, task.read_fields)
    return None if wire is None else ReadObject(wire, decode(task.kind, wire, task.names))


def is_busy(kind: Kind, error: Rejected) -> bool:
    """Return whether *error* only means "retry later"; for a `Busy` the client has waited already."""
    reported = {"status": error.status, "error_code": error.error_code}
    return not isinstance(error, Busy) and any(
        all(reported.get(k) == v for k, v in rule.items()) for rule in kind.rest.busy
    )


def running_action(found: ReadObject) -> str:
    """Return the action that works on an object now; a GET names it only while it runs."""
    action = found.wire.get("action_uid")
    return action if isinstance(action, str) else ""
