"""What holds for every apply, whatever is declared and whatever is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.api.codec import decode
from reconciler.diff.normalize import comparable
from reconciler.manifests import Resource
from reconciler.plan import Action, Change
from tests.support.resources import KINDS, declared, shop, user_spec
from tests.support.simulation import Simulation


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def kind_of(path: str) -> str:
    return next(name for name, kind in KINDS.items() if path.startswith(kind.rest.path))


def test_after_an_apply_the_plan_is_empty_and_a_second_apply_writes_nothing(rig: Simulation) -> None:
    report = rig.converge(shop())
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(shop()).changes == ()
    before = len(rig.sent)
    again = rig.converge(shop())
    assert (again.outcomes, len(rig.sent)) == ((), before)


def test_each_request_body_is_what_the_plan_showed(rig: Simulation) -> None:
    rig.converge(shop()[:8])
    changed = [
        declared("Database", "db-0", {"memory_size": "200MiB", "tags": [{"key": "team", "value": "other"}]}),
        declared("RedisACL", "app-keys", {"acl": "+@all ~app:*"}),
        *shop()[2:6],
        *shop()[8:],
    ]
    begun = len(rig.sent)
    plan = rig.plan(changed)
    rig.apply(plan)
    shown = {change.address: change for change in plan.changes}
    names = {name: {one.uid: one.name for one in rig.live().objects[name]} for name in KINDS}
    sent = []
    for entry in rig.sent[begun:]:
        kind = KINDS[kind_of(entry.path)]
        body = json.loads(entry.body)
        uid = int(entry.path.rpartition("/")[2]) if entry.method == "PUT" else 0
        name = body.get("name") or names[kind.name][uid]
        change = next(c for a, c in shown.items() if (a.kind, a.name) == (kind.name, name))
        assert decode(kind, {**body, "uid": 1, "name": name}, names).spec == comparable(kind, change.body)
        sent.append(change.number)
    assert sorted(sent) == [change.number for change in plan.changes]


def test_a_put_of_tags_keeps_the_mark_of_the_create(rig: Simulation) -> None:
    rig.converge(shop())
    mark = rig.object("Database", "db-0").operation
    rig.converge([declared("Database", "db-0", {"tags": [{"key": "team", "value": "new"}]})])
    now = rig.object("Database", "db-0")
    assert (now.operation, now.spec["tags"]) == (mark, [{"key": "team", "value": "new"}])
    assert len(mark) == 32
    assert mark.isalnum()


def test_what_nobody_declared_stays_byte_identical(rig: Simulation) -> None:
    rig.call("POST", "/v1/bdbs", {"name": "foreign", "memory_size": 104857600, "port": 15000})
    rig.call("POST", "/v1/roles", {"name": "foreign", "management": "none"})
    rig.cluster.clock.sleep(60)
    before = {kind: json.dumps(rig.wire(kind, "foreign"), sort_keys=True) for kind in ("Database", "Role")}
    rig.converge(shop())
    rig.converge([declared("Database", "db-1", {}, absent=True, protect=False), *shop()[:6]])
    assert {kind: json.dumps(rig.wire(kind, "foreign"), sort_keys=True) for kind in before} == before


def test_deletes_go_after_what_refers_to_them(rig: Simulation) -> None:
    rig.converge(shop())
    gone = [declared(one.address.kind, one.address.name, {}, absent=True, protect=False) for one in shop()]
    report = rig.converge(gone)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert report.totals[Action.DELETE] == 10
    assert rig.ledger.owned("dc1") == {}
    assert rig.live().objects["Database"] == ()


def test_a_rename_is_an_update_and_others_may_refer_to_the_new_name_at_once(rig: Simulation) -> None:
    rig.converge(shop())
    renamed = [
        declared("Role", "application", {"management": "none"}, renamed_from="app"),
        declared("User", "anna", user_spec("anna", ["application", "ops"])),
    ]
    report = rig.converge(renamed)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.object("User", "anna").spec["roles"] == ["application", "ops"]
    assert rig.plan(renamed).changes == ()


def test_a_replacement_deletes_first_and_takes_the_name_again(rig: Simulation) -> None:
    rig.converge(shop())
    before = rig.object("Database", "db-0")
    other = [declared("Database", "db-0", {"memory_size": "100MiB", "port": 17777})]
    report = rig.apply(rig.plan(other, allow_destroy=frozenset({"dc1:Database/db-0", "Database/db-0"})))
    assert [(outcome.change.action, outcome.why) for outcome in report.outcomes] == [(Action.REPLACE, "")]
    after = rig.object("Database", "db-0")
    assert after.uid != before.uid
    assert after.spec["port"] == 17777
    assert rig.plan(other).changes == ()


def test_a_changed_password_is_sent_once(rig: Simulation) -> None:
    rig.converge(shop())
    rig.passwords["ANNA_PASSWORD"] = "another-password-1"
    before = len(rig.sent)
    report = rig.converge(shop())
    assert [str(outcome.change.address) for outcome in report.done] == ["dc1:User/anna"]
    assert rig.converge(shop()).outcomes == ()
    assert len(rig.sent) == before + 1


def test_parallel_and_serial_applies_end_alike(tmp_path: Path) -> None:
    ends = []
    for parallelism in (1, 4):
        rig = Simulation(tmp_path / f"state{parallelism}")
        report = rig.converge(shop(), parallelism=parallelism)
        assert report.complete
        ends.append(
            {
                kind: [(o.name, o.spec) for o in sorted(objects, key=lambda one: one.name)]
                for kind, objects in rig.live().objects.items()
                if kind != "Certificate"  # each cluster makes its own
            }
        )
    assert ends[0] == ends[1]


def test_in_one_thread_the_same_plan_gives_the_same_calls(tmp_path: Path) -> None:
    logs = []
    for number in range(2):
        rig = Simulation(tmp_path / f"state{number}")
        rig.converge(shop())
        logs.append([(entry.method, entry.path, entry.body, entry.time) for entry in rig.cluster.log])
    assert logs[0] == logs[1]


_MEMORY = st.sampled_from([100, 150, 200]).map(lambda mib: mib * 1024 * 1024)
_SPEC: st.SearchStrategy[Mapping[str, Any]] = st.fixed_dictionaries(
    {"memory_size": _MEMORY},
    optional={
        "replication": st.booleans(),
        "eviction_policy": st.sampled_from(["noeviction", "allkeys-lru", "volatile-ttl"]),
        "max_connections": st.integers(0, 1000),
        "tags": st.lists(st.sampled_from(["a", "b", "c"]), unique=True).map(
            lambda keys: [{"key": key, "value": "x"} for key in keys]
        ),
        "roles_permissions": st.just([{"role": "app", "redis_acl": "app-keys"}]),
    },
)
_WORLD = st.dictionaries(st.sampled_from(["one", "two", "three"]), _SPEC)


def _resources(databases: Mapping[str, Mapping[str, Any]]) -> list[Resource]:
    return [*shop()[:6], *(declared("Database", name, spec) for name, spec in sorted(databases.items()))]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=_WORLD, then=_WORLD)
def test_from_any_state_one_apply_reaches_any_other(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, Any], then: dict[str, Any]
) -> None:
    rig = Simulation(tmp_path_factory.mktemp("law") / "state")
    for databases in (first, then):
        report = rig.converge(_resources(databases))
        assert [outcome.why for outcome in report.outcomes if outcome.why] == []
        assert rig.plan(_resources(databases)).changes == ()
    assert rig.ledger.open_intents("dc1") == ()


def test_the_ledger_knows_what_was_done(rig: Simulation) -> None:
    report = rig.converge(shop())
    owned = rig.ledger.owned("dc1")
    live = {(kind, one.name): one for kind, objects in rig.live().objects.items() for one in objects}
    assert {(a.kind, a.name): (mine.uid, mine.created) for a, mine in owned.items()} == {
        (a.kind, a.name): (live[a.kind, a.name].uid, live[a.kind, a.name].created) for a in owned
    }
    assert set(owned) == {one.address for one in shop()}
    assert rig.ledger.open_intents("dc1") == ()
    run = rig.ledger.run(report.run)
    assert run is not None
    assert (run.counts["done"], len(run.outcomes)) == (10, 10)
    assert run.started < (run.finished or 0.0)


def test_forgetting_touches_the_ledger_only(rig: Simulation) -> None:
    rig.converge(shop())
    address = shop()[0].address
    plan = rig.plan(shop())
    forget = Change(Action.FORGET, address, 1)
    before = len(rig.cluster.log)
    rig.apply(type(plan)((forget,)))
    assert address not in rig.ledger.owned("dc1")
    assert len(rig.cluster.log) == before
