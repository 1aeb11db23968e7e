"""What is asked of a cluster to read it, and what happens to answers that make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler import live
from reconciler.api import endpoints
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Response
from reconciler.client import MalformedObject
from reconciler.errors import ReadIncomplete, Refused, Unreachable
from reconciler.model import Address, Level, LiveObject, Note, Reason
from reconciler.plan import Options
from reconciler.plan.read_set import ReadSet
from reconciler.render.reasons import note_text
from reconciler.simulator.testing import databases
from tests.support.cluster import SimulatedCluster
from tests.support.planning import make_plan
from tests.support.resources import KINDS, declared


def asked(cluster: SimulatedCluster) -> list[str]:
    return sorted(entry.path + (f"?{'&'.join(entry.query)}" if entry.query else "") for entry in cluster.log)


def shop() -> SimulatedCluster:
    """Return a cluster with three databases, an ACL and a role that one of them refers to."""
    found: dict[str, Any] = databases(3)
    found["/v1/redis_acls"] = [{"uid": 50, "name": "readers", "acl": "+@read ~*"}]
    admin = {"uid": 1, "name": "Admin", "management": "admin"}
    found["/v1/roles"] = [admin, {"uid": 60, "name": "app", "management": "none"}]
    found["/v1/bdbs"][0]["roles_permissions"] = [{"role_uid": 60, "redis_acl_uid": 50}]
    return SimulatedCluster(snapshot=found)


def test_one_list_call_a_kind_and_one_probe() -> None:
    cluster = shop()
    kinds = ("Database", "RedisACL", "Role", "User")
    state = live.read(cluster.client(), KINDS, ReadSet(dict.fromkeys(kinds)), "dc1")
    paths = ["/v1/bdbs/alerts", "/v1/bdbs?extended", "/v1/nodes", "/v1/redis_acls", "/v1/roles", "/v1/users"]
    assert asked(cluster) == paths
    assert {name: len(objects) > 0 for name, objects in state.objects.items()} == dict.fromkeys(kinds, True)


def test_the_probe_comes_first_and_alone() -> None:
    cluster = shop()
    live.read(cluster.client(), KINDS, ReadSet(dict.fromkeys(KINDS.keys() - {"ClusterBootstrap"})), "dc1")
    assert cluster.log[0].path == "/v1/nodes"


def test_whether_there_is_a_cluster_is_asked_before_anything_else() -> None:
    cluster = shop()
    live.read(cluster.client(), KINDS, ReadSet({"ClusterBootstrap": None, "Role": None}), "dc1")
    asked = [entry.path for entry in cluster.log]
    assert set(asked[: asked.index("/v1/nodes")]) == {"/v1/bootstrap", "/v1/cluster"}


def test_only_the_declared_fields_are_asked_for() -> None:
    cluster = shop()
    state = live.read(cluster.client(), KINDS, ReadSet({"Database": frozenset({"memory_size", "replication"})}), "dc1")
    query = cluster.log[-1].query
    assert set(query) == {"fields"}
    assert {"uid", "name", "status", "memory_size", "replication", "created_time"} <= set(query["fields"].split(","))
    assert len(query["fields"].split(",")) < 15
    assert asked(cluster) == ["/v1/bdbs?fields", "/v1/nodes"]
    assert all(item.spec.keys() <= {"memory_size", "replication", "port", "tags"} for item in state.objects["Database"])


def test_references_bring_the_names_of_their_kinds() -> None:
    cluster = shop()
    state = live.read(cluster.client(), KINDS, ReadSet({"Database": frozenset({"roles_permissions"})}), "dc1")
    assert asked(cluster) == ["/v1/bdbs?fields", "/v1/nodes", "/v1/redis_acls", "/v1/roles"]
    permissions = state.objects["Database"][0].spec["roles_permissions"]
    items = permissions.values() if isinstance(permissions, Mapping) else permissions
    assert [dict(item) for item in items] == [{"role": "app", "redis_acl": "readers"}]
    assert "readers" in [item.name for item in state.objects["RedisACL"]]


def test_extended_fields_are_asked_for_only_when_wanted() -> None:
    kind = KINDS["Database"]
    extended = hook_of(kind).extended
    assert extended
    assert endpoints.list_path(kind, extended).endswith("&extended=true")
    assert "extended" not in endpoints.list_path(kind, frozenset({"memory_size"}))
    assert endpoints.list_path(kind, None) == "/v1/bdbs?extended=true"


def test_objects_come_in_order_of_uid() -> None:
    cluster = SimulatedCluster(snapshot={"/v1/bdbs": list(reversed(databases(12)["/v1/bdbs"]))})
    state = live.read(cluster.client(), KINDS, ReadSet({"Database": frozenset()}), "dc1")
    assert [item.uid for item in state.objects["Database"]] == list(range(1, 13))


@pytest.mark.parametrize("path", ["bdbs", "roles", "redis_acls", "users"])
@pytest.mark.parametrize(
    ("fault", "error"), [("500", Unreachable), ("wrong_type", ReadIncomplete), ("truncate", ReadIncomplete)]
)
def test_a_list_that_cannot_be_read_whole_stops_everything(path: str, fault: str, error: type[Exception]) -> None:
    cluster = shop()
    cluster.faults.add(fault, path=path, times=100)
    with pytest.raises(error, match=path):
        live.read(cluster.client(), KINDS, ReadSet(dict.fromkeys(KINDS)), "dc1")


class Canned:
    """A client that answers from a table, for bodies that the simulator cannot be made to send."""

    state_id = 7
    user = "me@example.com"
    login_method = "password"

    def __init__(self, bodies: Mapping[str, Any]) -> None:
        self._bodies = bodies

    def open(self) -> Response:
        return self.get("/v1/nodes")

    def get(
        self, path: str, *, missing_ok: bool = False, shape: type | None = None, tolerant: bool = False
    ) -> Response:
        body = self._bodies.get(path.partition("?")[0], [])
        return Response(404 if body is None else 200, body, {})


def read_databases(bodies: list[Any]) -> tuple[LiveObject, ...]:
    client = Canned({"/v1/bdbs": bodies})
    return live.read(client, KINDS, ReadSet({"Database": frozenset({"memory_size"})}), "dc1").objects["Database"]


@pytest.mark.parametrize(
    "element", [None, 7, "bdb", [], {}, {"name": "a"}, {"uid": None}, {"uid": True}, {"uid": [1]}, {"uid": "é"}]
)
def test_an_element_without_a_usable_uid_stops_everything(element: Any) -> None:
    with pytest.raises(ReadIncomplete, match="is not an object with a uid"):
        read_databases([{"uid": 1, "name": "good"}, element])


@pytest.mark.parametrize(
    ("poison", "name"),
    [
        ({"name": "bad\ud800"}, "#2"),
        ({"name": None}, "#2"),
        ({"name": 5}, "#2"),
        ({}, "#2"),
        (MalformedObject({"name": "bad", "memory_size": "\udfff"}), "bad"),
    ],
)
def test_a_malformed_object_is_held_and_costs_only_itself(poison: dict[str, Any], name: str) -> None:
    poison["uid"] = 2
    good, bad, after = read_databases([{"uid": 1, "name": "a"}, poison, {"uid": 3, "name": "c"}])
    assert (good.name, after.name) == ("a", "c")
    assert good.owner == after.owner == ""
    assert bad.name == name
    assert bad.owner.startswith("something unreadable (")
    bad.owner.encode()


def test_nodes_of_different_versions_mean_hold() -> None:
    nodes = [{"software_version": "8.0.2-17"}, {"software_version": "7.22.0-95"}, "odd", {}]
    with pytest.raises(Refused, match=r"dc1: an upgrade is in progress \(nodes run 7.22.0-95, 8.0.2-17\)"):
        live.read(Canned({"/v1/nodes": nodes}), KINDS, ReadSet({}), "dc1")


def test_ports_in_use_and_reserved_ones_are_taken_but_not_of_what_came_up_since() -> None:
    client = Canned(
        {
            "/v1/cluster": {
                "reserved_ports": ["11000", "11010-11012", "x", "70000-90000"],
                "system_reserved_ports": [8443],
            },
            "/v1/bdbs": [
                {"uid": 1, "name": "db-1", "port": 12000, "endpoints": [{"port": 12000}]},
                {"uid": 2, "name": "db-2", "port": 0, "endpoints": [{"port": 12001}]},
                {"uid": 3, "name": "db-3", "port": 12002, "endpoints": [{"port": 12002}]},
            ],
        }
    )
    wanted = {"Database": frozenset({"memory_size"})}
    new, known = Address("dc1", "Database", "new"), Address("dc1", "Database", "db-1")
    state = live.read(client, KINDS, ReadSet(wanted, frozenset({new})), "dc1")
    assert state.taken_ports == {11000, 11010, 11011, 11012, 8443, 12000, 12001, 12002}
    assert live.read(client, KINDS, ReadSet(wanted, frozenset({known})), "dc1").taken_ports == frozenset()


@pytest.mark.parametrize("wire", [{}, {"name": None}, {"name": 5}])
def test_an_object_without_a_name_might_be_any_that_seems_to_be_missing(wire: dict[str, Any]) -> None:
    client = Canned({"/v1/bdbs": [{"uid": 1, "name": "a"}, {"uid": 2, **wire}, {"uid": 3, "name": ""}]})
    state = live.read(client, KINDS, ReadSet({"Database": frozenset({"memory_size"})}), "dc1")
    (note,) = state.notes
    assert (note.level, note.address) == (Level.HELD, ("dc1", "Database", ""))
    assert note_text(note).startswith("uid 2 has no name that can be read")
    new = declared("Database", "b", {"memory_size": "1GiB"})
    plan = make_plan(KINDS, [new], {"dc1": state}, {}, Options(), {})
    assert plan.changes == ()
    assert Note(Level.HELD, new.address, Reason.KIND_UNREADABLE) in plan.notes


def test_of_a_kind_that_does_not_narrow_only_what_is_wanted_is_kept() -> None:
    user = {"uid": 5, "name": "ana", "email": "ana@example.com", "role_uids": [1], "email_alerts": True}
    client = Canned({"/v1/users": [user], "/v1/roles": [{"uid": 1, "name": "app"}]})
    assert not hook_of(KINDS["User"]).narrows
    assert live.read(client, KINDS, ReadSet({"User": frozenset()}), "dc1").objects["User"][0].spec.keys() <= {"email"}
    assert live.read(client, KINDS, ReadSet({"User": None}), "dc1").objects["User"][0].spec["roles"] == ["app"]


@pytest.mark.parametrize("field", ["name", "email"])
def test_the_account_that_we_log_in_with_is_not_ours_to_change(field: str) -> None:
    user = {"uid": 5, "name": "ops", "email": "ops@example.com", field: Canned.user}
    other = {"uid": 6, "name": "other", "email": "other@example.com"}
    state = live.read(Canned({"/v1/users": [user, other]}), KINDS, ReadSet({"User": frozenset()}), "dc1")
    assert [bool(one.owner) for one in state.objects["User"]] == [True, False]
