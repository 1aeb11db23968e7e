"""What lies below a database: actions, upgrades, transfers, passwords, alerts; and statistics, logs and packages."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.monitoring.series import INTERVALS
from reconciler.simulator.testing import Caller, VirtualClock


class One:
    """A cluster of three nodes with one database."""

    def __init__(self, database: dict[str, Any] | None = None, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.core = Core(SimulatorSettings(**settings), clock=self.clock, seed=5)
        self.call = Caller(self.core)
        made = self.call("POST", "/v1/bdbs", {"name": "db", "memory_size": 1 << 28, **(database or {})})
        assert made.status == 200, made.body
        self.clock.sleep(30)

    def bdb(self) -> Any:
        return self.call("GET", "/v1/bdbs/1", extended="true").json()

    def done(self, answer: Any) -> Any:
        """Let the work of *answer* end and return the database."""
        assert answer.status == 200, answer.body
        uid = answer.json()["action_uid"]
        assert self.call("GET", f"/v1/actions/{uid}").json()["status"] == "active"
        self.clock.sleep(20)
        assert self.call("GET", f"/v1/actions/{uid}").json()["status"] == "completed"
        return self.bdb()


@pytest.fixture
def one() -> One:
    return One()


# Actions


def test_flush_is_an_update_that_empties(one: One) -> None:
    answer = one.call("PUT", "/v1/bdbs/1/flush", {"memory_size": 1 << 29})
    assert answer.json()["status"] == "active-change-pending"
    assert one.call("PUT", "/v1/bdbs/1/flush").status == 409
    assert one.done(answer)["memory_size"] == 1 << 29
    assert one.call("GET", "/v1/bdbs/stats/last/1").json()["1"]["no_of_keys"] == 0


def test_the_admin_password_is_made_anew(one: One) -> None:
    before = one.bdb()["authentication_admin_pass"]
    assert one.done(one.call("PUT", "/v1/bdbs/1/reset_admin_pass"))["authentication_admin_pass"] != before


def test_before_7_22_an_action_needs_a_body() -> None:
    old = One(server_version="7.8")
    assert old.call("PUT", "/v1/bdbs/1/flush").status == 400
    assert old.call("PUT", "/v1/bdbs/1/flush", {}).status == 200


def test_traffic_stops_and_resumes(one: One) -> None:
    stopped = one.done(one.call("POST", "/v1/bdbs/1/actions/stop_traffic"))
    assert (stopped["status"], stopped["traffic_manually_disabled"]) == ("active", True)
    assert one.call("GET", "/v1/bdbs/1/availability").json()["error_code"] == "bdb_unavailable_port_unbound"
    assert one.call("GET", "/v1/bdbs/stats/last/1").json()["1"]["total_req"] == 0
    assert one.done(one.call("POST", "/v1/bdbs/1/actions/resume_traffic"))["traffic_manually_disabled"] is False
    assert one.call("GET", "/v1/bdbs/1/availability").body == b""


def test_the_local_probe_is_for_the_node_that_serves(one: One) -> None:
    serving = one.bdb()["endpoints"][0]["addr"]
    for node in (1, 2, 3):
        answer = Caller(one.core, node)("GET", "/v1/local/bdbs/1/endpoint/availability")
        assert (answer.status == 200) == (f"10.20.0.{10 + node}" in serving)
    assert one.call("GET", "/v1/bdbs/1/availability", availability_lag_tolerance_ms="soon").status == 400


def test_revamp_changes_and_a_dry_run_only_plans(one: One) -> None:
    body = {"shards_count": 2, "memory_size": 1 << 30}
    one.done(one.call("PUT", "/v1/bdbs/1", {"sharding": True, "shard_key_regex": [{"regex": ".*"}]}))
    plan = one.call("PUT", "/v1/bdbs/1/actions/revamp", {**body, "replication": True}, dry_run="true").json()
    assert [item["slot_range"] for item in plan] == ["0-8191", "8192-16383"]
    assert all(len({node["node_uid"] for node in item["nodes"]}) == 2 for item in plan)
    changed = one.done(one.call("PUT", "/v1/bdbs/1/actions/revamp", body))
    assert (changed["shards_count"], changed["memory_size"], len(changed["shard_list"])) == (2, 1 << 30, 2)
    assert one.call("PUT", "/v1/bdbs/1/actions/revamp", {"shards_count": 3}).status == 406


def test_placement_is_planned_and_the_blueprint_is_guarded(one: One) -> None:
    answer = one.call("GET", "/v1/bdbs/1/actions/optimize_shards_placement", shards_count="2", replication="enabled")
    assert [len(item["nodes"]) for item in answer.json()] == [2, 2]
    stale = {**one.call.headers, "cluster-state-id": answer.headers["cluster-state-id"]}
    one.call("PUT", "/v1/cluster", {"email_alerts": True})
    data = json.dumps({"shards_blueprint": answer.json()}).encode()
    refused = one.core.handle(Request("PUT", "/v1/bdbs/1", {}, stale, data))
    assert refused.json()["error_code"] == "wrong_cluster_state_id"
    huge = one.call("GET", "/v1/bdbs/1/actions/optimize_shards_placement", memory_size=str(1 << 60))
    assert huge.json()["error_code"] == "insufficient_resources"


def test_rebalance_shows_or_works(one: One) -> None:
    assert one.call("PUT", "/v1/bdbs/1/actions/rebalance", dry_run="true").json()[0]["slot_range"] == "0-16383"
    one.done(one.call("PUT", "/v1/bdbs/1/actions/rebalance"))
    assert one.call("PUT", "/v1/bdbs/1/actions/rebalance", max_operations="some").status == 400


def test_what_is_well_needs_no_recovery(one: One) -> None:
    assert one.call("POST", "/v1/bdbs/1/actions/recover").status == 409


# Upgrades


def test_an_upgrade_moves_redis_and_modules() -> None:
    one = One({"redis_version": "7.4", "data_persistence": "aof"})
    assert one.bdb()["module_list"] == []
    done = one.done(one.call("POST", "/v1/bdbs/1/upgrade", {"redis_version": "8.2"}))
    assert (done["redis_version"], done["version"]) == ("8.2", "8.2.0")
    assert {item["module_name"] for item in done["module_list"]} == {"search", "timeseries", "bf", "ReJSON"}
    assert "search" in done
    assert one.call("POST", "/v1/bdbs/1/upgrade", {"redis_version": "7.4"}).json()["error_code"] == "invalid_version"
    assert one.call("POST", "/v1/bdbs/1/upgrade", {"redis_version": "8.2.1"}).status in (400, 406)


def test_an_upgrade_does_not_lose_data_without_leave() -> None:
    one = One({"redis_version": "7.4"})
    assert one.call("POST", "/v1/bdbs/1/upgrade", {}).status == 406
    assert one.done(one.call("POST", "/v1/bdbs/1/upgrade", {"may_discard_data": True}))["redis_version"] == "8.2"


def test_modules_take_arguments() -> None:
    one = One()
    body = {"modules": [{"module_name": "search", "module_args": "MAXEXPANSIONS 100"}]}
    assert one.call("POST", "/v1/bdbs/1/modules/config", body).body == b""
    one.clock.sleep(20)
    assert {item["module_name"]: item["module_args"] for item in one.bdb()["module_list"]}[
        "search"
    ] == "MAXEXPANSIONS 100"
    for wrong, code in (
        ({"modules": [{"module_name": "graph", "module_args": ""}]}, "module_not_exist"),
        ({"modules": [{"module_name": "search"}]}, "missing_field"),
        ({"modules": [{"module_name": "search", "module_args": "ALONE"}]}, "param_error"),
        ({"modules": 1}, "invalid_schema"),
    ):
        assert one.call("POST", "/v1/bdbs/1/modules/config", wrong).json()["error_code"] == code
    assert one.call("POST", "/v1/bdbs/9/modules/config", body).json()["error_code"] == "db_not_exist"


# Transfers


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [("ftp://files.example.com/dump.rdb", "succeeded", ""), ("ftp://no.invalid/dump.rdb", "failed", "download-error")],
)
def test_an_import_shows_in_fields_and_in_v2_only(one: One, url: str, status: str, reason: str) -> None:
    body = {"dataset_import_sources": [{"type": "url", "url": url}]}
    assert one.call("POST", "/v1/bdbs/1/actions/import", body).body == b""
    assert (one.bdb()["status"], one.bdb()["import_status"]) == ("import-pending", "initializing")
    one.clock.sleep(5)
    assert (one.bdb()["import_status"], one.bdb()["import_progress"]) == ("importing", 50.0)
    names = [action["name"] for action in one.call("GET", "/v2/actions").json() if action["action_type"] == "other"]
    assert names == ["import_bdb"]
    assert "import_bdb" not in one.call("GET", "/v1/actions").body.decode()
    assert one.call("PUT", "/v1/bdbs/1/actions/import_reset_status").status == 409
    one.clock.sleep(10)
    done = one.bdb()
    assert (done["status"], done["import_status"], done["import_failure_reason"]) == ("active", status, reason)
    one.call("PUT", "/v1/bdbs/1/actions/import_reset_status")
    assert one.bdb()["import_status"] == "idle"


def test_an_export_leaves_the_database_active(one: One) -> None:
    place = {"type": "mount_point", "path": "/backups"}
    assert one.call("POST", "/v1/bdbs/1/actions/export", {"export_location": place}).status == 200
    assert (one.bdb()["status"], one.bdb()["export_status"]) == ("active", "exporting")
    assert one.call("POST", "/v1/bdbs/1/actions/export", {"export_location": place}).status == 409
    one.clock.sleep(10)
    assert (one.bdb()["export_status"], one.bdb()["export_progress"]) == ("succeeded", 100.0)
    assert "last_export_time" in one.bdb()
    assert one.call("POST", "/v1/bdbs/1/actions/export", {}).status == 400


def test_backups_come_by_themselves() -> None:
    place = {"type": "mount_point", "path": "/backups"}
    one = One({"backup": True, "backup_interval": 3600, "backup_location": place})
    assert "last_backup_time" not in one.bdb()
    one.clock.sleep(3700)
    first = one.bdb()["last_backup_time"]
    one.clock.sleep(3700)
    assert (one.bdb()["backup_status"], one.bdb()["last_backup_time"] > first) == ("succeeded", True)


# Passwords and alerts


def test_passwords_are_added_replaced_and_removed(one: One) -> None:
    for method, password, status in (
        ("POST", "one", 200),
        ("POST", "two", 200),
        ("DELETE", "three", 406),
        ("DELETE", "one", 200),
        ("PUT", "four", 200),
        ("DELETE", "two", 406),
        ("POST", "", 400),
    ):
        answer = one.call(method, "/v1/bdbs/1/passwords", {"password": password})
        assert (answer.status, answer.body == b"") == (status, status == 200), (method, password)
    assert one.call("POST", "/v1/bdbs/9/passwords", {"password": "x"}).status == 404


def test_alerts_merge_by_name_and_thresholds_are_texts(one: One) -> None:
    assert one.call("POST", "/v1/bdbs/alerts/1", {"bdb_size": {"enabled": True, "threshold": "80"}}).status == 200
    one.call("POST", "/v1/bdbs/alerts/1", {"bdb_high_latency": {"enabled": True, "threshold": "3000"}})
    one.call("POST", "/v1/bdbs/alerts/1", {"bdb_size": {"enabled": False}}, dry_run="true")
    alerts = one.call("GET", "/v1/bdbs/alerts/1").json()
    assert [(alerts[name]["enabled"], alerts[name]["threshold"]) for name in ("bdb_size", "bdb_high_latency")] == [
        (True, "80"),
        (True, "3000"),
    ]
    assert one.call("GET", "/v1/bdbs/alerts").json()["1"] == alerts
    assert one.call("GET", "/v1/bdbs/alerts/1/bdb_size").json() == alerts["bdb_size"]
    assert one.call("GET", "/v1/bdbs/alerts/1/none").status == 404
    assert one.call("POST", "/v1/bdbs/alerts/1", {"bdb_size": {"enabled": True, "threshold": 80}}).status == 400
    assert one.call("POST", "/v1/bdbs/alerts/1", {"none": {"enabled": True}}).status == 400


# Statistics


KINDS = ("bdbs", "nodes", "shards")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("interval", INTERVALS)
def test_series_are_as_long_as_the_server_remembers(one: One, kind: str, interval: str) -> None:
    found = one.call("GET", f"/v1/{kind}/stats", interval=interval).json()
    assert {len(item["intervals"]) for item in found} == {INTERVALS[interval][1]}
    assert one.call("GET", f"/v1/{kind}/stats/1", interval=interval).json() == found[0]


def test_a_series_does_not_change_behind_ones_back_and_goes_on(one: One) -> None:
    first = one.call("GET", "/v1/bdbs/stats/1").json()["intervals"]
    assert one.call("GET", "/v1/bdbs/stats/1").json()["intervals"] == first
    one.clock.sleep(3)
    assert one.call("GET", "/v1/bdbs/stats/1").json()["intervals"][:-3] == first[3:]
    assert all(sample["stime"] < sample["etime"] for sample in first)


def test_the_last_sample_is_keyed_by_uid_and_narrowed_by_metrics(one: One) -> None:
    last = one.call("GET", "/v1/bdbs/stats/last/1", metrics="conns,used_memory").json()
    assert set(last["1"]) == {"conns", "used_memory", "stime", "etime"}
    assert set(one.call("GET", "/v1/nodes/stats/last").json()) == {"1", "2", "3"}
    assert "intervals" in one.call("GET", "/v1/cluster/stats").json()
    assert one.call("GET", "/v1/cluster/stats/last").json()["free_memory"] > 0
    assert [item["uid"].count(":") for item in one.call("GET", "/v1/endpoints/stats").json()] == [2]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v1/bdbs/stats/1", {"interval": "2sec"}, 400),
        ("/v1/bdbs/stats/1", {"stime": "yesterday"}, 400),
        ("/v1/bdbs/stats/9", {}, 404),
        ("/v1/shards/stats/9", {}, 404),
        ("/v1/bdbs/1/peer_stats", {}, 406),
        ("/v1/bdbs/1/sync_source_stats/1", {}, 404),
        ("/v1/bdbs/1/syncer_state", {}, 404),
        ("/v1/migrations/1", {}, 200),
        ("/v1/migrations/9", {}, 404),
        ("/v1/nodes/alerts/9", {}, 404),
    ],
)
def test_questions_without_an_answer_are_refused(one: One, path: str, query: dict[str, str], status: int) -> None:
    assert one.call("GET", path, **query).status == status


def test_what_is_down_or_not_there_has_no_statistics(one: One) -> None:
    one.core.set_node(3, up=False)
    assert one.call("GET", "/v1/nodes/stats/last/3").status == 406
    one.call("DELETE", "/v1/bdbs/1")
    assert one.call("GET", "/v1/bdbs/stats/last/1").status == 406
    one.clock.sleep(20)
    assert one.call("GET", "/v1/bdbs/stats/last").status == 404


# Logs, packages, usage


def test_events_come_newest_first_and_can_be_narrowed(one: One) -> None:
    one.call("PUT", "/v1/bdbs/1", {"name": "renamed"})
    newest = one.call("GET", "/v1/logs", limit="1").json()[0]
    assert (newest["type"], newest["old_val"], newest["new_val"], newest["bdb_uid"]) == (
        "bdb_name_updated",
        "db",
        "renamed",
        "1",
    )
    assert one.call("GET", "/v1/logs", order="asc").json()[-1] == newest
    assert newest not in one.call("GET", "/v1/logs", offset="1").json()
    assert one.call("GET", "/v1/logs", stime="2030-01-01T00:00:00Z").json() == []
    assert one.call("GET", "/v1/logs", limit="few").status == 400


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/debuginfo/all", "debuginfo/cluster.json"),
        ("/v1/debuginfo/node", "debuginfo/node_1/node.json"),
        ("/v1/nodes/2/debuginfo", "debuginfo/node_2/node.json"),
        ("/v1/bdbs/1/debuginfo", "debuginfo/database_1.json"),
    ],
)
def test_support_packages_are_archives_without_secrets(one: One, path: str, name: str) -> None:
    answer = one.call("GET", path)
    with tarfile.open(fileobj=io.BytesIO(answer.body), mode="r:gz") as archive:
        assert name in archive.getnames()
        secret = one.bdb()["authentication_admin_pass"].encode()
        assert all(secret not in archive.extractfile(item).read() for item in archive.getmembers())  # type: ignore[union-attr]


def test_the_usage_report_is_lines_and_their_digest(one: One) -> None:
    one.clock.sleep(3 * 86400)
    answer = one.call("GET", "/v1/usage_report")
    *lines, last = answer.body.decode().splitlines()
    assert len({json.loads(line)["date"] for line in lines}) == 4
    assert json.loads(last)["md5"] == hashlib.md5("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    packed = one.core.handle(Request("GET", "/v1/usage_report", {}, {**one.call.headers, "accept-encoding": "gzip"}))
    assert gzip.decompress(packed.body) == answer.body
    assert one.call("GET", "/v1/usage_report", start="then").status == 400
    one.core.set_node(3, up=False)
    assert one.call("GET", "/v1/usage_report").status == 503
