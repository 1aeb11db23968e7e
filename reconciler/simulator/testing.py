"""The simulator for tests: over TLS in a thread, or in process with a virtual clock.

with running(nodes=3, outside=1) as server:
    client = httpx.Client(base_url=server.urls[0], verify=ssl.create_default_context(cafile=str(server.ca_file)), …)
    server.faults.add("503", method="POST", path="/v1/bdbs", nth=1)
    …
    assert [entry.path for entry in server.log if entry.effect] == ["/v1/bdbs"]

For pytest there is a fixture, `running` with default or given arguments:

    from reconciler.simulator.testing import redis_enterprise  # noqa: F401, in conftest.py

    @pytest.mark.parametrize("redis_enterprise", [{"nodes": 3, "server_version": "7.22"}], indirect=True)
    def test_my_client(redis_enterprise): ...

Tests in other languages start `python -m reconciler.simulator --control 0` and use the control endpoint.
"""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from reconciler.simulator.api.messages import Json, Request, Response, encode
from reconciler.simulator.core import Core, LogEntry
from reconciler.simulator.faults.rules import Faults
from reconciler.simulator.http.server import Server
from reconciler.simulator.http.tls import HOSTS, make
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.clock import Clock
from reconciler.simulator.state.model import World

TEST_SCALE = 100.0  # two seconds of a real cluster take 20 ms


@dataclass
class Running:
    """A running server. `settings` of its `core` may be changed while it runs."""

    core: Core
    server: Server
    ca_file: Path
    control_url: str = ""  # URL of the control endpoint, "" if it is off
    peers: tuple[Running, ...] = ()  # the other clusters of the same world

    @property
    def urls(self) -> tuple[str, ...]:
        """One URL per node: the members, then the nodes outside the cluster."""
        return self.server.urls

    @property
    def username(self) -> str:
        """The admin account."""
        return self.core.settings.username

    @property
    def password(self) -> str:
        """Its password."""
        return self.core.settings.password

    @property
    def log(self) -> list[LogEntry]:
        """The request log."""
        with self.core.state.lock:
            return list(self.core.log)

    @property
    def faults(self) -> Faults:
        """The fault schedule."""
        return self.core.faults

    def authorization(self) -> str:
        """Return the value of the Authorization header of the account."""
        return basic(self.username, self.password)

    def stop(self) -> None:
        """Stop it; idempotent."""
        self.server.stop()


@dataclass
class ServerOptions:
    """Arguments of `running` in addition to the fields of `SimulatorSettings`."""

    seed: int | None = None  # makes ports, passwords and ids repeatable
    latency_ms: float = 0  # added to each response
    clock: Clock = time.time
    snapshot: Mapping[str, Json] | None = None  # the content of the first cluster
    hosts: tuple[str, ...] = HOSTS  # names in the certificate
    certificate_days: int = 365  # negative: expired already
    control: bool = False  # open the control endpoint as well
    clusters: Sequence[Mapping[str, Any]] = ()  # further clusters: the settings in which each differs from the first


_OPTIONS = frozenset(field.name for field in fields(ServerOptions))


@contextmanager
def running(**arguments: Any) -> Iterator[Running]:
    """Serve a cluster on loopback for as long as the context lasts.

    *arguments* are fields of `ServerOptions` and of `SimulatorSettings` (`nodes`, `outside`, `time_scale`, `switches`
    …). Further clusters can reach the first; `Running.peers` are their servers. They are called cluster2.local and so
    on unless they have a `cluster_name`.
    """
    options = ServerOptions(**{name: value for name, value in arguments.items() if name in _OPTIONS})
    settings = {"time_scale": TEST_SCALE, **{name: arguments[name] for name in arguments if name not in _OPTIONS}}
    world = World(options.clock)
    named = [{"cluster_name": f"cluster{place}.local", **own} for place, own in enumerate(options.clusters, 2)]
    cores = [Core(SimulatorSettings(**settings), seed=options.seed, snapshot=options.snapshot, world=world)]
    cores += [Core(SimulatorSettings(**{**settings, **own}), seed=options.seed, world=world) for own in named]
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder, ExitStack() as stack:
        files = make(Path(folder), options.hosts, days=options.certificate_days)
        servers = []
        for core in cores:
            servers.append(Server(core, files.context(), latency=options.latency_ms / 1000))
            servers[-1].start()
            stack.callback(servers[-1].stop)
        peers = tuple(Running(core, server, files.ca) for core, server in zip(cores[1:], servers[1:], strict=True))
        control_url = servers[0].control(cores) if options.control else ""
        yield Running(cores[0], servers[0], files.ca, control_url, peers)


class VirtualClock:
    """A clock that only advances by `sleep`, which returns at once."""

    def __init__(self, now: float = 1_768_467_600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance by *seconds*."""
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
    core = Core(SimulatorSettings(), clock=clock, seed=1)
    caller = Caller(core)
    caller("POST", "/v1/bdbs", {"name": "model", "memory_size": 1 << 30})
    clock.sleep(60)
    model = caller("GET", "/v1/bdbs/1", extended="true").json()
    end = model["endpoints"][0]
    made = []
    for uid in range(first, first + count):
        port = 20000 + uid  # outside the pool for new databases
        endpoint = {**end, "port": port, "uid": f"{uid}:1", "dns_name": f"redis-{port}.{core.settings.cluster_name}"}
        own = {"uid": uid, "name": f"db-{uid:05}", "endpoints": [endpoint], "shard_list": [uid]}
        made.append({**model, **own})
    return {"/v1/bdbs": made}


def __getattr__(name: str) -> Any:
    """Create the pytest fixture on import, so that the module does not require pytest."""
    if name != "redis_enterprise":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    @pytest.fixture
    def redis_enterprise(request: pytest.FixtureRequest) -> Iterator[Running]:
        """Serve a cluster over TLS for one test; an indirect parameter holds the arguments of `running`."""
        with running(**getattr(request, "param", {})) as server:
            yield server

    return globals().setdefault(name, redis_enterprise)
