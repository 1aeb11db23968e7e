"""The clusters that the loop looks after, and where each one stands: who may begin, and what follows from a pass.

Bookkeeping of the loop's one thread; no threads, no calls, no board. Times are those of the loop's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.agent import backoff, lanes
from reconciler.agent.orders import Ended, Job
from reconciler.errors import Unauthorized, Unreachable, Untrusted, VersionUnsupported
from reconciler.plan.read_set import wanted_elsewhere

if TYPE_CHECKING:
    from reconciler.kinds import Kind
    from reconciler.manifests import Resource
    from reconciler.model import Address
    from reconciler.settings import Target

_AWAY = (Unauthorized, Unreachable, Untrusted, VersionUnsupported)


@dataclass(slots=True)
class Cluster:
    """What the loop knows of one cluster."""

    target: Target
    resources: tuple[Resource, ...] = ()
    elsewhere: frozenset[Address] = frozenset()  # what spans clusters and others coordinate
    named: frozenset[str] = frozenset()  # clusters that the resources refer to, or are to stand in as well
    found: frozenset[str] = frozenset()  # clusters that they stand in as well by now
    state: backoff.State = field(default_factory=backoff.State)
    running: lanes.Running | None = None
    again: bool = False  # there was news while a pass ran
    passes: int = 0
    away: bool = False  # its last pass could not reach it

    @property
    def neighbours(self) -> frozenset[str]:
        """The clusters that a pass over it has to ask as well."""
        return self.named | self.found

    @property
    def pace(self) -> backoff.Pace:
        """How often it is looked at."""
        conduct = self.target.agent_policy
        return backoff.Pace(conduct.interval, conduct.retry_base, conduct.retry_max)


class Roster:
    """All clusters by name."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.clusters: dict[str, Cluster] = {}
        self._kinds = kinds

    def __iter__(self) -> Iterator[tuple[str, Cluster]]:
        return iter(self.clusters.items())

    def get(self, name: str) -> Cluster | None:
        """Return one cluster; None where it is not looked after (any more)."""
        return self.clusters.get(name)

    @property
    def busy(self) -> bool:
        """Whether a pass is under way."""
        return any(one.running for one in self.clusters.values())

    def take(self, targets: Iterable[Target], now: float) -> None:
        """Look after *targets* from here on: others go, and those that stay may have other settings."""
        known, first = self.clusters, not self.clusters
        self.clusters = {}
        for target in targets:
            one = known.get(target.name) or Cluster(target, state=backoff.State(due=now))
            one.target = target
            one.state = backoff.suspended(one.state, now, target.agent_policy.suspend)
            if not first:
                one.state = backoff.trusted_again(one.state, now)
            self.clusters[target.name] = one

    def assign(self, resources: Iterable[Resource], now: float) -> None:
        """Give each cluster what is declared for it, and wake it: the revision is a new one."""
        resources = tuple(resources)
        spanning = frozenset(one.address for one in resources if self._kinds[one.address.kind].traits.multi_cluster)
        by_cluster: dict[str, list[Resource]] = {}
        for resource in resources:
            by_cluster.setdefault(resource.address.cluster, []).append(resource)
        for name, one in self.clusters.items():
            one.resources = tuple(by_cluster.get(name, ()))
            one.named = frozenset(wanted_elsewhere(self._kinds, one.resources)) - {name}
            one.elsewhere = frozenset(address for address in spanning if address.cluster != name)
            one.state = backoff.woken(one.state, now)
            one.again = one.running is not None

    def job(self, name: str, revision: str, now: float) -> Job:
        """Return what a pass over one cluster is about; who is known to be away is not waited for."""
        one = self.clusters[name]
        absent = {
            other.target.name: "its login was refused" if self.barred(other, now) else "it cannot be reached"
            for other in self._beside(one)
            if other.away or self.barred(other, now)
        }
        there = tuple(other.target for other in self._beside(one) if other.target.name not in absent)
        return Job(one.target, revision, one.resources, there, absent, one.elsewhere)

    # --- who is next ------------------------------------------------------------------------------------------------

    def chosen(self, room: lanes.Room, now: float, *, once: bool) -> list[str]:
        """Return whom to begin with; with *once* nobody who had a pass."""
        waiting = [
            lanes.Waiting(one.state.next, name, one.state.failures > 0)
            for name, one in self.clusters.items()
            if one.running is None and one.state.next is not None and not (once and one.passes)
            if not self.barred(one, now)
        ]
        running = [one.running for one in self.clusters.values() if one.running is not None]
        return lanes.chosen(waiting, running, room, now)

    def barred(self, one: Cluster, now: float) -> bool:
        """Say whether a pass would try a login too soon that was refused."""
        return one.state.barred > now

    def all_seen(self, now: float) -> bool:
        """Say whether each cluster had a pass, as far as it may have one."""
        return all(
            one.running is None and (one.passes > 0 or one.state.suspended or self.barred(one, now))
            for one in self.clusters.values()
        )

    def times(self, now: float) -> Iterator[float]:
        """Yield when something is to be done, or looked at."""
        for one in self.clusters.values():
            if one.running is not None:
                yield one.running.since + lanes.PATIENCE
            elif one.state.next is not None:
                yield one.state.next

    # --- what follows from a pass -----------------------------------------------------------------------------------

    def ended(self, name: str, ended: Ended, now: float, *, left: float | None, chance: float) -> None:
        """Take note of how a pass over *name* ended. *left*: seconds to the next event there."""
        one, refusing = self.clusters[name], refused_by(name, ended)
        one.running = None
        one.passes += 1
        if ended.failure is None:
            one.state = backoff.succeeded(one.state, now, one.pace, chance)
            if left is not None:
                one.state = replace(one.state, due=min(one.state.due, now + max(1.0, left)))
        else:
            fault = backoff.fault_of(ended.failure)
            if fault is backoff.Fault.UNAUTHORIZED and name not in refusing:
                fault = backoff.Fault.FAILED  # a neighbour's login, and none of its own
            one.state = backoff.failed(one.state, now, fault, one.pace, chance)
        for other in self._known(refusing - {name}):
            other.state, other.away = backoff.barred(other.state, now, chance), True
        for other in self._known(ended.missed.keys() - refusing):
            other.state = backoff.woken(other.state, now)  # it should know by itself
        away = isinstance(ended.failure, _AWAY) and ended.failure.cluster in ("", name)
        if ended.changes or (one.away and not away):
            for other in self.clusters.values():
                if name in other.neighbours:  # what it waits for may be there now
                    other.state = backoff.woken(other.state, now)
        one.away = away
        if ended.beside is not None:
            one.again = one.again or bool(ended.beside - one.neighbours)
            one.found = ended.beside
        if one.again:
            one.state = backoff.woken(one.state, now)

    def _known(self, names: Iterable[str]) -> list[Cluster]:
        return [self.clusters[name] for name in sorted(names) if name in self.clusters]

    def _beside(self, one: Cluster) -> list[Cluster]:
        return self._known(one.neighbours)


def refused_by(name: str, ended: Ended) -> frozenset[str]:
    """Return the clusters that refused our login in a pass over *name*."""
    found = {each for each, error in ended.missed.items() if isinstance(error, Unauthorized)}
    if isinstance(ended.failure, Unauthorized):
        found.add(ended.failure.cluster or name)
    return frozenset(found)
