"""What the agent knows of itself and of each cluster, as values on one board.

The loop writes, and the page, the metrics, the health checks and the notifications read. Nothing here decides, and
nothing here is secret: errors are the cleaned texts that people see.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from reconciler.plan import Plan
from reconciler.plan.drift import Drift


class Phase(enum.Enum):
    """What is going on with one cluster."""

    WAITING = "waiting"  # between two passes
    READING = "reading"
    APPLYING = "applying"
    APPROVAL = "approval"  # mode plan: a plan waits for the approval of its digest
    FROZEN = "frozen"  # in a freeze window: reported, not changed
    SUSPENDED = "suspended"
    FAILING = "failing"  # the last pass failed; the next comes after a back-off


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last pass of a cluster, or the last fetch of the source, did not succeed."""

    kind: str  # name of the error class: "Unreachable", "InputError"
    text: str  # for people, cleaned
    at: float  # seconds since the epoch
    count: int = 1  # in a row


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running apply is."""

    done: int
    total: int
    address: str = ""  # what is worked on


@dataclass(frozen=True, slots=True)
class DriftSince:
    """One difference between a cluster and git, and since when it is known."""

    drift: Drift
    since: float  # seconds since the epoch
    who: str = ""  # who changed it, where the cluster's log says so


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One cluster as the last pass left it."""

    name: str
    mode: str  # observe, plan, apply
    phase: Phase = Phase.WAITING
    revision: str = ""  # that the last successful pass was about
    last_pass: float | None = None  # when it ended, seconds since the epoch
    last_success: float | None = None
    next_pass: float | None = None
    seconds: float = 0.0  # how long the last pass took
    failure: Failure | None = None
    plan: Plan | None = None
    plan_digest: str = ""
    drift: tuple[DriftSince, ...] = ()
    declared: int = 0  # objects in the manifests
    progress: Progress | None = None
    last_run: str = ""  # id in the ledger of the last apply
    held: tuple[str, ...] = ()  # what is left alone, and why: "Database/a: protected …"
    frozen: str = ""  # why nothing is written now
    why: str = ""  # of the phase, for people: what is waited for


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Where manifests come from, and how fresh they are."""

    kind: str = ""  # git, folder
    place: str = ""  # URL without a login, or path
    revision: str = ""  # that is enforced
    fetched: float | None = None  # last successful look, seconds since the epoch
    failure: Failure | None = None
    rejected: str = ""  # a newer revision that is refused as a whole, with failure saying why


@dataclass(frozen=True, slots=True)
class Status:
    """The whole agent at one moment."""

    started: float
    version: str
    source: SourceStatus = SourceStatus()
    clusters: Mapping[str, ClusterStatus] = field(default_factory=lambda: MappingProxyType({}))
    leader: bool = True  # holds the lease
    stopping: bool = False


class Board:
    """Holds the present `Status`; safe to use from several threads."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Status, Status], None]] = []

    @property
    def status(self) -> Status:
        """The present state, a value that never changes."""
        return self._status

    def listen(self, listener: Callable[[Status, Status], None]) -> None:
        """Call *listener* with the state before and after each change, in the thread that made it."""
        self._listeners.append(listener)

    def update(self, **changes: Any) -> None:
        """Change what is said of the agent as a whole."""
        with self._lock:
            before, self._status = self._status, replace(self._status, **changes)
            after = self._status
        self._tell(before, after)

    def update_cluster(self, name: str, **changes: Any) -> None:
        """Change what is said of one cluster; nothing, where it is not known (any more)."""
        with self._lock:
            before = self._status
            if name not in before.clusters:
                return
            one = replace(before.clusters[name], **changes)
            clusters = MappingProxyType({**before.clusters, name: one})
            after = self._status = replace(before, clusters=clusters)
        self._tell(before, after)

    def _tell(self, before: Status, after: Status) -> None:
        for listener in self._listeners:
            listener(before, after)
