"""Faults by chance, and faults that befall the cluster itself: stale reads, other people, restores, failovers."""

from __future__ import annotations

import re
import ssl
from typing import Any

import httpx
import pytest

from reconciler.simulator.core import Core, SimulatorSettings
from reconciler.simulator.faults.incidents import INCIDENTS
from reconciler.simulator.faults.rules import ACTIONS
from reconciler.simulator.testing import Caller, VirtualClock, running

ROLE = {"name": "app", "management": "none"}
DATABASE = {"name": "one", "memory_size": 1 << 30}


class Cluster(Caller):
    """A core with three nodes and the clock that its changes wait for."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        super().__init__(Core(SimulatorSettings(**{"nodes": 3, **settings}), clock=self.clock, seed=7))
        self.faults = self.core.faults

    def names(self, path: str = "/v1/bdbs") -> list[str]:
        return [item["name"] for item in self("GET", path).json()]


FAULTS: dict[str, tuple[int | type[Exception], bool]] = {
    "refuse": (ConnectionRefusedError, False),
    "drop": (ConnectionResetError, False),
    "reset": (ConnectionResetError, False),
    "lost": (ConnectionResetError, True),
    "late": (ConnectionResetError, False),
    "500": (500, False),
    "502": (502, False),
    "503": (503, False),
    "504": (504, False),
    "503_member": (503, False),
    "500_after": (500, True),
    "502_after": (502, True),
    "503_after": (503, True),
    "504_after": (504, True),
    "429": (429, False),
    "409": (409, False),
    "401": (401, False),
    "slow": (200, True),
    "drip": (200, True),
    "truncate": (200, True),
    "not_json": (200, True),
    "wrong_type": (200, True),
    "redirect": (307, False),
    "fail": (200, True),
    "stuck": (200, True),
}


@pytest.mark.parametrize("action", sorted(FAULTS))
def test_a_fault_happens_once_and_leaves_the_effect_that_it_says(action: str) -> None:
    outcome, effect = FAULTS[action]
    caller = Cluster()
    caller.core.faults.add(action, method="POST", path="^/v1/bdbs$", nth=2)
    names = ("one", "two", "three")
    seen: list[int | type[Exception]] = []
    for name in names:
        try:
            seen.append(caller("POST", "/v1/bdbs", {"name": name, "memory_size": 1}).status)
        except ConnectionError as error:
            seen.append(type(error))
    assert seen == [200, outcome, 200]
    made = [bdb["name"] for bdb in caller("GET", "/v1/bdbs").json()]
    assert ("two" in made) == (effect or action == "late")
    posts = [entry for entry in caller.core.log if entry.method == "POST"]
    assert [entry.effect for entry in posts if entry.fault == action] == [effect]
    assert len(posts) == len(names) + (action == "late")


def test_each_fault_has_a_test() -> None:
    assert {*FAULTS, *INCIDENTS, "stale", "code"} == ACTIONS


def test_rules_match_by_call_node_and_times() -> None:
    caller = Cluster()
    caller.core.faults.load([{"action": "500", "call": 2, "times": 2}, {"action": "502", "node": 2}])
    assert [caller("GET", "/v1/bdbs").status for _ in range(4)] == [200, 500, 500, 200]
    caller.node = 2
    assert [caller("GET", "/v1/bdbs").status for _ in range(2)] == [502, 200]
    with pytest.raises(ValueError, match="unknown fault"):
        caller.core.faults.add("meteor")


def test_an_error_code_is_sent_only_where_it_is_listed() -> None:
    cluster = Cluster()
    cluster.faults.add("code", status=500, error_code="invalid_ocsp_response", times=9)
    paths = ("/v1/bdbs", "/v1/ocsp", "/v1/ocsp/status", "/nowhere")
    assert [cluster("GET", path).status for path in paths] == [200, 200, 500, 404]
    assert cluster("GET", "/v1/ocsp/status").json()["error_code"] == "invalid_ocsp_response"
    cluster.faults.clear()
    cluster.faults.add("code", status=418, error_code="invalid_ocsp_response")
    assert cluster("GET", "/v1/ocsp/status").status == 200


@pytest.mark.parametrize(("code", "told"), [("time_not_sync", "time_not_sync"), ("nonsense", "internal_error")])
def test_a_bootstrap_fails_for_the_reason_that_is_asked_for(code: str, told: str) -> None:
    cluster = Cluster(outside=1)
    cluster.faults.add("fail", path="bootstrap", error_code=code)
    cluster.node = 4
    account = {"username": "a@example.com", "password": "secret"}
    cluster("POST", "/v1/bootstrap/create_cluster", {"cluster": {"name": "new.local"}, "credentials": account})
    cluster.clock.sleep(60)
    assert cluster("GET", "/v1/bootstrap").json()["bootstrap_status"]["error_code"] == told


def test_throttling_says_when_to_come_again() -> None:
    caller = Cluster()
    caller.core.faults.add("429", retry_after=7)
    assert caller("GET", "/v1/bdbs").headers["retry-after"] == "7"


def test_chance_hits_the_same_calls_for_the_same_seed() -> None:
    def outcome(seed: int) -> list[int]:
        cluster = Cluster()
        cluster.faults.add("503", probability=0.3, seed=seed)
        return [cluster("GET", "/v1/cluster").status for _ in range(200)]

    assert outcome(1) == outcome(1)
    assert outcome(1) != outcome(2)
    assert 30 < outcome(1).count(503) < 90


def test_chance_can_be_limited_to_some_times_and_paths() -> None:
    cluster = Cluster()
    cluster.faults.add("500", probability=1.0, times=2, path="^/v1/roles")
    paths = ["/v1/roles", "/v1/bdbs", "/v1/roles", "/v1/roles"]
    assert [cluster("GET", path).status for path in paths] == [500, 200, 500, 200]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"action": "nonsense"}, ValueError),
        ({"action": "503", "probability": 1.5}, ValueError),
        ({"action": "human_edit"}, ValueError),
        ({"action": "503", "path": "("}, re.error),
        ({"action": "code", "status": 500}, ValueError),
    ],
)
def test_rules_that_cannot_be_are_refused(rule: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Cluster().faults.load([rule])


def test_a_stale_read_shows_what_was_there_so_many_effects_ago() -> None:
    cluster = Cluster()
    for depth in (1, 2, 9):
        cluster.faults.add("stale", path="/v1/roles$", method="GET", depth=depth)
    for name in ("a", "b", "c"):
        cluster("POST", "/v1/roles", {**ROLE, "name": name})
    assert [cluster.names("/v1/roles")[6:] for _ in range(4)] == [["a", "b"], ["a"], [], ["a", "b", "c"]]


def test_a_stale_read_of_one_object_may_miss_it() -> None:
    cluster = Cluster()
    cluster.faults.add("stale", path="/v1/roles/7")
    cluster("POST", "/v1/roles", ROLE)
    assert [cluster("GET", "/v1/roles/7").status for _ in range(2)] == [404, 200]


def test_a_stale_rule_leaves_writes_alone() -> None:
    cluster = Cluster()
    cluster.faults.add("stale", times=5)
    assert cluster("POST", "/v1/roles", ROLE).status == 200
    cluster.faults.clear()
    assert "app" in cluster.names("/v1/roles")


@pytest.mark.parametrize(("when", "seen"), [("before", ["new", "new"]), ("after", ["app", "new"])])
def test_another_person_edits_at_that_moment(when: str, seen: list[str]) -> None:
    cluster = Cluster()
    cluster("POST", "/v1/roles", ROLE)
    edit = {"method": "PUT", "path": "/v1/roles/7", "body": {"name": "new"}}
    cluster.faults.add("human_edit", path="/v1/roles/7", edit=edit, when=when)
    assert [cluster("GET", "/v1/roles/7").json()["name"] for _ in range(2)] == seen
    by_others = [entry for entry in cluster.core.log if entry.fault == "human_edit" and entry.method == "PUT"]
    assert [(entry.path, entry.effect, entry.status) for entry in by_others] == [("/v1/roles/7", True, 200)]


def test_a_restore_brings_back_what_was_and_its_numbers() -> None:
    cluster = Cluster()
    cluster.faults.add("restore", method="GET", path="/v1/bdbs$", nth=2)
    assert cluster.names() == []
    assert cluster("POST", "/v1/bdbs", DATABASE).json()["uid"] == 1
    cluster.clock.sleep(30)
    assert cluster.names() == []
    assert cluster("POST", "/v1/bdbs", {**DATABASE, "name": "two"}).json()["uid"] == 1
    cluster.clock.sleep(30)
    assert [(item["name"], item["status"]) for item in cluster("GET", "/v1/bdbs").json()] == [("two", "active")]


def test_a_restore_goes_back_by_effects_and_drops_unfinished_work() -> None:
    cluster = Cluster()
    cluster.faults.add("restore", path="/v1/roles$", depth=1)
    cluster("POST", "/v1/bdbs", DATABASE)
    cluster("DELETE", "/v1/bdbs/1")
    cluster.clock.sleep(30)
    cluster("PUT", "/v1/bdbs/1", {"max_connections": 7})
    cluster.names("/v1/roles")
    assert tuple(cluster("GET", "/v1/bdbs/1").json()[name] for name in ("status", "max_connections")) == ("active", 0)
    cluster.clock.sleep(30)
    assert cluster("PUT", "/v1/bdbs/1", {"max_connections": 8}).status == 200


@pytest.mark.parametrize("effect", [False, True])
def test_a_failover_cuts_the_call_and_moves_the_primary(effect: bool) -> None:
    cluster = Cluster()
    cluster.faults.add("failover", method="POST", seconds=10, effect=effect)
    with pytest.raises(ConnectionResetError):
        cluster("POST", "/v1/roles", ROLE)
    with pytest.raises(ConnectionRefusedError):
        cluster("GET", "/v1/roles")
    other = Caller(cluster.core, node=2)
    roles = {uid: node["role"] for uid, node in other("GET", "/v1/nodes/status").json().items()}
    assert roles == {"1": "slave", "2": "master", "3": "slave"}
    assert effect == ("app" in [role["name"] for role in other("GET", "/v1/roles").json()])
    cluster.clock.sleep(11)
    other("GET", "/v1/cluster")
    assert cluster("GET", "/v1/roles").status == 200


def test_a_failover_on_sockets_ends_by_itself() -> None:
    with running(nodes=2, seed=1) as server:
        server.faults.add("failover", seconds=2)  # 20 ms at the speed of tests
        context = ssl.create_default_context(cafile=str(server.ca_file))
        login = (server.username, server.password)
        with httpx.Client(verify=context, auth=login, trust_env=False, timeout=5) as client:
            with pytest.raises(httpx.TransportError):
                client.get(f"{server.urls[0]}/v1/roles")
            statuses = []
            for _ in range(500):
                try:
                    statuses.append(client.get(f"{server.urls[0]}/v1/roles").status_code)
                    break
                except httpx.ConnectError:
                    continue
            assert statuses == [200]
