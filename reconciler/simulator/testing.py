"""A simulator for tests: over real TLS from a thread, or in process with a clock that the test turns.

with running(nodes=3, outside=1) as server:
    client = httpx.Client(base_url=server.urls[0], verify=ssl.create_default_context(cafile=str(server.ca_file)), …)
    server.faults.add("503", method="POST", path="/v1/bdbs", nth=1)
    …
    assert [entry.path for entry in server.log if entry.effect] == ["/v1/bdbs"]

For pytest there is a fixture, which is `running` with one node, or with what a test asks for:

    from reconciler.simulator.testing import redis_enterprise  # noqa: F401, in conftest.py

    @pytest.mark.parametrize("redis_enterprise", [{"nodes": 3, "server_version": "7.22"}], indirect=True)
    def test_my_client(redis_enterprise): ...

Programs in other languages start `python -m reconciler.simulator --control 0` and use its control endpoint.
"""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .core import Core, Entry
from .faults import Faults
from .messages import Json, Request, Response, encode
from .server import Server
from .settings import Settings
from .timeline import Clock
from .tls import HOSTS, make

TEST_SCALE = 100.0  # two seconds of the real thing take 20 ms


@dataclass
class Running:
    """A server that answers. `core` is its inside; `settings` of the core may be changed while it runs."""

    core: Core
    server: Server
    ca_file: Path
    control_url: str = ""  # where the control endpoint is, "" unless it was asked for

    @property
    def urls(self) -> tuple[str, ...]:
        """One URL a node: the members, then the nodes outside the cluster."""
        return self.server.urls

    @property
    def username(self) -> str:
        """The account that may do everything."""
        return self.core.settings.username

    @property
    def password(self) -> str:
        """Its password."""
        return self.core.settings.password

    @property
    def log(self) -> list[Entry]:
        """All calls so far."""
        with self.core.state.lock:
            return list(self.core.log)

    @property
    def faults(self) -> Faults:
        """The faults to come."""
        return self.core.faults

    def authorization(self) -> str:
        """Return the value of the Authorization header of the account."""
        return basic(self.username, self.password)

    def stop(self) -> None:
        """Stop it; harmless when it is stopped already."""
        self.server.stop()


@contextmanager
def running(
    *,
    seed: int | None = None,
    latency_ms: float = 0,
    clock: Clock = time.time,
    snapshot: Mapping[str, Json] | None = None,
    hosts: tuple[str, ...] = HOSTS,
    certificate_days: int = 365,
    control: bool = False,
    **settings: Any,
) -> Iterator[Running]:
    """Serve a cluster on loopback for as long as the context lasts.

    *settings* are fields of `Settings` (`nodes`, `outside`, `username`, `password`, `time_scale`, `switches` …).
    *hosts* and *certificate_days* are for certificates with the wrong name or past their time.
    *control* opens the control endpoint as well.
    """
    settings.setdefault("time_scale", TEST_SCALE)
    core = Core(Settings(**settings), clock=clock, seed=seed, snapshot=snapshot)
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        files = make(Path(folder), hosts, days=certificate_days)
        server = Server(core, files.context(), latency=latency_ms / 1000)
        server.start()
        try:
            yield Running(core, server, files.ca, server.control([core]) if control else "")
        finally:
            server.stop()


class VirtualClock:
    """A clock that stands still until it is told to go on; `sleep` goes on at once, for code that waits."""

    def __init__(self, now: float = 1_768_467_600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Go on by *seconds*."""
        self.now += seconds


def basic(username: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Caller:
    """Calls a core in process as its account: `caller("GET", "/v1/bdbs", fields="uid,name").json()`."""

    def __init__(self, core: Core, node: int = 1) -> None:
        self.core = core
        self.node = node
        self.headers = {"content-type": "application/json"}
        self.headers["authorization"] = basic(core.settings.username, core.settings.password)

    def __call__(self, method: str, path: str, body: Json = None, **query: str) -> Response:
        data = encode(body).encode() if body is not None else b""
        return self.core.handle(Request(method, path, query, self.headers, data, self.node))


def databases(count: int, *, first: int = 1) -> dict[str, list[Json]]:
    """Return a snapshot with *count* complete, active databases, named `db-00001` and so on."""
    clock = VirtualClock()
    core = Core(Settings(), clock=clock, seed=1)
    caller = Caller(core)
    caller("POST", "/v1/bdbs", {"name": "model", "memory_size": 1 << 30})
    clock.sleep(60)
    model = caller("GET", "/v1/bdbs/1", extended="true").json()
    end = model["endpoints"][0]
    made = []
    for uid in range(first, first + count):
        port = 20000 + uid  # outside of the pool that new databases take theirs from
        endpoint = {**end, "port": port, "uid": f"{uid}:1", "dns_name": f"redis-{port}.{core.settings.cluster_name}"}
        own = {"uid": uid, "name": f"db-{uid:05}", "endpoints": [endpoint], "shard_list": [uid]}
        made.append({**model, **own})
    return {"/v1/bdbs": made}


def __getattr__(name: str) -> Any:
    """Make the pytest fixture, so that pytest is needed only by those who import it."""
    if name != "redis_enterprise":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    @pytest.fixture
    def redis_enterprise(request: pytest.FixtureRequest) -> Iterator[Running]:
        """Serve a cluster over TLS for one test; an indirect parameter holds the arguments of `running`."""
        with running(**getattr(request, "param", {})) as server:
            yield server

    return globals().setdefault(name, redis_enterprise)
