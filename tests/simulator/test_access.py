"""Users, roles, ACLs and logins on the simulator, in process."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock, basic

USER = {"name": "dev", "email": "dev@example.com", "password": "hush-hush", "role_uids": [5]}
ROLE = {"name": "app", "management": "none"}
ACL = {"name": "app", "acl": "+@read ~app:*"}


class Cluster(Caller):
    """A core, its clock and its account; one user, role and ACL of its own."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        super().__init__(Core(SimulatorSettings(**settings), clock=self.clock, seed=7))
        self.made = {
            path: self("POST", path, body).json()
            for path, body in (("/v1/users", USER), ("/v1/roles", ROLE), ("/v1/redis_acls", ACL))
        }

    def login(self, name: str, password: str, path: str = "/v1/bdbs", method: str = "GET", body: bytes = b"") -> int:
        """Return the status of a call as somebody."""
        headers = {"authorization": basic(name, password), "content-type": "application/json"}
        return self.core.handle(Request(method, path, {}, headers, body)).status


def test_uids_go_on_after_the_built_ins() -> None:
    cluster = Cluster()
    assert [item["uid"] for item in cluster.made.values()] == [2, 7, 4]
    assert [role["management"] for role in cluster("GET", "/v1/roles").json()[:6]] == [
        "admin",
        "cluster_member",
        "cluster_viewer",
        "db_member",
        "db_viewer",
        "none",
    ]
    assert [acl["name"] for acl in cluster("GET", "/v1/redis_acls").json()] == ["Full Access", "app"]
    admin = cluster("GET", "/v1/users/1").json()
    assert (admin["role_uids"], admin["role"], admin["status"]) == ([1], "admin", "active")


def test_a_password_is_never_shown() -> None:
    cluster = Cluster()
    assert "hush" not in str(cluster.made) + str(cluster("GET", "/v1/users").json()) + str(cluster.core.snapshot())


