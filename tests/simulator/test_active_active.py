"""Several clusters in one world: Active-Active databases, their tasks, and Replica Of."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import pytest

from reconciler.simulator.api.messages import encode
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.databases import links
from reconciler.simulator.state.model import World
from reconciler.simulator.testing import Caller, VirtualClock, running

NAMES = ("a.example.com", "b.example.com", "c.example.com")


def instance(name: str, password: str = "", **fields: Any) -> dict[str, Any]:
    credentials = {"username": f"admin@{name}", "password": password or f"secret-{name}"}
    return {"cluster": {"name": name, "url": f"https://{name}:9443", "credentials": credentials}, **fields}


class Three:
    """Three clusters, one clock."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        world = World(self.clock)
        self.cores = [
            Core(
                SimulatorSettings(cluster_name=name, username=f"admin@{name}", password=f"secret-{name}", **settings),
                seed=3,
                world=world,
            )
            for name in NAMES
        ]
        self.a, self.b, self.c = (Caller(core) for core in self.cores)

    def task(self, answer: Any, caller: Caller | None = None) -> dict[str, Any]:
        assert answer.status == 200, answer.body
        assert answer.json()["status"] == "queued"
        self.clock.sleep(20)
        task: dict[str, Any] = (caller or self.a)("GET", f"/v1/crdb_tasks/{answer.json()['id']}").json()
        self.clock.sleep(20)
        return task

    def create(self, *instances: Any, **config: Any) -> dict[str, Any]:
        body = {
            "name": "global",
            "default_db_config": {"memory_size": 1 << 30, "port": 12000, **config},
            "instances": list(instances) or [instance(NAMES[0]), instance(NAMES[1])],
        }
        return self.task(self.a("POST", "/v1/crdbs", body))

    def guid(self) -> str:
        task = self.create()
        assert task["status"] == "finished", task
        return str(task["crdb_guid"])

    def part(self, *, whole: bool = False) -> None:
        links.set_connection(self.cores[0].state, self.cores[1].state, connected=whole)


@pytest.fixture
def three() -> Three:
    return Three()


def local(caller: Caller) -> Any:
    found = caller("GET", "/v1/bdbs").json()
    return found[0] if found else None


def test_an_instance_is_a_database_in_each_cluster(three: Three) -> None:
    guid = three.guid()
    for number, caller in enumerate((three.a, three.b), 1):
        bdb, crdb = local(caller), caller("GET", f"/v1/crdbs/{guid}").json()
        assert (bdb["name"], bdb["status"], bdb["crdt"], bdb["crdt_guid"]) == ("global", "active", True, guid)
        assert (bdb["data_persistence"], bdb["eviction_policy"], bdb["replication"]) == ("aof", "noeviction", True)
        assert bdb["crdt_replica_id"] == number
        assert [source["uid"] for source in bdb["crdt_sources"]] == [3 - number]
        assert crdb["local_databases"] == [{"bdb_uid": str(bdb["uid"]), "id": number}]
        assert [item["db_uid"] for item in crdb["instances"]].count("") == 1
        assert all("credentials" not in item["cluster"] for item in crdb["instances"])
    assert three.c("GET", "/v1/crdbs").json() == []


def test_a_task_is_queued_started_finished_and_forgotten(three: Three) -> None:
    body = {
        "name": "x",
        "default_db_config": {"memory_size": 1 << 28},
        "instances": [instance(NAMES[0]), instance(NAMES[1])],
    }
    headers = {**three.a.headers, "x-task-id": "mine", "x-result-ttl": "60"}
    made = three.cores[0].handle(Request("POST", "/v1/crdbs", {}, headers, encode(body).encode()))
    assert made.json() == {"id": "mine", "status": "queued"}
    three.clock.sleep(2)
    assert [task["status"] for task in three.a("GET", "/v1/crdb_tasks").json()] == ["started"]
    three.clock.sleep(10)
    done = three.a("GET", "/v1/crdb_tasks/mine").json()
    assert (done["status"], done["operation"], done["progress"]["worker"]) == ("finished", "create", "done")
    assert three.a("GET", "/v1/crdb_tasks").json() == []
    three.clock.sleep(61)
    assert three.a("GET", "/v1/crdb_tasks/mine").status == 404


