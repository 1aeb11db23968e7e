"""Metrics: what they count, what they show, and that their number is bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from prometheus_client.parser import text_string_to_metric_families

from reconciler.agent.status import Failure, StatusStore
from reconciler.telemetry import Event
from reconciler.web import Metrics
from tests.web.fake_status import HOSTILE, NOW, REVISION, cluster, failure, fleet, hostile, status_store
from tests.web.rig import serving

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Samples:
    text, _ = metrics.text("")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    wanted = {key.rstrip("_"): text for key, text in labels.items()}
    return samples(metrics).get((name, tuple(sorted(wanted.items()))))


def test_the_board_is_shown_as_it_is() -> None:
    metrics = Metrics(status_store())
    assert value(metrics, "reconciler_cluster_info", cluster="prod-eu", mode="apply", revision=REVISION) == 1
    assert value(metrics, "reconciler_cluster_last_success_timestamp_seconds", cluster="prod-us") == NOW - 5400
    assert value(metrics, "reconciler_cluster_last_success_timestamp_seconds", cluster="new") is None
    assert value(metrics, "reconciler_cluster_phase", cluster="prod-us", phase="failing") == 1
    assert value(metrics, "reconciler_cluster_phase", cluster="prod-us", phase="idle") == 0
    assert value(metrics, "reconciler_cluster_consecutive_failures", cluster="prod-us") == 4
    assert value(metrics, "reconciler_cluster_failure", cluster="prod-us", class_="Unreachable") == 1
    assert value(metrics, "reconciler_cluster_drift", cluster="staging", kind="Database", ahead="theirs") == 1
    assert value(metrics, "reconciler_cluster_planned_changes", cluster="prod-asia", action="delete") == 4
    assert value(metrics, "reconciler_cluster_held_resources", cluster="dev-2") == 6
    assert value(metrics, "reconciler_source_last_fetch_timestamp_seconds") == NOW - 33
    assert value(metrics, "reconciler_source_revision_rejected") == 0
    assert value(metrics, "reconciler_leader") == 1


def test_passes_are_counted_by_result_and_failures_by_class() -> None:
    shown = StatusStore(replace(fleet(), clusters=MappingProxyType({"a": cluster("a"), "b": cluster("b")})))
    metrics = Metrics(shown)
    shown.update_cluster("a", last_reconciliation=NOW, duration=2.0)
    shown.update_cluster("a", last_reconciliation=NOW + 5, duration=0.2, failure=failure("Unreachable", 1))
    shown.update_cluster("a", last_reconciliation=NOW + 9, duration=0.2, failure=failure("Unreachable", 2))
    shown.update_cluster("a", progress=None)  # no pass
    assert value(metrics, "reconciler_reconciliations_total", cluster="a", result="success") == 1
    assert value(metrics, "reconciler_reconciliations_total", cluster="a", result="failure") == 2
    assert value(metrics, "reconciler_reconciliations_total", cluster="b", result="failure") == 0
    assert value(metrics, "reconciler_reconciliation_failures_total", cluster="a", class_="Unreachable") == 2
    assert value(metrics, "reconciler_reconciliation_duration_seconds_count", cluster="a") == 3
    assert value(metrics, "reconciler_reconciliation_duration_seconds_bucket", cluster="a", le="0.25") == 2


def test_looks_at_the_source_that_fail_are_counted() -> None:
    shown = status_store()
    metrics = Metrics(shown)
    for count in (1, 2):
        shown.update(source=replace(shown.status.source, failure=Failure("SourceStale", "no route", NOW, count)))
    shown.update(leader=False)
    assert value(metrics, "reconciler_source_fetch_failures_total", class_="SourceStale") == 2
    assert value(metrics, "reconciler_source_consecutive_failures") == 2


def test_what_the_engine_tells_is_counted() -> None:
    metrics = Metrics(status_store())
    change = {"number": 1, "address": "prod-eu:Database/orders", "action": "update", "why": "", "seconds": 1.0}
    for name in ("change.started", "change.done", "change.done", "change.failed"):
        metrics.observe(Event(name, change))
    metrics.observe(Event("change.skipped", {**change, "status": "skipped"}))
    call = {"cluster": "prod-eu", "request": "GET /v1/bdbs", "node": "https://x", "outcome": "done", "seconds": 0.02}
    metrics.observe(Event("call.done", {**call, "status": 200}))
    metrics.observe(Event("call.done", {**call, "status": 0}))
    metrics.observe(Event("call.retried", {"cluster": "prod-eu", "request": "GET /v1/bdbs", "why": "", "delay": 1}))
    where = {"cluster": "prod-eu", "kind": "Database", "action": "update"}
    for result, number in (("done", 2), ("failed", 1), ("skipped", 1)):
        assert value(metrics, "reconciler_changes_total", **where, result=result) == number
    assert value(metrics, "reconciler_api_requests_total", cluster="prod-eu", method="GET", status="200") == 1
    assert value(metrics, "reconciler_api_requests_total", cluster="prod-eu", method="GET", status="none") == 1
    assert value(metrics, "reconciler_api_request_duration_seconds_count", method="GET") == 2
    assert value(metrics, "reconciler_api_request_retries_total", cluster="prod-eu") == 1


def test_a_cluster_that_is_gone_takes_its_series_along() -> None:
    shown = status_store()
    metrics = Metrics(shown)
    shown.update_cluster("prod-eu", last_reconciliation=NOW + 1)
    shown.update(clusters=MappingProxyType({k: v for k, v in shown.status.clusters.items() if k != "prod-eu"}))
    metrics.observe(Event("call.retried", {"cluster": "prod-eu"}))
    assert [labels for _, labels in samples(metrics) if ("cluster", "prod-eu") in labels] == []


def test_the_number_of_series_does_not_grow_with_what_is_told() -> None:
    metrics = Metrics(status_store())

    def tell(number: int) -> None:
        for text in (*HOSTILE, str(number)):
            change = {"address": f"prod-eu:{text}/{text}", "action": text}
            metrics.observe(Event("change.done", change))
            metrics.observe(Event("change.done", {**change, "address": f"{text}:Database/{text}"}))
            call = {"cluster": "prod-eu", "request": f"{text} /v1/{text}", "status": 200, "seconds": 0.1}
            metrics.observe(Event("call.done", call))
            metrics.observe(Event("call.done", {**call, "cluster": text, "status": 100000 + number}))
            metrics.observe(Event("webhook.received", {"provider": text[:9], "result": "accepted"}))

    tell(1000)
    before = len(samples(metrics))
    for number in range(1001, 1300):
        tell(number)
    assert len(samples(metrics)) == before


def test_hostile_texts_in_labels_are_harmless() -> None:
    found = samples(Metrics(status_store(hostile())))
    labels = {text for _, pairs in found for _, text in pairs}
    assert [text for text in labels if not text.isprintable() or len(text) > 100] == []


def test_both_formats_are_served() -> None:
    with serving() as rig:
        plain = rig.ask("/metrics")
        assert plain.headers["content-type"].startswith("text/plain; version=")
        modern = rig.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert modern.headers["content-type"].startswith("application/openmetrics-text")
        assert modern.text.endswith("# EOF\n")
        assert re.search(r'^reconciler_build_info\{python="3[^"]+",version="0\.1\.0"\} 1\.0$', plain.text, re.MULTILINE)


def test_webhooks_are_counted() -> None:
    with serving() as rig:
        rig.metrics.observe(Event("webhook.received", {"provider": "github", "result": "invalid_signature"}))
        rig.metrics.observe(Event("notification.sent", {"recipient": "slack", "result": "sent", "why": ""}))
        assert (
            value(rig.metrics, "reconciler_webhook_deliveries_total", provider="github", result="invalid_signature")
            == 1
        )
        assert value(rig.metrics, "reconciler_notifications_total", recipient="slack", result="sent") == 1
