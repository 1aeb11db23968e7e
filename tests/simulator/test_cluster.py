"""Nodes, versions, routes, snapshots, and faults that need no socket."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from reconciler.simulator.api.routes import HANDLERS, VERSIONS, Endpoint, is_enabled, routes
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.data.tables import table
from reconciler.simulator.settings import SWITCHES
from reconciler.simulator.testing import Caller, VirtualClock, databases


def cluster(snapshot: Any = None, **settings: Any) -> Caller:
    return Caller(Core(SimulatorSettings(**settings), clock=VirtualClock(), seed=7, snapshot=snapshot))


def raw(caller: Caller, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.core.handle(Request(method, path, {}, {**caller.headers, **named}, body))


SERVED = [(version, endpoint) for version in VERSIONS for endpoint in routes(version).endpoints]


def test_each_handler_belongs_to_an_operation_of_the_table() -> None:
    assert set(HANDLERS) <= {f"{row['method']} {row['path']}" for row in table("endpoints")}


@pytest.mark.parametrize(("version", "endpoint"), SERVED, ids=lambda item: " ".join(item[:2]) if item[2:] else item)
def test_each_operation_is_served(version: str, endpoint: Endpoint) -> None:
    if not is_enabled(endpoint.row, SimulatorSettings(server_version=version)):
        return
    caller = cluster(server_version=version)
    caller("POST", "/v1/bdbs", {"name": "a", "memory_size": 1})
    path = endpoint.path.replace("{action}", endpoint.row.get("among", ["1"])[0])
    path = re.sub(r"{\w+}", "1", path)
    answer = caller(endpoint.method, path, {} if "body" in endpoint.row else None)
    assert answer.status in {*endpoint.row["statuses"], 400, 404}
    assert answer.status not in (405, 500, 501)
    assert "allow" in caller("OPTIONS", path).headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/bdbs/1/2", 404),
        ("PATCH", "/v1/bdbs/1", 405),
        ("POST", "/v1/bdbs/1", 405),
        ("DELETE", "/v1/bdbs", 405),
        ("GET", "/v1/bdbs/one", 404),
        ("GET", "/v1/nodes/99", 404),
    ],
)
def test_unknown_paths_and_methods_are_refused(method: str, path: str, status: int) -> None:
    answer = cluster()(method, path)
    assert answer.status == status
    assert set(answer.json()) == {"error_code", "description"}
    assert ("allow" in answer.headers) == (status == 405)


BODIES = [
    (b"{", {}, 400),
    (b"[]", {}, 400),
    (b"NaN", {}, 400),
    (b'{"name": "\\ud800", "memory_size": 1}', {}, 400),
    (b'{"memory_size": ' + b"9" * 5000 + b', "name": "a"}', {}, 400),
    (b"[" * 200_000, {}, 400),
    (b"\xff\xfe\x00", {}, 400),
    (b"", {}, 406),
    (b'{"name": "a", "memory_size": 1}', {"content_type": "text/plain"}, 400),
    (b'{"name": "a", "memory_size": 1}', {"content_type": ""}, 400),
    (b'{"name": "a", "memory_size": 1}', {"content_type": "application/json; charset=utf-8"}, 200),
    (b'{"name": "a", "memory_size": 1}', {"x_api_version": "9"}, 505),
]


@pytest.mark.parametrize(("body", "headers", "status"), BODIES, ids=range(len(BODIES)))
def test_bad_bodies_and_headers_are_refused(body: bytes, headers: dict[str, str], status: int) -> None:
    assert raw(cluster(), "POST", "/v1/bdbs", body, **headers).status == status


def test_a_node_outside_the_cluster_answers_503_and_says_so() -> None:
    caller = cluster(nodes=2, outside=1)
    caller.node = 3
    refused = caller("GET", "/v1/bdbs")
    assert (refused.status, refused.json()["error_code"]) == (503, "no_cluster")
    assert "not a member" in refused.json()["description"]
    assert caller("GET", "/v1/bootstrap").json()["bootstrap_status"] == {"state": "idle"}
    caller.node = 2
    assert caller("GET", "/v1/bootstrap").json()["bootstrap_status"]["state"] == "completed"


def test_a_node_that_is_down_refuses_and_another_becomes_primary() -> None:
    caller = cluster()
    caller.core.set_node(1, up=False)
    with pytest.raises(ConnectionRefusedError):
        caller("GET", "/v1/bdbs")
    caller.node = 2
    status = caller("GET", "/v1/nodes/status").json()
    assert [(item["role"], item["node_status"]) for item in status.values()][:2] == [
        ("slave", "down"),
        ("master", "active"),
    ]
    caller.core.set_node(1, up=True)
    caller.node = 1
    assert caller("GET", "/v1/bdbs").status == 200


def test_secondaries_pass_calls_on_or_send_them_away() -> None:
    caller = cluster()
    caller.node = 2
    assert caller("GET", "/v1/bdbs").status == 200
    caller.core.settings.handle_redirects = False
    away = caller("GET", "/v1/bdbs", fields="uid")
    assert (away.status, away.headers["location"]) == (307, caller.core.urls[1] + "/v1/bdbs?fields=uid")


def test_the_cluster_can_be_changed_in_part() -> None:
    caller = cluster()
    alerts = {"cluster_license_about_to_expire": {"enabled": True, "threshold": "30"}}
    changed = caller("PUT", "/v1/cluster", {"email_alerts": True, "alert_settings": alerts}).json()
    assert changed["email_alerts"] is True
    assert len(changed["alert_settings"]) > 1
    assert caller("PUT", "/v1/cluster", {"email_alerts": "yes"}).status == 400
    assert caller("PUT", "/v1/cluster", {"nonsense": 1}).status == 400


def test_a_snapshot_starts_a_twin_and_unknown_fields_are_kept() -> None:
    first = cluster(snapshot=databases(3))
    first("POST", "/v1/roles", {"name": "app", "management": "none"})
    saved = json.loads(json.dumps(first.core.snapshot()))
    saved["/v1/bdbs"][0]["from_the_future"] = {"a": [1]}
    saved["/v1/nowhere"] = {"kept": True}
    twin = cluster(snapshot=saved)
    assert twin.core.snapshot() == saved
    assert twin("GET", "/v1/bdbs/1").json()["from_the_future"] == {"a": [1]}
    assert [bdb["name"] for bdb in twin("GET", "/v1/bdbs").json()] == ["db-00001", "db-00002", "db-00003"]
    assert twin("POST", "/v1/roles", {"name": "next", "management": "none"}).json()["uid"] == 8
    assert twin("POST", "/v1/bdbs", {"name": "next", "memory_size": 1}).json()["uid"] == 4
    assert twin("PUT", "/v1/roles/1", {"name": "x"}).status == 406


def test_a_sparse_snapshot_can_be_changed() -> None:
    sparse = {"/v1/bdbs": [{"uid": 5, "name": "a", "status": "active-change-pending"}], "/v1/users": []}
    caller = cluster(snapshot=sparse)
    assert caller("PUT", "/v1/bdbs/5", {"name": "b", "shards_count": 1}).status == 200
    caller.core.state.clock.sleep(10)  # type: ignore[attr-defined]
    assert caller("GET", "/v1/bdbs/5").json()["endpoints"]
    assert caller("DELETE", "/v1/bdbs/5").status == 200


def test_the_log_tells_what_was_asked_and_by_whom() -> None:
    caller = cluster()
    caller("POST", "/v1/bdbs", {"name": "a", "memory_size": 1})
    caller("GET", "/v1/bdbs", fields="uid")
    post, get = caller.core.log
    assert (post.number, post.status, post.effect, post.user) == (1, 200, True, caller.core.settings.username)
    assert json.loads(post.body) == {"name": "a", "memory_size": 1}
    assert len(post.sha256) == 64
    assert (get.path, get.query, get.effect) == ("/v1/bdbs", {"fields": "uid"}, False)


def test_a_foreign_hand_leaves_no_trace_in_the_log() -> None:
    caller = cluster()
    assert caller.core.call("POST", "/v1/bdbs", {"name": "a", "memory_size": 1}).status == 200
    assert caller.core.call("POST", "/v1/bdbs", {}).status == 406
    assert list(caller.core.log) == []


def test_switches_have_a_default_among_their_choices_and_a_reason() -> None:
    assert [name for name, item in SWITCHES.items() if item.default not in item.choices or not item.reason] == []
    with pytest.raises(ValueError, match="unknown switch"):
        SimulatorSettings(switches={"duplicate_bdb_names": "maybe"})
