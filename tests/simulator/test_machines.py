"""Nodes as machines: removal, maintenance, loss, partition, redirects; shards that move, and reads that agree."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.simulator.api.messages import ApiResponse, encode
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock


class Cluster:
    """A core in virtual time, and callers of each of its nodes."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.core = Core(SimulatorSettings(**settings), clock=self.clock, seed=7)
        self.call = Caller(self.core)

    def at(self, node: int) -> Caller:
        return Caller(self.core, node)

    def database(self, **fields: Any) -> int:
        answer = self.call("POST", "/v1/bdbs", {"name": "db", "memory_size": 1 << 28, **fields})
        assert answer.status == 200, answer.body
        self.clock.sleep(30)
        return int(answer.json()["uid"])

    def node_task(self, uid: int, action: str, body: Any = None) -> dict[str, Any]:
        queued = self.call("POST", f"/v1/nodes/{uid}/actions/{action}", body or {})
        assert queued.status == 200
        assert queued.json()["status"] == "queued"
        self.clock.sleep(30)
        task: dict[str, Any] = self.call("GET", f"/v1/nodes/{uid}/actions/{action}").json()
        assert task["task_id"] == queued.json()["task_id"]
        return task

    def shards(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for shard in self.call("GET", "/v1/shards").json():
            found.setdefault(shard["node_uid"], []).append((shard["uid"], shard["role"]))
        return found


@pytest.fixture
def three() -> Cluster:
    return Cluster(nodes=3)


def test_shards_nodes_and_status_tell_the_same_story(three: Cluster) -> None:
    three.database(shards_count=2, sharding=True, shard_key_regex=[{"regex": ".*"}], replication=True)
    shards = three.call("GET", "/v1/shards").json()
    assert sorted(shard["role"] for shard in shards) == ["master", "master", "slave", "slave"]
    assert {shard["assigned_slots"] for shard in shards} == {"0-8191", "8192-16383"}
    for node in three.call("GET", "/v1/nodes").json():
        own = sorted(int(shard["uid"]) for shard in shards if shard["node_uid"] == str(node["uid"]))
        assert (own, len(own)) == (node["shard_list"], node["shard_count"])
    status = three.call("GET", "/v1/nodes/status").json()
    masters = sorted(uid for node in status.values() for uid in node["master_shards"])
    assert masters == sorted(shard["uid"] for shard in shards if shard["role"] == "master")
    assert [node["role"] for node in status.values()].count("master") == 1


def test_a_replica_is_never_on_the_node_of_its_master(three: Cluster) -> None:
    for number in range(6):
        three.database(name=f"db-{number}", replication=True)
    for uid in range(1, 7):
        nodes = [shard["node_uid"] for shard in three.call("GET", f"/v1/bdbs/{uid}/shards").json()]
        assert len(set(nodes)) == 2


def test_a_removed_node_is_gone_and_its_shards_live_on(three: Cluster) -> None:
    three.database(replication=True)
    assert three.node_task(2, "remove")["status"] == "completed"
    assert three.call("GET", "/v1/nodes/2").status == 404
    assert set(three.shards()) == {"1", "3"}
    assert three.at(2)("GET", "/v1/nodes").json()["error_code"] == "no_cluster"
    assert three.at(2)("POST", "/v1/bootstrap/join_cluster", {}).status == 409


def test_a_node_that_cannot_be_spared_stays(three: Cluster) -> None:
    three.database(replication=True)
    three.node_task(3, "remove")
    task = three.node_task(2, "remove")
    assert (task["status"], task["error_code"]) == ("failed", "insufficient_resources")
    assert three.call("GET", "/v1/nodes/2").json()["status"] == "active"


def test_a_removal_can_be_cancelled(three: Cluster) -> None:
    three.call("POST", "/v1/nodes/2/actions/remove", {})
    assert three.call("GET", "/v1/nodes/2").json()["status"] == "decommissioning"
    assert three.call("POST", "/v1/nodes/2/actions/remove", {}).status == 409
    assert three.call("DELETE", "/v1/nodes/2/actions/remove").status == 200
    three.clock.sleep(30)
    assert three.call("GET", "/v1/nodes/2/actions/remove").json()["status"] == "cancelled"
    assert three.call("GET", "/v1/nodes/2").json()["status"] == "active"
    three.call("DELETE", "/v1/nodes/2/actions/remove")
    assert three.call("GET", "/v1/nodes/2/actions/remove").status == 404


def test_tasks_show_in_both_forms_of_the_actions(three: Cluster) -> None:
    three.call("POST", "/v1/nodes/2/actions/remove", {})
    three.clock.sleep(2)
    old, new = three.call("GET", "/v1/actions").json()["actions"], three.call("GET", "/v2/actions").json()
    assert (old[0]["name"], old[0]["node_uid"], old[0]["status"], old[0]["progress"]) == (
        "remove_node",
        "2",
        "running",
        "40",
    )
    assert isinstance(old[0]["creation_time"], str)
    assert (new[0]["action_type"], new[0]["progress"], new[0]["status"]) == ("task", 40.0, "running")
    assert three.call("GET", f"/v1/actions/{old[0]['task_id']}").status == 200
    assert three.call("GET", f"/v2/actions/{old[0]['task_id']}").status == 200


def test_maintenance_empties_a_node_and_gives_it_its_shards_back(three: Cluster) -> None:
    three.database(replication=True)
    before = three.shards()
    node = int(next(iter(before)))
    assert three.node_task(node, "maintenance_on")["status"] == "completed"
    status = three.call("GET", f"/v1/nodes/{node}/status").json()
    assert (status["master_shards"], status["slave_shards"], status["free_provisional_ram"]) == ([], [], 0)
    assert status["maintenance_snapshot"]["name"].startswith("maintenance_mode_")
    shown = three.call("GET", f"/v1/nodes/{node}").json()
    assert (shown["accept_servers"], shown["max_listeners"], shown["shard_count"]) == (False, 0, 0)
    snapshot = three.call("GET", f"/v1/nodes/{node}/snapshots").json()[0]["name"]
    assert three.call("DELETE", f"/v1/nodes/{node}/snapshots/{snapshot}").status == 403
    assert three.node_task(node, "maintenance_off")["status"] == "completed"
    assert {uid: sorted(held) for uid, held in three.shards().items()} == {
        uid: sorted(held) for uid, held in before.items()
    }
    assert "maintenance_snapshot" not in three.call("GET", f"/v1/nodes/{node}/status").json()


def test_maintenance_twice_on_is_twice_off(three: Cluster) -> None:
    for action in ("maintenance_on", "maintenance_on", "maintenance_off"):
        three.node_task(2, action)
    assert "maintenance_snapshot" in three.call("GET", "/v1/nodes/2/status").json()
    three.node_task(2, "maintenance_off")
    assert "maintenance_snapshot" not in three.call("GET", "/v1/nodes/2/status").json()


def test_replicas_take_over_from_a_lost_node(three: Cluster) -> None:
    uid = three.database(replication=True)
    masters = {
        shard["node_uid"]: shard for shard in three.call("GET", "/v1/shards").json() if shard["role"] == "master"
    }
    lost = int(next(iter(masters)))
    alive = 1 if lost != 1 else 2
    three.core.set_node(lost, up=False)
    call = three.at(alive)
    master = next(shard for shard in call("GET", "/v1/shards").json() if shard["role"] == "master")
    assert (master["node_uid"] != str(lost), master["status"]) == (True, "active")
    ends = call("GET", f"/v1/bdbs/{uid}").json()["endpoints"]
    assert f"10.20.0.{10 + lost}" not in ends[0]["addr"]
    assert call("GET", f"/v1/bdbs/{uid}/availability").status == 200
    assert call("GET", "/v1/cluster/check").json()["cluster_test_result"] is False


def test_without_a_majority_nothing_is_written(three: Cluster) -> None:
    uid = three.database()
    three.core.set_node(2, up=False)
    three.core.set_node(3, up=False)
    assert three.call("GET", "/v1/bdbs").status == 200
    assert three.call("PUT", f"/v1/bdbs/{uid}", {"memory_size": 1 << 29}).json()["error_code"] == "no_quorum"
    assert three.call("GET", f"/v1/bdbs/{uid}/availability").json()["error_code"] == "no_quorum"
    three.core.set_node(2, up=True)
    assert three.call("PUT", f"/v1/bdbs/{uid}", {"memory_size": 1 << 29}).status == 200


def test_a_node_that_is_cut_off_answers_503_and_is_down_for_the_others(three: Cluster) -> None:
    three.core.partition(1)
    assert three.at(1)("GET", "/v1/bdbs").status == 503
    assert three.at(1)("GET", "/v1/local/node/master_healthcheck").json() == {"status": "inactive"}
    assert three.at(2)("GET", "/v1/nodes/1").json()["status"] == "down"
    assert three.at(2)("GET", "/v1/local/node/master_healthcheck").json() == {"status": "active"}
    three.core.partition()
    assert three.at(1)("GET", "/v1/nodes/1").json()["status"] == "active"


def test_the_primary_changes_and_redirects_follow() -> None:
    cluster = Cluster(nodes=3, handle_redirects=False)
    assert cluster.at(2)("GET", "/v1/bdbs").headers["location"] == "https://10.20.0.11:9443/v1/bdbs"
    assert cluster.call("POST", "/v1/cluster/actions/change_master", {"node_uid": "2"}).status == 200
    cluster.clock.sleep(5)
    assert cluster.at(2)("GET", "/v1/cluster/actions/change_master").json()["status"] == "completed"
    moved = cluster.at(1)("PUT", "/v1/cluster", {"email_alerts": True})
    assert (moved.status, moved.headers["location"]) == (307, "https://10.20.0.12:9443/v1/cluster")
    assert cluster.at(1)("GET", "/v1/local/services").status == 200


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("change_master", {"node_uid": "9"}, 404),
        ("change_master", {}, 400),
        ("dance", {"node_uid": "2"}, 400),
    ],
)
def test_the_primary_changes_only_to_a_node(three: Cluster, action: str, body: Any, status: int) -> None:
    assert three.call("POST", f"/v1/cluster/actions/{action}", body).status == status


