"""Prometheus metrics: counters of events, and the current status as gauges at each scrape.

The loop and the engine report events to `Metrics.observe`, and `app` serves `text`. The number of series is bounded:
labels are configured clusters, kinds, error classes and fixed words, never names of objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase

from reconciler.agent.status import AgentStatus, ClusterStatus, StatusStore
from reconciler.kinds import load_kinds
from reconciler.telemetry import Event
from reconciler.web import metric_labels as labels
from reconciler.web.metric_labels import cluster_label, error_class, known
from reconciler.web.status_metrics import StatusCollector
from reconciler.web.webhooks import PROVIDERS

_RECONCILIATION_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
_RESULTS: Final = {"change.done": "done", "change.failed": "failed", "change.skipped": "skipped"}


class Metrics:
    """Counts events from the moment that it is created; safe to use from several threads."""

    def __init__(self, status_store: StatusStore) -> None:
        self._status_store = status_store
        self._kinds = frozenset(load_kinds())
        self._registry = registry = CollectorRegistry()

        def counter(name: str, help_text: str, *names: str) -> Counter:
            return Counter(f"reconciler_{name}", help_text, names, registry=registry)

        def histogram(name: str, help_text: str, buckets: tuple[float, ...], *names: str) -> Histogram:
            return Histogram(f"reconciler_{name}", help_text, names, buckets=buckets, registry=registry)

        self._reconciliations = counter("reconciliations", "Reconciliations, by result.", "cluster", "result")
        self._reconciliation_seconds = histogram(
            "reconciliation_duration_seconds", "Duration of a reconciliation.", _RECONCILIATION_SECONDS, "cluster"
        )
        self._failures = counter(
            "reconciliation_failures", "Failed reconciliations, by error class.", "cluster", "class"
        )
        self._fetch_failures = counter("source_fetch_failures", "Failed fetches, by error class.", "class")
        self._changes = counter("changes", "Changes, by action and result.", "cluster", "kind", "action", "result")
        self._requests = counter(
            "api_requests", "Requests to clusters, by status; none: no response.", "cluster", "method", "status"
        )
        self._request_seconds = histogram(
            "api_request_duration_seconds", "Duration of a request to a cluster.", _REQUEST_SECONDS, "method"
        )
        self._retries = counter("api_request_retries", "Retried requests to clusters.", "cluster")
        self._webhooks = counter("webhook_deliveries", "Webhooks, by provider and result.", "provider", "result")
        self._notifications = counter("notifications", "Notifications, by recipient and result.", "recipient", "result")
        self._by_cluster: tuple[MetricWrapperBase, ...] = (
            self._reconciliations, self._reconciliation_seconds, self._failures,
            self._changes, self._requests, self._retries,
        )  # fmt: skip
        self._counting: dict[str, Callable[[str, Any], None]] = {
            **dict.fromkeys(_RESULTS, self._count_change),
            "call.done": self._count_request,
            "call.retried": self._count_retry,
            "webhook.received": self._count_webhook,
            "notification.sent": self._count_notification,
        }
        for name in status_store.status.clusters:
            self._add_cluster(name)
        self._add_fixed_series()
        registry.register(StatusCollector(status_store, self._kinds))
        ProcessCollector(registry=registry)
        status_store.listen(self._status_changed)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, in the format that *accept* prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def observe(self, event: Event) -> None:
        """Count *event*, if there is a counter for it."""
        count = self._counting.get(event.name)
        if count is not None:
            count(event.name, event.attributes)

    # --- events -----------------------------------------------------------------------------------------------------

    def _count_change(self, name: str, about: Any) -> None:
        cluster, kind = labels.cluster_and_kind(str(about["address"]))
        if self._configured(cluster):
            kind, action = kind if kind in self._kinds else labels.OTHER, labels.action(about["action"])
            self._changes.labels(cluster_label(cluster), kind, action, _RESULTS[name]).inc()

    def _count_request(self, name: str, about: Any) -> None:
        method = labels.method(str(about["request"]))
        if self._configured(about["cluster"]):
            status = labels.status(about["status"])
            self._requests.labels(cluster_label(about["cluster"]), method, status).inc()
        self._request_seconds.labels(method).observe(about["seconds"])

    def _count_retry(self, name: str, about: Any) -> None:
        if self._configured(about["cluster"]):
            self._retries.labels(cluster_label(about["cluster"])).inc()

    def _count_webhook(self, name: str, about: Any) -> None:
        self._webhooks.labels(known(about["provider"]), known(about["result"])).inc()

    def _count_notification(self, name: str, about: Any) -> None:
        self._notifications.labels(known(about["recipient"]), known(about["result"])).inc()

    def _configured(self, cluster: str) -> bool:
        return cluster in self._status_store.status.clusters

    # --- status -----------------------------------------------------------------------------------------------------

    def _add_fixed_series(self) -> None:
        for provider in PROVIDERS:
            for result in labels.DELIVERY_RESULTS:
                self._webhooks.labels(provider, result)
        for recipient in labels.RECIPIENTS:
            for result in labels.SEND_RESULTS:
                self._notifications.labels(recipient, result)

    def _add_cluster(self, name: str) -> None:
        """Create the series of a cluster, so that its first failure is an increase and not a new series."""
        self._reconciliations.labels(cluster_label(name), "success")
        self._reconciliations.labels(cluster_label(name), "failure")
        self._reconciliation_seconds.labels(cluster_label(name))

    def _status_changed(self, before: AgentStatus, after: AgentStatus) -> None:
        """Count what happened between two states of the agent."""
        if after.source.failure not in (None, before.source.failure):
            self._fetch_failures.labels(error_class(after.source.failure.kind)).inc()
        if before.clusters is after.clusters:
            return
        for name in before.clusters.keys() - after.clusters.keys():
            for metric in self._by_cluster:
                metric.remove_by_labels({"cluster": cluster_label(name)})
        for name, now in after.clusters.items():
            was = before.clusters.get(name)
            if was is None:
                self._add_cluster(name)
            elif was is not now and now.last_reconciliation not in (None, was.last_reconciliation):
                self._reconciled(now)

    def _reconciled(self, now: ClusterStatus) -> None:
        self._reconciliation_seconds.labels(cluster_label(now.name)).observe(now.duration)
        self._reconciliations.labels(cluster_label(now.name), "failure" if now.failure else "success").inc()
        if now.failure:
            self._failures.labels(cluster_label(now.name), error_class(now.failure.kind)).inc()
