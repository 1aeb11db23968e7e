"""Objects that a cluster is still working on, and those whose create failed: never "No changes"."""

from __future__ import annotations

import pytest

from reconciler.kinds import load_kinds
from reconciler.model import Address, LiveState, Observed, Owned
from reconciler.plan import Action, Plan, drift
from reconciler.render.markdown import plan_markdown
from reconciler.render.reasons import note_text
from reconciler.render.text import summary
from tests.plan.worlds import declared, found, plan_of, state

SPEC = {"memory_size": "1GiB"}
ORDERS = declared("Database", "orders", SPEC)
CHANGED = declared("Database", "orders", {"memory_size": "2GiB"})
WORKING = ("pending", "active-change-pending", "import-pending", "recovery", "a-status-of-a-later-version")


def live(status: str, uid: int = 1) -> LiveState:
    return state(found("Database", uid, "orders", SPEC, status=status))


def notes(plan: Plan) -> list[str]:
    return [f"{note.level.value} {note.address}: {note_text(note)}" for note in plan.notes]


@pytest.mark.parametrize("status", WORKING)
@pytest.mark.parametrize("wanted", [ORDERS, CHANGED])
def test_what_the_cluster_works_on_is_reported_with_its_status(status: str, wanted: object) -> None:
    plan = plan_of([wanted], live(status))  # type: ignore[list-item]
    assert notes(plan) == [
        f"held Database/orders: in progress: the cluster reports {status}; compared once that is done"
    ]
    assert summary(plan) == "Plan: 0 to create, 0 to update, 0 to delete. 1 held."
    assert "No changes" not in plan_markdown(plan)


def test_what_is_being_deleted_gets_no_update_and_no_second_object() -> None:
    plan = plan_of([CHANGED], live("delete-pending"))
    assert notes(plan) == [
        "held Database/orders: in progress: the cluster reports delete-pending; created once it is gone"
    ]
    assert plan.changes == ()


def test_a_successor_beside_one_that_is_being_deleted_is_the_one() -> None:
    there = state(
        found("Database", 1, "orders", SPEC, status="delete-pending"),
        found("Database", 2, "orders", SPEC, status="active"),
    )
    plan = plan_of([CHANGED], there)
    assert [(change.action, change.uid) for change in plan.changes] == [(Action.UPDATE, 2)]


def test_a_tombstone_of_what_is_being_deleted_waits_for_its_end() -> None:
    plan = plan_of([declared("Database", "orders", absent=True)], live("delete-pending"))
    assert [change.action for change in plan.changes] == [Action.DELETE]


@pytest.mark.parametrize("status", ["active", ""])
def test_what_is_done_is_no_transition(status: str) -> None:
    assert summary(plan_of([ORDERS], live(status))) == "No changes."


def test_a_failed_create_is_held_with_the_flag_that_helps() -> None:
    assert notes(plan_of([ORDERS], live("creation-failed"))) == [
        "held Database/orders: the cluster reports creation-failed; repair it, or delete and create it again: "
        "reconciler apply --replace Database/orders"
    ]


def test_a_failed_create_is_replaced_on_request_without_further_consent() -> None:
    plan = plan_of([ORDERS], live("creation-failed"), replace=frozenset({"Database/orders"}))
    assert [(c.action, c.unconsented, c.impacts) for c in plan.changes] == [(Action.REPLACE, (), ())]


def test_a_replacement_of_data_on_request_needs_the_consent_of_every_replacement() -> None:
    plan = plan_of([ORDERS], live("active"), replace=frozenset({"Database/orders"}))
    (change,) = plan.changes
    assert (change.action, change.unconsented) == (Action.REPLACE, ("loses-data",))
    assert [one.impact for one in change.impacts] == ["loses-data"]


def test_any_kind_that_can_be_replaced_is_replaced_on_request() -> None:
    role = declared("Role", "app", {"management": "none"})
    there = state(found("Role", 7, "app", {"management": "none"}))
    plan = plan_of([role], there, replace=frozenset({"Role/app"}))
    assert [(c.action, c.impacts) for c in plan.changes] == [(Action.REPLACE, ())]


def test_what_cannot_be_deleted_is_not_replaced() -> None:
    plan = plan_of([declared("Node", "1", {})], state(found("Node", 1, "1")), replace=frozenset({"Node/1"}))
    assert plan.changes == ()
    assert [note.reason.value for note in plan.notes] == ["cannot-be-replaced"]


@pytest.mark.parametrize("status", ["pending", "delete-pending", "creation-failed"])
def test_drift_names_the_status(status: str) -> None:
    there = live(status)
    owned = {Address("", "Database", "orders"): Owned(1, "", {})}
    plan = plan_of([ORDERS], there, owned=owned)
    (one,) = drift.find(load_kinds(), plan, Observed({"": there}, owned))
    assert (one.path, one.details[0]) == ("", status)
