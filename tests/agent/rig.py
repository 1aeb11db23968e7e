"""The agent and its source on a simulation of clusters, in one process and in virtual time."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler import settings as settings_module
from reconciler.agent.context import AgentContext
from reconciler.agent.crosscluster import Coordination, ProbeCache
from reconciler.agent.loop import Loop, Workers
from reconciler.agent.source_watch import SourceWatch
from reconciler.agent.status import AgentStatus, ClusterStatus, StatusStore
from reconciler.client import Client, ClientOptions
from reconciler.errors import ReconcilerError
from reconciler.kinds import load_kinds
from reconciler.ledger import Ledger
from reconciler.runtime import Runtime
from reconciler.settings import Settings
from reconciler.simulator.core import LogEntry
from reconciler.source import Rejection, Revision
from reconciler.telemetry import Event
from tests.support.inprocess import InProcess
from tests.support.simulation import Simulation

ACCOUNT = "admin@example.com"
PASSWORD = "canary-Zq81mmPl-login"

BASE = """\
apiVersion: reconciler/v1
kind: RedisACL
metadata: {name: app-keys}
spec: {acl: +@read ~app:*}
---
apiVersion: reconciler/v1
kind: Role
metadata: {name: app}
spec: {management: none}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: sessions}
spec:
  memory_size: 100MiB
  roles_permissions:
    - {role: app, redis_acl: app-keys}
