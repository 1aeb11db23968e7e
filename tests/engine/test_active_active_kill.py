"""Killed before or after any write, the next run brings an Active-Active database to the same end: one, everywhere."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Address
from tests.engine.active_active import GIB, ActiveActive, carts, instance
from tests.engine.killable import Fuse, KillableClient, KillableLedger, Killed
from tests.support.resources import declared

USING = {"roles_permissions": [{"role": "app", "redis_acl": "keys"}]}
ACCESS = [
    declared("Role", "app", {"management": "none"}, cluster="dc3"),
    declared("RedisACL", "keys", {"acl": "+@read ~*"}, cluster="dc3"),
]
BEFORE = [carts("dc1", "dc2", config={"port": 12000})]
AFTER = [
    carts("dc1", instance("dc3", **USING), config={"port": 12000, "memory_size": 2 * GIB}),
    carts("dc1", instance("dc3", **USING), config={"port": 12001}, name="wishes"),
    *ACCESS,
]


def start(folder: Path) -> ActiveActive:
    rig = ActiveActive(folder)
    assert rig.converge(BEFORE).complete
    return rig


def run(rig: ActiveActive, fuse: Fuse) -> None:
    clients = {name: KillableClient(client, fuse) for name, client in rig.clients.items()}
    rig.converge(AFTER, clients=clients, ledger=KillableLedger(rig.ledger, fuse))


def state(rig: ActiveActive) -> dict[str, Any]:
    return {
        cluster: {one.name: dict(one.spec) for one in found.objects["ActiveActiveDatabase"]}
        for cluster, found in rig.read().items()
    }


def effects(rig: ActiveActive) -> list[tuple[str, str]]:
    """Return which Active-Active databases were created, and which instances came and went."""
    found = []
    for entry in rig.clusters["dc1"].log:
        body = json.loads(entry.body) if entry.method == "POST" and entry.effect else {}
        if entry.path == "/v1/crdbs" and body:
            found.append(("create", body["name"]))
        found += [("add", item["cluster"]["name"]) for item in body.get("add_instances", ())]
        found += [("remove", str(number)) for number in body.get("remove_instances", ())]
    return sorted(found)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[tuple[str, str]], int]:
    """The end without a kill, what happened on the way, and the number of places to die at."""
    rig = start(tmp_path_factory.mktemp("reference") / "state")
    fuse = Fuse()
    run(rig, fuse)
    return state(rig), effects(rig), fuse.passed


PLACES = 36


def test_the_harness_reaches_every_place(reference: tuple[Any, Any, int]) -> None:
    assert reference[2] == PLACES
    assert reference[1] == [("add", "c.example.com"), ("create", "carts"), ("create", "wishes"), ("remove", "2")]


@pytest.mark.parametrize("place", range(PLACES))
def test_a_killed_run_is_finished_by_the_next(
    tmp_path: Path, reference: tuple[dict[str, Any], list[tuple[str, str]], int], place: int
) -> None:
    rig = start(tmp_path / "state")
    with pytest.raises(Killed):
        run(rig, Fuse(place))
    rig.reopen()

    report = rig.converge(AFTER)

    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(AFTER).changes == ()
    assert state(rig) == reference[0]
    assert effects(rig) == reference[1]
    assert rig.local("dc2") is None
    owned = {address for name in rig.run for address in rig.ledger.owned(name)}
    assert owned == {one.address for one in AFTER}
    guid = {one["name"]: one["guid"] for one in rig.call("GET", "/v1/crdbs").json()}
    mine = rig.ledger.owned("dc1")
    assert {name: mine[Address("dc1", "ActiveActiveDatabase", name)].uid for name in guid} == guid
    assert [intent for name in rig.run for intent in rig.ledger.open_intents(name)] == []
    before = len(rig.sent)
    assert rig.converge(AFTER).outcomes == ()
    assert len(rig.sent) == before


@pytest.mark.parametrize("later", [0.0, 3.0, 30.0, 600.0])
def test_a_create_that_was_under_way_is_found_by_the_next_run(tmp_path: Path, later: float) -> None:
    rig = ActiveActive(tmp_path / "state")
    with pytest.raises(Killed):
        rig.converge(BEFORE, clients={"dc1": KillableClient(rig.clients["dc1"], Fuse(1))})
    rig.reopen()
    rig.clock.sleep(later)
    rig.assert_converges(BEFORE)
    assert effects(rig) == [("create", "carts")]
    assert rig.ledger.open_intents("dc1") == ()


@pytest.mark.parametrize("action", ["lost", "late", "502_after", "reset", "truncate", "not_json"])
def test_a_lost_answer_makes_nothing_twice(tmp_path: Path, action: str) -> None:
    rig = ActiveActive(tmp_path / "state")
    more = {"calls": 3} if action == "late" else {}
    rig.clusters["dc1"].faults.add(action, method="POST", path="^/v1/crdbs$", times=1, **more)
    rig.assert_converges(BEFORE)
    rig.clusters["dc1"].faults.add(action, method="POST", path="/updates$", times=1, **more)
    rig.assert_converges([carts("dc1", "dc2", "dc3", config={"port": 12000})])
    assert effects(rig) == [("add", "c.example.com"), ("create", "carts")]


def test_a_run_that_is_stopped_while_a_task_runs_is_taken_up_again(tmp_path: Path) -> None:
    rig, stop = ActiveActive(tmp_path / "state"), threading.Event()

    def sleep(seconds: float) -> None:
        rig.clock.sleep(seconds)
        stop.set()

    report = rig.converge(BEFORE, stop=stop, sleep=sleep)
    assert report.interrupted
    assert [intent.action for intent in rig.ledger.open_intents("dc1")] == ["create"]
    rig.reopen()
    rig.assert_converges(BEFORE)
    assert effects(rig) == [("create", "carts")]
    assert rig.ledger.open_intents("dc1") == ()
