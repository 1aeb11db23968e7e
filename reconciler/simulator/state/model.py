"""The state of simulated clusters, their machines, and the world in which clusters reach each other.

Handlers change it; nothing here knows HTTP. Stored values are never changed in place, only replaced, so that responses
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from reconciler.simulator.api.messages import Json
from reconciler.simulator.data.tables import table
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.clock import Clock, Timeline, format_time
from reconciler.simulator.state.records import ObjectRecord, Table

_EVENTS = 10_000  # how many entries of the event log are kept


class ClusterState:
    """The content of a cluster. Use it under `lock`; `now` is the time of the last `advance`."""

    site: ClusterSite  # the machines that it runs on; set after creation

    def __init__(
        self,
        settings: SimulatorSettings,
        clock: Clock = time.time,
        seed: int | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.settings = settings
        self.time = timeline or Timeline(clock)
        self.random = random.Random(seed)
        self.version = table("versions")[settings.server_version]
        self.collections: dict[str, Table] = {}  # objects by kind, then by id
        self.singletons: dict[str, ObjectRecord] = {}  # single objects by kind
        self.user_modules: dict[str, ObjectRecord] = {}  # user-defined modules by uid
        self.artifacts: dict[int, dict[tuple[str, str], ObjectRecord]] = {}  # node -> (module, version) -> file
        self.tokens: dict[str, tuple[int, float]] = {}  # token -> uid of the user, and its expiry
        self.token_key = b""  # generated with the first token
        self.actions: dict[str, ObjectRecord] = {}
        self.cluster = ObjectRecord({})
        self.license = ObjectRecord({})
        self.extra: dict[str, Json] = {}  # parts of a snapshot that this server does not serve
        self.ports: dict[int, int] = {}  # port in use -> uid of the database
        self.state_id = 1
        self.effects = 0
        self.epoch = 0  # incremented when scheduled events are cancelled
        self.next_shard = 1
        self.next_source = 1
        self.primary = 1
        self.logins: dict[str, tuple[int, ObjectRecord]] = {}  # Authorization header -> user version, user
        self.caller: ObjectRecord | None = None  # the user of the call that is being handled
        self.outcome_code = ""  # error code of a bootstrap that fails
        self.outcome = ""  # injected outcome of the work that a call starts: "", "fail" or "stuck"
        self.lists: dict[Any, tuple[int, bytes]] = {}  # cached responses of the database list, by query
        self.tasks: dict[tuple[str, str, str], ObjectRecord] = {}  # (node or cluster, its uid, action) -> task
        self.log: deque[dict[str, Json]] = deque(maxlen=_EVENTS)  # the event log, oldest first
        self.crdbs: dict[str, ObjectRecord] = {}
        self.crdb_tasks: dict[str, ObjectRecord] = {}
        self.broken: set[str] = set()  # names of clusters that are unreachable from here

    def collection(self, kind: str) -> Table:
        """Return the objects of *kind*."""
        table = self.collections.get(kind)
        if table is None:
            table = self.collections[kind] = Table()
        return table

    def tables(self) -> Iterable[Table]:
        """Return the objects of all kinds."""
        return self.collections.values()

    @property
    def bdbs(self) -> Table:
        """The databases."""
        return self.collection("bdb")

    @property
    def nodes(self) -> Table:
        """The nodes of the cluster."""
        return self.collection("node")

    @property
    def users(self) -> Table:
        """The users."""
        return self.collection("user")

    @property
    def roles(self) -> Table:
        """The roles."""
        return self.collection("role")

    @property
    def acls(self) -> Table:
        """The Redis ACLs."""
        return self.collection("redis_acl")

    @property
    def now(self) -> float:
        """The time of the last `advance`, or of the current event."""
        return self.time.now

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.time.clock

    @property
    def lock(self) -> threading.RLock:
        """The lock; it is shared by the clusters of one world."""
        return self.time.lock

    def advance(self) -> None:
        """Run all events that are due."""
        self.time.advance()

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        """Schedule *event* in *seconds* of a real cluster."""
        epoch = self.epoch
        self.time.later(self.settings.scaled(seconds), lambda: event() if self.epoch == epoch else None)

    def event(self, kind: str, severity: str = "INFO", **fields: Json) -> None:
        """Write an entry of the event log."""
        self.log.append({"time": self.stamp(), "type": kind, "severity": severity, **fields})

    def cancel_events(self) -> None:
        """Cancel all scheduled events of this cluster."""
        self.epoch += 1

    def changed(self, *tables: Table) -> None:
        """Record an effect: increment the state id and invalidate cached responses of *tables*."""
        self.effects += 1
        self.state_id += 1
        for item in tables:
            item.version += 1

    def stamp(self) -> str:
        """Return the current time in the format of the API."""
        return format_time(self.now)

    def new_id(self) -> str:
        """Return a new UUID from the seeded generator."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def members(self) -> Iterable[ObjectRecord]:
        """Return the nodes that belong to the cluster and are up."""
        return [node for node in self.nodes.values() if node.fields["status"] == "active"]


