"""Replica Of databases have the address and the password of their source: both follow when the source changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from reconciler.manifests import Resource
from reconciler.plan import Plan
from reconciler.render.reasons import note_text, why
from tests.support.resources import declared
from tests.support.simulation import Simulation

ADMIN = {"authentication_admin_pass": {"valueFrom": {"env": "ADMIN"}}}


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def source(name: str = "src", **spec: Any) -> Resource:
    return declared("Database", name, {"memory_size": "1GiB", **spec})


def replica(*sources: dict[str, Any], **more: Any) -> Resource:
    spec = {
        "memory_size": "1GiB",
        "replica_sync": "enabled",
        "replica_sources": list(sources or ({"database": "src"},)),
    }
    return declared("Database", "cpy", spec, **more)


def links(rig: Simulation) -> list[tuple[str, int | None, str | None]]:
    """Return status, port and password of each source that the replica has."""
    found = rig.wire("Database", "cpy")["replica_sources"]
    return [(one["status"], urlsplit(one["uri"]).port, urlsplit(one["uri"]).password) for one in found]


def shown(plan: Plan) -> list[str]:
    return [
        f"{change.action.name} {change.address.name} {[one.path for one in change.fields]}" for change in plan.changes
    ]


def apply(rig: Simulation, *resources: Resource, **options: Any) -> None:
    live = rig.read()
    report = rig.apply(rig.plan(resources, live, **options), live=live)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []


def test_a_new_password_of_the_source_reaches_the_replica_after_the_source(rig: Simulation) -> None:
    wanted = (source(**ADMIN), replica())
    apply(rig, *wanted)
    rig.passwords["ADMIN"] = "another-one-2"
    plan = rig.plan(wanted)
    assert shown(plan) == [
        "UPDATE src ['authentication_admin_pass']",
        "UPDATE cpy ['replica_sources[0].password']",
    ]
    assert plan.changes[1].after == (1,)
    assert plan.changes[1].impacts == ()
    apply(rig, *wanted)
    assert [(status, password) for status, _, password in links(rig)] == [("in-sync", "another-one-2")]
    assert rig.plan(wanted).changes == ()


def test_a_replica_that_missed_the_new_password_gets_it_later(rig: Simulation) -> None:
    wanted = (source(**ADMIN), replica())
    apply(rig, *wanted)
    rig.passwords["ADMIN"] = "another-one-2"
    apply(rig, wanted[0])
    assert shown(rig.plan(wanted)) == ["UPDATE cpy ['replica_sources[0].password']"]
    apply(rig, *wanted)
    assert links(rig)[0][2] == "another-one-2"


def test_a_replica_without_a_recorded_digest_follows_its_source(rig: Simulation) -> None:
    apply(rig, source(**ADMIN), replica({"database": "src", "password": {"valueFrom": {"env": "OTHER"}}}))
    wanted = (source(**ADMIN), replica())
    rig.ledger.forget(replica().address)
    assert [note_text(note) for note in rig.plan(wanted).notes] == []
    rig.passwords["ADMIN"] = "another-one-2"
    assert "UPDATE cpy ['replica_sources[0].password']" in shown(rig.plan(wanted))


def test_resend_secret_sends_a_password_that_only_the_cluster_knows(rig: Simulation) -> None:
    wanted = (source(), replica())
    apply(rig, *wanted)
    rig.call("PUT", f"/v1/bdbs/{rig.wire('Database', 'src')['uid']}", {"authentication_admin_pass": "by-hand-7"})
    rig.cluster.clock.sleep(60)
    assert links(rig)[0][2] != "by-hand-7"
    apply(rig, *wanted, resend_secrets=frozenset({"Database/cpy"}))
    assert links(rig)[0][2] == "by-hand-7"


def test_a_password_that_the_replica_declares_is_not_that_of_the_source(rig: Simulation) -> None:
    own = {"database": "src", "username": "admin", "password": {"valueFrom": {"env": "OWN"}}}
    wanted = (source(**ADMIN), replica(own))
    apply(rig, *wanted)
    rig.passwords["ADMIN"] = "another-one-2"
    assert shown(rig.plan(wanted)) == ["UPDATE src ['authentication_admin_pass']"]


@pytest.mark.parametrize("secrets", [{}, ADMIN])
def test_a_replica_of_a_replaced_source_follows_in_the_same_run(rig: Simulation, secrets: dict[str, Any]) -> None:
    apply(rig, source(port=12001, **secrets), replica())
    wanted = (source(port=12345, **secrets), replica())
    plan = rig.plan(wanted)
    assert [change.action.name for change in plan.changes] == ["REPLACE", "UPDATE"]
    change = plan.changes[1]
    assert why(change) == ("refers to Database/src, which is replaced; new address: redis-12345.cluster.local:12345")
    assert [(one.impact, one.field) for one in change.impacts] == [("loses-data", "replica_sources")]
    assert change.unconsented == ("loses-data",)
    apply(rig, *wanted)
    assert [(status, port) for status, port, _ in links(rig)] == [("in-sync", 12345)]
    assert rig.plan(wanted).changes == ()


def test_consent_in_the_manifest_of_the_replica_counts(rig: Simulation) -> None:
    apply(rig, source(port=12001), replica())
    plan = rig.plan((source(port=12345), replica(allow=("loses-data",))))
    assert plan.changes[1].unconsented == ()


def test_a_replica_of_a_source_that_is_created_again_follows_in_the_same_run(rig: Simulation) -> None:
    wanted = (source(), replica())
    apply(rig, *wanted)
    uid = rig.wire("Database", "src")["uid"]
    rig.call("DELETE", f"/v1/bdbs/{uid}")
    rig.cluster.clock.sleep(60)
    wanted = (source(port=12345), replica())
    plan = rig.plan(wanted)
    assert [change.action.name for change in plan.changes] == ["CREATE", "UPDATE"]
    assert why(plan.changes[1]) == "refers to Database/src, which is created; new address: known after apply"
    assert plan.changes[1].unconsented == ("loses-data",)
    apply(rig, *wanted)
    assert [(status, port) for status, port, _ in links(rig)] == [("in-sync", 12345)]
    assert rig.plan(wanted).changes == ()


def test_a_new_replica_of_a_replaced_source_gets_the_new_address(rig: Simulation) -> None:
    apply(rig, source(port=12001))
    wanted = (source(port=12345), replica())
    assert [change.action.name for change in rig.plan(wanted).changes] == ["REPLACE", "CREATE"]
    apply(rig, *wanted)
    assert [(status, port) for status, port, _ in links(rig)] == [("in-sync", 12345)]
    assert rig.plan(wanted).changes == ()


def test_a_source_is_not_deleted_while_a_live_replica_reads_from_it(rig: Simulation) -> None:
    apply(rig, source(), replica())
    gone = declared("Database", "src", {}, absent=True)
    plan = rig.plan((gone,))
    assert plan.changes == ()
    assert [note_text(note) for note in plan.notes if note.address.name == "src"] == [
        "not deleted: still referenced by Database/cpy (replica_sources)"
    ]


def test_a_source_is_deleted_after_its_replica(rig: Simulation) -> None:
    apply(rig, source(), replica())
    absent = [declared("Database", name, {}, absent=True) for name in ("src", "cpy")]
    plan = rig.plan(absent)
    assert [change.address.name for change in plan.changes] == ["cpy", "src"]
    assert plan.changes[1].after == (1,)


def test_a_source_is_deleted_once_its_replica_reads_from_another(rig: Simulation) -> None:
    apply(rig, source(), source("new"), replica())
    plan = rig.plan((declared("Database", "src", {}, absent=True), source("new"), replica({"database": "new"})))
    assert [(change.action.name, change.address.name) for change in plan.changes] == [
        ("UPDATE", "cpy"),
        ("DELETE", "src"),
    ]


def test_a_source_is_not_replaced_under_a_replica_that_nothing_declares(rig: Simulation) -> None:
    apply(rig, source(port=12001), replica())
    plan = rig.plan((source(port=12345),))
    assert [change.address.name for change in plan.changes if change.address.name == "src"] == []
    assert "Database/cpy (replica_sources) would lose its reference" in note_text(
        next(note for note in plan.notes if note.address.name == "src")
    )


def test_all_of_it_holds_across_clusters(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state", ("dc1", "dc2"))
    there = declared("Database", "cpy", replica({"database": "src", "cluster": "dc1"}).spec, cluster="dc2")
    apply(rig, source(port=12001, **ADMIN), there)
    rig.passwords["ADMIN"] = "another-one-2"
    plan = rig.plan((source(port=12001, **ADMIN), there))
    assert [(c.address.cluster, c.address.name, c.after) for c in plan.changes] == [
        ("dc1", "src", ()),
        ("dc2", "cpy", (1,)),
    ]
    plan = rig.plan((source(port=12345, **ADMIN), there))
    assert [(c.action.name, c.address.cluster) for c in plan.changes] == [("REPLACE", "dc1"), ("UPDATE", "dc2")]
    plan = rig.plan((declared("Database", "src", {}, absent=True),))
    assert plan.changes == ()
    assert "not deleted: still referenced by dc2:Database/cpy (replica_sources)" in map(note_text, plan.notes)
