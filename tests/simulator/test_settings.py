"""The objects of which a cluster has one: what they hold, what a PUT may change, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.simulator.api.routes import VERSIONS
from reconciler.simulator.cluster.settings import SINGLETONS
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock, basic

AUDIT = {"audit_address": "192.0.2.40", "audit_port": 12345, "audit_protocol": "TCP"}
TEMPLATE = {"user_dn_template": "cn=%u,dc=example"}
QUERY = {"user_dn_query": {"base": "dc=example", "filter": "(cn=%u)", "scope": "one"}}


def cluster(**settings: Any) -> Caller:
    return Caller(Core(SimulatorSettings(**settings), clock=VirtualClock(), seed=7))


def refused(caller: Caller, path: str, body: Any, method: str = "PUT") -> tuple[int, str]:
    answer = caller(method, path, body)
    return answer.status, answer.json()["error_code"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/cluster", {"cm_session_timeout_minutes": 20}, "cm_session_timeout_minutes"),
        ("/v1/cluster/policy", {"default_shards_placement": "sparse"}, "default_shards_placement"),
        ("/v1/cm_settings", {"timezone": "Europe/Vienna"}, "timezone"),
        ("/v1/metrics_config", {"metrics_tag_keys_exposed": ["team"]}, "metrics_tag_keys_exposed"),
        ("/v1/cluster/auditing/db_conns", AUDIT, "audit_address"),
        ("/v1/cluster/ldap", TEMPLATE, "user_dn_template"),
        ("/v1/ocsp", {"query_frequency": 60}, "query_frequency"),
    ],
)
def test_a_put_changes_what_it_names_and_nothing_else(path: str, body: dict[str, Any], field: str) -> None:
    caller = cluster()
    before = caller("GET", path).json()
    assert caller("PUT", path, body).status == 200
    after = caller("GET", path).json()
    assert after[field] == body[field]
    assert {name: after[name] for name in before if name not in body} == {
        name: value for name, value in before.items() if name not in body
    }


@pytest.mark.parametrize("path", sorted(single.path for single in SINGLETONS if single.kind != "cluster"))
def test_an_unknown_field_and_a_list_are_refused(path: str) -> None:
    caller = cluster()
    assert refused(caller, path, {"no_such_field": 1}) == (400, "invalid_schema")
    assert refused(caller, path, []) == (400, "invalid_schema")


def test_named_settings_merge_by_name_and_inside_an_entry() -> None:
    caller = cluster()
    body = caller("PUT", "/v1/job_scheduler", {"backup_job_settings": {"cron_expression": "1 2 * * *"}}).json()
    assert body["backup_job_settings"] == {"cron_expression": "1 2 * * *", "enabled": True}
    assert body["node_checks_job_settings"]["enabled"]
    alert = {"cluster_license_about_to_expire": {"enabled": True, "threshold": "30"}}
    settings = caller("PUT", "/v1/cluster", {"alert_settings": alert}).json()["alert_settings"]
    assert settings["cluster_license_about_to_expire"] == {"enabled": True, "threshold": "30"}
    assert settings["node_checks_error"] is True


def test_an_entry_is_replaced_whole_where_the_switch_says_so() -> None:
    caller = cluster(switches={"nested_settings": "replace"})
    body = caller("PUT", "/v1/job_scheduler", {"backup_job_settings": {"cron_expression": "1 2 * * *"}}).json()
    assert body["backup_job_settings"] == {"cron_expression": "1 2 * * *"}
    alert = {"cluster_license_about_to_expire": {"enabled": True, "threshold": "30"}}
    assert "node_checks_error" in caller("PUT", "/v1/cluster", {"alert_settings": alert}).json()["alert_settings"]


@pytest.mark.parametrize("text", ["* * * *", "60 * * * *", "* 24 * * *", "* * * 13 *", "@daily", "*/0 * * * *", ""])
def test_what_is_no_cron_expression_is_refused(text: str) -> None:
    body = {"slowlog_target": {"cron_expression": text}}
    assert refused(cluster(), "/v1/diagnostics", body) == (400, "invalid_schema")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/cluster", {"cm_port": 9443}, "bad_nginx_conf"),
        ("/v1/cluster", {"debuginfo_path": "relative"}, "bad_debuginfo_path"),
        ("/v1/cluster", {"mtls_certificate_authentication": True}, "invalid_schema"),
        ("/v1/cluster", {"cm_port": 80}, "invalid_schema"),
        ("/v1/cluster/policy", {"rack_aware": True}, "invalid_schema"),
        ("/v1/cluster/policy", {"default_provisioned_redis_version": "5.0"}, "invalid_schema"),
        ("/v1/cluster/policy", {"db_conns_auditing": True}, "invalid_schema"),
        ("/v1/cm_settings", {"timezone": "Mars/Olympus"}, "invalid_schema"),
        ("/v1/metrics_config", {}, "invalid_schema"),
        ("/v1/metrics_config", {"key_size_buckets": "2K,1K"}, "invalid_schema"),
        ("/v1/metrics_config", {"key_size_buckets": "1024"}, "invalid_schema"),
        ("/v1/ocsp", {"ocsp_functionality": True}, "no_responder_url"),
        ("/v1/cluster/auditing/db_conns", {"audit_address": "192.0.2.40", "audit_protocol": "TCP"}, "invalid_schema"),
        ("/v1/cluster/ldap", {**TEMPLATE, **QUERY}, "illegal_fields_combination"),
        ("/v1/cluster/ldap", {"control_plane": True}, "invalid_schema"),
        ("/v1/cluster/ldap", {"uris": ["http://ldap:1"]}, "invalid_schema"),
        ("/v1/cluster/ldap", {"user_dn_query": {"base": "dc=example"}}, "invalid_schema"),
    ],
)
def test_what_does_not_go_together_is_refused(path: str, body: dict[str, Any], code: str) -> None:
    caller = cluster()
    before = caller("GET", path).json()
    assert refused(caller, path, body) == (400, code)
    assert caller("GET", path).json() == before


def test_a_dry_run_shows_and_changes_nothing() -> None:
    caller = cluster()
    assert caller("PUT", "/v1/cluster", {"email_alerts": True}, dry_run="true").json()["email_alerts"] is True
    assert caller("GET", "/v1/cluster").json()["email_alerts"] is False


def test_the_policy_is_mirrored_by_the_cluster_which_cannot_change_it() -> None:
    caller = cluster()
    caller("PUT", "/v1/cluster", {"slave_ha": False})
    assert caller("GET", "/v1/cluster").json()["slave_ha"] is True
    caller("PUT", "/v1/cluster/policy", {"slave_ha": False})
    assert caller("GET", "/v1/cluster").json()["slave_ha"] is False


def test_rack_awareness_is_for_good() -> None:
    caller = cluster(rack_aware=True)
    assert caller("GET", "/v1/cluster/policy").json()["rack_aware"] is True
    assert refused(caller, "/v1/cluster/policy", {"rack_aware": False}) == (400, "invalid_schema")
    assert caller("PUT", "/v1/cluster/policy/restore_default").status == 200
    assert caller("GET", "/v1/cluster/policy").json()["rack_aware"] is True


def test_new_databases_follow_the_policy_and_old_ones_stay() -> None:
    caller = cluster()
    old = caller("POST", "/v1/bdbs", {"name": "old", "memory_size": 1 << 20}).json()
    policy = {"default_shards_placement": "sparse", "default_non_sharded_proxy_policy": "all-nodes"}
    caller("PUT", "/v1/cluster/policy", {**policy, "default_provisioned_redis_version": "7.4"})
    new = caller("POST", "/v1/bdbs", {"name": "new", "memory_size": 1 << 20}).json()
    assert (new["shards_placement"], new["proxy_policy"], new["redis_version"]) == ("sparse", "all-nodes", "7.4")
    assert caller("GET", f"/v1/bdbs/{old['uid']}").json()["shards_placement"] == old["shards_placement"] == "dense"


def test_auditing_stays_while_something_reports() -> None:
    caller, path = cluster(), "/v1/cluster/auditing/db_conns"
    assert refused(caller, path, None, "DELETE") == (404, "db_conns_audit_config_not_found")
    caller("PUT", path, AUDIT)
    caller("PUT", "/v1/cluster/policy", {"db_conns_auditing": True})
    assert refused(caller, path, None, "DELETE") == (406, "cannot_delete_audit_config_when_policy_enabled")
    caller("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20})
    caller("PUT", "/v1/cluster/policy", {"db_conns_auditing": False})
    assert refused(caller, path, None, "DELETE") == (406, "cannot_delete_audit_config_when_bdb_enabled")


def test_half_of_an_ldap_pair_pushes_the_other_out_or_must_be_cleared() -> None:
    path = "/v1/cluster/ldap"
    for choice, status in (("replace", 200), ("explicit", 400)):
        caller = cluster(switches={"ldap_pairs": choice})
        caller("PUT", path, TEMPLATE)
        assert caller("PUT", path, QUERY).status == status
        assert caller("PUT", path, {**QUERY, "user_dn_template": ""}).status == 200
        assert caller("GET", path).json()["user_dn_template"] == ""


def test_a_bind_password_is_masked_and_the_mask_leaves_it() -> None:
    caller, path = cluster(), "/v1/cluster/ldap"
    assert caller("PUT", path, {"bind_pass": "hush"}).body == b""
    whole = caller("GET", path).json()
    assert whole["bind_pass"] == "***"
    caller("PUT", path, whole)
    assert caller.core.state.singletons["ldap"].fields["bind_pass"] == "hush"
    caller("DELETE", path)
    assert caller("GET", path).json()["bind_pass"] == ""


def test_a_mail_password_is_readable_before_82_only() -> None:
    for version in VERSIONS:
        caller = cluster(server_version=version)
        caller("PUT", "/v1/cluster", {"smtp_password": "hush"})
        assert ("smtp_password" in caller("GET", "/v1/cluster").json()) == (version != "8.2")


def test_credentials_of_databases_are_masked_when_the_cluster_says_so() -> None:
    caller = cluster()
    caller("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20, "authentication_admin_pass": "S3cr3t-word"})
    assert caller("GET", "/v1/bdbs/1").json()["authentication_admin_pass"] == "S3cr3t-word"
    caller("PUT", "/v1/cluster", {"mask_bdb_credentials": True})
    assert "S3cr3t-word" not in caller("GET", "/v1/bdbs/1").body.decode() + caller("GET", "/v1/bdbs").body.decode()


def test_options_can_be_forbidden() -> None:
    caller = cluster()
    assert "PUT" in caller("OPTIONS", "/v1/cluster").headers["allow"]
    caller("PUT", "/v1/cluster", {"options_method_forbidden": True})
    assert caller("OPTIONS", "/v1/cluster").status == 405


def test_passwords_can_be_switched_off_for_the_api() -> None:
    caller = cluster()
    token = caller("POST", "/v1/users/authorize").json()["access_token"]
    caller("PUT", "/v1/cluster", {"control_plane_basic_authentication": False})
    assert caller("GET", "/v1/cluster").status == 401
    answer = caller.core.handle(Request("GET", "/v1/cluster", {}, {"authorization": f"Bearer {token}"}))
    assert answer.status == 200


def test_old_passwords_expire_and_an_admin_can_set_new_ones() -> None:
    clock = VirtualClock()
    core = Core(SimulatorSettings(), clock=clock, seed=7)
    caller = Caller(core)
    clock.sleep(40 * 86400)
    caller("POST", "/v1/users", {"name": "fresh", "email": "f@example.com", "password": "new-one", "role_uids": [1]})
    caller("PUT", "/v1/cluster", {"password_expiration_duration": 30})
    answer = caller("GET", "/v1/users")
    assert (answer.status, answer.json()["error_code"]) == (401, "password_expired")
    caller.headers["authorization"] = basic("f@example.com", "new-one")
    assert caller("GET", "/v1/users/1").json()["status"] == "password_expired"
    assert caller("PUT", "/v1/users/1", {"password": "renewed"}).status == 200
    assert caller("GET", "/v1/users/1").json()["status"] == "active"


def test_a_password_may_last_longer_than_any_calendar() -> None:
    caller = cluster()
    caller("PUT", "/v1/cluster", {"password_expiration_duration": 10**15})
    assert caller("GET", "/v1/cluster").status == 200


@pytest.mark.parametrize("path", ["/v1/users", "/v1/roles"])
def test_a_uid_that_is_taken_is_refused(path: str) -> None:
    body = {"uid": 1, "name": "second", "email": "s@example.com", "password": "a-password", "role_uids": [1]}
    sent = body if path == "/v1/users" else {"uid": 1, "name": "second", "management": "none"}
    assert refused(cluster(), path, sent, "POST") == (409, "uid_exists")


def test_suffixes_groups_and_alerts_answer() -> None:
    caller = cluster(nodes=2)
    assert caller("GET", "/v1/suffix/cluster.local").json() in caller("GET", "/v1/suffixes").json()
    assert refused(caller, "/v1/suffix/cluster.local", None, "DELETE") == (400, "invalid_param")
    group = caller("POST", "/v1/bdb_groups", {"memory_size": 1 << 30}).json()
    assert caller("PUT", f"/v1/bdb_groups/{group['uid']}", {"memory_size": 2}).json()["memory_size"] == 2
    assert caller("DELETE", f"/v1/bdb_groups/{group['uid']}").status == 200
    alert = caller("GET", "/v1/cluster/alerts").json()["cluster_even_node_count"]
    assert (alert["state"], alert["severity"], alert["enabled"]) == (True, "WARNING", False)
    assert caller("GET", "/v1/cluster/alerts/cluster_internal_bdb").status in (200, 404)


def test_health_reports_name_what_is_wrong() -> None:
    caller = cluster()
    caller("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20})
    assert caller("GET", "/v4/cluster/health").json()["status"] == "warning"
    assert caller("GET", "/v4/cluster/health", issues_only="true").json()["nodes"] == []
    assert caller("GET", "/v4/db/1/health").json()["detailed_status"] == "pending"


def test_older_nodes_make_a_mixed_cluster_that_refuses_what_is_new() -> None:
    caller = cluster(older_nodes=1)
    assert len({node["software_version"] for node in caller("GET", "/v1/nodes").json()}) == 2
    assert refused(caller, "/v1/roles", None, "GET") == (501, "unsupported_resource")
    assert refused(caller, "/v1/ldap_mappings/1", None, "GET") == (501, "unsupported_resource")
    assert refused(caller, "/v1/ocsp", None, "GET") == (406, "ocsp_unsupported_by_capability")
    assert refused(caller, "/v1/cluster/auditing/db_conns", AUDIT) == (
        406,
        "db_conns_auditing_unsupported_by_capability",
    )
