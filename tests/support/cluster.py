"""One simulated cluster in this process, and clients for it whose sleep advances its virtual clock.

cluster = SimulatedCluster(nodes=3, outside=1)
client = cluster.client()
cluster.faults.add("503", method="GET", path="/v1/bdbs", times=2)

Tests of the client use it alone; `simulation` combines several with a ledger. It must not know ledgers and plans.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.client import Client, ClientOptions
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.core import Core, LogEntry
from reconciler.simulator.faults.rules import Faults
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.model import World
from reconciler.simulator.testing import VirtualClock
from reconciler.telemetry import Event
from tests.support.inprocess import InProcess


@dataclass(frozen=True)
class Endpoints:
    """What a client has to know of a cluster, without a project file."""

    urls: tuple[str, ...]
    name: str = "dc1"
    ca_cert: Path | None = None
    pin: str | None = None
    insecure: bool = False
    login: str = "basic"
    client_cert: Path | None = None
    client_key: Path | None = None


class SimulatedCluster:
    """A core with its clock; *world*: that of other clusters, which it can reach then."""

    def __init__(
        self,
        name: str = "dc1",
        *,
        seed: int = 1,
        snapshot: dict[str, Any] | None = None,
        world: World | None = None,
        **settings: Any,
    ) -> None:
        self.name = name
        self.clock = world.time.clock if world else VirtualClock()
        self.core = Core(SimulatorSettings(**settings), clock=self.clock, seed=seed, snapshot=snapshot, world=world)
        self.sleeps: list[float] = []
        self.events: list[Event] = []

    @property
    def faults(self) -> Faults:
        return self.core.faults

    @property
    def log(self) -> list[LogEntry]:
        return list(self.core.log)

    @property
    def sent(self) -> list[LogEntry]:
        """The writes that reached it, whatever became of them."""
        return [entry for entry in self.log if entry.method != "GET"]

    def endpoints(self, first: int = 1) -> Endpoints:
        """Return the nodes in order of uid, *first* before the others."""
        uids = sorted(self.core.urls, key=lambda uid: (uid != first, uid))
        return Endpoints(tuple(self.core.urls[uid] for uid in uids), self.name)

    def sleep(self, seconds: float) -> None:
        """Note *seconds* and let them pass at once."""
        self.sleeps.append(seconds)
        self.clock.sleep(seconds)

    def client(self, *, password: str | None = None, seed: int = 1, first: int = 1, **more: Any) -> Client:
        """Return a client that reaches every node of this cluster in process; *more*: its runtime and options."""
        settings = self.core.settings
        login = (settings.username, Secret(settings.password if password is None else password))
        sleep = more.pop("sleep", self.sleep)
        now = more.pop("now", self.clock)
        runtime = Runtime(self.clock, now, sleep, random.Random(seed), observe=self.events.append)
        transport = more.pop("transport", None) or InProcess(self.core, self.clock)
        return Client(self.endpoints(first), login, runtime, ClientOptions(transport, **more))
