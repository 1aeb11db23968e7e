"""What the agent tells: lines for people and machines, and spans."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reconciler.agent.log import Log
from reconciler.agent.tracing import ENDPOINT, Tracing, open_tracing
from reconciler.telemetry import Event
from tests.agent.rig import Fleet

HOSTILE = 'line one\nline two "quoted" \x1b[31m canary-secret'


def told(form: str, *events: Event, verbose: bool = False) -> list[str]:
    lines: list[str] = []
    log = Log(
        lines.append,
        form=form,
        verbose=verbose,
        redact=lambda text: text.replace("canary-secret", "(secret)"),
        now=lambda: 1768467600.25,
    )
    for event in events:
        log.observe(event)
    return lines


def test_text_is_one_line_an_event_whatever_is_in_it() -> None:
    (line,) = told("text", Event("reconciliation.failed", {"cluster": "dc1", "why": HOSTILE, "revision": ""}))
    assert line.startswith("2026-01-15T09:00:00.250Z warning reconciliation.failed cluster=dc1 why=")
    assert "\n" not in line
    assert "\x1b" not in line
    assert "canary" not in line


def test_json_is_one_object_an_event() -> None:
    (line,) = told("json", Event("reconciliation.done", {"cluster": "dc1", "changes": 0, "why": HOSTILE}))
    assert "canary" not in line
    found = json.loads(line)
    assert (found["time"], found["level"], found["event"]) == (
        "2026-01-15T09:00:00.250Z",
        "info",
        "reconciliation.done",
    )
    assert (found["cluster"], found["changes"]) == ("dc1", 0)


@pytest.mark.parametrize("name", ["call.done", "reconciliation.started", "plan.done", "change.waiting", "fetch.done"])
def test_what_happens_all_the_time_is_told_on_request(name: str) -> None:
    event = Event(name, {"cluster": "dc1"})
    assert told("text", event) == []
    assert len(told("text", event, verbose=True)) == 1


# --- spans -----------------------------------------------------------------------------------------------


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider.get_tracer("test"))


def tree(spans: tuple[ReadableSpan, ...]) -> list[tuple[str, str]]:
    """Return (name, name of the parent) of each span, in the order in which they ended."""
    names = {span.context.span_id: span.name for span in spans if span.context}
    return [(span.name, names[span.parent.span_id] if span.parent else "") for span in spans]


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def test_a_pass_is_a_tree_of_spans(tmp_path: Path, tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, interval: 1d")
    fleet.run(60)
    for event in fleet.events:
        tracing.observe(event)
    spans = exporter.get_finished_spans()
    assert tree(tuple(span for span in spans if span.name != "fetch")) == [
        ("plan", "reconciliation"),
        ("change", "apply"),
        ("change", "apply"),
        ("change", "apply"),
        ("apply", "reconciliation"),
        ("reconciliation", ""),
    ]
    assert ("fetch", "") in tree(spans)
    change = next(span for span in spans if span.name == "change")
    assert attributes(change)["reconciler.address"] == "dc1:RedisACL/app-keys"
    (whole,) = [span for span in spans if span.name == "reconciliation"]
    assert attributes(whole)["reconciler.cluster"] == "dc1"


def test_a_failure_marks_its_span_and_clusters_do_not_mix(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    for name, cluster in [
        ("reconciliation.started", "a"),
        ("reconciliation.started", "b"),
        ("plan.started", "a"),
        ("plan.started", "b"),
    ]:
        tracing.observe(Event(name, {"cluster": cluster}))
    for name, cluster in [
        ("plan.failed", "a"),
        ("reconciliation.failed", "a"),
        ("plan.done", "b"),
        ("reconciliation.done", "b"),
    ]:
        tracing.observe(Event(name, {"cluster": cluster, "failure": "Unreachable", "why": "canary-secret"}))
    spans = exporter.get_finished_spans()
    assert [(attributes(span)["reconciler.cluster"], span.status.is_ok) for span in spans] == [
        ("a", False),
        ("a", False),
        ("b", True),
        ("b", True),
    ]
    assert all("canary" not in str(span.to_json()) for span in spans)
    assert spans[0].parent is not None
    assert spans[1].context is not None
    assert spans[0].parent.span_id == spans[1].context.span_id


def test_an_end_without_a_beginning_and_foreign_events_are_nothing(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    for name in ("reconciliation.done", "call.done", "source.accepted", "change.done", "nodots"):
        tracing.observe(Event(name, {}))
    assert exporter.get_finished_spans() == ()


def test_without_an_endpoint_there_are_no_traces() -> None:
    assert open_tracing({}, "1", pytest.fail) is None
    opened = open_tracing({ENDPOINT: "http://127.0.0.1:9"}, "1", pytest.fail)
    assert opened is not None
    opened.close()
