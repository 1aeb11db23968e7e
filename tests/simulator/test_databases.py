"""Databases on the simulator, in process and with a clock that the test turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.simulator.cluster import pem
from reconciler.simulator.core import Core, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock

GIB = 1 << 30
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
RULES = [{"regex": ".*\\{(?<tag>.*)\\}.*"}, {"regex": "(?<tag>.*)"}]

# What a captured database of a real 8.0 cluster shows, by JSON type.
SHOWN: Mapping[type, str] = {
    list: "acl authentication_ssl_client_certs authentication_ssl_crdt_certs authorized_subjects background_op "
    "crdt_sources dataset_import_sources dns_suffixes endpoints module_list replica_sources roles_permissions "
    "shard_key_regex shard_list snapshot_policy sync_sources",
    int: "active_defrag_cycle_max active_defrag_cycle_min active_defrag_max_scan_fields "
    "active_defrag_threshold_lower active_defrag_threshold_upper backup_history backup_interval "
    "bigstore_max_ram_ratio bigstore_ram_size bigstore_version conns crdt_config_version crdt_replica_id "
    "crdt_sync_connection_alarm_timeout_seconds gradual_src_max_sources gradual_sync_max_shards_per_source "
    "group_uid max_aof_file_size max_aof_load_time max_client_pipeline max_connections max_pipelined "
    "maxclients memory_size port recovery_wait_time replica_sync_connection_alarm_timeout_seconds shards_count "
    "slave_ha_priority sync_dedicated_threads throughput_ingress topology_epoch tracking_table_max_keys uid",
    str: "active_defrag_ignore_bytes activedefrag aof_policy authentication_admin_pass authentication_redis_pass "
    "authentication_sasl_pass authentication_sasl_uname backup_failure_reason backup_status "
    "client_cert_subject_validation_type conns_type crdt_ghost_replica_ids crdt_guid crdt_modules "
    "crdt_repl_backlog_size crdt_replicas crdt_sync crdt_xadd_id_uniqueness_mode created_time data_persistence "
    "dns_address_master eviction_policy export_failure_reason export_status gradual_src_mode gradual_sync_mode "
    "hash_slots_policy import_failure_reason import_status last_changed_time multi_commands_opt name "
    "oss_cluster_api_preferred_endpoint_type oss_cluster_api_preferred_ip_type proxy_policy redis_version "
    "repl_backlog_size replica_sync sched_policy shards_placement skip_import_analyze slave_buffer status sync "
    "syncer_log_level syncer_mode tls_mode type version",
    bool: "auto_upgrade backup bigstore compare_key_hslot crdt crdt_causal_consistency crdt_sync_dist "
    "crdt_syncer_auto_oom_unlatch data_internode_encryption db_conns_auditing default_user email_alerts "
    "flush_on_fullsync generate_text_monitor implicit_shard_key internal master_persistence metrics_export_all "
    "mkms mtls_allow_outdated_certs mtls_allow_weak_hashing oss_cluster oss_sharding rack_aware "
    "redis_cluster_enabled replica_read_only replica_sync_dist replication resp3 shard_block_crossslot_keys "
    "shard_block_foreign_keys sharding slave_ha ssl support_syncer_reconf use_selective_flush wait_command",
    float: "backup_progress export_progress import_progress",
}


class Cluster(Caller):
    """A core, its clock and its account."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        super().__init__(Core(SimulatorSettings(**settings), clock=self.clock, seed=7))

    def made(self, **fields: Any) -> Any:
        """Create a database, wait until it is active, and return it."""
        made = self("POST", "/v1/bdbs", {"name": "orders", "memory_size": GIB, **fields})
        assert made.status == 200, made.json()
        self.clock.sleep(10)
        return self("GET", f"/v1/bdbs/{made.json()['uid']}", extended="true").json()


def test_a_database_shows_the_fields_of_a_captured_one_in_their_types() -> None:
    shown = Cluster().made()
    wrong = {n: shown.get(n) for kind, names in SHOWN.items() for n in names.split() if type(shown.get(n)) is not kind}
    assert wrong == {}
    assert sum(len(names.split()) for names in SHOWN.values()) == 139


