"""Ports, e-mail addresses and names that are taken: who frees one comes first, and who cannot have one is held."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan import Action, Plan
from reconciler.render.reasons import note_text
from tests.plan.worlds import declared, found, plan_of, state


def database(name: str, port: int | None = None, **more: Any) -> Any:
    spec = {"memory_size": "1GiB", **({"port": port} if port else {})}
    return declared("Database", name, spec, **more)


def user(name: str, email: str, **more: Any) -> Any:
    password = {"valueFrom": {"env": "PASSWORD"}}
    return declared("User", name, {"email": email, "roles": ["Admin"], "password": password}, **more)


ADMIN = found("Role", 1, "Admin", {"management": "admin"}, builtin=True)


def live_database(name: str, uid: int, port: int, **more: Any) -> Any:
    return found("Database", uid, name, {"memory_size": 2**30, "port": port}, **more)


def steps(plan: Plan) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(one.action.value, one.address.name, one.after) for one in plan.changes]


def notes(plan: Plan) -> list[str]:
    return [f"{one.address.name}: {note_text(one)}" for one in plan.notes if one.level.value == "held"]


def test_a_tombstone_comes_before_the_successor_that_needs_its_port() -> None:
    plan = plan_of([database("old", absent=True), database("new", 12001)], state(live_database("old", 1, 12001)))
    assert steps(plan) == [("-", "old", ()), ("+", "new", (1,))]


def test_a_port_that_only_the_endpoint_shows_counts_too() -> None:
    old = found("Database", 1, "old", {"memory_size": 2**30}, addresses=("redis-12001.cluster.local:12001",))
    plan = plan_of([database("old", absent=True), database("new", 12001)], state(old))
    assert steps(plan) == [("-", "old", ()), ("+", "new", (1,))]


def test_a_replacement_that_leaves_a_port_comes_before_the_create_that_needs_it() -> None:
    live = state(live_database("a", 1, 12001))
    plan = plan_of([database("a", 12002), database("b", 12001)], live)
    assert steps(plan) == [("-/+", "a", ()), ("+", "b", (1,))]


def test_a_tombstone_comes_before_the_user_that_needs_its_e_mail_address() -> None:
    live = state(ADMIN, found("User", 2, "old", {"email": "team@example.com", "roles": ["Admin"]}))
    plan = plan_of([user("old", "team@example.com", absent=True), user("new", "team@example.com")], live)
    assert steps(plan) == [("-", "old", ()), ("+", "new", (1,))]


def test_an_update_that_frees_an_e_mail_address_comes_first() -> None:
    live = state(ADMIN, found("User", 2, "old", {"email": "team@example.com", "roles": ["Admin"]}))
    plan = plan_of([user("old", "old@example.com"), user("another", "team@example.com")], live)
    assert steps(plan) == [("~", "old", ()), ("+", "another", (1,))]


@pytest.mark.parametrize("declare", [True, False])
def test_the_port_of_a_live_database_is_taken(declare: bool) -> None:
    live = state(live_database("theirs", 1, 12050))
    mine = [database("c", 12050), *([database("theirs")] if declare else [])]
    plan = plan_of(mine, live)
    assert notes(plan) == ["c: port 12050 is taken by Database/theirs"]
    assert plan.changes == ()


def test_a_replacement_to_the_port_of_a_live_database_is_held() -> None:
    live = state(live_database("orders", 1, 12001), live_database("carts", 2, 12002))
    plan = plan_of([database("orders", 12001), database("carts", 12001)], live)
    assert (notes(plan), plan.changes) == (["carts: port 12001 is taken by Database/orders"], ())


def test_the_e_mail_address_of_a_live_user_is_taken() -> None:
    live = state(ADMIN, found("User", 2, "theirs", {"email": "team@example.com"}))
    plan = plan_of([user("new", "team@example.com")], live)
    assert notes(plan) == ["new: e-mail address team@example.com is taken by User/theirs"]


def test_a_port_that_the_cluster_reserves_is_taken() -> None:
    plan = plan_of([database("c", 12050)], state(reserved_ports=frozenset({12050})))
    assert notes(plan) == ["c: port 12050 is taken: the cluster reserves it"]


def test_two_databases_cannot_exchange_their_ports_in_one_apply() -> None:
    live = state(live_database("a", 1, 12001), live_database("b", 2, 12002))
    plan = plan_of([database("a", 12002), database("b", 12001)], live)
    assert plan.changes == ()
    assert notes(plan)[0].startswith("a: needs port 12002, which is free only once this change is done")


def test_what_refers_to_a_create_without_a_port_is_held_too() -> None:
    live = state(live_database("theirs", 1, 12050))
    role = declared("Role", "r", {"management": "db_viewer", "resources": [{"type": "db", "databases": ["c"]}]})
    plan = plan_of([database("c", 12050), role], live)
    assert notes(plan) == ["c: port 12050 is taken by Database/theirs", "r: refers to Database/c, which is held"]


def test_a_held_delete_frees_nothing() -> None:
    holder = found("Role", 7, "r", {"management": "db_viewer", "resources": [{"type": "db", "databases": ["old"]}]})
    live = state(live_database("old", 1, 12001), holder)
    plan = plan_of([database("old", absent=True), database("new", 12001)], live)
    assert plan.changes == ()
    assert [one.partition(":")[0] for one in notes(plan)] == ["new", "old"]


def member(cluster: str, **config: Any) -> dict[str, Any]:
    login = {"username": "peer", "password": {"valueFrom": {"env": "PASSWORD"}}}
    return {"cluster": cluster, "credentials": login, **({"db_config": config} if config else {})}


def test_the_port_of_an_active_active_database_is_taken_on_any_member() -> None:
    spec = {"default_db_config": {"memory_size": "1GiB", "port": 12001}, "instances": [member("dc1"), member("dc2")]}
    mine = declared("ActiveActiveDatabase", "carts", spec, cluster="dc1")
    there = state(live_database("theirs", 1, 12001), cluster="dc2")
    plan = plan_of([mine], state(cluster="dc1"), there)
    assert notes(plan) == ["carts: port 12001 is taken by dc2:Database/theirs"]


def test_a_database_makes_room_for_an_active_active_one_of_its_name() -> None:
    spec = {"default_db_config": {"memory_size": "1GiB"}, "instances": [member("dc1"), member("dc2")]}
    gone = database("carts", absent=True, cluster="dc1")
    plan = plan_of(
        [gone, declared("ActiveActiveDatabase", "carts", spec, cluster="dc1")],
        state(live_database("carts", 1, 12001), cluster="dc1"),
        state(cluster="dc2"),
    )
    assert [(one.action, one.after) for one in plan.changes] == [(Action.DELETE, ()), (Action.CREATE, (1,))]
