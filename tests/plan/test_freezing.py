"""What is held in a freeze window, and what with it; consent and windows of objects on several clusters."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import ImpactRefused
from reconciler.kinds.freeze import Window
from reconciler.model import Address, Level, Note, Owned, Reason
from reconciler.plan import Options, Plan, frozen_changes, with_consent, without_frozen
from reconciler.reconcile import check
from reconciler.render.markdown import plan_markdown
from reconciler.render.text import plan_text
from tests.plan.worlds import declared, found, plan_of, state

NOW = 1_770_000_000.0
ALWAYS = Window("always", "0 0 * * *", 86_400.0)
OFTEN = Window("often", "0 * * * *", 3_600.0)


def rest(plan: Plan, **of_clusters: tuple[Window, ...]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what of *plan* may be done, and what is held for which reason."""
    left = without_frozen(plan, frozen_changes(plan, NOW, of_clusters))
    names = [str(change.address) for change in left.changes]
    return names, [(str(note.address), note.reason.value) for note in left.notes]


def access(**role: Any) -> Plan:
    """Return a plan that creates a role, a user who needs it, and another role."""
    user = declared(
        "User", "anna", {"email": "a@example.com", "password": {"valueFrom": {"env": "A"}}, "roles": ["app"]}
    )
    roles = [declared("Role", "app", {"management": "none"}, **role), declared("Role", "ops", {"management": "none"})]
    return plan_of([*roles, user])


def test_what_needs_a_frozen_object_is_held_with_it_and_the_others_are_not() -> None:
    names, held = rest(access(freeze=(ALWAYS,)))
    assert names == ["Role/ops"]
    assert held == [("Role/app", "frozen"), ("User/anna", "after-frozen")]


def test_what_is_held_by_declaration_is_expected_with_what_needs_it() -> None:
    plan = access(freeze=(ALWAYS,))
    assert without_frozen(plan, frozen_changes(plan, NOW, {})).unexpectedly_held == frozenset()
    suspended = access(suspended=True)
    assert suspended.held == 2
    assert suspended.unexpectedly_held == frozenset()
    builtin = plan_of([declared("Role", "a", {"management": "none"})], state(found("Role", 1, "a", {}, builtin=True)))
    assert builtin.unexpectedly_held == {Address("", "Role", "a")}


def test_the_ledger_alone_is_not_frozen() -> None:
    owned = {Address("dc1", "Role", "gone"): Owned(7, "", {})}
    plan = plan_of([], state(cluster="dc1"), owned=owned)
    assert rest(plan, dc1=(ALWAYS,)) == (["dc1:Role/gone"], [])


def test_the_reason_is_the_window_that_ends_last() -> None:
    plan = plan_of([declared("Role", "a", {"management": "none"}, "dc1", freeze=(OFTEN,))], state(cluster="dc1"))
    (frozen,) = frozen_changes(plan, NOW, {"dc1": (ALWAYS,)}).values()
    assert frozen.why == "freeze window always of cluster dc1"


CARTS = [{"cluster": name, "db_config": {"replication": True}} for name in ("dc1", "dc2")]


def carts(**metadata: Any) -> Plan:
    """Return the plan that may lose data of an Active-Active database, which is coordinated on dc1."""
    less = [{**one, "db_config": {"replication": False}} for one in CARTS]
    there = state(found("ActiveActiveDatabase", 1, "carts", {"instances": CARTS}), cluster="dc1")
    return plan_of(
        [declared("ActiveActiveDatabase", "carts", {"instances": less}, "dc1", **metadata)], there, state(cluster="dc2")
    )


def test_a_window_of_any_member_cluster_holds_an_object_on_several_clusters() -> None:
    assert carts().changes[0].other_clusters == ("dc2",)
    assert rest(carts(), dc2=(ALWAYS,)) == ([], [("dc1:ActiveActiveDatabase/carts", "frozen")])
    ignoring = with_consent(carts(), Options(ignored_freezes=frozenset({"dc2"})))
    assert rest(ignoring, dc2=(ALWAYS,))[1] == []
    assert rest(ignoring, dc1=(ALWAYS,))[0] == []


def test_consent_in_git_counts_as_far_as_every_member_cluster_permits() -> None:
    plan, every = carts(allow=("may-lose-data",)), ("may-lose-data",)
    check(plan, Options(allowed_impacts={"dc1": every, "dc2": every}))
    for limits in ({"dc1": every, "dc2": ()}, {"dc1": (), "dc2": every}):
        with pytest.raises(ImpactRefused, match="add may-lose-data to allowedImpacts"):
            check(plan, Options(allowed_impacts=limits))


def test_text_and_markdown_show_who_consented_and_what_does_not_count() -> None:
    address = "dc1:ActiveActiveDatabase/carts"
    flag = Options(allow_impact=frozenset({(address, "may-lose-data")}), ignored_freezes=frozenset({"dc1"}))
    shown = {
        "consented to by flag: may-lose-data": with_consent(carts(), flag),
        "ignores (by --ignore-freeze) the freeze windows of the project for cluster dc1": with_consent(carts(), flag),
        "consented to by its manifest: may-lose-data": carts(allow=("may-lose-data",)),
        "its manifest consents to may-lose-data, but allowedImpacts in the project file lacks it": with_consent(
            carts(allow=("may-lose-data",)), Options(allowed_impacts={"dc1": ()})
        ),
    }
    for text, plan in shown.items():
        assert text in plan_text(plan)
        assert text in plan_markdown(plan).replace("\\", "")


def test_what_refers_to_a_declared_hold_is_expected_on_that_cluster_only() -> None:
    suspended, database = Address("east", "Role", "app"), Address("east", "Database", "a")
    notes = (
        Note(Level.HELD, suspended, Reason.SUSPENDED),
        Note(Level.HELD, database, Reason.NEEDS_HELD, ("Role/app",)),
        Note(Level.HELD, Address("west", "Database", "b"), Reason.NEEDS_HELD, ("east:Role/app",)),
        Note(Level.HELD, Address("west", "Database", "c"), Reason.NEEDS_HELD, ("Role/app",)),
    )
    assert Plan((), notes).unexpectedly_held == {Address("west", "Database", "c")}
