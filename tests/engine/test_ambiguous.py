"""Writes whose outcome is unknown: nothing is made twice, nothing is adopted by its name alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.hooks.database import OP_TAG
from reconciler.apply.report import ChangeStatus
from reconciler.errors import Ambiguous, Conflict
from tests.support.resources import declared
from tests.support.simulation import Simulation

DATABASE = declared("Database", "orders", {"memory_size": "100MiB"})
ROLE = declared("Role", "app", {"management": "none"})
AFTER = ("lost", "500_after", "502_after", "503_after", "504_after", "truncate", "not_json", "wrong_type")
BEFORE = ("drop", "reset", "500", "502", "503", "504")


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def effects(rig: Simulation, path: str = "/v1/bdbs") -> int:
    return sum(entry.method == "POST" and entry.path == path for entry in rig.writes)


def posts(rig: Simulation) -> list[Any]:
    return [entry for entry in rig.cluster.log if entry.method == "POST"]


def marks(rig: Simulation) -> list[str]:
    found = rig.call("GET", "/v1/bdbs").json()
    return [tag["value"] for one in found for tag in one.get("tags", ()) if tag["key"] == OP_TAG]


@pytest.mark.parametrize("fault", AFTER)
def test_a_create_that_took_effect_is_found_by_its_mark_and_not_sent_again(rig: Simulation, fault: str) -> None:
    rig.cluster.faults.add(fault, method="POST", path="/v1/bdbs$")
    report = rig.converge([DATABASE])
    assert [(outcome.status, outcome.why) for outcome in report.outcomes] == [(ChangeStatus.DONE, "")]
    assert (effects(rig), len(posts(rig)), len(marks(rig))) == (1, 1, 1)
    assert rig.plan([DATABASE]).changes == ()
    assert rig.ledger.open_intents("dc1") == ()


@pytest.mark.parametrize("fault", BEFORE)
def test_a_create_that_took_no_effect_is_sent_again_only_after_the_window(rig: Simulation, fault: str) -> None:
    rig.cluster.faults.add(fault, method="POST", path="/v1/bdbs$")
    report = rig.converge([DATABASE])
    assert report.complete
    first, second = posts(rig)
    assert second.time - first.time >= 120.0
    assert second.body == first.body
    reads = [e for e in rig.cluster.log if e.path == "/v1/bdbs" and first.time + 120.0 <= e.time <= second.time]
    assert [entry.method for entry in reads] == ["GET", "POST"]
    assert (effects(rig), len(marks(rig))) == (1, 1)


@pytest.mark.parametrize("fault", ["503_member", "429", "refuse"])
def test_what_is_known_not_to_have_happened_is_sent_again_at_once(rig: Simulation, fault: str) -> None:
    rig.cluster.faults.add(fault, method="POST", path="/v1/bdbs$")
    assert rig.converge([DATABASE]).complete
    first, second = posts(rig)
    assert second.time - first.time < 30.0
    assert (effects(rig), len(marks(rig))) == (1, 1)


@pytest.mark.parametrize("calls", [1, 2, 5, 12, 20, 25, 27, 30, 40, 60])
def test_an_effect_that_comes_late_makes_no_second_database(rig: Simulation, calls: int) -> None:
    rig.cluster.faults.add("late", method="POST", path="/v1/bdbs$", calls=calls)
    report = rig.converge([DATABASE])
    for _ in range(calls):  # let it happen, should it still be to come
        rig.call("GET", "/v1/nodes")
    assert report.complete
    assert len(set(marks(rig))) == 1
    assert (effects(rig), len(marks(rig))) == (1, 1)
    assert rig.plan([DATABASE]).changes == ()


@pytest.mark.parametrize("fault", [*AFTER, *BEFORE])
def test_kinds_with_unique_names_are_made_once_whatever_is_lost(rig: Simulation, fault: str) -> None:
    rig.cluster.faults.add(fault, method="POST", path="/v1/roles$")
    report = rig.converge([ROLE])
    assert [(outcome.status, outcome.why) for outcome in report.outcomes] == [(ChangeStatus.DONE, "")]
    assert effects(rig, "/v1/roles") == 1
    assert rig.plan([ROLE]).changes == ()


def test_an_answer_that_is_lost_again_and_again_ends_in_a_report_and_goes_on_in_the_next_run(rig: Simulation) -> None:
    rig.cluster.faults.add("504", method="POST", path="/v1/bdbs$", times=4)
    report = rig.converge([DATABASE])
    assert isinstance(report.outcomes[0].error, Ambiguous)
    (left,) = rig.ledger.open_intents("dc1")
    rig.reopen()
    begun = rig.cluster.clock()
    report = rig.converge([DATABASE])
    assert report.complete
    assert report.outcomes[0].operation == left.op_id
    assert rig.writes[-1].time - begun >= 120.0
    assert marks(rig) == [left.op_id]


def test_an_object_of_that_name_that_is_not_ours_is_left_alone(rig: Simulation) -> None:
    plan = rig.plan([ROLE])
    rig.call("POST", "/v1/roles", {"name": "app", "management": "admin"})
    report = rig.apply(plan)
    assert isinstance(report.outcomes[0].error, Conflict)
    assert rig.object("Role", "app").spec["management"] == "admin"
    assert rig.ledger.owned("dc1") == {}
    assert rig.ledger.open_intents("dc1") == ()


def test_a_port_that_somebody_took_meanwhile_is_a_conflict(rig: Simulation) -> None:
    plan = rig.plan([DATABASE])
    port = plan.changes[0].body["port"]
    rig.call("POST", "/v1/bdbs", {"name": "orders", "memory_size": 104857600, "port": port, "replication": True})
    rig.cluster.clock.sleep(30)
    report = rig.apply(plan)
    assert isinstance(report.outcomes[0].error, Conflict)
    assert effects(rig) == 1
    assert rig.ledger.owned("dc1") == {}


def test_a_namesake_without_the_mark_is_not_adopted_after_a_lost_answer(rig: Simulation) -> None:
    rig.cluster.faults.add("drop", method="POST", path="/v1/bdbs$")
    plan = rig.plan([DATABASE])
    original = rig.client.send

    def send(call: Any) -> Any:
        try:
            return original(call)
        finally:
            rig.call("POST", "/v1/bdbs", {"name": "orders", "memory_size": 104857600, "port": 18000})
            rig.client.send = original  # type: ignore[method-assign]

    rig.client.send = send  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert report.complete
    assert sorted(one["port"] or one["endpoints"][0]["port"] for one in rig.call("GET", "/v1/bdbs").json()) == [
        plan.changes[0].body["port"],
        18000,
    ]


def test_two_objects_of_one_create_are_reported_and_neither_is_deleted(rig: Simulation) -> None:
    plan = rig.plan([DATABASE])
    original = rig.client.send

    def send(call: Any) -> Any:
        rig.client.send = original  # type: ignore[method-assign]
        rig.call("POST", "/v1/bdbs", {**call.body, "port": 18001})
        rig.cluster.faults.add("lost", method="POST", path="/v1/bdbs$")
        return original(call)

    rig.client.send = send  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert isinstance(report.outcomes[0].error, Conflict)
    assert "uid 1, 2" in report.outcomes[0].why
    assert len(marks(rig)) == 2
    assert not [entry for entry in rig.cluster.log if entry.method == "DELETE"]


@pytest.mark.parametrize("fault", [*AFTER, *BEFORE])
def test_an_update_is_looked_at_before_it_is_sent_again(rig: Simulation, fault: str) -> None:
    rig.converge([DATABASE])
    rig.cluster.faults.add(fault, method="PUT", path="/v1/bdbs/")
    changed = [declared("Database", "orders", {"memory_size": "200MiB"})]
    assert rig.converge(changed).complete
    puts = [entry for entry in rig.cluster.log if entry.method == "PUT"]
    assert len(puts) == (1 if fault in AFTER else 2)
    assert {json.loads(entry.body)["memory_size"] for entry in puts} == {209715200}
    assert rig.plan(changed).changes == ()


@pytest.mark.parametrize("fault", [*AFTER, *BEFORE])
def test_a_delete_whose_answer_is_lost_ends_with_the_object_gone(rig: Simulation, fault: str) -> None:
    rig.converge([DATABASE])
    rig.cluster.faults.add(fault, method="DELETE", path="/v1/bdbs/")
    assert rig.converge([declared("Database", "orders", {}, absent=True, protect=False)]).complete
    assert rig.call("GET", "/v1/bdbs").json() == []
    assert rig.ledger.owned("dc1") == {}
    assert rig.ledger.open_intents("dc1") == ()


@pytest.mark.parametrize("fault", [*AFTER, *BEFORE])
def test_a_rename_whose_answer_is_lost_is_done_once(rig: Simulation, fault: str) -> None:
    rig.converge([ROLE])
    rig.cluster.faults.add(fault, method="PUT", path="/v1/roles/")
    renamed = [declared("Role", "application", {"management": "none"}, renamed_from="app")]
    report = rig.converge(renamed)
    assert [(outcome.status, outcome.why) for outcome in report.outcomes] == [(ChangeStatus.DONE, "")]
    assert rig.object("Role", "application").uid == 7
    assert [address.name for address in rig.ledger.owned("dc1")] == ["application"]
    assert sum(entry.method == "PUT" for entry in rig.writes) == 1
