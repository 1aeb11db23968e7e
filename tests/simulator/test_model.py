"""A pure model of databases, users, roles and ACLs agrees with the server under any order of calls."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from reconciler.simulator.api.messages import Response
from reconciler.simulator.core import Core, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock

NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
ROLES = st.sampled_from(["none", "db_viewer", "admin"])
RULES = st.sampled_from(["+@read ~*", "+@all -@dangerous ~app:*", "nonsense!"])
BUSY = 60.0  # seconds after which every change is over
BUILTIN = range(1, 7)


class Cluster(RuleBasedStateMachine):
    """Calls in any order, each with the status that the model foretells."""

    roles, users, acls, bdbs = Bundle("roles"), Bundle("users"), Bundle("acls"), Bundle("bdbs")

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.call = Caller(Core(SimulatorSettings(nodes=3, access_delete_seconds=0), clock=self.clock, seed=1))
        self.schemas = {
            name: jsonschema.Draft7Validator(self.call("GET", "/v1/jsonschema", object=name).json())
            for name in ("bdb", "user", "role", "redis_acl")
        }
        self.role: dict[int, tuple[str, str]] = {}
        self.user: dict[int, list[int]] = {1: [1]}
        self.acl: dict[int, str] = {}
        self.bdb: dict[int, dict[str, Any]] = {}
        self.next = {"roles": 7, "users": 2, "redis_acls": 4, "bdbs": 1}

    def ask(self, status: int, method: str, path: str, body: Any = None, **query: str) -> Response:
        response = self.call(method, path, body, **query)
        assert response.status == status, (method, path, body, response.body)
        return response

    def made(self, path: str, response: Response) -> int:
        uid = response.json()["uid"]
        assert uid == self.next[path]
        self.next[path] += 1
        return int(uid)

    # Roles

    @rule(target=roles, name=NAMES, management=ROLES, dry=st.booleans())
    def create_role(self, name: str, management: str, dry: bool) -> Any:
        taken = name in [role[0] for role in self.role.values()]
        query = {"dry_run": "true"} if dry else {}
        body = {"name": name, "management": management}
        response = self.ask(409 if taken else 200, "POST", "/v1/roles", body, **query)
        if taken or dry:
            return multiple()
        uid = self.made("roles", response)
        self.role[uid] = (name, management)
        return uid

    @rule(uid=roles, name=NAMES)
    def rename_role(self, uid: int, name: str) -> None:
        taken = name in [role[0] for other, role in self.role.items() if other != uid]
        status = 404 if uid not in self.role else 409 if taken else 200
        self.ask(status, "PUT", f"/v1/roles/{uid}", {"name": name})
        if status == 200:
            self.role[uid] = (name, self.role[uid][1])

    @rule(uid=roles)
    def delete_role(self, uid: int) -> None:
        used = any(uid in held for held in self.user.values())
        status = 404 if uid not in self.role else 406 if used else 200
        self.ask(status, "DELETE", f"/v1/roles/{uid}")
        if status == 200:
            del self.role[uid]
            for bdb in self.bdb.values():
                bdb["bound"] = [pair for pair in bdb["bound"] if pair[0] != uid]

    @rule(uid=st.sampled_from(list(BUILTIN)), method=st.sampled_from(["PUT", "DELETE"]))
    def touch_built_in_role(self, uid: int, method: str) -> None:
        self.ask(406, method, f"/v1/roles/{uid}", {"name": "mine"} if method == "PUT" else None)

    # Users

    @rule(target=users, role=st.one_of(roles, st.sampled_from([1, 5])))
    def create_user(self, role: int) -> Any:
        uid = self.next["users"]
        body = {"name": f"u{uid}", "email": f"u{uid}@example.com", "password": "secret", "role_uids": [role]}
        known = role in self.role or role in BUILTIN
        response = self.ask(200 if known else 400, "POST", "/v1/users", body)
        if not known:
            return multiple()
        self.user[self.made("users", response)] = [role]
        return uid

    def admin_left(self, users: dict[int, list[int]]) -> bool:
        admin = {1, *(uid for uid, (_, management) in self.role.items() if management == "admin")}
        return any(admin & set(held) for held in users.values())

    @rule(uid=st.one_of(users, st.just(1)), role=st.one_of(roles, st.sampled_from([1, 5])))
    def give_role(self, uid: int, role: int) -> None:
        known = role in self.role or role in BUILTIN
        if uid not in self.user:
            status = 404
        elif not known:
            status = 400
        elif uid == 1 and role != 1:
            return  # the account of this test keeps its powers
        else:
            status = 200 if self.admin_left({**self.user, uid: [role]}) else 406
        self.ask(status, "PUT", f"/v1/users/{uid}", {"role_uids": [role]})
        if status == 200:
            self.user[uid] = [role]

    @rule(uid=consumes(users))
    def delete_user(self, uid: int) -> None:
        self.ask(200 if uid in self.user else 404, "DELETE", f"/v1/users/{uid}")
        self.user.pop(uid, None)

    @rule()
    def delete_the_account_in_use(self) -> None:
        self.ask(406, "DELETE", "/v1/users/1")

    # ACLs

    @rule(target=acls, name=NAMES, text=RULES)
    def create_acl(self, name: str, text: str) -> Any:
        taken = name in self.acl.values()
        wrong = "!" in text
        response = self.call("POST", "/v1/redis_acls", {"name": name, "acl": text})
        assert response.status in ({400, 409} if taken and wrong else {409} if taken else {400} if wrong else {200})
        if response.status != 200:
            return multiple()
        uid = self.made("redis_acls", response)
        self.acl[uid] = name
        return uid

    @rule(uid=acls)
    def delete_acl(self, uid: int) -> None:
        bound = any(pair[1] == uid for bdb in self.bdb.values() for pair in bdb["bound"])
        status = 404 if uid not in self.acl else 406 if bound else 200
        self.ask(status, "DELETE", f"/v1/redis_acls/{uid}")
        if status == 200:
            del self.acl[uid]

    # Databases

    @rule(target=bdbs, name=NAMES, gigabytes=st.integers(1, 3), replication=st.booleans(), dry=st.booleans())
    def create_bdb(self, name: str, gigabytes: int, replication: bool, dry: bool) -> Any:
        body = {"name": name, "memory_size": gigabytes << 30, "replication": replication}
        response = self.ask(200, "POST", "/v1/bdbs", body, **({"dry_run": "true"} if dry else {}))
        if dry:
            return multiple()
        uid = self.made("bdbs", response)
        self.bdb[uid] = {**body, "until": self.clock.now + BUSY, "bound": [], "going": False}
        return uid

    def refused(self, uid: int) -> int:
        """Return the status with which a change of the database is refused, 0 where it is not."""
        if uid not in self.bdb:
            return 404
        return 409 if self.clock.now < self.bdb[uid]["until"] else 0

    @rule(uid=bdbs, name=NAMES, gigabytes=st.integers(1, 3))
    def change_bdb(self, uid: int, name: str, gigabytes: int) -> None:
        values = {"name": name, "memory_size": gigabytes << 30}
        status = self.refused(uid) or 200
        self.ask(status, "PUT", f"/v1/bdbs/{uid}", values)
        if status == 200:
            self.bdb[uid].update(values, until=self.clock.now + BUSY)

    @rule(uid=bdbs, role=roles, acl=acls)
    def bind(self, uid: int, role: int, acl: int) -> None:
        if role not in self.role or acl not in self.acl:
            return
        status = self.refused(uid) or 200
        body = {"roles_permissions": [{"role_uid": role, "redis_acl_uid": acl}]}
        self.ask(status, "PUT", f"/v1/bdbs/{uid}", body)
        if status == 200:
            self.bdb[uid].update(bound=[(role, acl)], until=self.clock.now + BUSY)

    @rule(uid=bdbs)
    def delete_bdb(self, uid: int) -> None:
        status = self.refused(uid) or 200
        self.ask(status, "DELETE", f"/v1/bdbs/{uid}")
        if status == 200:
            self.bdb[uid].update(going=True, until=self.clock.now + BUSY)

    @rule()
    def wait(self) -> None:
        self.clock.sleep(BUSY)
        self.bdb = {uid: bdb for uid, bdb in self.bdb.items() if not bdb["going"]}

    # What holds at all times

    @invariant()
    def lists_agree(self) -> None:
        found = {path: {item["uid"]: item for item in self.call("GET", f"/v1/{path}").json()} for path in self.next}
        assert {uid: (item["name"], item["management"]) for uid, item in found["roles"].items() if uid > 6} == self.role
        assert {uid: item["role_uids"] for uid, item in found["users"].items()} == self.user
        assert {uid: item["name"] for uid, item in found["redis_acls"].items() if uid != 1} == self.acl
        shown = {uid: (item["name"], item["memory_size"]) for uid, item in found["bdbs"].items()}
        assert shown == {uid: (bdb["name"], bdb["memory_size"]) for uid, bdb in self.bdb.items()}
        for uid, item in found["bdbs"].items():
            busy = self.clock.now < self.bdb[uid]["until"]
            assert busy == item["status"].endswith("pending") == ("action_uid" in item)
            pairs = [(pair["role_uid"], pair["redis_acl_uid"]) for pair in item["roles_permissions"]]
            assert pairs == self.bdb[uid]["bound"]
        for path, kind in (("roles", "role"), ("users", "user"), ("redis_acls", "redis_acl"), ("bdbs", "bdb")):
            for item in found[path].values():
                self.schemas[kind].validate(item)
        assert [entry for entry in self.call.core.log if entry.status >= 500] == []


TestModel = Cluster.TestCase
TestModel.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