def test_credentials_that_fail_fail_the_task_and_nothing_is_made(three: Three) -> None:
    task = three.create(instance(NAMES[0]), instance(NAMES[1], "wrong"))
    assert task["status"] == "failed"
    assert task["errors"] == [{"cluster_name": NAMES[1], "description": "Error [401]", "error_code": "internal_error"}]
    assert (local(three.a), three.a("GET", "/v1/crdbs").json()) == (None, [])


def test_a_cluster_that_cannot_take_its_instance_fails_the_task(three: Three) -> None:
    three.b("POST", "/v1/bdbs", {"name": "there", "memory_size": 1 << 28, "port": 12000})
    three.clock.sleep(30)
    task = three.create()
    assert (task["status"], task["errors"][0]["cluster_name"]) == ("failed", NAMES[1])
    assert local(three.a) is None


REFUSED = [
    ({"instances": [instance(NAMES[0])]}, 400),
    ({"instances": [instance(NAMES[0]), instance(NAMES[0])]}, 406),
    ({"instances": [instance(NAMES[0]), {"cluster": {"name": "x.y", "url": "https://x.y:9443"}}]}, 400),
    ({"default_db_config": {}}, 400),
    ({"default_db_config": {"memory_size": 1, "data_persistence": "snapshot"}}, 406),
    ({"name": "_"}, 400),
    ({"color": "red"}, 400),
]


@pytest.mark.parametrize(("change", "status"), REFUSED)
def test_what_cannot_be_an_active_active_database_is_refused_at_once(three: Three, change: Any, status: int) -> None:
    body = {
        "name": "x",
        "default_db_config": {"memory_size": 1 << 28},
        "instances": [instance(NAMES[0]), instance(NAMES[1])],
    }
    assert three.a("POST", "/v1/crdbs", {**body, **change}).status == status


def test_a_change_reaches_all_instances(three: Three) -> None:
    guid = three.guid()
    assert three.task(three.b("PATCH", f"/v1/crdbs/{guid}", {"default_db_config": {"memory_size": 2 << 30}}), three.b)
    assert [local(caller)["memory_size"] for caller in (three.a, three.b)] == [2 << 30, 2 << 30]
    assert three.a("GET", f"/v1/crdbs/{guid}").json()["default_db_config"]["memory_size"] == 2 << 30


@pytest.mark.parametrize(("reading", "size"), [("kept", 3), ("replaced", 4)])
def test_what_one_instance_sets_shadows_what_all_share(reading: str, size: int) -> None:
    three = Three(switches={"crdb_local_override": reading})
    guid = three.guid()
    three.b("PUT", "/v1/bdbs/1", {"memory_size": 3 << 30})
    three.clock.sleep(20)
    three.task(three.a("PATCH", f"/v1/crdbs/{guid}", {"default_db_config": {"memory_size": 4 << 30}}))
    assert [local(caller)["memory_size"] >> 30 for caller in (three.a, three.b)] == [4, size]
    three.task(three.a("PATCH", f"/v1/crdbs/{guid}", {"instances": [{"id": 2, "db_config": {"memory_size": None}}]}))
    assert local(three.b)["memory_size"] == 4 << 30


def test_an_instance_keeps_what_all_must_share(three: Three) -> None:
    three.guid()
    for body, code in (({"name": "other"}, "name_violation"), ({"replication": False}, "replication_violation")):
        assert three.a("PUT", "/v1/bdbs/1", body).json()["error_code"] == code
    assert three.a("PUT", "/v1/bdbs/1/reset_admin_pass").json()["error_code"] == "not_supported_action_on_crdt"
    assert three.a("DELETE", "/v1/bdbs/1").status == 403


def test_instances_come_and_go(three: Three) -> None:
    guid = three.guid()
    three.task(three.a("POST", f"/v1/crdbs/{guid}/updates", {"add_instances": [instance(NAMES[2])]}))
    assert local(three.c)["crdt_replica_id"] == 3
    assert local(three.a)["crdt_replicas"] == "1,2,3"
    three.task(three.a("POST", f"/v1/crdbs/{guid}/updates", {"remove_instances": [3]}))
    assert (local(three.c), three.c("GET", "/v1/crdbs").json()) == (None, [])
    assert three.a("POST", f"/v1/crdbs/{guid}/updates", {"remove_instances": [9]}).status == 404
    assert three.a("POST", f"/v1/crdbs/{guid}/updates", {"remove_instances": [1, 2]}).status == 406


