"""The words of flows: calls and pauses that are yielded, and the answers that come back. Pure.

A flow is a generator without I/O: it yields a `Call` or a `Wait` and is sent an `Answer` or a `Passed`; it may also ask
what is `Around`. `hooks` and `flows` are written in these words; `live` and the engine drive them; the client sends
what they ask for.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

SOON = 0.02  # seconds; between the first two looks at what was just written: a fast server is not waited for
FIRST_LOOK = 0.05
SLOWEST = 15.0


class Account(NamedTuple):
    """Who asks, where it is not the account of this run: a call as somebody else only tries whether that works."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Account(…)"


class Call(NamedTuple):
    """One request, before anything is sent."""

    method: str
    path: str  # with its query
    body: Any = None
    cluster: str = ""  # another cluster than the one that the flow is about
    node: str = ""  # URL of the one node that is meant; "" = any
    missing_ok: bool = True  # of a GET: 404 is an answer too
    shape: type | None = None  # of a GET: an answer that is none counts as broken
    login: Account | None = None  # of a GET: answered with 200 or 401, and nothing else is done about either
    tolerant: bool = False  # of a GET: an element that makes no sense does not spoil the rest


class Body(dict[str, Any]):
    """A request body: it may hold secrets in the clear, so it shows nothing of itself."""

    def __repr__(self) -> str:
        return f"{{{len(self)} fields}}"


class Answer(NamedTuple):
    """A clean 2xx answer (404 too, where the caller asked for it)."""

    status: int
    body: Any  # parsed JSON; None where there was none
    headers: Mapping[str, str]


class Wait(NamedTuple):
    """A pause of *least* to *most* seconds; it is answered with `Passed`."""

    least: float
    most: float
    why: str = ""  # for people who watch: "active-change-pending, 40 %"


class Passed(NamedTuple):
    """What time it is after a pause, and how long that was."""

    now: float
    slept: float


class Neighbour(NamedTuple):
    """One cluster of the project, as another one sees it."""

    urls: tuple[str, ...]  # of its nodes
    joins: bool  # it takes part in this run, so a `Call` may go to it


class Home(NamedTuple):
    """Our own cluster, as the project file has it: where its machines are, and the account that we log in with."""

    urls: tuple[str, ...]
    user: str
    password: str  # "" while a plan is made

    def __repr__(self) -> str:
        return f"Home({len(self.urls)} urls)"


class Here(NamedTuple):
    """A question, what our own cluster is; it is answered with `Home`."""


class Load(NamedTuple):
    """A file to be read, beside the project file; it is answered with its bytes."""

    path: str


class Upload(NamedTuple):
    """A request body that is a file, sent as multipart form data."""

    field: str
    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"Upload({self.name!r}, {len(self.data)} bytes)"


class Around(NamedTuple):
    """A question, which clusters the project has; it is answered with a `Neighbour` for each, by name."""


class Reconnect(NamedTuple):
    """Come in anew, over new connections, after a write that may have shut us out; answered with nothing."""

    port: int = 0  # where the API is from now on; 0 = where it was


Step = Call | Wait | Reconnect | Around | Here | Load
Flow = Generator[Step, Any, T]


@dataclass(slots=True)
class Pace:
    """Pauses between looks: short at first, then spread and longer."""

    previous: float = FIRST_LOOK
    first: bool = True

    def next(self, why: str) -> Wait:
        """Return the next pause."""
        if self.first:
            self.first = False
            return Wait(self.previous, self.previous, why)
        return Wait(min(0.5, self.previous), min(SLOWEST, 3.0 * self.previous), why)


def ask(
    method: str, path: str, body: Mapping[str, Any] | None = None, *, cluster: str = "", node: str = ""
) -> Flow[Answer]:
    """Send one request; a GET of what is not there is answered with 404."""
    answer: Answer = yield Call(method, path, None if body is None else Body(body), cluster, node)
    return answer


def clock_time() -> Flow[float]:
    """Return what time it is."""
    passed: Passed = yield Wait(0.0, 0.0)
    return passed.now


def pause(pace: Pace, why: str) -> Flow[float]:
    """Let some time pass; return what time it is then."""
    passed: Passed = yield pace.next(why)
    pace.previous = max(passed.slept, FIRST_LOOK)
    return passed.now
