"""Owned objects that were renamed, or deleted and created again, outside this tool: shown as that, and held."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds import load_kinds
from reconciler.model import Address, LiveState, Observed, Owned
from reconciler.plan import Plan, drift
from reconciler.render.drift import drift_text
from reconciler.render.reasons import note_text
from tests.plan.worlds import KINDS, Declared, declared, found, plan_of, state

WITH_UIDS = sorted(
    name for name, kind in KINDS.items() if not kind.singleton and kind.rest.id not in kind.rest.key and kind.rest.id
)
MINE = Address("", "Database", "orders")
OWNED = {MINE: Owned(1, "2026-01-01T00:00:00Z", {"memory_size": 1073741824})}
SPEC = {"memory_size": "1GiB"}


def orders(name: str = "orders", **metadata: object) -> Declared:
    return declared("Database", name, SPEC, **metadata)


def live(uid: int, name: str, created: str = "2026-01-01T00:00:00Z") -> LiveState:
    return state(found("Database", uid, name, SPEC, created=created))


def shown(plan: Plan) -> list[str]:
    lines = [f"{change.action.name} {change.address}" for change in plan.changes]
    return lines + [f"{note.level.value} {note.address}: {note_text(note)}" for note in plan.notes]


def test_what_was_renamed_outside_is_held_with_the_ways_to_go_on() -> None:
    plan = plan_of([orders()], live(1, "orders-keep"), owned=OWNED)
    assert shown(plan) == [
        "held Database/orders: uid 1 is now called orders-keep, renamed outside this tool; to rename it back, declare "
        "metadata.renamedFrom: orders-keep; to keep orders-keep, declare metadata.name: orders-keep with renamedFrom: "
        "orders"
    ]


@pytest.mark.parametrize("kind", WITH_UIDS)
def test_no_kind_with_uids_gets_an_empty_duplicate(kind: str) -> None:
    there = state(found(kind, 7, "kept"))
    owned = {Address("", kind, "known"): Owned(7, "", {})}
    plan = plan_of([declared(kind, "known", absent=False)], there, owned=owned)
    assert [(note.reason.value, note.details) for note in plan.notes] == [("renamed-outside", ("7", "kept", "known"))]
    assert plan.changes == ()


@pytest.mark.parametrize("kind", WITH_UIDS)
def test_another_uid_under_an_owned_name_is_held(kind: str) -> None:
    there = state(found(kind, 8, "known"))
    owned = {Address("", kind, "known"): Owned(7, "", {})}
    plan = plan_of([declared(kind, "known")], there, owned=owned)
    assert [(note.reason.value, note.details) for note in plan.notes] == [
        ("recreated-outside", ("8", "7", f"{kind}/known"))
    ]
    assert plan.changes == ()


def test_the_same_uid_with_another_time_of_creation_is_another_object() -> None:
    plan = plan_of([orders()], live(1, "orders", created="2026-06-01T00:00:00Z"), owned=OWNED)
    assert [note.reason.value for note in plan.notes] == ["recreated-outside"]


def test_adopt_takes_over_what_was_created_again() -> None:
    plan = plan_of([orders()], live(2, "orders"), owned=OWNED, adopt=frozenset({"Database/orders"}))
    assert shown(plan) == []


def test_a_name_that_another_object_took_is_held_and_both_are_named() -> None:
    there = state(
        found("Database", 1, "orders-keep", SPEC, created="2026-01-01T00:00:00Z"), found("Database", 2, "orders", SPEC)
    )
    plan = plan_of([orders()], there, owned=OWNED)
    assert [(note.reason.value, note.details) for note in plan.notes] == [
        ("name-taken-outside", ("1", "orders-keep", "orders", "2"))
    ]


def test_a_tombstone_of_what_was_renamed_outside_forgets_nothing_and_deletes_nothing() -> None:
    plan = plan_of([declared("Database", "orders", absent=True)], live(1, "orders-keep"), owned=OWNED)
    assert [(note.level.value, note.reason.value) for note in plan.notes] == [("held", "renamed-outside")]
    assert plan.changes == ()


def test_a_tombstone_does_not_delete_another_object_of_the_same_name() -> None:
    plan = plan_of([declared("Database", "orders", absent=True)], live(2, "orders"), owned=OWNED)
    assert [(note.level.value, note.reason.value) for note in plan.notes] == [("held", "recreated-outside")]
    assert plan.changes == ()


def test_renamed_from_renames_it_back() -> None:
    plan = plan_of([orders(renamed_from="orders-keep")], live(1, "orders-keep"), owned=OWNED)
    assert [(change.action.name, change.renamed_from) for change in plan.changes] == [("UPDATE", "orders-keep")]


def test_renamed_from_takes_over_the_new_name() -> None:
    plan = plan_of([orders("orders-keep", renamed_from="orders")], live(1, "orders-keep"), owned=OWNED)
    assert shown(plan) == []


def test_a_rename_of_what_was_renamed_outside_creates_nothing() -> None:
    plan = plan_of([orders("sales", renamed_from="orders")], live(1, "orders-keep"), owned=OWNED)
    assert shown(plan) == [
        "held Database/sales: uid 1 is now called orders-keep, renamed outside this tool; to rename it back, declare "
        "metadata.renamedFrom: orders-keep; to keep orders-keep, declare metadata.name: orders-keep with renamedFrom: "
        "orders"
    ]


def test_an_undeclared_object_that_was_renamed_outside_is_forgotten_as_that() -> None:
    plan = plan_of([declared("Database", "other", SPEC)], live(1, "orders-keep"), owned=OWNED, prune=True)
    assert [(c.action.name, c.reason.value, c.details) for c in plan.changes if c.address == MINE] == [
        ("FORGET", "now-called", ("orders-keep",))
    ]


def test_what_was_deleted_outside_is_created_again() -> None:
    assert shown(plan_of([orders()], state(), owned=OWNED)) == ["CREATE Database/orders"]


def test_drift_says_what_became_of_it() -> None:
    there = live(1, "orders-keep")
    plan = plan_of([orders()], there, owned=OWNED)
    text = drift_text(drift.find(load_kinds(), plan, Observed({"": there}, OWNED)))
    assert "uid 1 is now called orders-keep" in text
    assert "Drift: 1 on the cluster" in text


# --- a rename without renamedFrom ------------------------------------------------------------------------------------

PERSON = {"email": "ana@example.com", "roles": ["app"]}
MORE = {"Database": {"memory_size": "3GiB"}, "User": {"password": {"valueFrom": {"env": "ANA_PASSWORD"}}}}
HINTED = [
    ("Database", {"memory_size": "1GiB", "port": 12001}, "port"),
    ("Database", {"memory_size": "2GiB", "module_list": [{"module_name": "search"}]}, "module_list"),
    ("Database", {"memory_size": "2GiB", "tags": [{"key": "team", "value": "a"}]}, "tags"),
    ("User", PERSON, "email"),
    ("RedisACL", {"acl": "+@read ~app:*"}, "acl"),
]


@pytest.mark.parametrize(("kind", "spec", "field"), HINTED)
def test_a_create_that_looks_like_a_rename_hints_at_renamed_from(kind: str, spec: dict[str, Any], field: str) -> None:
    there = state(found(kind, 7, "old", spec), found("Role", 9, "app"))
    owned = {Address("", kind, "old"): Owned(7, "", {})}
    wanted = {**spec, **MORE.get(kind, {})}
    plan = plan_of([declared(kind, "new", wanted)], there, owned=owned)
    assert [note_text(note) for note in plan.notes if note.reason.value == "maybe-renamed"] == [
        f"a new object; old, which is owned and no longer declared, has the same {field}: to rename that one instead, "
        "declare metadata.renamedFrom: old"
    ]


@pytest.mark.parametrize(
    ("resources", "owned"),
    [
        ([("new", {"memory_size": "1GiB"})], {"old"}),  # the same size says nothing
        ([("new", {"memory_size": "2GiB", "port": 12002})], {"old"}),
        (
            [("new", {"memory_size": "2GiB", "port": 12001}), ("old", {"memory_size": "1GiB"})],
            {"old"},
        ),  # still declared
        ([("new", {"memory_size": "2GiB", "port": 12001})], set()),  # never managed
    ],
)
def test_a_create_that_is_none_gets_no_hint(resources: list[tuple[str, dict[str, Any]]], owned: set[str]) -> None:
    there = state(found("Database", 7, "old", {"memory_size": "2GiB", "port": 12001}))
    mine = {Address("", "Database", name): Owned(7, "", {}) for name in owned}
    plan = plan_of([declared("Database", *one) for one in resources], there, owned=mine)
    assert "maybe-renamed" not in [note.reason.value for note in plan.notes]