def test_removal_by_force_leaves_data_that_a_purge_clears(three: Three) -> None:
    guid = three.guid()
    three.part()
    plain = three.task(three.a("POST", f"/v1/crdbs/{guid}/updates", {"remove_instances": [2]}))
    assert (plain["status"], plain["errors"][0]["cluster_name"]) == ("failed", NAMES[1])
    forced = three.task(three.a("POST", f"/v1/crdbs/{guid}/updates", {"remove_instances": [2], "force_remove": True}))
    assert forced["status"] == "finished"
    assert local(three.b)["crdt_guid"] == guid
    three.part(whole=True)
    assert three.a("PUT", f"/v1/crdbs/{guid}/purge", {"instances": [7]}).status == 404
    three.task(three.b("PUT", f"/v1/crdbs/{guid}/purge", {"instances": [2]}), three.b)
    assert (local(three.b), three.b("GET", "/v1/crdbs").json()) == (None, [])
    assert local(three.a)["status"] == "active"


def test_a_broken_link_shows_in_health_and_sources(three: Three) -> None:
    guid = three.guid()
    three.part()
    here, there = three.a("GET", f"/v1/crdbs/{guid}/health_report").json()
    assert here["connections"][0]["replication_links"] == [{"link_uid": "1:2", "status": "down"}]
    assert "connection_error" in there
    assert local(three.a)["crdt_sources"][0]["status"] == "out-of-sync"
    three.part(whole=True)
    assert local(three.a)["crdt_sources"][0]["status"] == "in-sync"
    assert "connection_error" not in three.a("GET", f"/v1/crdbs/{guid}/health_report", instance_id="2").json()[0]


def test_a_new_password_of_a_peer_must_be_told(three: Three) -> None:
    guid = three.guid()
    three.b("PUT", "/v1/users/1", {"password": "another"})
    failed = three.task(three.a("PATCH", f"/v1/crdbs/{guid}", {"causal_consistency": True}))
    assert failed["errors"][0]["description"] == "Error [401]"
    told = {"causal_consistency": True, "instances": [{"id": 2, **instance(NAMES[1], "another")}]}
    assert three.task(three.a("PATCH", f"/v1/crdbs/{guid}", told))["status"] == "finished"
    assert local(three.a)["crdt_causal_consistency"] is True


def test_flush_empties_and_delete_removes_all_instances(three: Three) -> None:
    guid = three.guid()
    assert three.task(three.a("PUT", f"/v1/crdbs/{guid}/flush"))["status"] == "finished"
    assert three.b("GET", "/v1/bdbs/stats/last/1", metrics="no_of_keys").json()["1"]["no_of_keys"] == 0
    assert three.a("DELETE", "/v1/crdbs/no-guid").status == 406
    three.task(three.a("DELETE", f"/v1/crdbs/{guid}"))
    assert [local(caller) for caller in (three.a, three.b)] == [None, None]
    assert three.a("DELETE", f"/v1/crdbs/{guid}").status == 404


def test_an_upgrade_moves_all_instances(three: Three) -> None:
    task = three.create(redis_version="7.4")
    guid = task["crdb_guid"]
    three.task(three.a("POST", f"/v1/crdbs/{guid}/upgrade", {"redis_version": "8.0"}))
    assert [local(caller)["redis_version"] for caller in (three.a, three.b)] == ["8.0", "8.0"]
    assert three.a("POST", f"/v1/crdbs/{guid}/upgrade", {"redis_version": "7.2"}).status == 406


def test_a_task_is_cancelled_before_it_commits(three: Three) -> None:
    guid = three.guid()
    uid = three.a("PATCH", f"/v1/crdbs/{guid}", {"default_db_config": {"memory_size": 9 << 30}}).json()["id"]
    three.clock.sleep(1)
    assert three.a("POST", f"/v1/crdb_tasks/{uid}/actions/cancel").status == 200
    three.clock.sleep(20)
    assert three.a("GET", f"/v1/crdb_tasks/{uid}").json()["status"] == "failed"
    assert local(three.a)["memory_size"] == 1 << 30
    uid = three.a("PUT", f"/v1/crdbs/{guid}/flush").json()["id"]
    three.clock.sleep(2.9)
    assert three.a("POST", f"/v1/crdb_tasks/{uid}/actions/cancel").status == 406
    assert three.a("POST", f"/v1/crdb_tasks/{uid}/actions/cancel", force="true").status == 200


