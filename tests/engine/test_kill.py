"""Killed before or after any write to cluster or ledger, the next run converges: nothing twice, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.hooks.database import OP_TAG
from reconciler.manifests import Resource
from tests.engine.killable import Fuse, KillableClient, KillableLedger, Killed
from tests.support.resources import KINDS, declared, shop, user_spec
from tests.support.simulation import Simulation

BEFORE = [
    declared("RedisACL", "keys", {"acl": "+@read ~app:*"}),
    declared("Role", "app", {"management": "none"}),
    declared("Role", "old", {"management": "none"}),
    declared("User", "anna", user_spec("anna", ["app"])),
    declared("Database", "sessions", {"memory_size": "100MiB", "tags": [{"key": "team", "value": "a"}]}),
    declared("Database", "legacy", {"memory_size": "100MiB"}),
]
AFTER = [
    declared("RedisACL", "keys", {"acl": "+@all ~app:*"}),
    declared("RedisACL", "more", {"acl": "+@read ~*"}),
    declared("Role", "app", {"management": "db_viewer"}),
    declared("Role", "new", {"management": "none"}),
    declared("Role", "old", {}, absent=True),
    declared("User", "anna", user_spec("anna", ["app", "new"])),
    declared("User", "omar", user_spec("omar", ["new"])),
    declared("Database", "sessions", {"memory_size": "200MiB", "tags": [{"key": "team", "value": "b"}]}),
    declared(
        "Database", "orders", {"memory_size": "100MiB", "roles_permissions": [{"role": "new", "redis_acl": "more"}]}
    ),
    declared("Database", "cache", {"memory_size": "100MiB"}),
    declared("Database", "legacy", {}, absent=True, protect=False),
]


def start(folder: Path) -> Simulation:
    rig = Simulation(folder)
    rig.call("POST", "/v1/bdbs", {"name": "foreign", "memory_size": 104857600, "port": 15000})
    rig.cluster.clock.sleep(60)
    assert rig.converge(BEFORE).complete
    return rig


def state(rig: Simulation) -> dict[str, Any]:
    return {
        kind: {one.name: dict(one.spec) for one in objects}
        for kind, objects in rig.live().objects.items()
        if kind != "Certificate"  # each cluster makes its own
    }


def run(rig: Simulation, resources: list[Resource], fuse: Fuse) -> None:
    rig.converge(resources, clients={"dc1": KillableClient(rig.client, fuse)}, ledger=KillableLedger(rig.ledger, fuse))


def creates(rig: Simulation) -> list[tuple[str, str]]:
    return sorted((entry.path, json.loads(entry.body)["name"]) for entry in rig.writes if entry.method == "POST")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[tuple[str, str]], int]:
    """The end without a kill, the creates on the way, and the number of places to die at."""
    rig = start(tmp_path_factory.mktemp("reference") / "state")
    fuse = Fuse()
    run(rig, AFTER, fuse)
    return state(rig), creates(rig), fuse.passed


PLACES = 70


def test_the_harness_reaches_every_place(reference: tuple[Any, Any, int]) -> None:
    assert reference[2] == PLACES


@pytest.mark.parametrize("place", range(PLACES))
def test_a_killed_run_is_finished_by_the_next(
    tmp_path: Path, reference: tuple[dict[str, Any], list[tuple[str, str]], int], place: int
) -> None:
    rig = start(tmp_path / "state")
    foreign = json.dumps(rig.wire("Database", "foreign"), sort_keys=True)
    with pytest.raises(Killed):
        run(rig, AFTER, Fuse(place))
    rig.reopen()
    rig.cluster.clock.sleep(5)

    report = rig.converge(AFTER)

    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(AFTER).changes == ()
    assert state(rig) == reference[0]
    assert creates(rig) == reference[1]
    marks = [
        tag["value"]
        for one in rig.call("GET", "/v1/bdbs").json()
        for tag in one.get("tags", ())
        if tag["key"] == OP_TAG
    ]
    assert len(marks) == len(set(marks)) == 3
    owned = rig.ledger.owned("dc1")
    assert set(owned) == {one.address for one in AFTER if not one.absent}
    assert {a: mine.uid for a, mine in owned.items()} == {a: rig.wire(a.kind, a.name)["uid"] for a in owned}
    assert all(mine.fields.items() >= _readable(a.kind, a.name).items() for a, mine in owned.items())
    assert rig.ledger.open_intents("dc1") == ()
    assert json.dumps(rig.wire("Database", "foreign"), sort_keys=True) == foreign
    before = len(rig.sent)
    assert rig.converge(AFTER).outcomes == ()
    assert len(rig.sent) == before


def _readable(kind: str, name: str) -> dict[str, Any]:
    spec = next(one.spec for one in AFTER if (one.address.kind, one.address.name) == (kind, name))
    return {key: value for key, value in spec.items() if key != "password"}


@pytest.mark.parametrize("place", range(0, 26, 3))
def test_a_kill_during_the_recovery_from_a_kill_does_no_harm(tmp_path: Path, place: int) -> None:
    rig = Simulation(tmp_path / "state")
    with pytest.raises(Killed):
        run(rig, shop(), Fuse(26))
    rig.reopen()
    try:
        run(rig, shop(), Fuse(place))
    except Killed:
        rig.reopen()
    rig.converge(shop())
    assert rig.plan(shop()).changes == ()
    assert creates(rig) == sorted((KINDS[one.address.kind].rest.path, one.address.name) for one in shop())
    assert set(rig.ledger.owned("dc1")) == {one.address for one in shop()}
    assert rig.ledger.open_intents("dc1") == ()
