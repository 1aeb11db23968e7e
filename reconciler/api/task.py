"""What flows work on: the task of one change, a look at its object, what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.api.codec import Names, Uid, decode
from reconciler.api.hooks import Hook, Writing, hook_of
from reconciler.api.protocol import Body, Flow
from reconciler.api.read import one
from reconciler.errors import Busy, Conflict, ReconcilerError, Rejected
from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject

WAIT_SECONDS = 60.0  # for kinds that name no deadline of their own
BUSY_SECONDS = 600.0
SENDS = 4  # of one write whose answer gets lost again and again


class Found(NamedTuple):
    """An object as it was just read: the whole of it, and what we understand of it."""

    wire: Mapping[str, Any]
    object: LiveObject


class Ended(NamedTuple):
    """What a flow came to. A problem beside an object: the write took effect, and yet something is wrong."""

    found: Found | None
    problem: ReconcilerError | None = None


def _nowhere(address: Address) -> Uid:
    raise Conflict(f"it refers to {address}, and nobody knows where that is")


@dataclass(slots=True)
class Task:
    """What the flows of one change work on; *accepted* and *unclear* tell what is known if a flow is cut short."""

    kind: Kind
    address: Address
    body: Mapping[str, Any]  # spec form
    wire: Body  # what is sent; holds secrets in the clear
    names: Names
    names_before: Names  # as they were when the plan was made
    operation: str = ""
    window: float = 120.0  # an effect may come as late as this after a lost answer
    asked: frozenset[str] = frozenset()  # fields that matter: some are read in another way
    changed: Mapping[str, bool] = field(default_factory=dict)  # paths that the plan changes → whether they are new
    uid_of: Callable[[Address], Uid] = _nowhere  # of what it refers to, on any cluster
    earlier: Sequence[Mapping[str, Any]] = ()  # bodies that a create of the same operation has sent before
    accepted: bool = False  # a write was answered with success
    unclear: bool = False  # a write was sent, and nobody knows

    @property
    def hook(self) -> Hook:
        return hook_of(self.kind)

    def doubt(self, unclear: bool) -> None:
        """Note whether something was sent and nobody knows what it came to."""
        self.unclear = unclear

    def writing(
        self, wire: Mapping[str, Any], uid: Uid | None = None, live: Mapping[str, Any] | None = None
    ) -> Writing:
        """Return what a hook gets to see of one write."""
        beside = {name: value for name, value in self.wire.items() if name not in wire}
        about = (self.uid_of, self.operation, beside, self.changed, self.doubt)
        return Writing(self.kind, self.address, uid, wire, live or {}, *about)

    def plain(self, *, created: bool = False) -> dict[str, Any]:
        """Return what is sent to the object itself: nothing that goes through a door, and no option."""
        doors = {name for name, door in self.hook.doors.items() if door.on_create or not created}
        apart = doors | {name for name, field_ in self.kind.fields.items() if field_.access.option_of is not None}
        wires = {self.kind.fields[name].wire for name in apart}
        return {name: value for name, value in self.wire.items() if name not in wires}

    def seconds(self) -> float:
        """Return how long the server may work on one write."""
        readiness = self.kind.traits.readiness
        return readiness.seconds if readiness else WAIT_SECONDS


def look(task: Task, uid: Uid) -> Flow[Found | None]:
    """Read one object; None where there is none."""
    wire = yield from one(task.kind, uid, task.asked)
    return None if wire is None else Found(wire, decode(task.kind, wire, task.names))


def is_busy(kind: Kind, error: Rejected) -> bool:
    """Tell whether *error* only means "later"; the client has waited already where it is a Busy."""
    said = {"status": error.status, "error_code": error.error_code}
    return not isinstance(error, Busy) and any(
        all(said.get(k) == v for k, v in rule.items()) for rule in kind.rest.busy
    )


def running_action(found: Found) -> str:
    """Return the action that works on an object now; a GET names it only while it runs."""
    action = found.wire.get("action_uid")
    return action if isinstance(action, str) else ""
