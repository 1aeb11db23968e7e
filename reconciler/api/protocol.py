"""The effects that a flow yields, and the responses that it is sent. Pure.

A flow is a generator without I/O. `hooks` and the other modules of `api` are flows; `driver` carries out what they
yield; `client` sends the calls. An error of a call is raised at the `yield`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

FIRST_POLL = 0.02  # seconds; between the first two reads of what was just written: a fast server is not waited for
SHORTEST_WAIT = 0.05
LONGEST_WAIT = 15.0


class Login(NamedTuple):
    """Another account than that of this run: a call with it only tries whether the login works."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"


class Call(NamedTuple):
    """One request; answered with `Response`."""

    method: str
    path: str  # with its query
    body: Any = None
    cluster: str = ""  # another cluster than that of the flow
    node: str = ""  # URL of one node; "" = any
    missing_ok: bool = True  # of a GET: 404 is a response too
    shape: type | None = None  # of a GET: a body of another type is an error
    login: Login | None = None  # of a GET: answered with 200 or 401, and neither has other consequences
    tolerant: bool = False  # of a GET: a malformed element does not invalidate the list


class Body(dict[str, Any]):
    """A request body; its `repr` is empty, since it may hold secrets in the clear."""

    def __repr__(self) -> str:
        return f"{{{len(self)} fields}}"


class Response(NamedTuple):
    """A complete 2xx response (404 too, where the caller allows it)."""

    status: int
    body: Any  # parsed JSON; None where there was none
    headers: Mapping[str, str]


class Wait(NamedTuple):
    """A wait of *least* to *most* seconds; answered with `Elapsed`."""

    least: float
    most: float
    why: str = ""  # for display: "active-change-pending, 40 %"


class Elapsed(NamedTuple):
    """The time after a wait, and how long the wait was."""

    now: float
    slept: float


class ProjectCluster(NamedTuple):
    """One cluster of the project."""

    urls: tuple[str, ...]  # of its nodes
    joins: bool  # it is part of this run, so a `Call` may go to it


class ProjectClusters(NamedTuple):
    """Asks for the clusters of the project; answered with a `ProjectCluster` for each, by name."""


class OwnClusterInfo(NamedTuple):
    """The flow's own cluster in the project file: its nodes, and the account of this run."""

    urls: tuple[str, ...]
    user: str
    password: str  # "" while a plan is made

    def __repr__(self) -> str:
        return f"OwnClusterInfo({len(self.urls)} urls)"


class OwnCluster(NamedTuple):
    """Asks for the flow's own cluster; answered with `OwnClusterInfo`."""


class ReadFile(NamedTuple):
    """Reads a file of the project; answered with its bytes."""

    path: str


class Upload(NamedTuple):
    """A request body that is a file, sent as multipart form data."""

    field: str
    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"Upload({self.name!r}, {len(self.data)} bytes)"


class Reconnect(NamedTuple):
    """Re-establishes the connections, after a write that may have locked out the management account; no answer."""

    port: int = 0  # the new port of the API; 0 = unchanged


Effect = Call | Wait | Reconnect | ProjectClusters | OwnCluster | ReadFile
Flow = Generator[Effect, Any, T]


@dataclass(slots=True)
class Backoff:
    """The waits between reads: short at first, then longer and randomised."""

    previous: float = SHORTEST_WAIT
    first: bool = True

    def next(self, why: str) -> Wait:
        """Return the next wait."""
        if self.first:
            self.first = False
            return Wait(self.previous, self.previous, why)
        return Wait(min(0.5, self.previous), min(LONGEST_WAIT, 3.0 * self.previous), why)


def request(
    method: str, path: str, body: Mapping[str, Any] | None = None, *, cluster: str = "", node: str = ""
) -> Flow[Response]:
    """Send one request; a GET of something that does not exist is answered with 404."""
    response: Response = yield Call(method, path, None if body is None else Body(body), cluster, node)
    return response


def clock_time() -> Flow[float]:
    """Return the current time."""
    elapsed: Elapsed = yield Wait(0.0, 0.0)
    return elapsed.now


def wait(backoff: Backoff, why: str) -> Flow[float]:
    """Wait a little; return the time afterwards."""
    elapsed: Elapsed = yield backoff.next(why)
    backoff.previous = max(elapsed.slept, SHORTEST_WAIT)
    return elapsed.now