def test_a_database_is_pending_then_active_then_changes_then_goes() -> None:
    cluster = Cluster()
    made = cluster("POST", "/v1/bdbs", {"name": "orders", "memory_size": GIB}).json()
    assert (made["status"], made["port"], made["endpoints"], made["uid"]) == ("pending", 0, [], 1)
    action = f"/v1/actions/{made['action_uid']}"
    assert cluster("GET", action).json()["status"] == "active"
    assert cluster("PUT", "/v1/bdbs/1", {"memory_size": 2 * GIB}).json()["error_code"] == "db_busy"

    cluster.clock.sleep(10)
    ready = cluster("GET", "/v1/bdbs/1").json()
    assert ready["status"] == "active"
    assert "action_uid" not in ready
    assert ready["port"] == 0
    assert 10000 <= ready["endpoints"][0]["port"] <= 19999
    assert ready["endpoints"][0]["uid"] == "1:1"
    assert cluster("GET", action).json()["status"] == "completed"

    changed = cluster("PUT", "/v1/bdbs/1", {"memory_size": 2 * GIB}).json()
    assert (changed["status"], changed["memory_size"]) == ("active-change-pending", 2 * GIB)
    assert cluster("PUT", "/v1/bdbs/1", {"memory_size": GIB}).status == 409
    assert cluster("DELETE", "/v1/bdbs/1").status == 409
    assert len(cluster("GET", "/v1/actions").json()["state-machines"]) == 2
    assert [item["status"] for item in cluster("GET", "/v2/actions").json()] == ["completed", "running"]

    cluster.clock.sleep(10)
    gone = cluster("DELETE", "/v1/bdbs/1").json()
    assert cluster("GET", "/v1/bdbs/1").json()["status"] == "delete-pending"
    cluster.clock.sleep(10)
    assert cluster("GET", "/v1/bdbs/1").json()["error_code"] == "db_not_found"
    assert cluster("GET", f"/v2/actions/{gone['action_uid']}").json()["name"] == "SMDeleteBDB"
    cluster.clock.sleep(3600)
    assert cluster("GET", f"/v1/actions/{gone['action_uid']}").status == 404
    assert cluster.made()["uid"] == 2


SASL = {"authentication_sasl_uname": "app", "authentication_sasl_pass": "hush"}
BOUND = [{"role_uid": 1, "redis_acl_uid": 1}]
OUTDATED = pem.make("client", 0, 1).certificate


def blueprint(*slots: str, nodes: tuple[tuple[str, str], ...] = (("1", "master"),)) -> list[dict[str, Any]]:
    """Return where shards with *slots* are to be, all alike."""
    places = [{"node_uid": uid, "role": role} for uid, role in nodes]
    return [{"slot_range": item, "nodes": places} for item in slots]


