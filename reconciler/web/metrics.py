"""Prometheus metrics: counters of what the engine tells, and the board as it is at the moment of a scrape.

The loop hands `Metrics.observe` to the engine as its listener, and `site` serves `text`. The number of series is
bounded: labels are configured clusters, kinds, classes of errors and words of ours, never names of objects.
"""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from reconciler import errors
from reconciler.agent.status import Board, ClusterStatus, Phase, Status
from reconciler.kinds import load_kinds
from reconciler.plan import Action
from reconciler.render.escape import clean, shorten
from reconciler.render.text import counts
from reconciler.telemetry import Event
from reconciler.web.hooks import PROVIDERS, Verdict

_PASS_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_CALL_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_ACTIONS: Final = frozenset(action.name.lower() for action in Action)
_RESULTS: Final = {"change.done": "done", "change.failed": "failed", "change.skipped": "skipped"}
_DELIVERED: Final = (*(verdict.value for verdict in Verdict), "too large")
_RECIPIENTS: Final = ("webhook", "slack", "github", "gitlab")
_SENT: Final = ("sent", "retried", "failed", "dropped")
_WORDS: Final = frozenset((*PROVIDERS, *_DELIVERED, *_RECIPIENTS, *_SENT))


def _classes(root: type[Exception]) -> Iterator[str]:
    yield root.__name__
    for below in root.__subclasses__():
        yield from _classes(below)


_FAILURES: Final = frozenset(_classes(errors.ReconcilerError))


