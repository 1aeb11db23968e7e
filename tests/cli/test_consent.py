"""Impacts of an update that need consent: refused by the real command, consented to by flag or in git."""

from __future__ import annotations

import json

import pytest

from reconciler.simulator.testing import Running
from tests.cli.rig import Cli
from tests.cli.test_story import live, writes

OFF = "memory_size: 1GiB\n  data_persistence: disabled"
ON = "memory_size: 1GiB\n  data_persistence: aof"
HARM = "! may lose data: data_persistence (nothing is left on disk after a failure)"
NEEDS = "--allow-impact here:Database/sessions=may-lose-data"


@pytest.fixture
def durable(cli: Cli) -> Cli:
    """A database that is written to disk, and manifests that turn that off."""
    cli.edit("manifests/shop.yaml", "memory_size: 1GiB", ON)
    cli("apply", "--yes")
    cli.edit("manifests/shop.yaml", ON, OFF)
    return cli


def test_without_consent_nothing_is_written_and_the_error_names_what_to_add(durable: Cli, server: Running) -> None:
    before = writes(server)
    for command in (("plan",), ("plan", "--out", "plan.json"), ("apply", "--yes")):
        done = durable(*command, code=5)
        assert HARM in done.out
        assert "Plan: 0 to create, 1 to update, 0 to delete.\nImpact: 1 may lose data.\n" in done.out
        assert done.err.count(NEEDS) == 1
        assert "metadata.allow: [may-lose-data]" in done.err
    assert writes(server) == before
    assert not (durable.folder / "plan.json").exists()


def test_a_flag_agrees(durable: Cli, server: Running) -> None:
    assert "1 updated" in durable("apply", "--yes", *NEEDS.split()).out
    assert live(server, "/v1/bdbs", "sessions")["data_persistence"] == "disabled"


def test_a_flag_without_the_cluster_is_enough_where_there_is_one(durable: Cli) -> None:
    assert "1 updated" in durable("apply", "--yes", "--allow-impact", "Database/sessions=may-lose-data").out


def test_a_manifest_agrees_for_a_run_that_nobody_watches(durable: Cli) -> None:
    durable.edit("manifests/shop.yaml", "{name: sessions}", "{name: sessions, allow: [may-lose-data]}")
    assert "! consented to by its manifest: may-lose-data" in durable("plan").out
    assert "1 updated" in durable("apply", "--yes").out


def test_a_saved_plan_has_the_consent_of_the_flag_it_was_made_with(durable: Cli) -> None:
    durable("plan", "--out", "plan.json", *NEEDS.split())
    plan = json.loads((durable.folder / "plan.json").read_text())
    assert plan["changes"][0]["consents"] == [{"source": "flag", "to": "may-lose-data"}]
    assert "1 updated" in durable("apply", "plan.json", "--yes").out


def test_a_saved_plan_has_the_consent_of_the_manifest(durable: Cli) -> None:
    durable.edit("manifests/shop.yaml", "{name: sessions}", "{name: sessions, allow: [may-lose-data]}")
    durable("plan", "--out", "plan.json")
    done = durable("apply", "plan.json", "--yes")
    assert "\nPlan: 0 to create, 1 to update, 0 to delete.\nImpact: 1 may lose data.\n" in done.out
    assert "1 updated" in done.out


def test_json_counts_by_class(durable: Cli) -> None:
    plan = json.loads(durable("plan", "-o", "json", code=5).out)
    assert plan["impact"] == {"may-lose-data": 1}
    assert [one["field"] for change in plan["changes"] for one in change["impacts"]] == ["data_persistence"]


@pytest.mark.parametrize(
    ("size", "words"),
    [("900MiB", ()), ("2GiB", ()), ("1MiB", NEEDS.split()), ("0", ())],
)
def test_memory_is_measured_before_it_shrinks(applied: Cli, server: Running, size: str, words: tuple[str, ...]) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", f"memory_size: {size}")
    if words:
        assert NEEDS in applied("apply", "--yes", code=5).err
    assert "1 updated" in applied("apply", "--yes", *words).out
    asked = any(entry.path == "/v1/bdbs/stats/last" for entry in server.log)
    assert asked == (size in ("900MiB", "1MiB"))


def test_without_statistics_memory_that_shrinks_needs_consent(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 900MiB")
    server.faults.add("wrong_type", path="^/v1/bdbs/stats/last", times=100)
    assert NEEDS in applied("plan", code=5).err


def test_data_that_grew_makes_a_saved_plan_stale(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3MiB")
    applied("plan", "--out", "plan.json")
    record = next(iter(server.core.state.bdbs.values()))
    record.set(shard_list=[1, 2, 3, 4])  # more shards use more memory
    done = applied("apply", "plan.json", "--yes", code=5)
    assert "here:Database/sessions memory_size: was harmless, is may-lose-data" in done.err


@pytest.mark.parametrize("word", ["Database/sessions", "Database/sessions=drops-clients", "=may-lose-data", "x"])
def test_consent_names_an_address_and_a_class(cli: Cli, word: str) -> None:
    done = cli("plan", "--allow-impact", word, code=3)
    assert "is not ADDRESS=CLASS" in done.err
    assert "may-lose-data, loses-data, irreversible, may-cut-off" in done.err


def test_a_wildcard_agrees_to_nothing(durable: Cli) -> None:
    done = durable("plan", "--allow-impact", "Database/*=may-lose-data", code=3)
    assert "--allow-impact: Database/* matches no resource" in done.err


def test_a_class_that_needs_no_consent_or_is_misspelt_is_refused_in_a_manifest(cli: Cli) -> None:
    for word in ("drops-clients", "may-lose-date"):
        cli.edit("manifests/shop.yaml", "{name: sessions}", f"{{name: sessions, allow: [{word}]}}")
        assert "manifests/shop.yaml:21:" in cli("validate", code=3).err
        cli.edit("manifests/shop.yaml", f"{{name: sessions, allow: [{word}]}}", "{name: sessions}")


def test_a_consent_that_is_given_is_not_asked_for_in_what_is_shown(durable: Cli) -> None:
    shown = durable("plan", *NEEDS.split()).out
    assert "! consented to by flag: may-lose-data" in shown
    assert "needs --allow-impact" not in shown
    assert "needs --allow-impact" in durable("plan", code=5).out
