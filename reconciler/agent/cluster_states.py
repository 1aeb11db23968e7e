"""The clusters that the loop reconciles and their schedule: which may start, and what follows from a result.

Bookkeeping of the loop's one thread: no threads, no calls, no status store. Times are those of the loop's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.agent import backoff, slots
from reconciler.agent.context import ReconcileRequest, ReconcileResult
from reconciler.errors import Unauthorized, Unreachable, Untrusted, VersionUnsupported
from reconciler.plan.read_set import other_clusters

if TYPE_CHECKING:
    from reconciler.kinds import Kind
    from reconciler.manifests import Resource
    from reconciler.model import Address
    from reconciler.settings import Target

_NO_ACCESS = (Unauthorized, Unreachable, Untrusted, VersionUnsupported)


@dataclass(slots=True)
class ClusterState:
    """What the loop knows about one cluster."""

    target: Target
    resources: tuple[Resource, ...] = ()
    declared_elsewhere: frozenset[Address] = frozenset()  # multi-cluster resources declared for other clusters
    referenced: frozenset[str] = frozenset()  # clusters that the resources refer to, or shall have members on
    members: frozenset[str] = frozenset()  # clusters that the declared objects have members on now
    schedule: backoff.BackoffState = field(default_factory=backoff.BackoffState)
    running: slots.Running | None = None
    rerun: bool = False  # something changed during the reconciliation
    reconciliations: int = 0
    unreachable: bool = False  # its last reconciliation could not access it

    @property
    def related(self) -> frozenset[str]:
        """The other clusters that its reconciliation reads as well."""
        return self.referenced | self.members

    @property
    def policy(self) -> backoff.BackoffPolicy:
        """How often it is reconciled."""
        conduct = self.target.agent_policy
        return backoff.BackoffPolicy(conduct.interval, conduct.retry_base, conduct.retry_max)


class ClusterStates:
    """All clusters by name."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.clusters: dict[str, ClusterState] = {}
        self._kinds = kinds

    def __iter__(self) -> Iterator[tuple[str, ClusterState]]:
        return iter(self.clusters.items())

    def get(self, name: str) -> ClusterState | None:
        """Return one cluster; None where it is not configured (any more)."""
        return self.clusters.get(name)

    @property
    def busy(self) -> bool:
        """Whether a reconciliation is running."""
        return any(one.running for one in self.clusters.values())

    def configure(self, targets: Iterable[Target], now: float) -> None:
        """Reconcile *targets* from now on: others are dropped, and those that stay may have other settings."""
        known, first = self.clusters, not self.clusters
        self.clusters = {}
        for target in targets:
            one = known.get(target.name) or ClusterState(target, schedule=backoff.BackoffState(due=now))
            one.target = target
            one.schedule = backoff.set_suspended(one.schedule, now, target.agent_policy.suspend)
            if not first:
                one.schedule = backoff.unblock_login(one.schedule, now)
            self.clusters[target.name] = one

    def assign(self, resources: Iterable[Resource], now: float) -> None:
        """Give each cluster its resources, and make it due: the revision is new."""
        resources = tuple(resources)
        multi_cluster = frozenset(
            one.address for one in resources if self._kinds[one.address.kind].traits.multi_cluster
        )
        by_cluster: dict[str, list[Resource]] = {}
        for resource in resources:
            by_cluster.setdefault(resource.address.cluster, []).append(resource)
        for name, one in self.clusters.items():
            one.resources = tuple(by_cluster.get(name, ()))
            one.referenced = frozenset(other_clusters(self._kinds, one.resources)) - {name}
            one.declared_elsewhere = frozenset(address for address in multi_cluster if address.cluster != name)
            one.schedule = backoff.due_now(one.schedule, now)
            one.rerun = one.running is not None

    def request(self, name: str, revision: str, now: float) -> ReconcileRequest:
        """Return what a reconciliation of one cluster covers; known unavailable clusters are not waited for."""
        one = self.clusters[name]
        related = self._known(one.related)
        unavailable = {
            other.target.name: "its login was refused" if self.login_blocked(other, now) else "it is unreachable"
            for other in related
            if other.unreachable or self.login_blocked(other, now)
        }
        available = tuple(other.target for other in related if other.target.name not in unavailable)
        return ReconcileRequest(
            one.target, revision, one.resources, available, unavailable, declared_elsewhere=one.declared_elsewhere
        )

    # --- scheduling -------------------------------------------------------------------------------------------------

    def select(self, capacity: slots.Capacity, now: float, *, once: bool) -> list[str]:
        """Return the clusters to start; with *once* none that was reconciled already."""
        pending = [
            slots.Pending(one.schedule.next, name, one.schedule.failures > 0)
            for name, one in self.clusters.items()
            if one.running is None and one.schedule.next is not None and not (once and one.reconciliations)
            if not self.login_blocked(one, now)
        ]
        running = [one.running for one in self.clusters.values() if one.running is not None]
        return slots.select(pending, running, capacity, now)

    def login_blocked(self, one: ClusterState, now: float) -> bool:
        """Say whether a reconciliation would attempt a refused login too soon."""
        return one.schedule.login_blocked_until > now

    def all_reconciled(self, now: float) -> bool:
        """Say whether each cluster that may be reconciled was, at least once."""
        return all(
            one.running is None and (one.reconciliations > 0 or one.schedule.suspended or self.login_blocked(one, now))
            for one in self.clusters.values()
        )

    def wake_times(self) -> Iterator[float]:
        """Yield when the loop has something to do for a cluster."""
        for one in self.clusters.values():
            if one.running is not None:
                yield one.running.since + slots.SLOW_AFTER
            elif one.schedule.next is not None:
                yield one.schedule.next

    # --- results ----------------------------------------------------------------------------------------------------

    def record(self, name: str, result: ReconcileResult, now: float, *, left: float | None, jitter: float) -> None:
        """Update the schedules after a reconciliation of *name*. *left*: seconds until it shall be requeued."""
        one, refusing = self.clusters[name], refusing_clusters(name, result)
        one.running = None
        one.reconciliations += 1
        if result.failure is None:
            one.schedule = backoff.after_success(one.schedule, now, one.policy, jitter)
            if left is not None:
                one.schedule = replace(one.schedule, due=min(one.schedule.due, now + max(1.0, left)))
        else:
            kind = backoff.failure_kind(result.failure)
            if kind is backoff.FailureKind.UNAUTHORIZED and name not in refusing:
                kind = backoff.FailureKind.FAILED  # the login of a related cluster, not its own
            one.schedule = backoff.after_failure(one.schedule, now, kind, one.policy, jitter)
        self._update_related(one, result, refusing, now, jitter)
        if result.members is not None:
            one.rerun = one.rerun or bool(result.members - one.related)
            one.members = result.members
        if one.rerun:
            one.schedule = backoff.due_now(one.schedule, now)

    def _update_related(
        self, one: ClusterState, result: ReconcileResult, refusing: frozenset[str], now: float, jitter: float
    ) -> None:
        name = one.target.name
        for other in self._known(refusing - {name}):
            other.schedule, other.unreachable = backoff.block_login(other.schedule, now, jitter), True
        for other in self._known(result.probe_failures.keys() - refusing):
            other.schedule = backoff.due_now(other.schedule, now)  # its own reconciliation shall report it
        unreachable = isinstance(result.failure, _NO_ACCESS) and result.failure.cluster in ("", name)
        if result.changes or (one.unreachable and not unreachable):
            for other in self.clusters.values():
                if name in other.related:  # what it waits for may exist now
                    other.schedule = backoff.due_now(other.schedule, now)
        one.unreachable = unreachable

    def _known(self, names: Iterable[str]) -> list[ClusterState]:
        return [self.clusters[name] for name in sorted(names) if name in self.clusters]


def refusing_clusters(name: str, result: ReconcileResult) -> frozenset[str]:
    """Return the clusters that refused our login in a reconciliation of *name*."""
    found = {each for each, error in result.probe_failures.items() if isinstance(error, Unauthorized)}
    if isinstance(result.failure, Unauthorized):
        found.add(result.failure.cluster or name)
    return frozenset(found)