REFUSED = [
    ("POST", "/v1/users", {**USER, "email": "x@example.com"}, 409, "name_already_exists"),
    ("POST", "/v1/users", {**USER, "name": "x"}, 409, "email_already_exists"),
    ("POST", "/v1/users", {"name": "x", "role_uids": [5]}, 400, "missing_field"),
    ("POST", "/v1/users", {"name": "x", "password": "p"}, 400, "missing_field"),
    ("POST", "/v1/users", {"name": "x", "password": "p", "role_uids": [99]}, 400, "invalid_param"),
    ("POST", "/v1/users", {"name": "x", "password": "p", "role_uids": []}, 400, "invalid_schema"),
    ("PUT", "/v1/users/2", {"email": "admin@example.com"}, 400, "email_already_exists"),
    ("PUT", "/v1/users/1", {"role_uids": [5]}, 406, "change_last_admin_role_not_allowed"),
    ("DELETE", "/v1/users/1", None, 406, "change_last_admin_role_not_allowed"),
    ("DELETE", "/v1/users/9", None, 404, "user_not_exist"),
    ("POST", "/v1/roles", ROLE, 409, "name_already_exists"),
    ("POST", "/v1/roles", {"name": "x"}, 400, "missing_field"),
    ("POST", "/v1/roles", {"name": "x", "management": "king"}, 400, "invalid_schema"),
    ("PUT", "/v1/roles/7", {"name": "Admin"}, 409, "name_already_exists"),
    ("PUT", "/v1/roles/1", {"name": "x"}, 406, "read_only_object"),
    ("DELETE", "/v1/roles/6", None, 406, "read_only_object"),
    ("GET", "/v1/roles/99", None, 404, "role_not_exist"),
    ("POST", "/v1/redis_acls", ACL, 409, "name_already_exists"),
    ("POST", "/v1/redis_acls", {"name": "x", "acl": "everything!"}, 400, "invalid_param"),
    ("POST", "/v1/redis_acls", {"name": "x"}, 400, "missing_field"),
    ("PUT", "/v1/redis_acls/1", {"acl": "+@all"}, 409, "read_only_object"),
    ("DELETE", "/v1/redis_acls/1", None, 409, "read_only_object"),
    ("DELETE", "/v1/redis_acls/two", None, 404, "redis_acl_not_exist"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED)
def test_what_is_wrong_is_refused_without_effect(method: str, path: str, body: Any, status: int, code: str) -> None:
    cluster = Cluster()
    before = cluster.core.snapshot()
    answer = cluster(method, path, body)
    assert (answer.status, answer.json()["error_code"]) == (status, code)
    assert cluster.core.snapshot() == before


def test_a_change_is_partial_and_a_role_loses_its_resources_when_they_are_left_out() -> None:
    cluster = Cluster()
    assert cluster("PUT", "/v1/users/2", {"name": "ops"}).json()["email"] == "dev@example.com"
    scoped = {"name": "team", "management": "db_member", "resources": [{"type": "db", "uids": ["1"]}]}
    uid = cluster("POST", "/v1/roles", scoped).json()["uid"]
    assert cluster("PUT", f"/v1/roles/{uid}", {"name": "x"}).json()["resources"] == []


@pytest.mark.parametrize("path", ["/v1/users/2", "/v1/roles/7", "/v1/redis_acls/4"])
def test_what_is_deleted_lingers_and_is_gone(path: str) -> None:
    cluster = Cluster()
    assert cluster("DELETE", path).json()["action_uid"]
    assert cluster("GET", path).status == 200
    cluster.clock.sleep(5)
    assert cluster("GET", path).status == 404


@pytest.mark.parametrize(
    ("switches", "path", "status", "left"),
    [
        ({}, "/v1/roles/7", 406, 1),
        ({"role_with_users": "cascade"}, "/v1/roles/7", 200, 0),
        ({"role_with_users": "cascade", "role_in_bdbs": "refuse"}, "/v1/roles/7", 406, 1),
        ({}, "/v1/redis_acls/4", 406, 1),
        ({"acl_in_use": "cascade"}, "/v1/redis_acls/4", 200, 0),
    ],
)
def test_what_is_in_use_is_kept_or_taken_out(switches: dict[str, str], path: str, status: int, left: int) -> None:
    cluster = Cluster(switches=switches)
    cluster("PUT", "/v1/users/2", {"role_uids": [5, 7]})
    bound = {"name": "a", "memory_size": 1, "roles_permissions": [{"role_uid": 7, "redis_acl_uid": 4}]}
    cluster("POST", "/v1/bdbs", bound)
    assert cluster("DELETE", path).status == status
    assert len(cluster("GET", "/v1/bdbs/1").json()["roles_permissions"]) == left


def test_five_bad_logins_lock_an_account_for_half_an_hour() -> None:
    cluster = Cluster()
    assert [cluster.login("dev", "wrong") for _ in range(4)] == [401] * 4
    assert cluster.login("dev", "hush-hush") == 200
    assert [cluster.login("dev@example.com", "wrong") for _ in range(5)] == [401] * 5
    assert cluster.login("dev", "hush-hush") == 401
    assert cluster("GET", "/v1/users/2").json()["status"] == "locked"
    cluster.clock.sleep(1801)
    assert cluster.login("dev", "hush-hush") == 200
    assert cluster("GET", "/v1/users/2").json()["status"] == "active"


def test_an_admin_unlocks_with_a_new_password() -> None:
    cluster = Cluster()
    for _ in range(5):
        cluster.login("dev", "wrong")
    cluster("PUT", "/v1/users/2", {"password": "new-one"})
    assert [cluster.login("dev", word) for word in ("new-one", "hush-hush")] == [200, 401]


def test_bad_logins_long_ago_do_not_count() -> None:
    cluster = Cluster()
    for _ in range(9):
        cluster.login("dev", "wrong")
        cluster.clock.sleep(300)
    assert cluster.login("dev", "hush-hush") == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/bdbs", b"", 200),
        ("GET", "/v1/users", b"", 403),
        ("GET", "/v1/users/2", b"", 200),
        ("PUT", "/v1/users/2", b'{"email_alerts": false}', 200),
        ("PUT", "/v1/users/2", b'{"role_uids": [1]}', 403),
        ("PUT", "/v1/users/1", b'{"email_alerts": false}', 403),
        ("DELETE", "/v1/users/2", b"", 403),
        ("POST", "/v1/bdbs", b'{"name": "a", "memory_size": 1}', 403),
        ("PUT", "/v1/cluster", b"{}", 403),
    ],
)
def test_a_viewer_may_look_and_edit_its_own_profile(method: str, path: str, body: bytes, status: int) -> None:
    assert Cluster().login("dev", "hush-hush", path, method, body) == status


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!", "Bearer x", "Basic eA==", basic("nobody", "x")])
def test_no_good_credentials_are_refused(header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = Cluster().core.handle(Request("GET", "/v1/bdbs", {}, headers))
    assert (answer.status, answer.json()["error_code"]) == (401, "invalid_credentials")
    assert "www-authenticate" in answer.headers
