"""A change that may lock out the management account: last and alone, then access is verified, in virtual time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply import ExecutionContext, execute
from reconciler.apply.report import ChangeStatus, Report
from reconciler.client import Client, ClientOptions
from reconciler.errors import ControlLost, Rejected
from reconciler.live import read
from reconciler.model import Address, LiveState
from reconciler.plan import Options
from reconciler.plan.read_set import ReadSet
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from tests.support.inprocess import InProcess, Moving
from tests.support.planning import make_plan
from tests.support.resources import KINDS, declared
from tests.support.simulation import Simulation

TOOL = "tool@example.com"
PASSWORD = "canary-tool-password"


class OwnAccount(Simulation):
    """A simulation whose tool has an account of its own, with the role `tool`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **settings)
        role = self.call("POST", "/v1/roles", {"name": "tool", "management": "admin"}).json()["uid"]
        user = {"email": TOOL, "name": "tool", "password": PASSWORD, "role_uids": [role]}
        assert self.call("POST", "/v1/users", user).status == 200
        runtime = Runtime(clock=self.cluster.clock, sleep=self.cluster.sleep, observe=self.cluster.events.append)
        options = ClientOptions(InProcess(self.cluster.core, self.cluster.clock))
        self.client = Client(self.cluster.endpoints(), (TOOL, Secret(PASSWORD)), runtime, options)

    def change_role(self, management: str, *more: Any, **options: Any) -> Report:
        return self.apply(self.plan([declared("Role", "tool", {"management": management}), *more]), **options)


def not_as_ourselves(state: LiveState) -> LiveState:
    """Return *state* without the mark of our own account: nothing is known to cut off our access then."""
    accounts = tuple(dataclasses.replace(one, ourselves=False) for one in state.objects["User"])
    return dataclasses.replace(state, objects={**state.objects, "User": accounts})


@pytest.fixture
def rig(tmp_path: Path) -> OwnAccount:
    return OwnAccount(tmp_path / "state")


def outcome(report: Report, name: str) -> Any:
    return next(one for one in report.outcomes if one.change.address.name == name)


OTHERS = [
    declared("RedisACL", "keys", {"acl": "+@read ~app:*"}),
    declared("Role", "app", {"management": "none"}),
    declared("Database", "sessions", {"memory_size": "100MiB"}),
]


@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_change_that_may_lock_us_out_runs_last_and_alone(rig: OwnAccount, parallelism: int) -> None:
    report = rig.change_role("cluster_member", *OTHERS, parallelism=parallelism)
    assert report.complete
    marks = [event for event in rig.events if event.name in ("change.started", "change.done")]
    assert [(event.name, event.attributes["address"]) for event in marks[-2:]] == [
        ("change.started", "dc1:Role/tool"),
        ("change.done", "dc1:Role/tool"),
    ]
    assert {event.attributes["address"] for event in marks[:-2]} == {str(one.address) for one in OTHERS}


def test_access_is_verified_after_it(rig: OwnAccount) -> None:
    assert rig.change_role("cluster_member").complete
    put = next(place for place, entry in enumerate(rig.cluster.log) if entry.method == "PUT")
    assert rig.cluster.log[put + 1].path == "/v1/nodes"


def test_a_lost_response_is_no_failure_where_the_cluster_comes_back(rig: OwnAccount) -> None:
    rig.cluster.faults.add("lost", method="PUT", path="^/v1/roles")
    plan = rig.plan([declared("Role", "tool", {"management": "cluster_member"})])
    began = rig.cluster.clock()
    rig.cluster.faults.add("refuse", method="GET", path="^/v1/nodes$", times=40)
    report = rig.apply(plan)
    assert report.complete, report.outcomes[0].why
    assert rig.cluster.clock() - began < 180
    assert len([entry for entry in rig.cluster.log if entry.method == "PUT"]) == 1


def test_a_lost_write_is_sent_again_after_a_reconnect(rig: OwnAccount) -> None:
    rig.cluster.faults.add("drop", method="PUT", path="^/v1/roles")
    assert rig.change_role("cluster_member").complete
    assert len([entry for entry in rig.writes if entry.method == "PUT"]) == 1


