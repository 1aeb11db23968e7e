"""The control endpoint: what programs in any language use to spoil, watch and move a simulated cluster."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from reconciler.simulator.testing import Running, redis_enterprise, running  # noqa: F401


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(nodes=2, seed=3, control=True, time_scale=1) as started:
        yield started


@pytest.fixture
def control(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.control_url, trust_env=False, timeout=10) as client:
        yield client
        client.delete("/faults")
        client.delete("/log")


@pytest.fixture
def api(server: Running) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    login = (server.username, server.password)
    with httpx.Client(base_url=server.urls[0], auth=login, verify=context, trust_env=False, timeout=10) as client:
        yield client


def test_it_is_off_unless_asked_for(redis_enterprise: Running) -> None:  # noqa: F811
    assert redis_enterprise.control_url == ""


@pytest.mark.parametrize("redis_enterprise", [{"nodes": 3, "server_version": "7.22"}], indirect=True)
def test_the_fixture_takes_what_running_takes(redis_enterprise: Running) -> None:  # noqa: F811
    assert (len(redis_enterprise.urls), redis_enterprise.core.settings.server_version) == (3, "7.22")


def test_it_is_no_path_of_the_api(server: Running, api: httpx.Client) -> None:
    assert {api.get(path).status_code for path in ("/faults", "/log", "/openapi.json", "/snapshot")} == {404}


def test_it_says_what_it_can_do(server: Running, control: httpx.Client) -> None:
    about = control.get("/").json()
    assert about["cluster"] == "cluster.local"
    assert sorted(about["nodes"].values()) == sorted(server.urls)
    assert "POST /faults" in about["operations"]


def test_faults_are_added_counted_and_forgotten(control: httpx.Client, api: httpx.Client) -> None:
    made = control.post("/faults", json=[{"action": "503", "path": "^/v1/bdbs$", "times": 2, "retry_after": 3}])
    assert made.json()[0]["fired"] == 0
    answers = [api.get("/v1/bdbs") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "3"
    assert control.get("/faults").json()[0]["fired"] == 2
    assert control.delete("/faults").json() == control.get("/faults").json() == []


def test_the_log_can_be_read_from_where_one_stopped(control: httpx.Client, api: httpx.Client) -> None:
    first = control.get("/log").json()
    api.get("/v1/bdbs", params={"fields": "uid"})
    api.post("/v1/roles", json={"name": "logged", "management": "none"})
    since = str(max([0, *(entry["number"] for entry in first)]))
    entries = control.get("/log", params={"since": since}).json()
    assert [(one["method"], one["path"], one["status"], one["effect"]) for one in entries] == [
        ("GET", "/v1/bdbs", 200, False),
        ("POST", "/v1/roles", 200, True),
    ]
    assert "body" not in entries[1]
    assert len(entries[1]["sha256"]) == 64
    with_bodies = control.get("/log", params={"effect": "true", "path": "roles", "bodies": "true", "since": since})
    assert [json.loads(one["body"])["name"] for one in with_bodies.json()] == ["logged"]


def test_other_people_time_nodes_switches_and_content(
    server: Running, control: httpx.Client, api: httpx.Client
) -> None:
    body = {"name": "theirs", "memory_size": 1 << 30}
    made = control.post("/call", json={"method": "POST", "path": "/v1/bdbs", "body": body}).json()
    assert (made["status"], made["body"]["status"]) == (200, "pending")
    before = control.post("/clock", json={"advance": 0}).json()["now"]
    assert control.post("/clock", json={"advance": 60}).json()["now"] >= before + 60
    assert [bdb["status"] for bdb in api.get("/v1/bdbs").json()] == ["active"]
    assert [bdb["name"] for bdb in control.get("/snapshot").json()["/v1/bdbs"]] == ["theirs"]
    assert control.put("/nodes/2", json={"up": False}).json() == {"uid": 2, "up": False}
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.urls[1], verify=False, trust_env=False)
    assert control.put("/nodes/2", json={"up": True}).json() == {"uid": 2, "up": True}
    switched = control.put("/switches", json={"duplicate_bdb_names": "refuse"}).json()
    assert switched["duplicate_bdb_names"] == "refuse"
    assert api.post("/v1/bdbs", json=body).status_code == 409
    assert control.put("/switches", json={"duplicate_bdb_names": "allow"}).status_code == 200


NONSENSE: list[tuple[str, str, Any, int]] = [
    ("GET", "/nowhere", None, 404),
    ("GET", "/log?cluster=other", None, 404),
    ("GET", "/log?since=x", None, 400),
    ("GET", "/log?path=(", None, 400),
    ("POST", "/faults", {"action": "meteor"}, 400),
    ("POST", "/faults", ["503"], 400),
    ("POST", "/faults", [{"action": "503"}, {"action": "503", "path": "("}], 400),
    ("POST", "/clock", {"advance": -1}, 400),
    ("POST", "/call", {}, 400),
    ("PUT", "/nodes/9", {"up": True}, 400),
    ("PUT", "/switches", {"a": "b"}, 400),
    ("GET", "/openapi.json?version=6.4", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), NONSENSE)
def test_nonsense_is_refused_and_changes_nothing(
    control: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    answer = control.request(method, path, json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert control.get("/faults").json() == []


def test_broken_json_and_too_large_bodies_are_refused(control: httpx.Client) -> None:
    assert control.post("/faults", content=b"{").status_code == 400
    assert control.post("/faults", content=b" " * (2 << 20)).status_code == 400


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_web_pages_and_foreign_names_are_kept_out(control: httpx.Client, headers: dict[str, str]) -> None:
    assert control.get("/snapshot", headers=headers).status_code == 403


def test_as_a_process_it_says_where_it_is() -> None:
    command = [sys.executable, "-m", "reconciler.simulator", "--port", "0", "--control", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        about = json.loads(process.stdout.readline())
        assert httpx.get(f"{about['control']}/faults", trust_env=False).json() == []
        process.terminate()
    assert process.returncode == 0


def test_its_description_of_the_api_is_of_the_version_asked_for(control: httpx.Client) -> None:
    newest, older = (control.get("/openapi.json", params=query).json() for query in ({}, {"version": "7.4"}))
    assert newest["info"]["version"] == "8.2"
    assert len(older["paths"]) < len(newest["paths"])
    assert set(newest["paths"]["/v1/bdbs/{uid}"]) == {"get", "put", "delete"}
