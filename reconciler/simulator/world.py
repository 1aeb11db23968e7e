"""Machines, the clusters that they form, and who can reach whom: what no single cluster knows.

A `Core` has one `Site` of machines; all sites that are to meet share a `World`. Bootstrap, Active-Active and Replica Of
look here for machines by address and for clusters by URL or name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .messages import Json
from .settings import Settings
from .state import Record, State
from .timeline import Clock, Timeline


@dataclass
class Machine:
    """One machine, in a cluster or not. `number` is how its core calls it, `uid` that of its node, 0 outside."""

    number: int
    address: str
    state: State | None = None
    uid: int = 0
    bootstrap: dict[str, Json] = field(default_factory=lambda: {"state": "idle"})
    stopped: set[str] = field(default_factory=set)  # services that do not run
    started: dict[str, float] = field(default_factory=dict)  # service -> when somebody last started it
    up: bool = True
    cut: bool = False  # runs, but reaches no other machine

    def enter(self, state: State, uid: int) -> None:
        """Become node *uid* of *state*."""
        self.state, self.uid = state, uid

    def leave(self, *, fresh: bool) -> None:
        """Leave the cluster; a *fresh* machine may be bootstrapped again, another needs to be installed anew."""
        self.state, self.uid = None, 0
        self.bootstrap = {"state": "idle" if fresh else "completed"}


class Site:
    """The machines of one core, by number."""

    def __init__(self, world: World, settings: Settings, place: int) -> None:
        self.world = world
        self.settings = settings
        self.network = f"10.20.{place}"
        self.machines: dict[int, Machine] = {}
        self.urls: dict[int, str] = {}
        self.shown: tuple[str, str] | None = None  # certificate and key that clients of the API meet, as PEM
        self.show: Callable[[str, str], None] = lambda certificate, key: None  # lets them meet others from now on
        self.saved: dict[str, dict[str, Json]] = {}  # files that a cluster can be recovered from

    def add(self, number: int, state: State | None = None) -> Machine:
        """Add a machine; with *state* it is the node of the same uid there."""
        address = state.nodes[number].fields.get("addr") if state is not None else None
        machine = Machine(number, str(address or f"{self.network}.{10 + number}"))
        self.machines[number] = machine
        self.urls[number] = f"https://{machine.address}:9443"
        if state is not None:
            machine.enter(state, number)
        return machine

    def of(self, state: State) -> Iterator[Machine]:
        """Return the machines that are in *state*'s cluster."""
        return (machine for machine in self.machines.values() if machine.state is state)

    def node(self, state: State, uid: int) -> Machine | None:
        """Return the machine that is node *uid* of *state*, None where a snapshot only names it."""
        return next((machine for machine in self.of(state) if machine.uid == uid), None)

    def new_state(self, settings: Settings) -> State:
        """Return an empty cluster of this site."""
        seed = int(hashlib.sha256(settings.cluster_name.encode()).hexdigest()[:12], 16)
        state = State(settings, seed=seed, timeline=self.world.time)
        state.site = self
        return state


class World:
    """All sites that can meet, on one timeline."""

    def __init__(self, clock: Clock) -> None:
        self.time = Timeline(clock)
        self.sites: list[Site] = []
        self.linked: dict[tuple[int, int], tuple[State, Record]] = {}  # databases that read from others: see `links`

    def site(self, settings: Settings) -> Site:
        """Add a site."""
        site = Site(self, settings, len(self.sites))
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

    def cluster(self, url: str, name: str = "") -> State | None:
        """Return the cluster at *url*: that of the machine there, or the one whose name is the host of the URL."""
        machine = self.machine(url)
        if machine is not None:
            return machine.state if machine.up and not machine.cut else None
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
        return next((state for state in self.states() if state.cluster.fields.get("name") in (host, name)), None)

    def states(self) -> list[State]:
        """Return all clusters."""
        found: dict[int, State] = {}
        for machine, _ in self.machines():
            if machine.state is not None:
                found[id(machine.state)] = machine.state
        return list(found.values())


def reachable(here: State, there: State) -> bool:
    """Say whether two clusters can talk to each other."""
    names = here.cluster.fields.get("name"), there.cluster.fields.get("name")
    return here is there or (names[1] not in here.broken and names[0] not in there.broken)