@dataclass
class Machine:
    """One machine. `number` is its number in the core, `uid` that of its node, 0 outside a cluster."""

    number: int
    address: str
    state: ClusterState | None = None
    uid: int = 0
    bootstrap: dict[str, Json] = field(default_factory=lambda: {"state": "idle"})
    stopped: set[str] = field(default_factory=set)  # services that do not run
    started: dict[str, float] = field(default_factory=dict)  # service -> time of its last start
    up: bool = True
    partitioned: bool = False  # running, but cannot reach other machines

    def enter(self, state: ClusterState, uid: int) -> None:
        """Become node *uid* of *state*."""
        self.state, self.uid = state, uid

    def leave(self, *, fresh: bool) -> None:
        """Leave the cluster; a *fresh* machine can be bootstrapped again, any other must be reinstalled."""
        self.state, self.uid = None, 0
        self.bootstrap = {"state": "idle" if fresh else "completed"}


class ClusterSite:
    """The machines of one core, by number."""

    def __init__(self, world: World, settings: SimulatorSettings, place: int) -> None:
        self.world = world
        self.settings = settings
        self.network = f"10.20.{place}"
        self.machines: dict[int, Machine] = {}
        self.urls: dict[int, str] = {}
        self.shown: tuple[str, str] | None = None  # certificate and key of the API, as PEM
        self.show: Callable[[str, str], None] = lambda certificate, key: None  # replaces them
        self.saved: dict[str, dict[str, Json]] = {}  # files that a cluster can be recovered from

    def add(self, number: int, state: ClusterState | None = None) -> Machine:
        """Add a machine; with *state* it is the node with the same uid there."""
        address = state.nodes[number].fields.get("addr") if state is not None else None
        machine = Machine(number, str(address or f"{self.network}.{10 + number}"))
        self.machines[number] = machine
        self.urls[number] = f"https://{machine.address}:9443"
        if state is not None:
            machine.enter(state, number)
        return machine

    def of(self, state: ClusterState) -> Iterator[Machine]:
        """Return the machines that are in *state*'s cluster."""
        return (machine for machine in self.machines.values() if machine.state is state)

    def node(self, state: ClusterState, uid: int) -> Machine | None:
        """Return the machine of node *uid* of *state*, None if the node exists only in a snapshot."""
        return next((machine for machine in self.of(state) if machine.uid == uid), None)

    def new_state(self, settings: SimulatorSettings) -> ClusterState:
        """Return an empty cluster of this site."""
        seed = int(hashlib.sha256(settings.cluster_name.encode()).hexdigest()[:12], 16)
        state = ClusterState(settings, seed=seed, timeline=self.world.time)
        state.site = self
        return state


class World:
    """All sites that can reach each other, on one timeline."""

    def __init__(self, clock: Clock) -> None:
        self.time = Timeline(clock)
        self.sites: list[ClusterSite] = []
        self.linked: dict[
            tuple[int, int], tuple[ClusterState, ObjectRecord]
        ] = {}  # databases that read from others: see `links`

    def site(self, settings: SimulatorSettings) -> ClusterSite:
        """Add a site."""
        site = ClusterSite(self, settings, len(self.sites))
        self.sites.append(site)
        return site

    def machines(self) -> Iterator[tuple[Machine, str]]:
        """Return each machine with its URL."""
        for site in self.sites:
            for number, machine in site.machines.items():
                yield machine, site.urls[number]

    def machine(self, address: str) -> Machine | None:
        """Return the machine with an *address*: an IP address, with or without port, or a URL."""
        wanted = urlsplit(address if "//" in address else f"//{address}")
        for machine, url in self.machines():
            if wanted.hostname == machine.address:
                return machine
            if wanted.port is not None and wanted.netloc == urlsplit(url).netloc:
                return machine
        return None

    def cluster(self, url: str, name: str = "") -> ClusterState | None:
        """Return the cluster at *url*: that of the machine with this address, or the one whose name is the host."""
        machine = self.machine(url)
        if machine is not None:
            return machine.state if machine.up and not machine.partitioned else None
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
        return next((state for state in self.states() if state.cluster.fields.get("name") in (host, name)), None)

    def states(self) -> list[ClusterState]:
        """Return all clusters."""
        found: dict[int, ClusterState] = {}
        for machine, _ in self.machines():
            if machine.state is not None:
                found[id(machine.state)] = machine.state
        return list(found.values())


def reachable(here: ClusterState, there: ClusterState) -> bool:
    """Return whether two clusters can reach each other."""
    names = here.cluster.fields.get("name"), there.cluster.fields.get("name")
    return here is there or (names[1] not in here.broken and names[0] not in there.broken)
