"""The current status as gauges, collected at each scrape: what is no longer in the status is no longer exported."""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.agent.status import AgentStatus, ClusterStatus, Phase, StatusStore
from reconciler.render.text import counts
from reconciler.web.metric_labels import OTHER, cluster_label, error_class, label

Samples = Iterable[tuple[tuple[str, ...], float]]


class StatusCollector(Collector):
    """Collects the gauges of one agent."""

    def __init__(self, status_store: StatusStore, kinds: frozenset[str]) -> None:
        self._status_store = status_store
        self._kinds = kinds

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        status = self._status_store.status
        clusters = tuple(status.clusters.values())
        build = [((label(status.version), platform.python_version()), 1)]
        yield _gauge("build_info", "Version of the agent and of Python.", ["version", "python"], build)
        yield _gauge("start_time_seconds", "When the agent started, in Unix time.", [], [((), status.started)])
        yield _gauge("leader", "1 if this agent holds the lease.", [], [((), status.leader)])
        yield _gauge("stopping", "1 if the agent is stopping.", [], [((), status.stopping)])
        yield from _source(status)
        yield from _times(clusters)
        yield from _phases(clusters)
        yield from _failures(clusters)
        yield from _plans(clusters)
        yield self._drift(clusters)

    def _drift(self, clusters: tuple[ClusterStatus, ...]) -> GaugeMetricFamily:
        found = Tally(
            (cluster_label(one.name), self._kind(entry.drift.address.kind), entry.drift.ahead.value)
            for one in clusters
            for entry in one.drift
        )
        help_text = "Fields that differ between cluster and git, by the side that changed."
        return _gauge("cluster_drift", help_text, ["cluster", "kind", "ahead"], sorted(found.items()))

    def _kind(self, name: str) -> str:
        return name if name in self._kinds else OTHER


def _source(status: AgentStatus) -> Iterator[GaugeMetricFamily]:
    source = status.source
    info = [((label(source.kind), label(source.revision)), 1)]
    yield _gauge("source_info", "Kind of the source, and the revision in force.", ["kind", "revision"], info)
    fetched = [((), source.fetched)] if source.fetched is not None else []
    help_text = "When the source was last fetched successfully, in Unix time."
    yield _gauge("source_last_fetch_timestamp_seconds", help_text, [], fetched)
    failures = source.failure.count if source.failure else 0
    help_text = "Failed fetches since the last successful one."
    yield _gauge("source_consecutive_failures", help_text, [], [((), failures)])
    rejected = [((), bool(source.rejected))]
    yield _gauge("source_revision_rejected", "1 if the newest revision is rejected.", [], rejected)


def _times(clusters: tuple[ClusterStatus, ...]) -> Iterator[GaugeMetricFamily]:
    for name, help_text, field in (
        ("last_reconciliation", "When the last reconciliation ended, in Unix time.", "last_reconciliation"),
        ("last_success", "When the last successful reconciliation ended, in Unix time.", "last_success"),
        ("next_reconciliation", "When the next reconciliation is due, in Unix time.", "next_reconciliation"),
    ):
        samples = [((cluster_label(one.name),), at) for one in clusters if (at := getattr(one, field)) is not None]
        yield _gauge(f"cluster_{name}_timestamp_seconds", help_text, ["cluster"], samples)


def _phases(clusters: tuple[ClusterStatus, ...]) -> Iterator[GaugeMetricFamily]:
    infos = [((cluster_label(one.name), label(one.mode), label(one.revision)), 1) for one in clusters]
    help_text = "Mode, and the revision of the last successful reconciliation."
    yield _gauge("cluster_info", help_text, ["cluster", "mode", "revision"], infos)
    phases = [((cluster_label(one.name), phase.value), one.phase is phase) for one in clusters for phase in Phase]
    yield _gauge("cluster_phase", "1 for the current phase.", ["cluster", "phase"], phases)


def _failures(clusters: tuple[ClusterStatus, ...]) -> Iterator[GaugeMetricFamily]:
    failures = ((one, one.failure.count if one.failure else 0) for one in clusters)
    help_text = "Failed reconciliations since the last successful one."
    yield _by_cluster("cluster_consecutive_failures", help_text, failures)
    failing = [((cluster_label(one.name), error_class(one.failure.kind)), 1) for one in clusters if one.failure]
    help_text = "1 for the error class that the last reconciliation failed with."
    yield _gauge("cluster_failure", help_text, ["cluster", "class"], failing)


def _plans(clusters: tuple[ClusterStatus, ...]) -> Iterator[GaugeMetricFamily]:
    declared = ((one, one.declared) for one in clusters)
    yield _by_cluster("cluster_declared_resources", "Resources in the manifests.", declared)
    held = ((one, one.plan.held) for one in clusters if one.plan is not None)
    yield _by_cluster("cluster_held_resources", "Resources with changes that are held.", held)
    planned = [
        ((cluster_label(one.name), action.name.lower()), number)
        for one in clusters
        if one.plan is not None
        for action, number in counts(one.plan.changes).items()
    ]
    yield _gauge("cluster_planned_changes", "Changes in the last plan.", ["cluster", "action"], planned)


def _by_cluster(name: str, help_text: str, values: Iterable[tuple[ClusterStatus, float]]) -> GaugeMetricFamily:
    return _gauge(name, help_text, ["cluster"], [((cluster_label(one.name),), value) for one, value in values])


def _gauge(name: str, help_text: str, labels: list[str], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"reconciler_{name}", help_text, labels=labels)
    for values, value in samples:
        family.add_metric(list(values), float(value))
    return family
