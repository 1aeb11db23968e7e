"""Several simulated clusters that can meet, a ledger and the engine, in one process and in virtual time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.api.driver import Connections
from reconciler.api.protocol import ProjectCluster
from reconciler.apply import ExecutionContext, execute, recover
from reconciler.apply.report import Report
from reconciler.client import Client, ClientOptions
from reconciler.diff.normalize import canonical
from reconciler.kinds import load_kinds
from reconciler.ledger import Ledger
from reconciler.ledger.secret_status import secret_statuses
from reconciler.live import read
from reconciler.manifests import Resource
from reconciler.model import Address, LiveState
from reconciler.plan import Options, Plan
from reconciler.plan.read_set import ReadSet
from reconciler.render.reasons import note_text
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.core import Core, LogEntry
from reconciler.simulator.databases import links
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.model import World
from reconciler.simulator.testing import Caller, VirtualClock
from reconciler.yaml12 import Place
from tests.engine.rig import runtime_of
from tests.support.inprocess import InProcess, Plain, Where
from tests.support.planning import make_plan

KINDS = load_kinds()
NAMES = {"dc1": "a.example.com", "dc2": "b.example.com", "dc3": "c.example.com"}
CARTS = Address("dc1", "ActiveActiveDatabase", "carts")
GIB = 1 << 30


def declared(kind: str, name: str, spec: Mapping[str, Any], *, cluster: str = "dc1", **more: Any) -> Resource:
    """Return a resource as the manifests give it."""
    rest: dict[str, Any] = {"absent": False, "protect": None, "renamed_from": None, "ignore": (), "labels": {}}
    place = Place("carts.yaml", 1, 1)
    return Resource(
        Address(cluster, kind, name), canonical(KINDS[kind], spec), place=lambda path: place, **{**rest, **more}
    )


def instance(cluster: str, **fields: Any) -> dict[str, Any]:
    password = {"valueFrom": {"env": f"{cluster.upper()}_PASSWORD"}}
    return {"cluster": cluster, "credentials": {"username": f"admin@{NAMES[cluster]}", "password": password}, **fields}


def carts(
    *instances: Any, home: str = "dc1", name: str = "carts", config: Mapping[str, Any] | None = None, **spec: Any
) -> Resource:
    """Return an Active-Active database on *instances*: names of clusters, or what a manifest says of them."""
    items = [instance(one) if isinstance(one, str) else one for one in instances]
    wanted = {"default_db_config": {"memory_size": GIB, **(config or {})}, "instances": items, **spec}
    assert KINDS["ActiveActiveDatabase"].validator.findings(wanted) == []
    return declared("ActiveActiveDatabase", name, wanted, cluster=home)


class Rig:
    """Everything that one scenario needs."""

    def __init__(self, folder: Path, clusters: Sequence[str] = ("dc1", "dc2", "dc3"), **settings: Any) -> None:
        self.clock = VirtualClock()
        world = World(self.clock)
        self.cores = {
            name: Core(
                SimulatorSettings(
                    cluster_name=NAMES[name], username=f"admin@{NAMES[name]}", password=f"secret-{name}", **settings
                ),
                seed=3,
                world=world,
            )
            for name in clusters
        }
        self.folder = folder
        self.random = random.Random(7)
        self.passwords: dict[str, str] = {}
        self.run = list(clusters)  # the clusters that take part
        self.ledger = self.open_ledger()
        self.clients = self.connect()
        self.waited: list[str] = []

    def open_ledger(self) -> Ledger:
        return Ledger.open(self.folder, now=self.clock, random_bytes=self.random.randbytes)

    def connect(self) -> dict[str, Client]:
        return {name: self.client(name) for name in self.cores}

    def client(self, name: str) -> Client:
        core = self.cores[name]
        runtime = Runtime(clock=self.clock, sleep=self.clock.sleep, random=random.Random(1))
        login = (core.settings.username, Plain(core.settings.password))
        where = Where(tuple(core.urls.values()), name=name)
        return Client(where, login, runtime, ClientOptions(transport=InProcess(core, self.clock)))

    def reopen(self) -> None:
        """Do what a new process does."""
        self.ledger.disconnect()
        self.ledger = self.open_ledger()
        self.clients = self.connect()

    @property
    def project_clusters(self) -> dict[str, ProjectCluster]:
        return {name: ProjectCluster(tuple(core.urls.values()), name in self.run) for name, core in self.cores.items()}

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        (name,) = value_from.values()
        return Secret(self.passwords.get(name, f"secret-{name.split('_')[0].lower()}"))

    def read(self) -> dict[str, LiveState]:
        """Read every cluster of the run whole."""
        around = Connections({name: self.clients[name] for name in self.run}, self.project_clusters)
        read_set = ReadSet(dict.fromkeys(KINDS))
        return {name: read(self.clients[name], KINDS, read_set, name, around) for name in self.run}

    def plan(self, resources: Sequence[Resource], live: Mapping[str, LiveState] | None = None, **options: Any) -> Plan:
        owned = {address: mine for name in self.run for address, mine in self.ledger.owned(name).items()}
        secrets = secret_statuses(KINDS, resources, self.reveal, self.ledger)
        return make_plan(KINDS, resources, live or self.read(), owned, Options(**options), secrets)

    def apply(self, plan: Plan, *, live: Mapping[str, LiveState] | None = None, **more: Any) -> Report:
        """Execute *plan*; *more* are fields of `ExecutionContext` and of `Runtime`."""
        runtime, parallelism = (
            runtime_of(self.clock, self.random, more, sleep=self.clock.sleep),
            more.pop("parallelism", 1),
        )
        clients = {name: self.clients[name] for name in self.run}
        clients.update(more.pop("clients", {}))
        context = ExecutionContext(
            KINDS,
            clients,
            more.pop("ledger", self.ledger),
            self.reveal,
            runtime,
            live or {},
            self.project_clusters,
            **more,
        )
        return execute(plan, context, parallelism=parallelism)

    def converge(self, resources: Sequence[Resource], **more: Any) -> Report:
        """Do one whole pass: read, recover, plan, apply."""
        live = self.read()
        for state in live.values():
            recover(self.ledger, KINDS, state)
        return self.apply(self.plan(resources, live), live=live, **more)

    def right(self, resources: Sequence[Resource]) -> None:
        """Make it so, and show that nothing is left to do."""
        report = self.converge(resources)
        assert [outcome.why for outcome in report.outcomes if outcome.why] == []
        plan = self.plan(resources)
        assert (plan.changes, [note_text(note) for note in plan.notes]) == ((), [])

    # --- what the clusters say --------------------------------------------------------------------------------------

    def call(self, cluster: str, method: str, path: str, body: Any = None) -> Any:
        """Be somebody else who works on the same cluster."""
        return Caller(self.cores[cluster])(method, path, body)

    def local(self, cluster: str, name: str = "carts") -> dict[str, Any] | None:
        found = [one for one in self.call(cluster, "GET", "/v1/bdbs").json() if one["name"] == name]
        assert len(found) <= 1
        return dict(found[0]) if found else None

    def crdb(self, cluster: str = "dc1") -> dict[str, Any] | None:
        found = self.call(cluster, "GET", "/v1/crdbs").json()
        return dict(found[0]) if found else None

    def part(self, one: str, other: str, *, whole: bool = False) -> None:
        links.set_connection(self.cores[one].state, self.cores[other].state, connected=whole)

    def sent(self, cluster: str = "dc1") -> list[LogEntry]:
        return [entry for entry in self.cores[cluster].log if entry.method != "GET"]