REFUSED_ON_CREATE = [
    ({}, {"name": None}, 406, "missing_db_name"),
    ({}, {"memory_size": None}, 406, "missing_memory_size"),
    ({}, {"name": "-x"}, 400, "invalid_schema"),
    ({}, {"memory_size": "1"}, 400, "invalid_schema"),
    ({}, {"memory_size": True}, 400, "invalid_schema"),
    ({}, {"nonsense": 1}, 400, "invalid_schema"),
    ({}, {"eviction_policy": "never"}, 400, "invalid_schema"),
    ({}, {"shards_count": 513, "sharding": True, "shard_key_regex": RULES}, 400, "invalid_schema"),
    ({}, {"backup_location": {"type": "s3"}}, 400, "invalid_schema"),
    ({}, {"backup_location": {"type": "disk"}}, 400, "invalid_schema"),
    ({}, {"search": {"search-timeout": 0}}, 400, "invalid_schema"),
    ({}, {"redis_version": "7.4.2"}, 406, "invalid_version"),
    ({}, {"redis_version": "3.0"}, 406, "invalid_version"),
    ({}, {"module_list": [{"module_name": "graph"}]}, 406, "missing_module"),
    ({}, {"type": "memcached", "module_list": [{"module_name": "bf"}]}, 406, "memcached_cannot_use_modules"),
    ({"switches": {"memcached_sasl": "required"}}, {"type": "memcached"}, 406, "invalid_sasl_credentials"),
    ({}, {"type": "memcached", "authentication_sasl_uname": "app"}, 406, "invalid_sasl_credentials"),
    ({}, {"type": "memcached", **SASL, "eviction_policy": "allkeys-lfu"}, 406, "eviction_policy_violation"),
    ({}, {"crdt": True, "eviction_policy": "allkeys-lrm"}, 406, "eviction_policy_violation"),
    ({}, {"crdt": True, "replication": False}, 406, "replication_violation"),
    ({}, {"type": "memcached", **SASL, "roles_permissions": BOUND}, 406, "redis_acl_unsupported"),
    ({}, {"shards_blueprint": blueprint("0-8191", "8192-16383")}, 406, "bad_shards_blueprint"),
    ({}, {"shards_blueprint": blueprint("0-8191")}, 406, "bad_shards_blueprint"),
    ({}, {"shards_blueprint": blueprint("0-16383", nodes=(("9", "master"),))}, 406, "bad_shards_blueprint"),
    ({}, {"shards_blueprint": blueprint("0-16383", nodes=(("1", "slave"),))}, 406, "bad_shards_blueprint"),
    (
        {},
        {
            "replication": True,
            "shards_blueprint": blueprint("0-16383", nodes=(("1", "master"), ("1", "slave"))),
        },
        406,
        "bad_shards_blueprint",
    ),
    ({}, {"authentication_ssl_client_certs": [{"client_cert": OUTDATED}]}, 406, "certificate_expired"),
    ({}, {"sharding": True}, 406, "invalid_sharding"),
    ({}, {"shards_count": 2}, 406, "invalid_sharding"),
    ({"nodes": 1}, {"replication": True}, 406, "invalid_replication"),
    ({}, {"rack_aware": True}, 406, "not_rack_aware"),
    ({}, {"data_persistence": "snapshot"}, 406, "invalid_data_persistence"),
    ({}, {"backup": True}, 406, "missing_backup_interval"),
    ({}, {"proxy_policy": "some"}, 406, "invalid_proxy_policy"),
    ({}, {"oss_cluster": True, "proxy_policy": "single"}, 406, "invalid_oss_cluster_configuration"),
    ({}, {"port": 9443}, 406, "port_unavailable"),
    ({}, {"port": 10050}, 406, "port_unavailable"),
    ({}, {"port": 12001}, 406, "port_unavailable"),
    ({}, {"uid": 1}, 409, "uid_exists"),
    ({}, {"authentication_ssl_client_certs": [{"client_cert": "x"}]}, 406, "invalid_certificate"),
    ({}, {"authentication_ssl_client_certs": [{"client_cert": PEM}, {"client_cert": PEM}]}, 406, "duplicated_certs"),
    ({}, {"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, 406, "invalid_bdb_tags"),
    ({}, {"tags": [{"key": "redis", "value": "1"}]}, 406, "invalid_bdb_tags"),
    ({}, {"tags": [{"key": "a", "value": "<"}]}, 406, "invalid_bdb_tags"),
    ({}, {"roles_permissions": [{"role_uid": 99, "redis_acl_uid": 1}]}, 406, "invalid_param"),
    ({}, {"roles_permissions": [{"role_uid": 1, "redis_acl_uid": 99}]}, 406, "invalid_param"),
    ({"node_memory": GIB}, {"memory_size": 3 * GIB}, 406, "insufficient_resources"),
    (
        {"shards_limit": 1},
        {"sharding": True, "shards_count": 2, "shard_key_regex": RULES},
        406,
        "insufficient_resources",
    ),
    ({"switches": {"duplicate_bdb_names": "refuse"}}, {"name": "first"}, 409, "name_already_exists"),
    ({"switches": {"read_only_fields": "refuse"}}, {"status": "active"}, 400, "invalid_schema"),
]


@pytest.mark.parametrize(("settings", "fields", "status", "code"), REFUSED_ON_CREATE)
def test_a_bad_new_database_is_refused_without_effect(
    settings: dict[str, Any], fields: dict[str, Any], status: int, code: str
) -> None:
    cluster = Cluster(**settings)
    cluster.made(name="first", port=12001, memory_size=1)
    sent = {"name": "orders", "memory_size": 1, **fields}
    body = {name: value for name, value in sent.items() if value is not None}
    effects = cluster.core.state.effects
    for query in ({"dry_run": "true"}, {}):
        answer = cluster("POST", "/v1/bdbs", body, **query)
        assert (answer.status, answer.json()["error_code"]) == (status, code)
    assert cluster.core.state.effects == effects


REFUSED_ON_UPDATE = [
    ({"type": "memcached"}, 406, "invalid_param"),
    ({"bigstore": True}, 406, "invalid_param"),
    ({"replica_read_only": True}, 406, "invalid_param"),
    ({"uid": 9}, 406, "invalid_param"),
    ({"port": 12002}, 406, "invalid_param"),
    ({"module_list": []}, 406, "invalid_param"),
    ({"module_list": [{"module_name": "graph"}]}, 406, "invalid_param"),
    ({"redis_version": "7.4"}, 406, "invalid_version"),
    ({"shards_count": 2}, 406, "invalid_sharding"),
    ({"shards_count": 6}, 406, "invalid_sharding"),
    ({"sharding": False}, 406, "invalid_sharding"),
    ({"shard_key_regex": []}, 406, "invalid_sharding"),
    ({"replication": True}, 406, "replication_node_violation"),
    ({"rack_aware": True}, 406, "rack_awareness_violation"),
]


@pytest.mark.parametrize(("fields", "status", "code"), REFUSED_ON_UPDATE)
def test_a_bad_change_is_refused_without_effect(fields: dict[str, Any], status: int, code: str) -> None:
    cluster = Cluster(nodes=1)
    before = cluster.made(sharding=True, shards_count=4, shard_key_regex=RULES, port=12001)
    answer = cluster("PUT", "/v1/bdbs/1", fields)
    assert (answer.status, answer.json()["error_code"]) == (status, code)
    assert cluster("GET", "/v1/bdbs/1", extended="true").json() == before


@pytest.mark.parametrize(("size", "status"), [(1 << 20, 406), (2 << 20, 200), (0, 200)])
def test_copies_need_room_in_the_memory_of_the_database(size: int, status: int) -> None:
    cluster = Cluster()
    cluster.made(memory_size=size)
    answer = cluster("PUT", "/v1/bdbs/1", {"replication": True})
    assert answer.status == status
    assert status == 200 or answer.json()["error_code"] == "replication_size_violation"


def test_a_blueprint_that_fits_is_taken() -> None:
    cluster = Cluster()
    places = (("1", "master"), ("2", "slave"))
    made = cluster.made(replication=True, shards_blueprint=blueprint("0-16383", nodes=places))
    assert made["status"] == "active"
    assert "shards_blueprint" not in made


KEPT = [
    ({"active_defrag_ignore_bytes": "100mb"}, {"active_defrag_ignore_bytes": "104857600"}),
    ({"authentication_redis_pass": "hush"}, {"authentication_redis_pass": ""}),
    ({"dataset_import_sources": [{"type": "mount_point", "path": "/x"}]}, {"dataset_import_sources": []}),
    (
        {"tags": [{"key": "a", "value": "b"}, {"key": "c", "value": "d", "isSystem": True}]},
        {"tags": [{"key": "a", "value": "b"}]},
    ),
    ({"search": {"search-workers": 2}}, {"search": {"search-workers": 2, "search-timeout": 500}}),
    (
        {"replica_sources": [{"uri": "redis://h:1", "client_key": "k"}]},
        {"replica_sources": [{"uri": "redis://h:1", "uid": 1}]},
    ),
    (
        {"gradual_sync_policy": "replica", "gradual_sync_policy_parameters": {"src_endpoint_limit": 5}},
        {"gradual_sync_policy_parameters": {"src_endpoint_limit": 1}},
    ),
    ({"use_nodes": ["1"]}, {"use_nodes": ["1"]}),
    (
        {"backup_location": {"type": "mount_point", "path": "/b"}},
        {"backup_location": {"type": "mount_point", "path": "/b"}},
    ),
    ({"shards_count": 2, "sharding": True, "shard_key_regex": RULES}, {"shard_list": [1, 2]}),
    ({"replication": True}, {"shard_list": [1, 2]}),
]


def part(shown: Any, wanted: Any) -> Any:
    """Cut *shown* down to the keys of *wanted*."""
    if isinstance(shown, dict) and isinstance(wanted, dict):
        return {name: part(shown.get(name), value) for name, value in wanted.items()}
    if isinstance(shown, list) and isinstance(wanted, list) and len(shown) == len(wanted):
        return [part(*pair) for pair in zip(shown, wanted, strict=True)]
    return shown


@pytest.mark.parametrize(("sent", "shown"), KEPT)
def test_what_is_sent_reads_back_as_the_server_keeps_it(sent: dict[str, Any], shown: dict[str, Any]) -> None:
    created, changed = Cluster(), Cluster()
    assert part(created.made(**sent), shown) == shown
    assert "client_key" not in str(created("GET", "/v1/bdbs/1").json())
    changed.made()
    assert changed("PUT", "/v1/bdbs/1", sent).status == 200
    changed.clock.sleep(10)
    assert part(changed("GET", "/v1/bdbs/1", extended="true").json(), shown) == shown


def test_reads_can_be_narrowed_and_extended() -> None:
    cluster = Cluster()
    cluster.made()
    assert cluster("GET", "/v1/bdbs", fields="uid,name,nothing").json() == [{"uid": 1, "name": "orders"}]
    assert cluster("GET", "/v1/bdbs/1", fields="uid,search").json() == {"uid": 1}
    assert set(cluster("GET", "/v1/bdbs/1", fields="uid,search", extended="true").json()) == {"uid", "search"}
    hidden = set(cluster("GET", "/v1/bdbs/1", extended="true").json()) - set(cluster("GET", "/v1/bdbs/1").json())
    assert hidden == {"search", "timeseries", "probabilistic", "query_performance_factor"}
    before = cluster("GET", "/v1/bdbs").headers["cluster-state-id"]
    cluster("PUT", "/v1/bdbs/1", {"name": "renamed"})
    assert int(cluster("GET", "/v1/bdbs").headers["cluster-state-id"]) > int(before)
    assert cluster("GET", "/v1/bdbs", fields="name").json() == [{"name": "renamed"}]


def test_redis_8_brings_modules_and_older_versions_only_what_is_asked_for() -> None:
    cluster = Cluster()
    bundled = {item["module_name"] for item in cluster.made(module_list=[{"module_name": "bf"}])["module_list"]}
    assert bundled == {"search", "ReJSON", "timeseries", "bf"}
    assert [
        m["module_name"] for m in cluster.made(redis_version="7.4", module_list=[{"module_name": "bf"}])["module_list"]
    ] == ["bf"]
    assert cluster.made(type="memcached")["eviction_policy"] == "allkeys-lru"


def test_a_dry_run_changes_nothing() -> None:
    cluster = Cluster()
    assert cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1}, dry_run="").json()["name"] == "a"
    assert cluster("GET", "/v1/bdbs").json() == []
    before = cluster.made()
    assert cluster("PUT", "/v1/bdbs/1", {"name": "b"}, dry_run="true").json()["name"] == "b"
    assert cluster("GET", "/v1/bdbs/1", extended="true").json() == before


