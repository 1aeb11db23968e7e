"""What flows are made of: calls and pauses that they yield, the task that they work on, a look at one object."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from reconciler.errors import ReadIncomplete, ReconcilerError
from reconciler.hooks import Hook, hook_of
from reconciler.kinds import Address, Kind
from reconciler.plan import LiveObject
from reconciler.rest import Answer, Body, Call, Names, Uid, decode

T = TypeVar("T")

SOON = 0.02  # seconds; between the first two looks at what was just written: a fast server is not waited for
FIRST_LOOK = 0.05
SLOWEST = 15.0
WAIT_SECONDS = 60.0  # for kinds that name no deadline of their own
SENDS = 4  # of one write whose answer gets lost again and again

_UID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


class Wait(NamedTuple):
    """A pause of *least* to *most* seconds; it is answered with `Passed`."""

    least: float
    most: float
    why: str = ""  # for people who watch: "active-change-pending, 40 %"


class Passed(NamedTuple):
    """What time it is after a pause, and how long that was."""

    now: float
    slept: float


class Found(NamedTuple):
    """An object as it was just read: the whole of it, and what we understand of it."""

    wire: Mapping[str, Any]
    object: LiveObject


class Ended(NamedTuple):
    """What a flow came to. A problem beside an object: the write took effect, and yet something is wrong."""

    found: Found | None
    problem: ReconcilerError | None = None


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
    extended: bool = False  # some field in question is only read back with ?extended=true
    earlier: Sequence[Mapping[str, Any]] = ()  # bodies that a create of the same operation has sent before
    accepted: bool = False  # a write was answered with success
    unclear: bool = False  # a write was sent, and nobody knows

    @property
    def hook(self) -> Hook:
        return hook_of(self.kind)

    def path(self, uid: Uid) -> str:
        """Return where one object is read."""
        if not _UID.fullmatch(str(uid)):
            raise ReadIncomplete(f"{self.address} has an unusable {self.kind.id}: {uid!r:.80}")
        return f"{self.kind.path}/{uid}{'?extended=true' if self.extended else ''}"

    def seconds(self) -> float:
        """Return how long the server may work on one write."""
        return float((self.kind.wait or {}).get("seconds", WAIT_SECONDS))


@dataclass(slots=True)
class Pace:
    """Pauses between looks: short at first, then spread and longer."""

    previous: float = FIRST_LOOK
    first: bool = True

    def next(self, why: str) -> Wait:
        if self.first:
            self.first = False
            return Wait(self.previous, self.previous, why)
        return Wait(min(0.5, self.previous), min(SLOWEST, 3.0 * self.previous), why)


Flow = Generator[Call | Wait, Any, T]


def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Flow[Answer]:
    answer: Answer = yield Call(method, path, None if body is None else Body(body))
    return answer


def clock_time() -> Flow[float]:
    passed: Passed = yield Wait(0.0, 0.0)
    return passed.now


def pause(pace: Pace, why: str) -> Flow[float]:
    passed: Passed = yield pace.next(why)
    pace.previous = max(passed.slept, FIRST_LOOK)
    return passed.now


def look(task: Task, uid: Uid) -> Flow[Found | None]:
    """Read one object; None where there is none."""
    answer = yield from ask("GET", task.path(uid))
    if answer.status == 404:
        return None
    if not isinstance(answer.body, Mapping):
        raise ReadIncomplete(f"reading {task.address} gave no object")
    return Found(answer.body, decode(task.kind, answer.body, task.names))


def running_action(found: Found) -> str:
    """Return the action that works on an object now; a GET names it only while it runs."""
    action = found.wire.get("action_uid")
    return action if isinstance(action, str) else ""
