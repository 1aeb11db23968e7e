"""Objects with members on several clusters: the reconciliation of one cluster writes to all of them.

Every member cluster must agree by its own settings, and nothing else may write to it meanwhile. Reconciliations of this
process learn here at once that a cluster is in use; the locks of the ledger exclude every other process.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reconciler.agent.held import Hold
from reconciler.errors import Locked, ReconcilerError, Unauthorized
from reconciler.kinds import Kind
from reconciler.kinds.freeze import frozen
from reconciler.model import Address, LiveState
from reconciler.plan import Action, Plan, spanned_clusters, written_clusters
from reconciler.settings.agent import MODES

if TYPE_CHECKING:
    from reconciler.settings import Target

_PROBE_TTL: Final = 10.0  # seconds for which a failed probe is not repeated
_PARALLEL_WRITES: Final = 4


class ClusterClaimed(Locked):
    """Another reconciliation of this agent writes to the cluster."""


class WriteClaims:
    """Which cluster is written to by the reconciliation of which one; safe to use from several threads."""

    def __init__(self) -> None:
        self._by: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def claim(self, clusters: Iterable[str], by: str) -> Iterator[None]:
        """Claim *clusters* for the reconciliation of *by*: all or none, without waiting; raises ClusterClaimed."""
        names = sorted(clusters)
        with self._lock:
            for name in names:
                if name in self._by:
                    raise ClusterClaimed(f"the reconciliation of {self._by[name]} is changing {name}")
            self._by.update(dict.fromkeys(names, by))
        try:
            yield
        finally:
            with self._lock:
                for name in names:
                    del self._by[name]


class ProbeCache:
    """Results of probing related clusters: one login attempt at a time, and none of a login that was refused."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[ReconcilerError, float]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def probe(self, name: str, ask: Callable[[], ReconcilerError | None]) -> ReconcilerError | None:
        """Return the result of *ask* for a cluster, or a recent failure; a refused login is not attempted again."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            error, at = self._failures.get(name, (None, 0.0))
            if error is not None and (isinstance(error, Unauthorized) or self._clock() - at < _PROBE_TTL):
                return error
            error = ask()
            if error is not None:
                self._failures[name] = (error, self._clock())
            else:
                self._failures.pop(name, None)
            return error

    def forget(self, name: str) -> None:
        """Allow the login of a cluster to be attempted (again): it is due, or the credential changed."""
        self._failures.pop(name, None)


@dataclass(frozen=True, slots=True)
class Coordination:
    """What concurrent reconciliations of one agent share so that they do not interfere."""

    write_claims: WriteClaims = field(default_factory=WriteClaims)
    probes: ProbeCache = field(default_factory=ProbeCache)
    parallel_writes: int = _PARALLEL_WRITES  # changes at a time in one reconciliation


def clusters_written(kinds: Mapping[str, Kind], plan: Plan, live: Mapping[str, LiveState]) -> frozenset[str]:
    """Return every cluster that *plan* writes to."""
    return frozenset().union(*(written_clusters(kinds, change, live) for change in plan.changes))


def cross_cluster_writes(
    kinds: Mapping[str, Kind], plan: Plan, live: Mapping[str, LiveState]
) -> dict[Address, frozenset[str]]:
    """Return, for each change that also writes to other clusters than its own, those clusters."""
    found = {
        change.address: written_clusters(kinds, change, live) - {change.address.cluster}
        for change in plan.changes
        if kinds[change.address.kind].traits.multi_cluster and change.action is not Action.FORGET
    }
    return {address: others for address, others in found.items() if others}


def without_agreement(
    home: Target, others: Iterable[Target], writes: Mapping[Address, frozenset[str]], now: float
) -> dict[Address, Hold]:
    """Return the changes that one of the *others* does not agree to, by its mode, suspension or freeze windows."""
    known = {target.name: target for target in others}
    found = {}
    for address, names in writes.items():
        holds = [hold for name in sorted(names & known.keys()) if (hold := _objection(home, known[name], now))]
        if holds:
            ends = [hold.until for hold in holds if hold.until is not None]
            until = max(ends) if len(ends) == len(holds) else None
            declared = all(hold.declared for hold in holds)
            found[address] = Hold("; ".join(hold.reason for hold in holds), until, declared)
    return found


def _objection(home: Target, other: Target, now: float) -> Hold | None:
    subject = f"has a member on {other.name}, which is"
    if other.agent_policy.suspend:
        return Hold(f"{subject} suspended", declared=True)
    if MODES.index(other.agent_policy.mode) < MODES.index(home.agent_policy.mode):
        return Hold(
            f"{subject} in mode {other.agent_policy.mode}, while {home.name} is in mode {home.agent_policy.mode}"
        )
    freeze = frozen(other.agent_policy.freeze, now)
    return Hold(f"{subject} frozen: {freeze.why}", freeze.until, declared=True) if freeze else None


def member_clusters(kinds: Mapping[str, Kind], names: Iterable[Address], live: LiveState) -> frozenset[str]:
    """Return the clusters that the live multi-cluster objects called *names* have members on."""
    wanted = {(address.kind, address.name) for address in names}
    return frozenset(
        place
        for kind, objects in live.objects.items()
        if kinds[kind].traits.multi_cluster
        for one in objects
        if (kind, one.name) in wanted
        for place in spanned_clusters(kinds[kind], one.spec)
    )