def test_version_2_wraps_the_database() -> None:
    cluster = Cluster()
    assert cluster("POST", "/v2/bdbs", {"bdb": {"name": "a", "memory_size": 1}}).json()["name"] == "a"
    assert cluster("POST", "/v2/bdbs", {"name": "a", "memory_size": 1}).status == 400


SWITCHED = [
    ({"busy_code": "busy"}, {"name": "x"}, ("error_code", "busy")),
    ({"put_echo": "sent"}, {"name": "x"}, ("memory_size", None)),
    ({"put_values": "when-done"}, {"name": "x"}, ("name", "x")),
    ({"put_port": "ignore"}, {"port": 15000}, ("port", 0)),
    ({"placement_hints": "one-shot"}, {"use_nodes": ["1"]}, ("use_nodes", None)),
    ({"default_password_reads": "value"}, {"authentication_redis_pass": "p"}, ("authentication_redis_pass", "p")),
    ({"unknown_fields": "ignore"}, {"nonsense": 1}, ("nonsense", None)),
    ({"sharding_single": "refuse"}, {"sharding": True, "shard_key_regex": RULES}, ("error_code", "invalid_sharding")),
]


@pytest.mark.parametrize(("switches", "sent", "expected"), SWITCHED)
def test_open_questions_can_be_read_either_way(
    switches: dict[str, str], sent: dict[str, Any], expected: tuple[str, Any]
) -> None:
    cluster = Cluster(switches=switches)
    cluster.made()
    if "busy_code" in switches:
        cluster("PUT", "/v1/bdbs/1", {})
    answer = cluster("PUT", "/v1/bdbs/1", sent).json()
    assert answer.get(expected[0]) == expected[1]


