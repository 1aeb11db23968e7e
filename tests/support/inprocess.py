"""The simulator behind httpx without a socket: schedules of faults run in virtual time, in one process.

world = World(nodes=3, outside=1)
client = world.client()
world.faults.add("503", method="GET", path="/v1/bdbs", times=2)
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from reconciler.client import Client, ClientOptions
from reconciler.runtime import Runtime
from reconciler.simulator.api.messages import Request, Response
from reconciler.simulator.core import Core, LogEntry
from reconciler.simulator.faults.rules import Faults
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.model import World as Around
from reconciler.simulator.testing import VirtualClock
from reconciler.telemetry import Event

PIECES = 20  # in how many pieces a dripping answer comes


class _Half(httpx.SyncByteStream):
    """The first half of a body, then the end of the connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.RemoteProtocolError("the peer closed the connection before the end of the body")


class InProcess(httpx.BaseTransport):
    """Hands requests to a core; what a fault does to the connection becomes what httpx raises for it."""

    def __init__(self, core: Core, clock: VirtualClock, seconds: float = 0.01) -> None:
        self._core = core
        self._clock = clock
        self._seconds = seconds
        self._nodes = {url: uid for uid, url in core.urls.items()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        node = self._nodes.get(f"https://{request.url.host}:{request.url.port or 443}")
        if node is None:
            raise httpx.ConnectError("no route", request=request)
        self._clock.sleep(self._seconds)
        answer = self._core.exchange(
            Request(
                request.method,
                request.url.path,
                dict(request.url.params),
                {name.lower(): value for name, value in request.headers.items()},
                request.read(),
                node,
            )
        )
        self._spoil(request, answer)
        stream = _Half(answer.body) if answer.wire.cut == "truncate" else httpx.ByteStream(answer.body)
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=stream)

    def _spoil(self, request: httpx.Request, answer: Response) -> None:
        wire, timeouts = answer.wire, request.extensions["timeout"]
        if wire.cut == "refuse":
            raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError(111, "Connection refused")
        if wire.cut in ("drop", "reset"):
            raise httpx.ReadError("reset", request=request) from ConnectionResetError(104, "Connection reset by peer")
        if wire.delay > timeouts["read"]:
            self._clock.sleep(timeouts["read"])
            raise httpx.ReadTimeout("no response in time", request=request)
        if wire.drip * PIECES > timeouts["pool"]:  # the pool's time is the total of the attempt
            self._clock.sleep(timeouts["pool"])
            raise httpx.ReadTimeout("the deadline of the attempt was exceeded", request=request)
        self._clock.sleep(wire.delay + wire.drip * PIECES)


class Moving(InProcess):
    """The nodes behind a port that may change: by hand, or by a write of it, whose answer then gets lost."""

    port = 9443

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.port != self.port:
            raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError(111, "Connection refused")
        request.url = request.url.copy_with(port=9443)
        answer = super().handle_request(request)
        if request.method == "PUT" and request.url.path == "/v1/cluster" and answer.status_code == 200:
            self.port = json.loads(request.content)["cnm_https_port"]
            raise httpx.ReadError("reset", request=request) from ConnectionResetError(104, "Connection reset by peer")
        return answer


@dataclass(frozen=True)
class Plain:
    """A made-up secret; shows itself to nobody by accident."""

    value: str = field(repr=False)

    def reveal(self) -> str:
        return self.value


@dataclass(frozen=True)
class Where:
    """A target without a project file."""

    urls: tuple[str, ...]
    name: str = "dc1"
    ca_cert: Path | None = None
    pin: str | None = None
    insecure: bool = False


class World:
    """One simulated cluster, its clock, and clients for it whose sleep turns that clock."""

    def __init__(
        self,
        *,
        seed: int = 1,
        snapshot: dict[str, Any] | None = None,
        clock: VirtualClock | None = None,
        around: Around | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.core = Core(SimulatorSettings(**settings), clock=self.clock, seed=seed, snapshot=snapshot, world=around)
        self.sleeps: list[float] = []
        self.events: list[Event] = []

    @property
    def faults(self) -> Faults:
        return self.core.faults

    @property
    def log(self) -> list[LogEntry]:
        return list(self.core.log)

    def where(self, first: int = 1) -> Where:
        """Return the nodes in order of uid, *first* before the others."""
        uids = sorted(self.core.urls, key=lambda uid: (uid != first, uid))
        return Where(tuple(self.core.urls[uid] for uid in uids))

    def sleep(self, seconds: float) -> None:
        """Note *seconds* and let them pass at once."""
        self.sleeps.append(seconds)
        self.clock.sleep(seconds)

    def client(self, *, password: str | None = None, seed: int = 1, first: int = 1, **more: Any) -> Client:
        """Return a client that reaches every node of this cluster in process; *more*: its runtime and options."""
        settings = self.core.settings
        login = (settings.username, Plain(settings.password if password is None else password))
        sleep = more.pop("sleep", self.sleep)
        runtime = Runtime(clock=self.clock, sleep=sleep, random=random.Random(seed), observe=self.events.append)
        transport = more.pop("transport", None) or InProcess(self.core, self.clock)
        return Client(self.where(first), login, runtime, ClientOptions(transport, **more))