NODE = [
    ({"external_addr": ["192.0.2.1"]}, 200, ""),
    ({"rack_id": "Zone-B"}, 200, ""),
    ({"addr": "10.0.0.1"}, 406, "node_not_offline"),
    ({"accept_servers": False}, 406, "node_already_populated"),
    ({"max_listeners": "many"}, 400, "invalid_schema"),
]


@pytest.mark.parametrize(("body", "status", "code"), NODE)
def test_few_things_of_a_node_can_be_set(three: Cluster, body: Any, status: int, code: str) -> None:
    three.database(replication=True, shards_count=2, sharding=True, shard_key_regex=[{"regex": ".*"}])
    node = max(three.shards())
    answer = three.call("PUT", f"/v1/nodes/{node}", body)
    assert (answer.status, answer.body == b"") == (status, status == 200)
    assert code in answer.body.decode()


def test_a_rack_is_set_once_and_its_case_does_not_count(three: Cluster) -> None:
    three.call("PUT", "/v1/nodes/1", {"rack_id": "Zone-A"})
    assert three.call("GET", "/v1/nodes/1").json()["rack_id"] == "zone-a"
    assert three.call("PUT", "/v1/nodes/1", {"rack_id": "ZONE-A"}).status == 200
    assert three.call("PUT", "/v1/nodes/1", {"rack_id": "zone-b"}).json()["error_code"] == "node_already_has_rack_id"