"""


class MemorySource:
    """A source whose commits the test makes; what was accepted outlives the agent."""

    def __init__(self, **files: str) -> None:
        self.files = {f"{name}.yaml": text for name, text in files.items()}
        self.number = 0
        self.error: ReconcilerError | None = None
        self.fetches = 0
        self._accepted: Revision | None = None
        self._rejected: Rejection | None = None
        self.commit()

    def commit(self, **files: str | None) -> str:
        """Change files, None to remove one, and return the id of the new revision."""
        for name, text in files.items():
            self.files.pop(f"{name}.yaml", None)
            if text is not None:
                self.files[f"{name}.yaml"] = text
        self.number += 1
        return self.id

    @property
    def id(self) -> str:
        return f"rev-{self.number}"

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        self.fetches += 1
        if self.error is not None:
            raise self.error
        return Revision(self.id, {f"base/{name}": text.encode() for name, text in self.files.items()})

    def accepted(self) -> Revision | None:
        return self._accepted

    def rejected(self) -> Rejection | None:
        return self._rejected

    def accept(self, revision: Revision) -> None:
        self._accepted, self._rejected = revision, None

    def reject(self, revision: Revision, why: str) -> None:
        self._rejected = Rejection(revision.id, why)


class Fleet:
    """The agent and its source; `run` advances the time. *agent*: its section of the project file, as flow YAML."""

    def __init__(
        self,
        folder: Path,
        *names: str,
        agent: str = "mode: apply",
        own: str = "",
        looks: float = 10.0,
        **settings: Any,
    ) -> None:
        self.folder = folder
        account = {"username": ACCOUNT, "password": PASSWORD}
        self.simulation = Simulation(folder / ".reconciler", names or ("dc1",), **account, **settings)
        self.clock = self.simulation.clock
        self.clusters = self.simulation.clusters
        self.environ = {"LOGIN": PASSWORD, "ANNA_PASSWORD": "canary-Zq81mmPl-anna"}
        self.source = MemorySource(base=BASE)
        self.events: deque[Event] = deque(maxlen=20_000)
        self.agent = agent
        self.looks = looks  # seconds between two looks at the source
        self.own = dict.fromkeys(self.clusters, own)  # what a cluster says itself, as flow YAML
        self.connected: Callable[[str], None] = lambda cluster: None
        self._by_hand: set[tuple[str, int]] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def ledger(self) -> Ledger:
        return self.simulation.ledger

    def settings(self) -> Settings:
        """Write the project file, and read it as the agent does."""
        lines = [f"apiVersion: reconciler/v1\nagent: {{{self.agent}}}\nclusterDefaults:"]
        lines.append(f"  username: {ACCOUNT}\n  password: {{valueFrom: {{env: LOGIN}}}}\n  manifests: [base]")
        lines.append("  allowedImpacts: [may-lose-data, loses-data, irreversible, may-cut-off]")
        lines.append("clusters:")
        for name, cluster in self.clusters.items():
            own = f", {self.own[name]}" if self.own[name] else ""
            lines.append(f"  - {{name: {name}, urls: {list(cluster.endpoints().urls)}{own}}}")
        path = self.folder / "reconciler.yaml"
        path.write_text("\n".join(lines))
        source = settings_module.FolderSource(self.folder, interval=self.looks)
        return replace(settings_module.load(path, self.environ), source=source)

    def start(self) -> None:
        """Start the agent."""
        settings = self.settings()
        self.status_store = StatusStore(AgentStatus(self.clock.now, "test"))
        runtime = Runtime(
            now=self.clock,
            clock=self.clock,
            sleep=self.clock.sleep,
            random=self.simulation.random,
            observe=self.events.append,
        )
        self.context = AgentContext(
            settings,
            self.ledger,
            self.status_store,
            runtime,
            connect=self.connect,
            coordination=Coordination(probes=ProbeCache(self.clock), parallel_writes=1),
        )
        self.loop = Loop(
            self.context,
            SourceWatch(self.source, settings, load_kinds(), self.status_store, runtime),
            Workers(lambda work: work(), lambda work: work(), lambda event, seconds: self.clock.sleep(seconds)),
            reload=self.settings,
            poll_interval=self.looks / 2,
        )
        self.loop.restore()

    def connect(self, target: Any, credentials: Any, runtime: Runtime, options: ClientOptions) -> Client:
        self.connected(target.name)
        stop = self.context.runtime.stop

        def sleep(seconds: float) -> bool:
            self.clock.sleep(seconds)
            return stop.is_set()

        runtime = replace(runtime, sleep=sleep, clock=self.clock, random=random.Random(9))
        transport = InProcess(self.clusters[target.name].core, self.clock)
        return Client(target, credentials, runtime, replace(options, transport=transport))

    def restart(self) -> None:
        """Start the agent again, as after kill -9."""
        self.simulation.kill()
        self.start()

    def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        """Run the agent for *seconds*."""
        end = self.clock.now + seconds
        while self.clock.now < end and not until():
            self.loop.tick()
            if not self.loop.wake.is_set():
                self.clock.now = min(self.clock.now + max(self.loop.pause(), 0.05), end)

    # --- the agent's status and the clusters ------------------------------------------------------------------------

    def status(self, name: str = "dc1") -> ClusterStatus:
        return self.status_store.status.clusters[name]

    def call(self, method: str, path: str, body: Any = None, *, cluster: str = "dc1") -> Any:
        """Call a cluster as another client with the same account."""
        answer = self.simulation.call(method, path, body, cluster=cluster)
        self._by_hand.add((cluster, self.clusters[cluster].core.calls))
        return answer.json() if answer.body else None

    def wire(self, path: str, name: str, *, cluster: str = "dc1") -> dict[str, Any]:
        """Return one object as the API gives it."""
        found = [one for one in self.call("GET", path, cluster=cluster) if one["name"] == name]
        assert len(found) == 1, f"{len(found)} called {name}"
        return dict(found[0])

    def edit(self, path: str, name: str, cluster: str = "dc1", **changes: Any) -> None:
        """Change an object by hand."""
        self.call("PUT", f"{path}/{self.wire(path, name, cluster=cluster)['uid']}", changes, cluster=cluster)

    def calls(self, cluster: str = "dc1") -> list[LogEntry]:
        """The agent's calls that reached a cluster."""
        return [one for one in self.clusters[cluster].log if (cluster, one.number) not in self._by_hand]

    def sent(self, cluster: str = "dc1") -> list[str]:
        """The agent's writes that reached a cluster, as "PUT /v1/bdbs/1"."""
        return [f"{entry.method} {entry.path}" for entry in self.calls(cluster) if entry.method != "GET"]

    def emitted(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]
