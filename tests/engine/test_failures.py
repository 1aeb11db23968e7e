"""One change fails, and what follows from it: for what needs it, for its cluster, for the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply.report import ChangeStatus, Outcome, Report
from reconciler.errors import (
    ActionFailed,
    Busy,
    ChangedUnderneath,
    Interrupted,
    LedgerUnwritable,
    Rejected,
    SecretMissing,
    Unauthorized,
    Unreachable,
    VersionUnsupported,
)
from reconciler.plan import Plan
from tests.support.resources import declared, shop
from tests.support.simulation import CANARY, Simulation

DATABASE = declared("Database", "orders", {"memory_size": "100MiB"})
BIGGER = declared("Database", "orders", {"memory_size": "200MiB"})


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def statuses(report: Report) -> dict[str, ChangeStatus]:
    return {str(outcome.change.address): outcome.status for outcome in report.outcomes}


def of(report: Report, name: str) -> Outcome:
    return next(outcome for outcome in report.outcomes if outcome.change.address.name == name)


@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_failure_skips_what_needs_it_and_nothing_else(rig: Simulation, parallelism: int) -> None:
    plan = rig.plan(shop())
    rig.call("POST", "/v1/roles", {"name": "app", "management": "admin"})
    report = rig.apply(plan, parallelism=parallelism)
    failed = of(report, "app")
    assert failed.status is ChangeStatus.FAILED
    skipped = {f"dc1:Database/db-{number}" for number in range(4)} | {"dc1:User/anna"}
    assert {address for address, status in statuses(report).items() if status is ChangeStatus.SKIPPED} == skipped
    assert {outcome.because for outcome in report.skipped} == {(failed.change.number,)}
    assert len(report.done) == 4
    assert not report.complete
    assert (report.stopped, report.interrupted) == ({}, False)
    assert rig.ledger.open_intents("dc1") == ()


def test_a_skipped_change_names_the_root_of_its_trouble(rig: Simulation) -> None:
    rig.cluster.faults.add("500", method="POST", path="/v1/redis_acls", times=0)
    plan = rig.plan(shop())
    rig.call("POST", "/v1/redis_acls", {"name": "app-keys", "acl": "+@all ~*"})
    report = rig.apply(plan)
    assert of(report, "db-0").why == "needs dc1:RedisACL/app-keys"


def test_what_the_server_refuses_is_reported_with_its_words_and_without_secrets(rig: Simulation) -> None:
    report = rig.converge([declared("RedisACL", "bad", {"acl": "+@nosuchcategory"})])
    error = of(report, "bad").error
    if error is not None:
        assert isinstance(error, Rejected)
    assert CANARY not in repr(report)


@pytest.mark.parametrize("busy", [1, 3])
def test_busy_is_waited_for(rig: Simulation, busy: int) -> None:
    rig.converge([DATABASE])
    rig.cluster.faults.add("409", method="PUT", path="/v1/bdbs/", times=busy)
    assert rig.converge([BIGGER]).complete
    assert rig.object("Database", "orders").spec["memory_size"] == 209715200


def test_a_database_that_is_at_work_is_waited_for_before_the_write(rig: Simulation) -> None:
    rig.converge([DATABASE])
    plan = rig.plan([BIGGER])
    rig.call("PUT", "/v1/bdbs/1", {"max_connections": 7})
    report = rig.apply(plan)
    assert report.complete
    assert [entry.status for entry in rig.cluster.log if entry.method == "PUT"] == [200, 200]


def test_a_database_that_stays_busy_is_given_up(rig: Simulation) -> None:
    rig.converge([DATABASE])
    plan = rig.plan([BIGGER])
    rig.cluster.faults.add("stuck", method="PUT", path="/v1/bdbs/")
    rig.call("PUT", "/v1/bdbs/1", {"max_connections": 7})
    begun = rig.cluster.clock()
    error = of(rig.apply(plan), "orders").error
    assert isinstance(error, Busy)
    assert 600 <= rig.cluster.clock() - begun < 700


def test_an_action_that_fails_is_reported_with_the_words_of_the_server(rig: Simulation) -> None:
    rig.converge([DATABASE])
    rig.cluster.faults.add("fail", method="PUT", path="/v1/bdbs/")
    report = rig.converge([BIGGER])
    assert isinstance(of(report, "orders").error, ActionFailed)
    assert of(report, "orders").why
    assert rig.ledger.open_intents("dc1") == ()


def test_a_create_that_fails_later_is_neither_deleted_nor_made_again(rig: Simulation) -> None:
    rig.cluster.faults.add("fail", method="POST", path="/v1/bdbs$")
    report = rig.converge([DATABASE])
    assert isinstance(of(report, "orders").error, ActionFailed)
    assert [one["status"] for one in rig.call("GET", "/v1/bdbs").json()] == ["creation-failed"]
    assert [entry.method for entry in rig.sent] == ["POST"]
    assert rig.ledger.owned("dc1")[DATABASE.address].uid == 1


def test_work_that_never_ends_is_left_after_its_deadline(rig: Simulation) -> None:
    rig.cluster.faults.add("stuck", method="POST", path="/v1/bdbs$")
    begun = rig.cluster.clock()
    why = of(rig.converge([DATABASE]), "orders").why
    assert why == "still pending after 1800 s; checked again on the next run"
    assert 1800 <= rig.cluster.clock() - begun < 1900


@pytest.mark.parametrize("values", ["at-once", "when-done"])
def test_a_change_that_the_server_drops_is_seen_by_reading_back(tmp_path: Path, values: str) -> None:
    rig = Simulation(tmp_path / "state", switches={"put_values": values})
    rig.converge([DATABASE])
    plan = rig.plan([BIGGER])
    original = rig.client.send

    def send(call: Any) -> Any:
        return original(call._replace(body={"max_connections": 9}))

    rig.client.send = send  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert of(report, "orders").why == "accepted, but memory_size reads back 104857600 instead of 209715200"


def test_an_object_that_was_edited_after_the_plan_is_left_alone(rig: Simulation) -> None:
    rig.converge([DATABASE, *shop()[:2]])
    plan = rig.plan([BIGGER, declared("RedisACL", "app-keys", {"acl": "+@all ~app:*"})])
    rig.call("PUT", "/v1/bdbs/1", {"memory_size": 157286400})
    rig.cluster.clock.sleep(30)
    report = rig.apply(plan)
    assert isinstance(of(report, "orders").error, ChangedUnderneath)
    assert of(report, "orders").why == (
        "it changed after the plan was made: memory_size is 157286400 and was 104857600; nothing was sent; plan again"
    )
    assert of(report, "app-keys").status is ChangeStatus.DONE
    assert rig.object("Database", "orders").spec["memory_size"] == 157286400
    assert rig.ledger.open_intents("dc1") == ()


def test_an_edit_of_another_field_does_not_matter(rig: Simulation) -> None:
    rig.converge([DATABASE])
    plan = rig.plan([BIGGER])
    rig.call("PUT", "/v1/bdbs/1", {"max_connections": 7})
    rig.cluster.clock.sleep(30)
    assert rig.apply(plan).complete


@pytest.mark.parametrize("absent", [False, True])
def test_another_object_under_the_same_uid_is_left_alone(rig: Simulation, absent: bool) -> None:
    rig.converge([DATABASE])
    wanted = declared("Database", "orders", {}, absent=True, protect=False) if absent else BIGGER
    plan = rig.plan([wanted])
    (change,) = plan.changes
    report = rig.apply(Plan((dataclasses.replace(change, created="2001-01-01T00:00:00Z"),)))
    assert isinstance(of(report, "orders").error, ChangedUnderneath)
    rig.call("PUT", "/v1/bdbs/1", {"name": "renamed"})
    rig.cluster.clock.sleep(30)
    report = rig.apply(plan)
    assert of(report, "orders").why == "1 is now called 'renamed'; nothing was sent; plan again"
    assert [one["name"] for one in rig.call("GET", "/v1/bdbs").json()] == ["renamed"]


def test_what_is_gone_already_counts_as_deleted(rig: Simulation) -> None:
    rig.converge([DATABASE])
    plan = rig.plan([declared("Database", "orders", {}, absent=True, protect=False)])
    rig.call("DELETE", "/v1/bdbs/1")
    rig.cluster.clock.sleep(30)
    assert rig.apply(plan).complete
    assert rig.ledger.owned("dc1") == {}


def test_an_update_of_what_is_gone_fails(rig: Simulation) -> None:
    rig.converge([DATABASE])
    plan = rig.plan([BIGGER])
    rig.call("DELETE", "/v1/bdbs/1")
    rig.cluster.clock.sleep(30)
    assert isinstance(of(rig.apply(plan), "orders").error, ChangedUnderneath)


def test_a_missing_secret_sends_nothing(rig: Simulation) -> None:
    plan = rig.plan(shop())

    def nothing(value_from: Any) -> Any:
        raise SecretMissing([])

    rig.reveal = nothing  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert {outcome.change.address.name for outcome in report.failed} == {"anna", "omar"}
    assert not [entry for entry in rig.sent if entry.path == "/v1/users"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [("401", Unauthorized), ("505", VersionUnsupported), ("refuse", Unreachable)],
)
@pytest.mark.parametrize("parallelism", [1, 4])
def test_what_speaks_for_the_whole_cluster_ends_the_work_there(
    rig: Simulation, fault: str, error: type[Exception], parallelism: int
) -> None:
    plan = rig.plan(shop())
    if fault == "505":
        rig.cluster.faults.add("503", method="POST", path="/v1/redis_acls", times=0)
        original = rig.client.send

        def send(call: Any) -> Any:
            if call.path == "/v1/roles":
                raise VersionUnsupported("505")
            return original(call)

        rig.client.send = send  # type: ignore[method-assign]
    else:
        rig.cluster.faults.add(fault, method="POST", path="/v1/roles", times=1000)
    report = rig.apply(plan, parallelism=parallelism)
    assert isinstance(of(report, "app").error, error)
    assert list(report.stopped) == ["dc1"]
    assert of(report, "anna").status in (ChangeStatus.NOT_ATTEMPTED, ChangeStatus.SKIPPED)
    if parallelism == 1:
        assert of(report, "ops").status is ChangeStatus.NOT_ATTEMPTED
        assert of(report, "ops").why == report.stopped["dc1"]
    assert sum(len(report.with_status(status)) for status in ChangeStatus) == 10


def test_a_lapsed_licence_ends_the_work_there(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state")
    plan = rig.plan([DATABASE, declared("Database", "cache", {"memory_size": "100MiB"})])
    rig.cluster.core.state.license.fields["expiration_date"] = "2020-02-01T00:00:00Z"
    report = rig.apply(plan)
    assert [outcome.status for outcome in report.outcomes] == [ChangeStatus.FAILED, ChangeStatus.NOT_ATTEMPTED]


def test_other_clusters_go_on(tmp_path: Path) -> None:
    one, two = Simulation(tmp_path / "one"), Simulation(tmp_path / "two")
    first, second = one.plan(shop()), two.plan(shop())
    far = tuple(
        dataclasses.replace(
            change,
            number=change.number + 10,
            after=tuple(n + 10 for n in change.after),
            address=change.address._replace(cluster="dc2"),
        )
        for change in second.changes
    )
    one.cluster.faults.add("refuse", method="POST", times=1000)
    both = Plan((*first.changes, *far), clusters=("dc1", "dc2"))
    report = one.apply(both, clients={"dc1": one.client, "dc2": two.client}, parallelism=2)
    assert {o.change.address.cluster for o in report.done} == {"dc2"}
    assert len(report.done) == 10
    assert list(report.stopped) == ["dc1"]


def test_stop_finishes_the_call_in_flight_and_begins_none(rig: Simulation) -> None:
    plan = rig.plan(shop())
    original = rig.client.send

    def send(call: Any) -> Any:
        if call.path == "/v1/roles":
            rig.stop.set()
        return original(call)

    rig.client.send = send  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert report.interrupted
    assert statuses(report)["dc1:Role/app"] is ChangeStatus.DONE
    assert [outcome.why for outcome in report.not_attempted] == ["stopped on request"] * 7
    assert rig.ledger.open_intents("dc1") == ()
    rig.reopen()
    assert rig.converge(shop()).complete
    assert rig.plan(shop()).changes == ()


def test_stop_does_not_wait_for_the_cluster_and_the_next_run_takes_over(rig: Simulation) -> None:
    plan = rig.plan([DATABASE])
    original = rig.client.send

    def send(call: Any) -> Any:
        rig.stop.set()
        return original(call)

    rig.client.send = send  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert isinstance(of(report, "orders").error, Interrupted)
    assert report.interrupted
    (left,) = rig.ledger.open_intents("dc1")
    rig.reopen()
    rig.converge([DATABASE])
    assert rig.ledger.open_intents("dc1") == ()
    assert rig.object("Database", "orders").operation == left.op_id
    assert DATABASE.address in rig.ledger.owned("dc1")
    assert [entry.method for entry in rig.sent] == ["POST"]


@pytest.mark.parametrize("parallelism", [1, 4])
def test_without_a_durable_intent_nothing_is_sent(rig: Simulation, parallelism: int) -> None:
    plan = rig.plan(shop())

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(rig.ledger, name)

        def intend(self, intent: Any) -> None:
            raise LedgerUnwritable("disk full")

    report = rig.apply(plan, ledger=Full(), parallelism=parallelism)
    assert rig.sent == []
    assert {outcome.why for outcome in report.failed} == {"disk full"}
    assert report.done == ()
    assert sum(len(report.with_status(status)) for status in ChangeStatus) == 10


def test_a_record_that_cannot_be_written_stops_everything_and_is_found_by_the_next_run(rig: Simulation) -> None:
    plan = rig.plan(shop())

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(rig.ledger, name)

        def close(self, *args: Any, **options: Any) -> None:
            raise LedgerUnwritable("disk full")

    report = rig.apply(plan, ledger=Full())
    assert report.outcomes[0].why == "the change took effect, and its record could not be written: disk full"
    assert {outcome.status for outcome in report.outcomes[1:]} == {ChangeStatus.NOT_ATTEMPTED, ChangeStatus.SKIPPED}
    assert len(rig.sent) == 1
    rig.reopen()
    assert rig.converge(shop()).complete
    assert set(rig.ledger.owned("dc1")) == {one.address for one in shop()}


def test_a_bug_in_one_change_does_not_take_the_others_down(rig: Simulation) -> None:
    plan = rig.plan(shop())
    original = rig.client.send

    def send(call: Any) -> Any:
        if call.body.get("name") == "app-keys":
            raise ZeroDivisionError
        return original(call)

    rig.client.send = send  # type: ignore[method-assign]
    report = rig.apply(plan)
    assert of(report, "app-keys").why == "internal error: ZeroDivisionError; please report it"
    assert of(report, "ops-keys").status is ChangeStatus.DONE


def test_whoever_watches_sees_each_change_begin_and_end(rig: Simulation) -> None:
    rig.converge(shop(), parallelism=4)
    names = [event.name for event in rig.events]
    assert (names.count("change.started"), names.count("change.done")) == (10, 10)
    waiting = [event.attributes["status"] for event in rig.events if event.name == "change.waiting"]
    assert "active, 0 %" in waiting
    assert CANARY not in repr(rig.events)


def test_no_secret_is_in_the_record_of_a_run(rig: Simulation) -> None:
    rig.converge(shop())
    rig.ledger.disconnect()
    for path in rig.folder.iterdir():
        assert CANARY.encode() not in path.read_bytes()