def test_a_shard_fails_over_and_moves_by_hand(three: Cluster) -> None:
    uid = three.database(replication=True)
    master, slave = sorted(three.call("GET", f"/v1/bdbs/{uid}/shards").json(), key=lambda shard: shard["role"])
    assert (
        three.call("POST", f"/v1/shards/{slave['uid']}/actions/failover", {}).json()["error_code"] == "shard_is_slave"
    )
    action = three.call("POST", f"/v1/shards/{master['uid']}/actions/failover", {}).json()["action_uid"]
    assert three.call("POST", f"/v1/shards/{master['uid']}/actions/failover", {}).status == 409
    three.clock.sleep(5)
    assert three.call("GET", f"/v1/actions/{action}").json()["status"] == "completed"
    assert three.call("GET", f"/v1/shards/{slave['uid']}").json()["role"] == "master"
    free = ({"1", "2", "3"} - {master["node_uid"], slave["node_uid"]}).pop()
    body = {"shard_uids": [master["uid"]], "target_node_uid": int(free)}
    assert three.call("POST", "/v1/shards/actions/migrate", body).status == 200
    three.clock.sleep(5)
    assert three.call("GET", f"/v1/shards/{master['uid']}").json()["node_uid"] == free


def test_services_stop_and_the_checks_notice(three: Cluster) -> None:
    assert three.call("POST", "/v1/local/services", {"operation_type": "stop", "services": ["alert_mgr"]}).json() == {
        "alert_mgr": True
    }
    assert three.call("GET", "/v1/local/services").json()["alert_mgr"]["status"] == "STOPPED"
    assert three.call("GET", "/v1/nodes/check/1").json()["result"] is False
    assert three.at(2)("GET", "/v1/local/services").json()["alert_mgr"]["status"] == "RUNNING"
    three.call("POST", "/v1/services", {"operation_type": "start", "services": ["alert_mgr"]})
    assert three.call("GET", "/v1/nodes/check/1").json() == {"node_uid": 1, "result": True}


