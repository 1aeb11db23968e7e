"""Simulated clusters, a ledger and the engine in one process and in virtual time: one or several clusters.

simulation = Simulation(tmp_path / "state")  # one cluster, called dc1
simulation.cluster.faults.add("lost", method="POST", path="/v1/bdbs$")
assert simulation.converge([declared("Role", "app", {"management": "none"})]).complete
assert [entry.path for entry in simulation.writes] == ["/v1/roles"]

With several clusters, `cluster`, `client`, `sent` and `writes` are those of the first; `clusters` and `clients` have
all of them by name. Tests of the engine and the `Fleet` of the agent use it; it must not know the agent.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from reconciler import live as live_state
from reconciler.api.driver import Connections
from reconciler.api.protocol import ProjectCluster
from reconciler.apply import ExecutionContext, execute, recover, unfinished
from reconciler.apply.report import Report
from reconciler.client import Client
from reconciler.ledger import Ledger
from reconciler.manifests import Resource
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan import Options, Plan
from reconciler.plan.copies import with_copies
from reconciler.plan.read_set import ReadSet
from reconciler.plan.secret_status import secret_statuses
from reconciler.render.reasons import note_text
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.core import LogEntry
from reconciler.simulator.state.model import World
from reconciler.simulator.testing import Caller, VirtualClock
from reconciler.telemetry import Event
from tests.support.cluster import SimulatedCluster
from tests.support.planning import make_plan
from tests.support.resources import KINDS

CANARY = "canary-5Yq8vTz2-password"
NAMES = {"dc1": "a.example.com", "dc2": "b.example.com", "dc3": "c.example.com"}  # of clusters that reach each other


def several(name: str) -> dict[str, Any]:
    """Return the settings that distinguish one of several clusters from the others."""
    domain = NAMES.get(name, f"{name}.example.com")
    return {"cluster_name": domain, "username": f"admin@{domain}", "password": f"secret-{name}"}


class Simulation:
    """Everything that one scenario needs. *folder*: of the ledger; *settings*: of each cluster."""

    def __init__(self, folder: Path, clusters: Sequence[str] = ("dc1",), **settings: Any) -> None:
        self.clock = VirtualClock()
        world = World(self.clock)
        own = {name: several(name) if len(clusters) > 1 else {} for name in clusters}
        self.clusters = {
            name: SimulatedCluster(name, world=world, **{"nodes": 3, **own[name], **settings}) for name in clusters
        }
        self.run = list(clusters)  # the clusters that are part of the run
        self.clients: dict[str, Client] = self.connect()
        self.folder = folder
        self.random = random.Random(7)
        self.events: list[Event] = []
        self.stop = threading.Event()
        self.passwords: dict[str, str] = {}  # secrets by their names, where they are not as usual
        self.logins = {f"{name.upper()}_PASSWORD": each["password"] for name, each in own.items() if each}
        self._ledger: Ledger | None = None

    # --- the process ------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened when it is first used."""
        if self._ledger is None:
            self._ledger = Ledger.open(self.folder, now=self.clock, random_bytes=self.random.randbytes)
        return self._ledger

    def connect(self) -> dict[str, Client]:
        return {name: cluster.client() for name, cluster in self.clusters.items()}

    def kill(self) -> None:
        """Let go of the ledger, as a process that ends without any clean-up."""
        if self._ledger is not None:
            self._ledger.disconnect()
        self._ledger = None

    def reopen(self) -> None:
        """Do what a new process does: a new ledger, new clients."""
        self.kill()
        self.clients = self.connect()
        self.stop = threading.Event()

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        (name,) = value_from.values()
        return Secret({**self.logins, **self.passwords}.get(name, f"{CANARY}-{name}"))

    @property
    def project_clusters(self) -> dict[str, ProjectCluster]:
        return {
            name: ProjectCluster(tuple(cluster.core.urls.values()), name in self.run)
            for name, cluster in self.clusters.items()
        }

    # --- the pipeline -----------------------------------------------------------------------------------------------

    def read(self) -> dict[str, LiveState]:
        """Read every cluster of the run whole, one request after the other: the same order each time."""
        connections = Connections({name: self.clients[name] for name in self.run}, self.project_clusters)
        read_set = ReadSet(dict.fromkeys(KINDS), ports=(Address("", "Database", ""),))
        with mock.patch.object(live_state, "_PARALLEL", 1):
            return {name: live_state.read(self.clients[name], KINDS, read_set, name, connections) for name in self.run}

    def live(self, cluster: str = "") -> LiveState:
        """Read all, and return the state of *cluster*, the first one by default."""
        return self.read()[cluster or self.run[0]]

    def plan(self, resources: Sequence[Resource], live: Mapping[str, LiveState] | None = None, **options: Any) -> Plan:
        """Plan for *live*, which is read if it is not given; *options* are those of the plan."""
        owned = {address: mine for name in self.run for address, mine in self.ledger.owned(name).items()}
        replaced = {a: one for name in self.run for a, one in unfinished(self.ledger, name, "replace").items()}
        created = {a: one for name in self.run for a, one in unfinished(self.ledger, name, "create").items()}
        started = {a: one.body["port"] for a, one in {**replaced, **created}.items() if "port" in one.body}
        live = live or self.read()
        return make_plan(
            KINDS,
            resources,
            live,
            owned,
            Options(**options),
            self.secrets(with_copies(KINDS, resources, live)),
            started_ports=started,
            unfinished_replacements=frozenset(replaced),
        )

    def secrets(self, resources: Sequence[Resource]) -> dict[tuple[Address, str], str]:
        return secret_statuses(KINDS, resources, self.reveal, self.ledger)

    def apply(self, plan: Plan, *, parallelism: int = 1, **more: Any) -> Report:
        """Execute *plan*; *more* are fields of `ExecutionContext`, where `clients` are added, and of `Runtime`."""
        runtime = {"sleep": self.cluster.sleep, "observe": self.events.append, "stop": self.stop}
        runtime |= {name: more.pop(name) for name in runtime.keys() & more.keys()}
        clients = {name: self.clients[name] for name in self.run} | more.pop("clients", {})
        context = ExecutionContext(
            KINDS,
            clients,
            reveal=self.reveal,
            runtime=Runtime(
                clock=self.cluster.clock,
                now=self.cluster.clock,
                random=random.Random(11),
                new_id=lambda: self.random.randbytes(16).hex(),
                **runtime,
            ),
            project_clusters=self.project_clusters,
            **{"ledger": self.ledger, **more},
        )
        return execute(plan, context, parallelism=parallelism)

    def recover(self, live: Mapping[str, LiveState]) -> None:
        """Finish what an earlier run left open."""
        for state in live.values():
            recover(self.ledger, KINDS, state)

    def converge(self, resources: Sequence[Resource], **more: Any) -> Report:
        """Do one whole run: read, recover, plan once nothing is in progress any more, apply."""
        live = self.read()
        self.recover(live)
        plan = self.plan(resources, live)
        for _ in range(60 if plan.in_progress else 0):
            self.cluster.clock.sleep(10)
            live = self.read()
            plan = self.plan(resources, live)
            if not plan.in_progress:
                break
        return self.apply(plan, live=live, **more)

    def assert_converges(self, resources: Sequence[Resource]) -> None:
        """Converge, and show that nothing is left to do."""
        report = self.converge(resources)
        assert [outcome.why for outcome in report.outcomes if outcome.why] == []
        plan = self.plan(resources)
        assert (plan.changes, [note_text(note) for note in plan.notes]) == ((), [])

    # --- the clusters -----------------------------------------------------------------------------------------------

    @property
    def cluster(self) -> SimulatedCluster:
        """The first cluster."""
        return next(iter(self.clusters.values()))

    @property
    def client(self) -> Client:
        """The client of the first cluster."""
        return self.clients[self.run[0]]

    @client.setter
    def client(self, client: Client) -> None:
        self.clients[self.run[0]] = client

    @property
    def writes(self) -> list[LogEntry]:
        """The calls that changed what the first cluster holds."""
        return [entry for entry in self.cluster.log if entry.effect]

    @property
    def sent(self) -> list[LogEntry]:
        """The writes that reached the first cluster, whatever became of them."""
        return [entry for entry in self.cluster.log if entry.method != "GET"]

    def call(self, method: str, path: str, body: Any = None, *, cluster: str = "") -> Any:
        """Call a cluster, the first by default, as another client of it."""
        return Caller((self.clusters[cluster] if cluster else self.cluster).core)(method, path, body)

    def wire(self, kind: str, name: str) -> dict[str, Any]:
        """Return one object as the API gives it."""
        found = [one for one in self.call("GET", KINDS[kind].rest.path).json() if one["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} called {name}"
        return dict(found[0])

    def object(self, kind: str, name: str) -> LiveObject:
        """Return one object as it is read."""
        return next(one for one in self.live().objects[kind] if one.name == name)
