"""What a cluster cannot give a database is known before anything is written, and before anything is deleted."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import InputError
from reconciler.model import Offer
from reconciler.plan import Action, Plan
from reconciler.render.reasons import note_text
from tests.plan.worlds import declared, found, plan_of, state

MODULES = {"ReJSON": "RedisJSON", "bf": "RedisBloom", "search": "RediSearch 2", "timeseries": "RedisTimeSeries"}
OFFER = Offer(16 * 2**30, frozenset({"7.2", "7.4", "8.2"}), MODULES, 4)


def database(name: str = "orders", **spec: Any) -> Any:
    return declared("Database", name, {"memory_size": "1GiB", "port": 12001, **spec})


def problems(*resources: Any, **live: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        plan_of(resources, state(offer=OFFER, **live))
    return [f"{one.message} ({one.hint})" for one in caught.value.problems]


def held(plan: Plan) -> list[str]:
    return [f"{one.address.name}: {note_text(one)}" for one in plan.notes if one.level.value == "held"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("RedisJSON", "ReJSON"),
        ("rejson", "ReJSON"),
        ("JSON", "ReJSON"),
        ("RediSearch", "search"),
        ("RedisSearch", "search"),
        ("Redis-Search", "search"),
        ("RedisBloom", "bf"),
        ("RedisTimeSeries", "timeseries"),
        ("timeserie", "timeseries"),
    ],
)
def test_a_module_by_another_name_is_refused_with_its_name_in_the_api(written: str, meant: str) -> None:
    found = problems(database(module_list=[{"module_name": written}]))
    assert found == [f'Database/orders: the cluster has no module {written} (did you mean "{meant}"?)']


def test_an_unknown_module_is_refused_with_those_that_there_are() -> None:
    found = problems(database(module_list=[{"module_name": "graph-of-nothing"}]))
    assert found[0].endswith("(it has ReJSON, bf, search, timeseries)")


def test_where_the_modules_could_not_be_read_nothing_is_said() -> None:
    plan = plan_of([database(module_list=[{"module_name": "RedisJSON"}])], state())
    assert [one.action for one in plan.changes] == [Action.CREATE]


def test_a_module_of_an_active_active_database_is_checked_too() -> None:
    login = {"username": "peer", "password": {"valueFrom": {"env": "PASSWORD"}}}
    members = [{"cluster": name, "credentials": login} for name in ("dc1", "dc2")]
    spec = {
        "default_db_config": {"memory_size": 1, "module_list": [{"module_name": "RedisJSON"}]},
        "instances": members,
    }
    mine = declared("ActiveActiveDatabase", "carts", spec, cluster="dc1")
    with pytest.raises(InputError, match="no module RedisJSON"):
        plan_of([mine], state(offer=OFFER, cluster="dc1"), state(cluster="dc2"))


def test_a_version_that_is_not_offered_is_refused() -> None:
    assert problems(database(redis_version="6.2")) == [
        "Database/orders: the cluster does not offer Redis 6.2 (it offers 7.2, 7.4, 8.2)"
    ]


def test_creates_that_need_more_memory_than_all_nodes_have_are_held() -> None:
    live = found("Database", 1, "there", {"memory_size": 10 * 2**30, "port": 12050})
    plan = plan_of([database(memory_size="7GiB")], state(live, offer=OFFER))
    text = "the databases that this plan creates need 7 GiB, others have 10 GiB, and all nodes together have 16 GiB"
    assert (held(plan), plan.changes) == ([f"orders: {text} of memory"], ())


def test_a_replacement_has_the_memory_of_the_old_object() -> None:
    live = found("Database", 1, "orders", {"memory_size": 10 * 2**30, "port": 12050})
    plan = plan_of([database(memory_size="12GiB")], state(live, offer=OFFER))
    assert [one.action for one in plan.changes] == [Action.REPLACE]


def test_a_replacement_without_the_shards_for_it_is_held() -> None:
    spec = {"memory_size": 2**30, "port": 12050, "shards_count": 1, "replication": False, "sharding": False}
    plan = plan_of([database(sharding=True, shards_count=6)], state(found("Database", 1, "orders", spec), offer=OFFER))
    assert (held(plan), plan.changes) == (["orders: it needs 6 shards, and the licence has 5 left"], ())
