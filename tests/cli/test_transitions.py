"""The real command over TLS: objects in transition, creates that failed, objects that were renamed by hand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import PROJECT, Cli, environment, wait_for

DATABASE = "apiVersion: reconciler/v1\nkind: Database\nmetadata: {name: orders}\nspec: {memory_size: 200MiB}\n"


@pytest.fixture
def server() -> Iterator[Running]:
    with running(username="admin@example.com", password=canary.LOGIN, seed=1) as server:
        yield server


@pytest.fixture
def cli(tmp_path: Path, server: Running) -> Iterator[Cli]:
    cli = Cli(tmp_path, environment())
    cli.write("reconciler.yaml", PROJECT.format(urls=", ".join(server.urls)))
    cli.write("manifests/orders.yaml", DATABASE)
    (tmp_path / "ca.pem").write_bytes(server.ca_file.read_bytes())
    yield cli
    cli.stop()


def statuses(server: Running) -> list[str]:
    return [one["status"] for one in Caller(server.core)("GET", "/v1/bdbs").json()]


def test_a_database_that_stays_pending_is_reported_and_waited_for(cli: Cli, server: Running) -> None:
    server.faults.add("stuck", method="POST", path="^/v1/bdbs$")
    assert Caller(server.core)("POST", "/v1/bdbs", {"name": "orders", "memory_size": 209715200}).status == 200
    planned = cli("plan", "--detailed-exitcode", code=2)
    assert "in progress: the cluster reports pending" in planned.out
    assert "No changes" not in planned.out
    assert "the cluster reports pending" in cli("drift", code=2).out
    assert "Database/orders is pending" in cli("outputs").err
    waiting = cli.start("apply", "--yes")
    assert waiting.stderr is not None
    seen = b""
    while b"waiting for" not in seen:
        seen = waiting.stderr.readline()
        assert seen, "it ended without waiting"
    assert b"waiting for what is in progress: here:Database/orders (pending)" in seen
    server.core.state.bdbs[1].set(status="active")
    server.core.state.bdbs.version += 1
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, statuses(server)) == (0, ["active"]), (out, err)


def test_the_advice_after_a_failed_create_creates_it(cli: Cli, server: Running) -> None:
    server.faults.add("fail", method="POST", path="^/v1/bdbs$")
    failed = cli("apply", "--yes", code=4)
    assert statuses(server) == ["creation-failed"]
    assert "--replace Database/orders" in cli("plan").out.replace("\n   ", "").replace("here:", "")
    (advice,) = [line for line in failed.out.splitlines() if line.startswith("To go on: ")]
    cli(*shlex.split(advice.removeprefix("To go on: reconciler ")))
    assert statuses(server) == ["active"]
    assert cli("plan").out.endswith("No changes.\n")


def test_a_database_that_was_renamed_by_hand_gets_no_empty_duplicate(cli: Cli, server: Running) -> None:
    cli("apply", "--yes")
    assert Caller(server.core)("PUT", "/v1/bdbs/1", {"name": "orders-keep"}).status == 200
    assert "now called orders-keep" in cli("apply", "--yes", code=6).out
    assert "now called orders-keep" in cli("drift", code=2).out
    assert [one["name"] for one in Caller(server.core)("GET", "/v1/bdbs").json()] == ["orders-keep"]
    cli.edit("manifests/orders.yaml", "{name: orders}", "{name: orders, renamedFrom: orders-keep}")
    cli("apply", "--yes")
    assert [one["name"] for one in Caller(server.core)("GET", "/v1/bdbs").json()] == ["orders"]


def test_a_database_that_was_created_again_by_hand_is_adopted_on_request(cli: Cli, server: Running) -> None:
    cli("apply", "--yes")
    call = Caller(server.core)
    call("DELETE", "/v1/bdbs/1")
    wait_for(lambda: call("GET", "/v1/bdbs").json() == [], "the deletion")
    assert call("POST", "/v1/bdbs", {"name": "orders", "memory_size": 104857600}).status == 200
    wait_for(lambda: statuses(server) == ["active"], "the creation")
    assert "uid 2 now, and uid 1, which is owned" in " ".join(cli("plan").out.split())
    cli("apply", "--yes", code=6)
    cli("apply", "--yes", "--adopt", "Database/orders", "--max-update-percent", "100")
    (one,) = call("GET", "/v1/bdbs").json()
    assert (one["uid"], one["memory_size"]) == (2, 209715200)
    assert json.loads(cli("plan", "-o", "json").out)["changes"] == []
