"""A replacement destroys nothing before its create is accepted, and loses nothing of what remains to be done."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply.report import ChangeStatus, Report
from reconciler.manifests import Resource
from reconciler.plan import Action, Plan
from reconciler.render.reasons import why
from reconciler.render.report import report_text
from tests.engine.killable import Fuse, KillableClient, KillableLedger, Killed
from tests.support.resources import declared
from tests.support.simulation import Simulation


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    rig = Simulation(tmp_path / "state")
    assert rig.converge([database()]).complete
    return rig


def database(**spec: Any) -> Resource:
    return declared("Database", "carts", {"memory_size": "100MiB", **spec})


def uids(rig: Simulation) -> list[int]:
    return [one.uid for one in rig.live().objects["Database"]]


def replaced(rig: Simulation, **spec: Any) -> Report:
    """Replace the database by another one, which keeps its port."""
    live = rig.read()
    return rig.apply(rig.plan([database(**OTHER, **spec)], live), live=live)


OTHER = {"replica_read_only": True}


def test_the_cluster_validates_the_create_before_the_delete(rig: Simulation) -> None:
    before = len(rig.sent)
    assert replaced(rig).complete
    sent = [(entry.method, entry.path, entry.query.get("dry_run")) for entry in rig.sent[before:]]
    assert sent == [("POST", "/v1/bdbs", "true"), ("DELETE", "/v1/bdbs/1", None), ("POST", "/v1/bdbs", None)]


def test_a_refused_create_stops_the_replacement_while_the_data_is_there(rig: Simulation) -> None:
    (outcome,) = replaced(rig, rack_aware=True).outcomes
    assert (outcome.status, outcome.destroyed) == (ChangeStatus.FAILED, False)
    assert outcome.why.startswith(
        "not replaced, nothing was deleted: the new object would not be created: dc1: POST /v1/bdbs"
    )
    assert uids(rig) == [1]
    assert rig.ledger.open_intents("dc1") == ()


def test_a_replacement_that_the_cluster_cannot_answer_for_is_not_begun(rig: Simulation) -> None:
    rig.cluster.faults.add("503", method="POST", path="/v1/bdbs$", probability=1)
    (outcome,) = replaced(rig).outcomes
    assert (outcome.status, uids(rig)) == (ChangeStatus.FAILED, [1])


def test_a_replacement_keeps_its_port_and_is_no_conflict_with_itself(rig: Simulation) -> None:
    port = rig.object("Database", "carts").spec["port"]
    assert replaced(rig).complete
    assert rig.object("Database", "carts").spec["port"] == port


def test_a_missing_secret_is_noticed_before_the_delete(rig: Simulation) -> None:
    wanted = database(**OTHER, authentication_redis_pass={"valueFrom": {"env": "CARTS_PASSWORD"}})
    live = rig.read()
    plan = rig.plan([wanted], live)
    rig.passwords["CARTS_PASSWORD"] = None  # type: ignore[assignment]  # gone since the plan was made
    rig.apply(plan, live=live)
    assert uids(rig) == [1]


def broken(rig: Simulation) -> Report:
    """Delete the database; the create after it fails, whatever the validation said."""
    rig.cluster.faults.add(
        "code", method="POST", path="/v1/bdbs$", nth=2, status=406, error_code="insufficient_resources"
    )
    return replaced(rig)


def test_a_create_that_fails_after_the_delete_is_reported_as_a_loss(rig: Simulation) -> None:
    report = broken(rig)
    (outcome,) = report.outcomes
    start = "Database/carts was deleted and not created again: it no longer exists; the next apply creates it on port"
    (intent,) = rig.ledger.open_intents("dc1")
    assert outcome.why.startswith(f"{start} {intent.body['port']}: dc1: POST /v1/bdbs")
    assert "0 created, 0 updated, 1 deleted; 1 failed" in report_text(report)
    assert (report.totals[Action.DELETE], report.to_json()[0]["destroyed"]) == (1, True)


def test_the_next_run_creates_what_was_deleted_on_the_same_port_and_says_why(rig: Simulation) -> None:
    port = rig.object("Database", "carts").spec["port"]
    broken(rig)
    live = rig.read()
    rig.recover(live)
    plan = rig.plan([database(**OTHER)], live)
    assert [(one.action, one.body["port"], why(one)) for one in plan.changes] == [
        (Action.CREATE, port, "an earlier apply deleted it and did not create its replacement")
    ]
    assert rig.apply(plan, live=live).complete
    assert rig.ledger.open_intents("dc1") == ()
    rig.assert_converges([database(**OTHER)])


@pytest.mark.parametrize("place", range(14))
def test_killed_anywhere_the_next_runs_replace_it_once_on_the_same_port(tmp_path: Path, place: int) -> None:
    rig = Simulation(tmp_path / "state")
    rig.converge([database(port=15432)])
    wanted = [database(**OTHER)]
    fuse = Fuse(place)
    with contextlib.suppress(Killed):
        rig.converge(wanted, clients={"dc1": KillableClient(rig.client, fuse)}, ledger=KillableLedger(rig.ledger, fuse))
    for _ in range(3):
        rig.cluster.clock.sleep(60)  # an object that is being deleted is waited for
        assert rig.converge(wanted).complete
    (found,) = rig.live().objects["Database"]
    assert (found.name, found.spec["port"]) == ("carts", 15432)
    assert [entry.method for entry in rig.writes if entry.path.startswith("/v1/bdbs")] == ["POST", "DELETE", "POST"]
    assert rig.ledger.open_intents("dc1") == ()
    assert rig.plan(wanted) == Plan((), clusters=("dc1",), unchanged=1, present={"dc1": 1})
