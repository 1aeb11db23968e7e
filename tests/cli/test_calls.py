"""`plan --calls`: the requests of an apply, known in advance."""

from __future__ import annotations

import json
from typing import Any

from reconciler.plan import digest, from_json
from reconciler.simulator.testing import Running
from tests.cli.rig import Cli
from tests.cli.test_story import PLAN, writes


def calls(cli: Cli, *words: str) -> list[dict[str, Any]]:
    """Return the calls of a plan in order."""
    plan = json.loads(cli("plan", "--calls", "-o", "json", *words).out)
    return [call for change in plan["changes"] for call in change["calls"]]


def test_a_plan_shows_the_requests_that_an_apply_sends(cli: Cli, server: Running) -> None:
    announced = [f"{call['method']} {call['path']}" for call in calls(cli)]
    assert writes(server) == []
    cli("apply", "--yes", "--parallelism", "1")
    assert announced == writes(server)


def test_below_each_change_are_method_path_and_fields(cli: Cli) -> None:
    lines = cli("plan", "--calls").out.splitlines()
    assert "      > POST /v1/redis_acls: acl, name" in lines
    assert [line for line in lines if not line.startswith("      > ") and not line.startswith("        ")] == [
        line for line in PLAN.splitlines() if not line.startswith("        ")
    ]
    assert "      > POST /v1/redis_acls: acl, name" in cli("plan", "--calls", "-o", "markdown").out.splitlines()


def test_no_calls_without_the_flag(cli: Cli) -> None:
    assert cli("plan").out == PLAN
    assert all("calls" not in change for change in json.loads(cli("plan", "-o", "json").out)["changes"])


def test_an_update_names_the_object_and_the_fields_that_it_sends(applied: Cli) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    (call,) = calls(applied)
    assert (call["method"], call["fields"]) == ("PUT", ["memory_size"])
    assert call["path"].startswith("/v1/bdbs/")


def test_calls_are_no_part_of_a_saved_plan_nor_of_the_digest(cli: Cli, server: Running) -> None:
    cli("plan", "--out", "plain.json")
    shown = cli("plan", "--calls", "--out", "plan.json", "-o", "json").out
    assert (cli.folder / "plan.json").read_bytes() == (cli.folder / "plain.json").read_bytes()
    assert digest(from_json(shown.encode())) == json.loads(shown)["digest"]
    cli("apply", "plan.json", "--yes")
    assert len(writes(server)) == 4


def test_what_is_not_known_in_advance_is_said(applied: Cli) -> None:
    applied.edit("manifests/shop.yaml", "management: none", "management: db_viewer")
    line = "not known in advance: "
    assert f"      > {line}" in applied("plan", "--calls").out
    changes = json.loads(applied("plan", "--calls", "-o", "json").out)["changes"]
    assert [change["calls_unknown"].startswith(line) for change in changes] == [True]