class Metrics:
    """Counts, from the moment that it is made; safe to use from several threads."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._registry = registry = CollectorRegistry()
        self._kinds = frozenset(load_kinds())
        self._passes = Counter(
            "reconciler_passes", "Passes that ended, by result.", ["cluster", "result"], registry=registry
        )
        self._pass_seconds = Histogram(
            "reconciler_pass_duration_seconds",
            "How long a pass took.",
            ["cluster"],
            buckets=_PASS_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "reconciler_failures", "Passes that failed, by class of error.", ["cluster", "class"], registry=registry
        )
        self._fetch_failures = Counter(
            "reconciler_source_failures",
            "Looks at the source that failed, by class of error.",
            ["class"],
            registry=registry,
        )
        self._changes = Counter(
            "reconciler_changes",
            "Changes, by action and result.",
            ["cluster", "kind", "action", "result"],
            registry=registry,
        )
        self._calls = Counter(
            "reconciler_calls",
            "Requests to clusters, by status; none: no answer.",
            ["cluster", "method", "status"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "reconciler_call_duration_seconds",
            "How long a request took.",
            ["method"],
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            "reconciler_call_retries", "Requests that were sent again.", ["cluster"], registry=registry
        )
        self._hooks = Counter(
            "reconciler_webhook_deliveries",
            "Webhooks, by provider and result.",
            ["provider", "result"],
            registry=registry,
        )
        self._notices = Counter(
            "reconciler_notifications",
            "Notifications, by recipient and result.",
            ["recipient", "result"],
            registry=registry,
        )
        self._by_cluster: tuple[MetricWrapperBase, ...] = (
            self._passes, self._pass_seconds, self._failures, self._changes, self._calls, self._retries
        )  # fmt: skip
        for provider in PROVIDERS:
            for result in _DELIVERED:
                self._hooks.labels(provider, result)
        for recipient in _RECIPIENTS:
            for result in _SENT:
                self._notices.labels(recipient, result)
        registry.register(_Present(board, self._kinds))
        ProcessCollector(registry=registry)
        for name in board.status.clusters:
            self._begin(name)
        board.listen(self._moved)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, in the format that *accept* prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def observe(self, event: Event) -> None:
        """Count *event*, or not."""
        about = event.attributes
        if event.name in _RESULTS:
            cluster, kind = _cluster_and_kind(str(about["address"]))
            if self._known(cluster):
                action = about["action"] if about["action"] in _ACTIONS else "other"
                self._changes.labels(cluster_label(cluster), self._kind(kind), action, _RESULTS[event.name]).inc()
        elif event.name == "call.done":
            method = str(about["request"]).partition(" ")[0]
            method = method if method in _METHODS else "other"
            if self._known(about["cluster"]):
                self._calls.labels(cluster_label(about["cluster"]), method, _status(about["status"])).inc()
            self._call_seconds.labels(method).observe(about["seconds"])
        elif event.name == "call.retried" and self._known(about["cluster"]):
            self._retries.labels(cluster_label(about["cluster"])).inc()
        elif event.name == "webhook.received":
            self._hooks.labels(_word(about["provider"]), _word(about["result"])).inc()
        elif event.name == "notification.sent":
            self._notices.labels(_word(about["recipient"]), _word(about["result"])).inc()

    def _known(self, cluster: str) -> bool:
        return cluster in self._board.status.clusters

    def _kind(self, name: str) -> str:
        return name if name in self._kinds else "other"

    def _begin(self, name: str) -> None:
        """Make the series of a cluster, so that its first failure is an increase and not a beginning."""
        self._passes.labels(cluster_label(name), "success")
        self._passes.labels(cluster_label(name), "failure")
        self._pass_seconds.labels(cluster_label(name))

    def _moved(self, before: Status, after: Status) -> None:
        """Count what the board shows to have happened."""
        if after.source.failure not in (None, before.source.failure):
            self._fetch_failures.labels(_class(after.source.failure.kind)).inc()
        if before.clusters is after.clusters:
            return
        for name in before.clusters.keys() - after.clusters.keys():
            for metric in self._by_cluster:
                metric.remove_by_labels({"cluster": cluster_label(name)})
        for name, now in after.clusters.items():
            was = before.clusters.get(name)
            if was is None:
                self._begin(name)
            elif was is not now and now.last_pass is not None and now.last_pass != was.last_pass:
                self._passed(now)

    def _passed(self, now: ClusterStatus) -> None:
        self._pass_seconds.labels(cluster_label(now.name)).observe(now.seconds)
        self._passes.labels(cluster_label(now.name), "failure" if now.failure else "success").inc()
        if now.failure:
            self._failures.labels(cluster_label(now.name), _class(now.failure.kind)).inc()


class _Present(Collector):
    """The board as gauges, made at each scrape: what is gone from it is gone from here."""

    def __init__(self, board: Board, kinds: frozenset[str]) -> None:
        self._board = board
        self._kinds = kinds

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        status = self._board.status
        clusters = tuple(status.clusters.values())
        yield _gauge("build_info", "Which version runs.", ["version", "python"], [
            ((label(status.version), platform.python_version()), 1)
        ])  # fmt: skip
        yield _gauge("start_time_seconds", "When the agent started.", [], [((), status.started)])
        yield _gauge("leader", "Whether this agent holds the lease.", [], [((), status.leader)])
        yield _gauge("stopping", "Whether it is about to end.", [], [((), status.stopping)])
        yield from self._source(status)
        yield from self._times(clusters)
        yield from self._contents(clusters)

    def _source(self, status: Status) -> Iterator[GaugeMetricFamily]:
        source = status.source
        yield _gauge(
            "source_info",
            "What is enforced.",
            ["kind", "revision"],
            [((label(source.kind), label(source.revision)), 1)],
        )
        fetched = [((), source.fetched)] if source.fetched is not None else []
        yield _gauge("source_last_fetch_timestamp_seconds", "Last successful look at the source.", [], fetched)
        in_a_row = source.failure.count if source.failure else 0
        yield _gauge("source_failures_in_a_row", "Looks that failed since the last that did not.", [], [((), in_a_row)])
        yield _gauge("source_rejected", "Whether a newer revision is refused.", [], [((), bool(source.rejected))])

    def _times(self, clusters: tuple[ClusterStatus, ...]) -> Iterator[GaugeMetricFamily]:
        for name, help_text, field in (
            ("cluster_last_pass_timestamp_seconds", "When the last pass ended.", "last_pass"),
            ("cluster_last_success_timestamp_seconds", "When the last pass without a failure ended.", "last_success"),
            ("cluster_next_pass_timestamp_seconds", "When the next pass is due.", "next_pass"),
        ):
            samples = [((_named(one),), at) for one in clusters if (at := getattr(one, field)) is not None]
            yield _gauge(name, help_text, ["cluster"], samples)
        infos = [((_named(one), label(one.mode), label(one.revision)), 1) for one in clusters]
        help_text = "Mode, and the revision of the last successful pass."
        yield _gauge("cluster_info", help_text, ["cluster", "mode", "revision"], infos)
        yield _gauge("cluster_phase", "1 for what is going on.", ["cluster", "phase"], [
            ((_named(one), phase.value), one.phase is phase) for one in clusters for phase in Phase
        ])  # fmt: skip

    def _contents(self, clusters: tuple[ClusterStatus, ...]) -> Iterator[GaugeMetricFamily]:
        def each(name: str, help_text: str, values: Iterable[tuple[ClusterStatus, float]]) -> GaugeMetricFamily:
            return _gauge(name, help_text, ["cluster"], [((_named(one),), value) for one, value in values])

        yield each("cluster_declared_objects", "Objects in the manifests.", ((one, one.declared) for one in clusters))
        yield each("cluster_failures_in_a_row", "Passes that failed since the last that did not.", (
            (one, one.failure.count if one.failure else 0) for one in clusters
        ))  # fmt: skip
        failing = [((_named(one), _class(one.failure.kind)), 1) for one in clusters if one.failure is not None]
        help_text = "1 for the class of error that the last pass failed with."
        yield _gauge("cluster_failure", help_text, ["cluster", "class"], failing)
        yield each("cluster_held_objects", "Declared objects that are left alone.", (
            (one, one.plan.held) for one in clusters if one.plan is not None
        ))  # fmt: skip
        yield _gauge("cluster_planned_changes", "Changes that the last plan holds.", ["cluster", "action"], [
            ((_named(one), action.name.lower()), number)
            for one in clusters if one.plan is not None
            for action, number in counts(one.plan.changes).items()
        ])  # fmt: skip
        found = Tally(
            (_named(one), self._kind(entry.drift.address.kind), entry.drift.ahead.value)
            for one in clusters
            for entry in one.drift
        )
        yield _gauge(
            "cluster_drift",
            "Differences between cluster and git, by who is ahead.",
            ["cluster", "kind", "ahead"],
            sorted(found.items()),
        )

    def _kind(self, name: str) -> str:
        return name if name in self._kinds else "other"


def _named(one: ClusterStatus) -> str:
    return cluster_label(one.name)


def _gauge(
    name: str, help_text: str, labels: list[str], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"reconciler_{name}", help_text, labels=labels)
    for values, value in samples:
        family.add_metric(list(values), float(value))
    return family


def label(text: str) -> str:
    """Return *text* as the value of a label: harmless, and not long."""
    return shorten(clean(text), 100)


def cluster_label(name: str) -> str:
    """Return the label of a cluster; the one of the environment has no name."""
    return label(name) or "default"


def _word(text: str) -> str:
    return text if text in _WORDS else "other"


def _class(name: str) -> str:
    return name if name in _FAILURES else "other"


def _status(status: object) -> str:
    return str(status) if isinstance(status, int) and 100 <= status <= 599 else "none"


def _cluster_and_kind(address: str) -> tuple[str, str]:
    """Return cluster and kind of an address as text, `cluster:Kind/name`."""
    before = address.partition("/")[0]
    cluster, colon, kind = before.rpartition(":")
    return (cluster, kind) if colon else ("", before)
