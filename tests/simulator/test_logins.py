"""Tokens, passwords, mappings, and roles that reach some databases only."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.simulator.api.messages import Response, encode
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock, basic

DEV = {"name": "dev", "email": "dev@example.com", "password": "hush-hush", "role_uids": [5]}


class Cluster(Caller):
    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        super().__init__(Core(SimulatorSettings(**settings), clock=self.clock, seed=7))
        self("POST", "/v1/users", DEV)

    def as_(self, authorization: str, method: str, path: str, body: Any = None, **query: str) -> Response:
        headers = {"authorization": authorization, "content-type": "application/json"}
        return self.core.handle(
            Request(method, path, query, headers, encode(body).encode() if body is not None else b"")
        )


def test_a_token_speaks_for_its_user_until_it_ends() -> None:
    cluster = Cluster()
    token = cluster.as_(basic("dev", "hush-hush"), "POST", "/v1/users/authorize", {"ttl": 60}).json()["access_token"]
    assert token.count(".") == 2
    for scheme in ("Bearer", "JWT", "bearer"):
        assert cluster.as_(f"{scheme} {token}", "GET", "/v1/bdbs").status == 200
        assert cluster.as_(f"{scheme} {token}", "GET", "/v1/users").status == 403
    cluster.clock.sleep(61)
    assert cluster.as_(f"Bearer {token}", "GET", "/v1/bdbs").status == 401


def test_a_token_can_be_renewed_while_it_is_good() -> None:
    cluster = Cluster()
    old = cluster("POST", "/v1/users/authorize").json()["access_token"]
    cluster.clock.sleep(299)
    new = cluster.as_(f"JWT {old}", "POST", "/v1/users/refresh_jwt").json()["access_token"]
    cluster.clock.sleep(299)
    assert [cluster.as_(f"JWT {token}", "GET", "/v1/bdbs").status for token in (old, new)] == [401, 200]
    assert cluster("POST", "/v1/users/refresh_jwt").status == 401


def test_a_token_dies_with_its_user() -> None:
    cluster = Cluster()
    token = cluster.as_(basic("dev", "hush-hush"), "POST", "/v1/users/authorize").json()["access_token"]
    cluster("DELETE", "/v1/users/2")
    assert cluster.as_(f"JWT {token}", "GET", "/v1/bdbs").status == 401


@pytest.mark.parametrize(("scheme", "other"), [("bearer", "JWT"), ("jwt", "Bearer")])
def test_one_scheme_alone_can_be_taken(scheme: str, other: str) -> None:
    cluster = Cluster(switches={"jwt_scheme": scheme})
    token = cluster("POST", "/v1/users/authorize").json()["access_token"]
    assert cluster.as_(f"{scheme} {token}", "GET", "/v1/bdbs").status == 200
    assert cluster.as_(f"{other} {token}", "GET", "/v1/bdbs").status == 401


def test_the_body_names_who_logs_in_before_78() -> None:
    body = encode({"username": "dev", "password": "hush-hush"}).encode()
    request = Request("POST", "/v1/users/authorize", {}, {"content-type": "application/json"}, body)
    assert "access_token" in Cluster(server_version="7.4").core.handle(request).json()
    assert Cluster(server_version="7.8").core.handle(request).status == 401


@pytest.mark.parametrize("ttl", [0, 86401, "60"])
def test_a_token_lives_between_a_second_and_a_day(ttl: Any) -> None:
    assert Cluster()("POST", "/v1/users/authorize", {"ttl": ttl}).status == 400


def test_a_user_has_several_passwords_and_keeps_one() -> None:
    cluster, path, me = Cluster(), "/v1/users/password", basic("dev", "hush-hush")
    assert cluster.as_(me, "POST", path, {"new_password": "second-1"}).status == 200
    assert cluster.as_(me, "POST", path, {"new_password": "second-1"}).status == 400
    for password in ("hush-hush", "second-1"):
        assert cluster.as_(basic("dev", password), "GET", "/v1/bdbs").status == 200
    assert cluster.as_(me, "DELETE", path, {"old_password": "hush-hush"}).status == 200
    assert cluster.as_(me, "GET", "/v1/bdbs").status == 401
    refusal = cluster.as_(basic("dev", "second-1"), "DELETE", path, {"old_password": "second-1"}).json()
    assert refusal["error_code"] == "cannot_delete_last_password"


def test_only_admins_set_the_passwords_of_others() -> None:
    cluster, path = Cluster(), "/v1/users/password"
    body = {"username": "dev", "new_password": "given-1"}
    assert cluster("PUT", path, body).status == 200
    assert cluster("PUT", path, {**body, "username": "nobody"}).json()["error_code"] == "user_not_exist"
    others = {"username": cluster.core.settings.username, "new_password": "stolen-1"}
    assert cluster.as_(basic("dev", "given-1"), "PUT", path, others).status == 403


def test_a_new_password_of_an_admin_unlocks() -> None:
    cluster = Cluster()
    for _ in range(5):
        cluster.as_(basic("dev", "wrong"), "GET", "/v1/bdbs")
    assert cluster("GET", "/v1/users/2").json()["status"] == "locked"
    cluster("PUT", "/v1/users/password", {"username": "dev", "new_password": "hush-hush"})
    assert cluster.as_(basic("dev", "hush-hush"), "GET", "/v1/bdbs").status == 200


def test_the_policy_says_how_many_bad_logins_lock() -> None:
    cluster = Cluster()
    cluster("PUT", "/v1/cluster/policy", {"login_lockout_threshold": 0})
    for _ in range(20):
        cluster.as_(basic("dev", "wrong"), "GET", "/v1/bdbs")
    assert cluster.as_(basic("dev", "hush-hush"), "GET", "/v1/bdbs").status == 200


@pytest.mark.parametrize("password", ["short", "nodigits-No", "aaaaA1-xyz", "dev@example.com", "moc.elpmaxe@ved"])
def test_simple_passwords_are_refused_where_the_cluster_asks_for_better(password: str) -> None:
    cluster = Cluster()
    cluster("PUT", "/v1/cluster", {"password_complexity": True})
    answer = cluster("PUT", "/v1/users/2", {"password": password})
    assert (answer.status, answer.json()["error_code"]) == (400, "password_not_complex")
    assert cluster("PUT", "/v1/users/2", {"password": "Good-enough-1"}).status == 200


def test_the_health_of_the_primary_may_be_open_to_all() -> None:
    cluster, path = Cluster(), "/v1/local/node/master_healthcheck"
    request = Request("GET", path)
    assert cluster.core.handle(request).status == 401
    cluster("PUT", "/v1/cluster/policy", {"master_healthcheck_api_auth": False})
    assert cluster.core.handle(request).status == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"dn": ""}, 400, "invalid_dn_param"),
        ({"name": "a/b"}, 400, "invalid_name_param"),
        ({"role_uids": []}, 400, "invalid_role_uids_param"),
        ({"role_uids": [99]}, 400, "invalid_role_uids_param"),
        ({"name": "ops"}, 409, "name_already_exists"),
    ],
)
def test_a_mapping_names_an_existing_role_and_has_a_name_of_its_own(change: Any, status: int, code: str) -> None:
    cluster, path, body = Cluster(), "/v1/ldap_mappings", {"name": "ops", "dn": "OU=ops", "role_uids": [2]}
    made = cluster("POST", path, body).json()
    assert (made["uid"], made["email_alerts"]) == (1, True)
    answer = cluster("POST", path, {**body, "name": "other", **change})
    assert (answer.status, answer.json()["error_code"]) == (status, code)
    assert cluster("POST", path, {"name": "third"}).json()["error_code"] == "missing_field"
    assert cluster("GET", f"{path}/9").json()["error_code"] == "ldap_mapping_not_exist"


def test_a_role_that_a_mapping_uses_stays() -> None:
    cluster = Cluster()
    role = cluster("POST", "/v1/roles", {"name": "own", "management": "none"}).json()["uid"]
    cluster("POST", "/v1/ldap_mappings", {"name": "ops", "dn": "OU=ops", "role_uids": [role]})
    assert cluster("DELETE", f"/v1/roles/{role}").status == 406
    assert cluster("DELETE", "/v1/ldap_mappings/1").status == 200
    cluster.clock.sleep(5)
    assert cluster("DELETE", f"/v1/roles/{role}").status == 200


@pytest.mark.parametrize("choice", ["403", "404"])
def test_a_limited_role_sees_its_databases_only(choice: str) -> None:
    cluster = Cluster(switches={"scoped_get": choice})
    for name in ("one", "two"):
        cluster("POST", "/v1/bdbs", {"name": name, "memory_size": 1 << 20})
    cluster.clock.sleep(60)
    body = {"name": "some", "management": "db_member", "resources": [{"type": "db", "uids": ["2"]}]}
    role = cluster("POST", "/v1/roles", body).json()["uid"]
    cluster("PUT", "/v1/users/2", {"role_uids": [role]})
    me = basic("dev", "hush-hush")
    assert [bdb["name"] for bdb in cluster.as_(me, "GET", "/v1/bdbs").json()] == ["two"]
    assert set(cluster.as_(me, "GET", "/v1/bdbs/stats/last").json()) == {"2"}
    assert set(cluster.as_(me, "GET", "/v1/bdbs/alerts").json()) == {"2"}
    assert {shard["bdb_uid"] for shard in cluster.as_(me, "GET", "/v1/shards").json()} <= {2, "2"}
    assert [str(cluster.as_(me, "GET", f"/v1/bdbs/{uid}").status) for uid in (1, 2)] == [choice, "200"]
    assert str(cluster.as_(me, "PUT", "/v1/bdbs/1", {"memory_size": 2 << 20}).status) == choice
    assert [bdb["name"] for bdb in cluster("GET", "/v1/bdbs").json()] == ["one", "two"]