def test_a_write_that_is_refused_costs_no_new_connection(rig: OwnAccount) -> None:
    said = {"status": 406, "error_code": "change_last_admin_role_not_allowed"}
    rig.cluster.faults.add("code", method="PUT", path="^/v1/roles", **said)
    plan = rig.plan([declared("Role", "tool", {"management": "cluster_member"})])
    report = rig.apply(plan)
    assert isinstance(report.outcomes[0].error, Rejected)
    put = next(place for place, entry in enumerate(rig.cluster.log) if entry.method == "PUT")
    assert "/v1/nodes" not in {entry.path for entry in rig.cluster.log[put:]}


def test_a_refusal_afterwards_says_that_control_may_be_lost_and_what_to_do(rig: OwnAccount) -> None:
    report = rig.change_role("none")
    lost = outcome(report, "tool")
    assert isinstance(lost.error, ControlLost)
    assert lost.why.startswith("control of the cluster may be lost: this change was sent, and since then")
    assert "let another administrator give this tool's account its permissions back" in lost.why
    assert report.stopped.keys() == {"dc1"}
    assert [intent.address.name for intent in rig.ledger.open_intents("dc1")] == ["tool"]


def test_a_login_that_is_refused_afterwards_is_not_tried_again(rig: OwnAccount) -> None:
    plan = rig.plan([declared("Role", "tool", {"management": "cluster_member"})])
    rig.cluster.faults.add("401", method="GET", path="^/v1/nodes$")
    report = rig.apply(plan)
    assert "give it a login that works" in report.outcomes[0].why
    put = next(place for place, entry in enumerate(rig.cluster.log) if entry.method == "PUT")
    assert len(rig.cluster.log) == put + 2


def test_a_cluster_that_stays_unreachable_is_given_up_in_time(rig: OwnAccount) -> None:
    plan = rig.plan([declared("Role", "tool", {"management": "cluster_member"})])
    rig.cluster.faults.add("refuse", path="^/v1/nodes$", times=10_000)
    began = rig.cluster.clock()
    report = rig.apply(plan)
    assert isinstance(report.outcomes[0].error, ControlLost)
    assert "urls have the current port" in report.outcomes[0].why
    assert 120 < rig.cluster.clock() - began < 400


def test_what_is_left_on_the_cluster_is_not_attempted_then(rig: OwnAccount) -> None:
    rig.call("POST", "/v1/roles", {"name": "zebra", "management": "admin"})
    wanted = [declared("Role", name, {"management": "none"}) for name in ("tool", "zebra")]
    report = rig.apply(rig.plan(wanted, {"dc1": not_as_ourselves(rig.live())}))
    assert [one.status for one in report.outcomes] == [ChangeStatus.FAILED, ChangeStatus.NOT_ATTEMPTED]


def test_services_that_restart_a_little_later_are_waited_for(rig: OwnAccount) -> None:
    plan = rig.plan([declared("Role", "tool", {"management": "cluster_member"})])
    role = next(one.uid for one in rig.live().objects["Role"] if one.name == "tool")
    fault = rig.cluster.faults.add("refuse", method="GET", path=f"^/v1/roles/{role}$", nth=2, times=6)
    assert rig.apply(plan).complete
    assert fault.fired == 6


def test_the_next_run_settles_what_was_left_open(rig: OwnAccount) -> None:
    rig.change_role("none")
    rig.client = rig.cluster.client()  # with an account that still may
    assert rig.converge([declared("Role", "tool", {"management": "none"})]).complete
    assert rig.ledger.open_intents("dc1") == ()
    assert Address("dc1", "Role", "tool") in rig.ledger.owned("dc1")


def test_where_the_api_moves_it_is_followed(rig: Simulation) -> None:
    transport = Moving(rig.cluster.core, rig.cluster.clock)
    rig.client = rig.cluster.client(transport=transport)
    live = {"dc1": read(rig.client, KINDS, ReadSet({"Cluster": None}), "dc1")}
    address = Address("dc1", "Cluster", "cluster")
    plan = make_plan(KINDS, [declared("Cluster", "cluster", {"cnm_https_port": 9555})], live, {}, Options(), {})
    assert plan.changes[0].unconsented == ("may-cut-off",)
    runtime = Runtime(clock=rig.cluster.clock, sleep=rig.cluster.sleep)
    report = execute(plan, ExecutionContext(KINDS, {"dc1": rig.client}, rig.ledger, rig.reveal, runtime, live))
    assert report.complete, report.outcomes[0].why
    assert transport.port == 9555
    assert rig.ledger.owned("dc1")[address].fields == {"cnm_https_port": 9555}
    assert len([entry for entry in rig.cluster.log if entry.method == "PUT"]) == 1