def test_values_can_wait_until_the_change_is_done() -> None:
    cluster = Cluster(switches={"put_values": "when-done"})
    cluster.made()
    cluster("PUT", "/v1/bdbs/1", {"name": "x"})
    assert cluster("GET", "/v1/bdbs/1").json()["name"] == "orders"
    cluster.clock.sleep(10)
    assert cluster("GET", "/v1/bdbs/1").json()["name"] == "x"


def test_secrets_can_be_masked_and_tags_of_the_system_shown() -> None:
    cluster = Cluster(switches={"secrets_on_read": "masked", "system_tags": "on"})
    place = {"type": "abs", "account_name": "a", "container": "c", "account_key": "hush"}
    shown = cluster.made(backup_location=place)
    assert "hush" not in str(shown)
    assert shown["tags"][-1]["isSystem"] is True


@pytest.mark.parametrize("switches", [{}, {"put_echo": "sent"}])
def test_masked_credentials_are_masked_in_the_answers_to_changes_too(switches: dict[str, str]) -> None:
    cluster = Cluster(switches=switches)
    cluster.made(redis_version="7.4")
    cluster("PUT", "/v1/cluster", {"mask_bdb_credentials": True})
    sent = {"name": "more", "memory_size": 1, "authentication_admin_pass": "hush"}
    answers = [cluster("POST", "/v1/bdbs", sent, dry_run="true"), cluster("POST", "/v1/bdbs", sent)]
    answers.append(cluster("PUT", "/v1/bdbs/1", {"authentication_admin_pass": "hush"}))
    for path in ("/v1/bdbs/1/reset_admin_pass", "/v1/bdbs/1/upgrade"):
        cluster.clock.sleep(10)
        answers.append(
            cluster("PUT" if "reset" in path else "POST", path, {"may_discard_data": True} if "up" in path else {})
        )
    assert [answer.status for answer in answers] == [200] * 5
    shown = [answer.json().get("authentication_admin_pass", "********") for answer in answers]
    assert shown == ["********"] * 5
    assert cluster.core.state.bdbs[2].fields["authentication_admin_pass"] == "hush"