def test_proxies_change_together_or_alone(three: Cluster) -> None:
    assert three.call("PUT", "/v1/proxies", {"proxy": {"threads": 6}}).body == b""
    assert [proxy["threads"] for proxy in three.call("GET", "/v1/proxies").json()] == [6, 6, 6]
    three.call("PUT", "/v1/proxies/2", {"proxy": {"threads": 2}})
    assert three.call("GET", "/v1/proxies/2").json()["threads"] == 6  # fewer threads wait for a restart
    three.call("PUT", "/v1/proxies/2", {"allow_restart": True, "proxy": {"threads": 2}})
    assert three.call("GET", "/v1/proxies/2").json()["threads"] == 2
    assert three.call("PUT", "/v1/proxies/9", {"proxy": {}}).status == 404


# Bootstrap


ACCOUNT = {"username": "root@example.org", "password": "first-Secret1"}


def outside(cluster: Cluster, machine: int, action: str, body: Any, *, validate: bool = False) -> ApiResponse:
    """Ask a machine without credentials."""
    path = f"/v1/bootstrap/{'validate/' if validate else ''}{action}"
    headers = {"content-type": "application/json"}
    answer = cluster.core.handle(
        Request("POST", path, {}, headers, encode({"action": action, **body}).encode(), machine)
    )
    cluster.clock.sleep(0 if validate else 30)
    return answer


def state_of(cluster: Cluster, machine: int) -> dict[str, Any]:
    answer = cluster.at(machine)("GET", "/v1/bootstrap")
    found: dict[str, Any] = answer.json()["bootstrap_status"]
    return found


@pytest.fixture
def idle() -> Cluster:
    cluster = Cluster(nodes=0, outside=4, username=ACCOUNT["username"], password=ACCOUNT["password"])
    assert cluster.call("GET", "/v1/bdbs").json()["error_code"] == "no_cluster"
    return cluster


def grown(cluster: Cluster, machines: int) -> Cluster:
    body = {"cluster": {"name": "new.example.com", "nodes": []}, "credentials": ACCOUNT}
    assert outside(cluster, 1, "create_cluster", body).json()["state"] == "initiated"
    for machine in range(2, machines + 1):
        outside(cluster, machine, "join_cluster", {"cluster": {"nodes": ["10.20.0.11"]}, "credentials": ACCOUNT})
        assert state_of(cluster, machine)["state"] == "completed"
    return cluster


def test_a_cluster_is_made_of_idle_machines(idle: Cluster) -> None:
    grown(idle, 3)
    assert [node["uid"] for node in idle.call("GET", "/v1/nodes").json()] == [1, 2, 3]
    assert idle.call("GET", "/v1/cluster").json()["name"] == "new.example.com"
    assert idle.call("GET", "/v1/license").json()["shards_limit"] == 4
    assert idle.call("GET", "/v1/users/1").json()["email"] == ACCOUNT["username"]
    assert idle.at(4)("GET", "/v1/nodes").status == 503
    bare = idle.core.handle(Request("GET", "/v1/bootstrap", {}, {}, b"", 1))
    assert bare.status == 401
    assert idle.core.handle(Request("GET", "/v1/bootstrap", {}, {}, b"", 4)).status == 200
    events = [entry["type"] for entry in idle.call("GET", "/v1/logs").json()]
    assert events.count("cluster_node_joined") == 3


