"""Alert rules and dashboard ask only for metrics and labels that the agent really has."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler import yaml12
from reconciler.agent.status import Failure, StatusStore
from reconciler.telemetry import Event
from reconciler.web import Metrics
from tests.web.fake_status import NOW, cluster, failure, status_store

FOLDER = Path(__file__).resolve().parent.parent.parent / "deploy" / "observability"
_SELECTOR = re.compile(r"\b((?:reconciler|process)_[a-z_]+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_OUTSIDE = {"instance", "job"}  # given by Prometheus itself


def everything() -> Mapping[str, Mapping[str, set[str]]]:
    """Return the values of each label of each metric, after one of everything happened."""
    shown: StatusStore = status_store()
    metrics = Metrics(shown)
    shown.update_cluster("dev-1", last_reconciliation=NOW + 1, failure=failure("Unauthorized", 1))
    shown.update(source=replace(shown.status.source, failure=Failure("InputError", "x", NOW)))
    for name in ("change.done", "change.failed", "change.skipped"):
        metrics.observe(Event(name, {"address": "dev-1:Database/x", "action": "update"}))
    call = {"cluster": "dev-1", "request": "GET /v1/bdbs", "status": 200, "seconds": 0.1}
    metrics.observe(Event("call.done", call))
    metrics.observe(Event("call.retried", call))
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(metrics.text("")[0].decode()):
        for sample in family.samples:
            found[sample.name].update({name: found[sample.name][name] | {text} for name, text in sample.labels.items()})
    return found


KNOWN = everything()


def rules() -> list[Mapping[str, Any]]:
    documents, problems = yaml12.parse((FOLDER / "alerts.yaml").read_bytes(), "alerts.yaml", yaml12.Bounds())
    assert problems == []
    (group,) = documents[0].value["groups"]
    found: list[Mapping[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
    return loaded


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_what_is_asked_for_is_there(title: str, expression: str) -> None:
    selectors = _SELECTOR.findall(expression)
    assert selectors
    for name, inside in selectors:
        assert name in KNOWN
        for label, operator, value in _LABEL.findall(inside):
            assert label in KNOWN[name], f"{name} has no {label}"
            if not value.startswith("$") and operator in ("=", "=~"):
                for one in value.split("|") if operator == "=~" else [value]:
                    assert one in KNOWN[name][label] | POSSIBLE.get(label, set()), f"{name}: {label} is never {one}"
    for labels in re.findall(r"\b(?:by|on|without) \(([^)]*)\)", expression):
        for label in re.split(r", *", labels):
            assert label in _OUTSIDE | {"le"} or any(label in KNOWN[name] for name, _ in selectors)


POSSIBLE = {"ahead": {"ours", "theirs", "both"}}


def test_legends_name_labels_that_are_left() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"(by|on) \([^)]*\b{label}\b", target["expr"]), panel["title"]


def test_panels_have_their_own_place_and_number() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]


def test_every_metric_of_ours_is_used_or_explained() -> None:
    asked = " ".join(expression for _, expression in expressions())
    for name in KNOWN:
        stem = re.sub(r"_(sum|count|bucket|created|total)$", "", name)
        if name.startswith("reconciler_") and not name.endswith(("_created", "_sum", "_count")):
            assert stem in asked or name in NOT_SHOWN, name


NOT_SHOWN = {
    "reconciler_source_info": "kind and revision of the source, for joins",
    "reconciler_source_consecutive_failures": "the age of the source says more",
    "reconciler_stopping": "over within half a minute",
    "reconciler_cluster_last_reconciliation_timestamp_seconds": "the last success says more",
    "reconciler_cluster_next_reconciliation_timestamp_seconds": "for people who look at one cluster",
}


def test_one_cluster_more_means_a_bounded_number_of_series_more() -> None:
    def count(names: list[str]) -> int:
        shown = status_store()
        shown.update(clusters=MappingProxyType({name: cluster(name) for name in names}))
        text, _ = Metrics(shown).text("")
        return len([line for line in text.decode().splitlines() if line and not line.startswith("#")])

    assert count(["a", "b"]) - count(["a"]) < 50
