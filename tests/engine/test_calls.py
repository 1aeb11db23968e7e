"""The calls that a plan announces are those that an apply sends, for every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply.planned_calls import calls_of
from reconciler.apply.recorder import ExplainContext, PlannedCall, PlannedCalls
from reconciler.kinds import Kind
from reconciler.manifests import Resource
from reconciler.model import LiveState
from reconciler.plan import Action, Plan
from reconciler.simulator.core import LogEntry
from tests.engine.active_active import ActiveActive, instance
from tests.engine.test_every_kind import HOME, SPECS, example, new_rig
from tests.engine.test_modules import packed
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY

ALERT = {"bdb_size": {"enabled": True, "threshold": "80"}}
# What further declarations of the example change, one after the other.
UPDATES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "ActiveActiveDatabase": [
        {"default_db_config": {"memory_size": 2 << 30}},
        {"instances": [instance("dc1")]},
    ],
    "Database": [
        {"memory_size": "200MiB", "alerts": ALERT},
        {"traffic": "stopped"},
        {"traffic": "running"},
        {"passwords": [{"valueFrom": {"env": "ONE"}}, {"valueFrom": {"env": "TWO"}}]},
        {"replica_sources": [{"uri": "redis://source.example.com:12001"}], "replica_sync": "enabled"},
    ],
    "LDAPMapping": [{"email": "ops@example.com"}],
    "RedisACL": [{"acl": "+@write ~other:*"}],
    "Role": [{"management": "db_viewer"}],
    "User": [{"email_alerts": True}, {"password": {"valueFrom": {"env": "ANOTHER"}}}],
}
# Kinds whose flow depends on what only the cluster can answer: the steps that are announced only in part.
PARTLY: Mapping[str, frozenset[Action]] = {
    "Module": frozenset({Action.CREATE}),  # which nodes have its file
    "Role": frozenset({Action.UPDATE}),  # whether its resources are set, which an update repeats
}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ActiveActive]:
    yield from new_rig(tmp_path)


def announced(rig: ActiveActive, plan: Plan, live: Mapping[str, LiveState]) -> list[tuple[Action, str, PlannedCalls]]:
    context = ExplainContext(KINDS, live, rig.project_clusters)
    return [(change.action, change.address.kind, calls_of(change, context)) for change in plan.changes]


def field_names(entry: LogEntry) -> tuple[str, ...]:
    """Return the names of what a request sent: of a JSON object, or of a multipart form."""
    if entry.body.startswith(b"--"):
        return tuple(re.findall(r'name="(\w+)"', entry.body[:500].decode(errors="replace")))[:1]
    body = json.loads(entry.body) if entry.body else {}
    return tuple(sorted(body)) if isinstance(body, dict) else ()


def same(call: PlannedCall, entry: LogEntry) -> bool:
    path = re.escape(call.path).replace(re.escape("{uid}"), "[^/]+")
    return (
        call.method == entry.method and re.fullmatch(path, entry.path) is not None and call.fields == field_names(entry)
    )


def show(calls: Sequence[PlannedCall], entries: Sequence[LogEntry]) -> str:
    lines = [f"announced {one.method} {one.path} {one.fields}" for one in calls]
    return "\n".join([*lines, *(f"sent {one.method} {one.path} {field_names(one)}" for one in entries)])


def check(rig: ActiveActive, wanted: Sequence[Resource], **options: Any) -> None:
    """Apply *wanted*, and compare what was sent with what was announced."""
    live = rig.read()
    plan = rig.plan(wanted, live, **options)
    steps = announced(rig, plan, live)
    marks = {name: len(rig.clusters[name].sent) for name in rig.clusters}
    report = rig.apply(plan, live=live, read_file=lambda path: packed())
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    for name in rig.clusters:
        entries = rig.clusters[name].sent[marks[name] :]
        calls = [call for _, _, step in steps for call in step.calls if (call.cluster or HOME) == name]
        unknown = [
            f"{kind} {action.name}: {step.unknown}"
            for action, kind, step in steps
            if step.unknown and action not in PARTLY.get(kind, ())
        ]
        assert unknown == []
        if any(action in PARTLY.get(kind, ()) for action, kind, _ in steps):
            assert all(map(same, calls, entries)), show(calls, entries)
        else:
            assert len(calls) == len(entries), show(calls, entries)
            assert all(map(same, calls, entries)), show(calls, entries)


def spec_of(rig: ActiveActive, kind: Kind) -> Mapping[str, Any]:
    """Return what the example of *kind* declares."""
    return SPECS[kind.name](rig) if kind.name in SPECS else kind.examples[0]


every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)


@every_kind
def test_a_plan_announces_exactly_the_calls_that_an_apply_sends(rig: ActiveActive, kind: Kind) -> None:
    mine, *others = example(rig, kind)
    check(rig, others)
    check(rig, [mine, *others])
    for changed in UPDATES.get(kind.name, ()):
        mine = declared(kind.name, mine.address.name, {**spec_of(rig, kind), **changed})
        check(rig, [mine, *others], allow_destroy=frozenset({str(mine.address)}))
    if "delete" in kind.rest.verbs and mine.address.name not in kind.traits.lasting:
        grave = declared(kind.name, mine.address.name, {}, absent=True, protect=False)
        check(rig, [grave, *others], allow_destroy=frozenset({str(mine.address)}))


def test_what_an_update_repeats_without_having_been_read_is_said(rig: ActiveActive) -> None:
    mine, *others = example(rig, KINDS["ConnectionAuditing"])
    rig.assert_converges([mine, *others])
    changed = declared("ConnectionAuditing", "cluster", {**mine.spec, "audit_port": 4321})
    live = rig.read()
    (whole,) = live[HOME].objects["ConnectionAuditing"]
    part = replace(whole, spec={"audit_port": whole.spec["audit_port"]})
    partial = {HOME: replace(live[HOME], objects={**live[HOME].objects, "ConnectionAuditing": (part,)})}
    ((_, _, found),) = announced(rig, rig.plan([changed, *others], live), partial)
    assert found.unknown.startswith("not known in advance: it also sends the live values of audit_")


def test_what_is_announced_holds_no_secret(rig: ActiveActive) -> None:
    live = rig.read()
    wanted = example(rig, KINDS["User"])
    text = repr(announced(rig, rig.plan(wanted, live), live))
    assert "password" in text
    assert CANARY not in text
    assert "(secret" not in text
