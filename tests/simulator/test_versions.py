"""What one server version has and another lacks: paths, fields, defaults; and the schema that says so."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from reconciler.simulator.api.routes import VERSIONS, routes
from reconciler.simulator.core import Core, SimulatorSettings
from reconciler.simulator.data.tables import table
from reconciler.simulator.testing import Caller, VirtualClock

NEW = {"name": "a", "memory_size": 1 << 20}


def cluster(**settings: Any) -> Caller:
    return Caller(Core(SimulatorSettings(**settings), clock=VirtualClock(), seed=7))


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/v1/bdbs", "7.4"),
        ("/v1/cm_settings", "7.8"),
        ("/v1/job_scheduler", "7.8"),
        ("/v1/diagnostics", "7.22"),
        ("/v2/actions", "7.22"),
        ("/v1/cluster/sso", "8.0"),
        ("/v2/local/modules/user-defined/artifacts", "8.0"),
        ("/v1/metrics_config", "8.2"),
    ],
)
def test_a_path_is_there_from_its_version_on(path: str, first: str) -> None:
    for version in VERSIONS:
        expected = 200 if VERSIONS.index(version) >= VERSIONS.index(first) else 404
        assert (version, cluster(server_version=version)("GET", path).status) == (version, expected)


def test_uploads_of_old_servers_are_gone_since_80() -> None:
    for version in VERSIONS:
        methods = cluster(server_version=version)("OPTIONS", "/v1/modules").headers["allow"]
        assert ("POST" in methods) == (version in ("7.4", "7.8", "7.22"))


def test_routes_that_new_builds_do_not_list_can_be_switched_on() -> None:
    for choice, status in (("absent", 404), ("present", 200)):
        caller = cluster(switches={"users_permissions_routes": choice, "acl_validate_route": choice})
        assert caller("GET", "/v1/users/permissions").status == status
        assert caller("POST", "/v1/redis_acls/validate", {"name": "a", "acl": "+@all"}).status in (status, 405)
    assert cluster(server_version="7.22")("GET", "/v1/users/permissions").status == 200


def test_versions_have_more_and_more_operations() -> None:
    counts = [len(routes(version).endpoints) for version in VERSIONS]
    assert counts == sorted(counts) or counts[2] > counts[3]  # 8.0 drops the old uploads
    documented = [row for row in table("endpoints") if "source" not in row]
    assert len(documented) == 206


def test_a_database_has_the_fields_modules_and_redis_of_its_server() -> None:
    old, new = cluster(server_version="7.4"), cluster()
    before, after = old("POST", "/v1/bdbs", NEW).json(), new("POST", "/v1/bdbs", NEW).json()
    assert (before["redis_version"], after["redis_version"]) == ("7.2", "8.2")
    assert before["module_list"] == []
    assert {item["module_name"] for item in after["module_list"]} == {"search", "ReJSON", "timeseries", "bf"}
    assert "audit_settings" in after
    assert "audit_settings" not in before
    assert old("PUT", "/v1/bdbs/1", {"audit_settings": {}}).status == 400
    assert old("POST", "/v1/bdbs", {**NEW, "redis_version": "8.0"}).json()["error_code"] == "invalid_version"


def test_the_cluster_has_the_fields_of_its_version() -> None:
    fields = {version: set(cluster(server_version=version)("GET", "/v1/cluster").json()) for version in VERSIONS}
    assert "use_ipv6" in fields["8.0"] - fields["8.2"]
    assert "allow_modules_upload" in fields["8.2"] - fields["8.0"]
    assert "mtls_authorized_subjects" in fields["7.8"] - fields["7.4"]


READS = {
    "bdb": "/v1/bdbs",
    "bdb_group": "/v1/bdb_groups",
    "cluster": "/v1/cluster",
    "cluster_settings": "/v1/cluster/policy",
    "cm_settings": "/v1/cm_settings",
    "diagnostics": "/v1/diagnostics",
    "job_scheduler": "/v1/job_scheduler",
    "ldap": "/v1/cluster/ldap",
    "ldap_mapping": "/v1/ldap_mappings",
    "license": "/v1/license",
    "metrics_config": "/v1/metrics_config",
    "module": "/v1/modules",
    "node": "/v1/nodes",
    "ocsp": "/v1/ocsp",
    "proxy": "/v1/proxies",
    "redis_acl": "/v1/redis_acls",
    "role": "/v1/roles",
    "services_configuration": "/v1/cluster/services_configuration",
    "shard": "/v1/shards",
    "sso": "/v1/cluster/sso",
    "suffix": "/v1/suffixes",
    "user": "/v1/users",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_are_valid_against_the_servers_own_schema(version: str) -> None:
    clock = VirtualClock()
    caller = Caller(Core(SimulatorSettings(server_version=version), clock=clock, seed=7))
    caller("POST", "/v1/bdbs", NEW)
    caller("POST", "/v1/ldap_mappings", {"name": "ops", "dn": "OU=ops", "role_uids": [2]})
    caller("POST", "/v1/bdb_groups", {"memory_size": 1 << 30})
    clock.sleep(60)
    for kind, path in READS.items():
        answer = caller("GET", path, **({"extended": "true"} if kind == "bdb" else {}))
        if answer.status == 404:
            continue
        schema = caller("GET", "/v1/jsonschema", object=kind).json()
        jsonschema.Draft7Validator.check_schema(schema)
        body = answer.json()
        for item in body if isinstance(body, list) else [body]:
            jsonschema.Draft7Validator(schema).validate(item)


def test_a_schema_agrees_with_what_is_accepted() -> None:
    caller = cluster()
    schema = jsonschema.Draft7Validator(caller("GET", "/v1/jsonschema", object="bdb").json())
    good = [NEW, {**NEW, "data_persistence": "aof"}, {**NEW, "tags": [{"key": "a", "value": "b"}]}]
    bad = [{"name": "a"}, {**NEW, "memory_size": "1"}, {**NEW, "nothing": 1}, {**NEW, "eviction_policy": "x"}]
    assert [schema.is_valid(body) for body in (*good, *bad)] == [True] * 3 + [False] * 4
    assert [caller("POST", "/v1/bdbs", body).status == 200 for body in (*good, *bad)] == [True] * 3 + [False] * 4


def test_an_unknown_object_has_no_schema_and_no_name_asks_for_all() -> None:
    caller = cluster()
    assert caller("GET", "/v1/jsonschema", object="nothing").status == 406
    assert {"bdb", "cluster", "node", "user"} <= set(caller("GET", "/v1/jsonschema").json())
