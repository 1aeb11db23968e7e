"""Idle machines become a cluster, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler import live
from reconciler.api.hooks.clusterbootstrap import place
from reconciler.apply.report import Report
from reconciler.manifests import Resource
from reconciler.model import Level, LiveState
from reconciler.plan import Action, Plan
from reconciler.plan.read_set import ReadSet
from tests.engine.killable import Fuse, KillableClient, KillableLedger, Killed
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY, Simulation

NAME = "new.example.com"
WANTED = {"ClusterBootstrap": None}


class IdleMachines(Simulation):
    """Three machines that are in no cluster."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **{"nodes": 0, "outside": 3, "password": CANARY, **settings})

    def read(self) -> dict[str, LiveState]:
        return {"dc1": live.read(self.client, KINDS, ReadSet(WANTED), "dc1")}  # type: ignore[arg-type]

    @property
    def places(self) -> list[str]:
        return [place(self.cluster.core.urls[uid]) for uid in sorted(self.cluster.core.urls)]

    def wanted(self, count: int = 3, **more: Any) -> list[Resource]:
        machines = [{"address": address} for address in self.places[:count]]
        return [declared("ClusterBootstrap", "cluster", {"name": NAME, "machines": machines, **more})]

    def pass_(self, wanted: Sequence[Resource], fuse: Fuse | None = None) -> tuple[Plan, Report]:
        found = self.read()
        self.recover(found)
        plan = self.plan(wanted, found)
        client = KillableClient(self.client, fuse) if fuse else self.client
        ledger: Any = KillableLedger(self.ledger, fuse) if fuse else self.ledger
        return plan, self.apply(plan, live=found, clients={"dc1": client}, ledger=ledger)

    def members(self) -> list[int]:
        return [node["uid"] for node in self.call("GET", "/v1/nodes").json()]


@pytest.fixture
def rig(tmp_path: Path) -> IdleMachines:
    return IdleMachines(tmp_path / "state")


def bodies(rig: Simulation) -> list[tuple[str, Mapping[str, Any]]]:
    return [(entry.path, json.loads(entry.body)) for entry in rig.sent if "/bootstrap/" in entry.path]


def test_three_idle_machines_become_a_cluster_and_a_second_run_does_nothing(rig: IdleMachines) -> None:
    plan, report = rig.pass_(rig.wanted())
    assert [change.action for change in plan.changes] == [Action.CREATE]
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.members() == [1, 2, 3]
    assert [path for path, _ in bodies(rig)] == [
        "/v1/bootstrap/create_cluster",
        "/v1/bootstrap/join_cluster",
        "/v1/bootstrap/join_cluster",
    ]
    assert rig.plan(rig.wanted()).changes == ()
    assert rig.call("GET", "/v1/cluster").json()["name"] == NAME


def test_the_first_admin_is_the_account_of_the_project_file_and_shows_nowhere_else(rig: IdleMachines) -> None:
    plan, _ = rig.pass_(rig.wanted())
    assert bodies(rig)[0][1]["credentials"]["password"] == CANARY
    assert CANARY not in repr(plan)
    assert CANARY not in repr(rig.events)
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in rig.folder.iterdir() if path.is_file())


def test_a_machine_that_is_declared_later_joins(rig: IdleMachines) -> None:
    rig.pass_(rig.wanted(2))
    assert rig.members() == [1, 2]
    plan, report = rig.pass_(rig.wanted(3))
    assert [change.action for change in plan.changes] == [Action.UPDATE]
    assert report.complete
    assert rig.members() == [1, 2, 3]


def test_a_machine_that_is_declared_no_more_stays_a_node(rig: IdleMachines) -> None:
    rig.pass_(rig.wanted(3))
    assert rig.plan(rig.wanted(2)).changes == ()


def test_options_of_machines_reach_them(rig: IdleMachines) -> None:
    machines = [
        {"address": address, "rack_id": f"rack-{number}", "max_listeners": 60 + number, "max_redis_servers": 50}
        for number, address in enumerate(rig.places, 1)
    ]
    suffixes = [{"name": NAME, "use_internal_addr": True}]
    wanted = [declared("ClusterBootstrap", "cluster", {"name": NAME, "machines": machines, "dns_suffixes": suffixes})]
    rig.pass_(wanted)
    assert [body.get("dns_suffixes") for _, body in bodies(rig)] == [suffixes, None, None]
    assert [body["node"]["identity"]["rack_id"] for _, body in bodies(rig)] == ["rack-1", "rack-2", "rack-3"]
    nodes = rig.call("GET", "/v1/nodes").json()
    assert [(node["max_listeners"], node["max_redis_servers"]) for node in nodes] == [(61, 50), (62, 50), (63, 50)]
    assert rig.plan(wanted).changes == ()


def test_a_machine_that_the_project_file_does_not_name_is_refused_before_anything_is_sent(rig: IdleMachines) -> None:
    machines = [{"address": rig.places[0]}, {"address": "elsewhere.example.com:9443"}]
    wanted = [declared("ClusterBootstrap", "cluster", {"name": NAME, "machines": machines})]
    _, report = rig.pass_(wanted)
    assert "not in the project file" in report.failed[0].why
    assert bodies(rig) == []


def test_a_failed_bootstrap_says_why_and_can_be_tried_again(rig: IdleMachines) -> None:
    _, report = rig.pass_(rig.wanted(license="no licence at all"))
    assert "invalid_license" in report.failed[0].why
    _, report = rig.pass_(rig.wanted())
    assert report.complete
    assert rig.members() == [1, 2, 3]


def test_a_cluster_with_another_name_is_not_renamed(rig: IdleMachines) -> None:
    rig.pass_(rig.wanted())
    other = [declared("ClusterBootstrap", "cluster", {"name": "other.example.com"})]
    plan = rig.plan(other)
    assert plan.changes == ()
    assert [note.level for note in plan.notes] == [Level.HELD]


PLACES = 14


def test_the_harness_reaches_every_place(rig: IdleMachines) -> None:
    fuse = Fuse()
    rig.pass_(rig.wanted(), fuse)
    assert fuse.passed == PLACES


@pytest.mark.parametrize("at", range(PLACES))
def test_a_bootstrap_that_was_killed_anywhere_is_finished(tmp_path: Path, at: int) -> None:
    rig = IdleMachines(tmp_path / "state")
    with pytest.raises(Killed):
        rig.pass_(rig.wanted(), Fuse(at))
    rig.reopen()
    for _ in range(2):
        rig.pass_(rig.wanted())
    assert rig.members() == [1, 2, 3]
    assert rig.plan(rig.wanted()).changes == ()
    assert rig.ledger.open_intents("dc1") == ()
    created = [path for path, _ in bodies(rig) if path.endswith("create_cluster")]
    assert len(created) == 1


@pytest.mark.parametrize("fault", ["lost", "503", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_gets_lost_on_the_way_is_asked_for_again(tmp_path: Path, fault: str, method: str) -> None:
    rig = IdleMachines(tmp_path / "state")
    rig.cluster.faults.add(fault, method=method, path="^/v1/bootstrap", times=2)
    for _ in range(3):
        rig.pass_(rig.wanted())
    assert rig.members() == [1, 2, 3]
    assert rig.plan(rig.wanted()).changes == ()