BAD = [
    ("create_cluster", {"cluster": {"name": "_"}, "credentials": ACCOUNT}, "config_error"),
    ("create_cluster", {"cluster": {"name": "a.b"}}, "config_error"),
    ("create_cluster", {"cluster": {"name": "a.b"}, "credentials": ACCOUNT, "license": "x"}, "invalid_license"),
    (
        "create_cluster",
        {"cluster": {"name": "a.b"}, "credentials": ACCOUNT, "node": {"paths": {"persistent_path": "x"}}},
        "path_error",
    ),
    ("join_cluster", {"cluster": {"nodes": ["10.20.0.99"]}, "credentials": ACCOUNT}, "connect_error"),
    (
        "join_cluster",
        {"cluster": {"nodes": ["10.20.0.11"]}, "credentials": {**ACCOUNT, "password": "no"}},
        "access_denied",
    ),
    ("recover_cluster", {"recovery_filename": "none.rdb", "credentials": ACCOUNT}, "path_error"),
]


@pytest.mark.parametrize(("action", "body", "code"), BAD)
def test_a_bootstrap_that_cannot_be_says_why_in_a_good_answer(idle: Cluster, action: str, body: Any, code: str) -> None:
    grown(idle, 1)
    refused = outside(idle, 4, action, body, validate=True)
    assert (refused.status, refused.json()["error_code"]) == (406, code)
    assert outside(idle, 4, action, body).status == 200
    assert (state_of(idle, 4)["state"], state_of(idle, 4)["error_code"]) == ("error", code)
    right = {"cluster": {"nodes": ["10.20.0.11"]}, "credentials": ACCOUNT}
    assert outside(idle, 4, "join_cluster", right).status == 200  # from error it may begin again
    assert state_of(idle, 4)["state"] == "completed"


def test_a_dead_node_is_replaced(idle: Cluster) -> None:
    grown(idle, 3)
    idle.core.set_node(3, up=False)
    join = {"cluster": {"nodes": ["10.20.0.11"]}, "credentials": ACCOUNT}
    refused = outside(idle, 4, "join_cluster", join, validate=True).json()
    assert (refused["error_code"], refused["error_details"]["failed_nodes"]) == ("repair_required", [3])
    outside(idle, 4, "join_cluster", {**join, "node": {"identity": {"uid": 3}}})
    assert idle.at(4)("GET", "/v1/nodes/3").json()["addr"] == "10.20.0.14"
    assert idle.at(4)("GET", "/v1/nodes/3").json()["status"] == "active"


def test_a_lost_cluster_is_recovered_with_its_databases(idle: Cluster) -> None:
    grown(idle, 2)
    idle.database(name="orders")
    filename = idle.core.lose_cluster()
    assert idle.call("GET", "/v1/bdbs").status == 503
    outside(idle, 2, "recover_cluster", {"recovery_filename": f"/var/{filename}", "credentials": ACCOUNT})
    call = idle.at(2)
    assert call("GET", "/v1/bdbs/1").json()["status"] == "recovery"
    assert call("GET", "/v1/bdbs/1/actions/recover").json()["status"] == "ready"
    assert call("POST", "/v1/bdbs/1/actions/recover").status == 200
    idle.clock.sleep(30)
    assert call("GET", "/v1/bdbs/1").json()["status"] == "active"
    assert call("POST", "/v1/bdbs/1/actions/recover").status == 409


def test_two_clusters_can_be_made_of_the_machines_of_one_site(idle: Cluster) -> None:
    grown(idle, 1)
    body = {"cluster": {"name": "other.example.com"}, "credentials": ACCOUNT}
    outside(idle, 4, "create_cluster", body)
    assert idle.at(4)("GET", "/v1/cluster").json()["name"] == "other.example.com"
    assert idle.at(1)("GET", "/v1/cluster").json()["name"] == "new.example.com"
    idle.at(4)("POST", "/v1/bdbs", {"name": "there", "memory_size": 1 << 28})
    assert idle.at(1)("GET", "/v1/bdbs").json() == []


def test_a_machine_that_joins_runs_the_version_of_the_cluster(idle: Cluster) -> None:
    grown(idle, 3)
    assert len({node["software_version"] for node in idle.call("GET", "/v1/nodes").json()}) == 1