def test_a_dry_run_only_looks(three: Three) -> None:
    body = {
        "name": "x",
        "default_db_config": {"memory_size": 1 << 28},
        "instances": [instance(NAMES[0]), instance(NAMES[1])],
    }
    assert three.task(three.a("POST", "/v1/crdbs", body, dry_run="true"))["status"] == "finished"
    assert three.a("GET", "/v1/crdbs").json() == []


# Replica Of


def replica(three: Three, password: str | None = None) -> Any:
    """Let a database of the second cluster read from one of the first and return it."""
    source = local(three.a)
    end, secret = source["endpoints"][0], password or source["authentication_admin_pass"]
    uri = f"redis://admin:{secret}@{end['dns_name']}:{end['port']}"
    body = {"name": "copy", "memory_size": 1 << 28, "replica_sources": [{"uri": uri}], "replica_sync": "enabled"}
    assert three.b("POST", "/v1/bdbs", body).status == 200
    three.clock.sleep(30)
    return local(three.b)["replica_sources"][0]


@pytest.fixture
def source(three: Three) -> Three:
    three.a("POST", "/v1/bdbs", {"name": "first", "memory_size": 1 << 28, "authentication_redis_pass": "secret"})
    three.clock.sleep(30)
    return three


def test_a_replica_follows_its_source(source: Three) -> None:
    link = replica(source)
    assert (link["status"], link["last_error"], link["lag"] > 0) == ("in-sync", "", True)
    assert source.b("GET", "/v1/bdbs/1/syncer_state/replica").json()["1"]["status"] == "in-sync"
    assert source.b("GET", "/v1/migrations/1").json()["migration"]["status"] == "in-sync"
    assert source.b("GET", "/v1/bdbs/1/sync_source_stats").json()["sync_source_stats"][0]["uid"] == "1"


def test_a_replica_shows_what_keeps_it_from_its_source(source: Three) -> None:
    assert "password" in replica(source, "wrong")["last_error"]


def test_a_replica_notices_a_broken_link_and_a_source_that_is_gone(source: Three) -> None:
    replica(source)
    source.part()
    assert local(source.b)["replica_sources"][0]["status"] == "out-of-sync"
    source.part(whole=True)
    assert local(source.b)["replica_sources"][0]["status"] == "in-sync"
    source.a("DELETE", "/v1/bdbs/1")
    source.clock.sleep(30)
    assert local(source.b)["replica_sources"][0]["status"] == "out-of-sync"


# On sockets


def test_clusters_meet_on_sockets_as_well() -> None:
    with running(nodes=1, clusters=[{"nodes": 2, "password": "other"}]) as server:
        peer = server.peers[0]
        with httpx.Client(
            verify=ssl.create_default_context(cafile=str(server.ca_file)), auth=(server.username, server.password)
        ) as client:
            parts = [
                {
                    "name": one.core.settings.cluster_name,
                    "url": one.urls[0],
                    "credentials": {"username": one.username, "password": one.password},
                }
                for one in (server, peer)
            ]
            config = {"memory_size": 1 << 28, "replication": False}
            body = {"name": "wide", "default_db_config": config, "instances": [{"cluster": part} for part in parts]}
            task = client.post(f"{server.urls[0]}/v1/crdbs", json=body).json()["id"]
            done: dict[str, Any] = {}
            for _ in range(10_000):
                done = client.get(f"{server.urls[0]}/v1/crdb_tasks/{task}").json()
                if done["status"] not in ("queued", "started"):
                    break
            assert done["status"] == "finished", done
            found = client.get(f"{peer.urls[1]}/v1/bdbs", auth=(peer.username, peer.password)).json()
            assert [bdb["name"] for bdb in found] == ["wide"]


def test_a_snapshot_keeps_what_hangs_on_other_objects(three: Three) -> None:
    guid = three.guid()
    three.a("POST", "/v1/bdbs/alerts/1", {"bdb_size": {"enabled": True, "threshold": "80"}})
    three.a("PUT", "/v1/proxies/2", {"proxy": {"backlog": 77}})
    twin = Caller(Core(SimulatorSettings(), clock=three.clock, snapshot=three.cores[0].snapshot()))
    for path in (f"/v1/crdbs/{guid}", "/v1/bdbs/alerts/1", "/v1/proxies/2", "/v1/bdbs/1"):
        assert twin("GET", path).json() == three.a("GET", path).json()
