"""The status of the agent and of each cluster, as immutable values in one store.

The loop writes it; the page, the metrics, the health checks and the notifications read it. Nothing here decides, and
nothing here is secret: errors are redacted texts.
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
    """The phase of one cluster."""

    IDLE = "idle"  # between two reconciliations
    PLANNING = "planning"
    APPLYING = "applying"
    AWAITING_APPROVAL = "awaiting_approval"  # mode plan: the digest of a plan has to be approved
    FROZEN = "frozen"  # in a freeze window: reported, not changed
    SUSPENDED = "suspended"
    FAILING = "failing"  # the last reconciliation failed; the next one is due after a back-off


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last reconciliation of a cluster, or the last fetch of the source, failed."""

    kind: str  # name of the error class: "Unreachable", "InputError"
    text: str  # redacted
    at: float  # seconds since the epoch
    count: int = 1  # consecutive


@dataclass(frozen=True, slots=True)
class ApplyProgress:
    """The progress of a running apply."""

    done: int
    total: int
    address: str = ""  # of the current change


@dataclass(frozen=True, slots=True)
class DriftEntry:
    """One difference between a cluster and git, and since when it exists."""

    drift: Drift
    since: float  # seconds since the epoch
    who: str = ""  # who changed it, where the audit log of the cluster says so


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The status of one cluster after its last reconciliation."""

    name: str
    mode: str  # observe, plan, apply
    phase: Phase = Phase.IDLE
    revision: str = ""  # of the last successful reconciliation
    last_reconciliation: float | None = None  # when it ended, seconds since the epoch
    last_success: float | None = None
    next_reconciliation: float | None = None
    duration: float = 0.0  # of the last reconciliation, in seconds
    failure: Failure | None = None
    plan: Plan | None = None
    plan_digest: str = ""
    drift: tuple[DriftEntry, ...] = ()
    declared: int = 0  # resources in the manifests
    progress: ApplyProgress | None = None
    last_run: str = ""  # id in the ledger of the last apply
    held: tuple[str, ...] = ()  # what is not changed, and why: "Database/a: suspended …"
    frozen: str = ""  # the freeze window that forbids writes now
    why: str = ""  # explains the phase: what is waited for


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Where manifests come from, and how recent they are."""

    kind: str = ""  # git, folder
    location: str = ""  # URL without a login, or path
    revision: str = ""  # in force
    fetched: float | None = None  # last successful fetch, seconds since the epoch
    failure: Failure | None = None
    rejected: str = ""  # a newer revision that is rejected as a whole; failure says why


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The status of the whole agent."""

    started: float
    version: str
    source: SourceStatus = SourceStatus()
    clusters: Mapping[str, ClusterStatus] = field(default_factory=lambda: MappingProxyType({}))
    leader: bool = True  # holds the lease
    stopping: bool = False


class StatusStore:
    """Holds the current `AgentStatus`; safe to use from several threads."""

    def __init__(self, status: AgentStatus) -> None:
        self._status = status
        self._lock = threading.Lock()
        self._listeners: list[Callable[[AgentStatus, AgentStatus], None]] = []

    @property
    def status(self) -> AgentStatus:
        """The current status, an immutable value."""
        return self._status

    def listen(self, listener: Callable[[AgentStatus, AgentStatus], None]) -> None:
        """Call *listener* with the status before and after each change, in the thread that made it."""
        self._listeners.append(listener)

    def update(self, **changes: Any) -> None:
        """Change fields of the agent's status."""
        with self._lock:
            before, self._status = self._status, replace(self._status, **changes)
            after = self._status
        self._notify(before, after)

    def update_cluster(self, name: str, **changes: Any) -> None:
        """Change fields of one cluster's status; does nothing where it is not configured (any more)."""
        with self._lock:
            before = self._status
            if name not in before.clusters:
                return
            one = replace(before.clusters[name], **changes)
            clusters = MappingProxyType({**before.clusters, name: one})
            after = self._status = replace(before, clusters=clusters)
        self._notify(before, after)

    def _notify(self, before: AgentStatus, after: AgentStatus) -> None:
        for listener in self._listeners:
            listener(before, after)