def test_a_lapsed_licence_stops_databases_only() -> None:
    cluster = Cluster(license_expired=True)
    refused = cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1})
    assert (refused.status, refused.json()["error_code"]) == (403, "license_expired")
    assert cluster("POST", "/v1/roles", {"name": "a", "management": "none"}).status == 200


@pytest.mark.parametrize(("fault", "status"), [("fail", "creation-failed"), ("stuck", "pending")])
def test_work_can_fail_or_never_end(fault: str, status: str) -> None:
    cluster = Cluster()
    cluster.core.faults.add(fault, method="POST")
    made = cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1}).json()
    cluster.clock.sleep(10_000)
    assert cluster("GET", f"/v1/bdbs/{made['uid']}").json()["status"] == status


def test_a_failed_change_brings_the_old_values_back() -> None:
    cluster = Cluster()
    before = cluster.made()
    cluster.core.faults.add("fail", method="PUT")
    changed = cluster("PUT", "/v1/bdbs/1", {"name": "x", "use_nodes": ["1"]}).json()
    cluster.clock.sleep(10)
    assert cluster("GET", "/v1/bdbs/1", extended="true").json() == before
    action = cluster("GET", f"/v1/actions/{changed['action_uid']}").json()
    assert action["status"] == "failed"
    assert action["error"]


def test_the_same_seed_gives_the_same_cluster() -> None:
    assert Cluster().made() == Cluster().made()
