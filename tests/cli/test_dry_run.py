"""`plan --server-dry-run`: the clusters are asked, nothing is stored, and objections end with 4."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Running, running
from tests.cli import canary
from tests.cli.rig import PROJECT, SHOP, Cli, environment

BAD = """\
---
apiVersion: reconciler/v1
kind: RedisACL
metadata: {name: bad}
spec: {acl: "~* nonsense"}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: huge}
spec: {memory_size: 1GiB, sharding: true, shards_count: 40}
"""
OBJECTIONS = """\
  ! RedisACL/bad: the cluster would reject this: 400 invalid_param: acl is not a list of ACL rules
  ! Database/huge: the cluster would reject this: 406 insufficient_resources: the licence does not
    allow so many shards
"""


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A cluster with a small licence; of another version where a test asks for one."""
    version = getattr(request, "param", "8.2")
    login = {"username": "admin@example.com", "password": canary.LOGIN}
    with running(nodes=1, seed=1, shards_limit=8, server_version=version, **login) as server:
        yield server


@pytest.fixture
def cli(tmp_path: Path, server: Running) -> Iterator[Cli]:
    folder = tmp_path / "project"
    folder.mkdir()
    cli = Cli(folder, environment())
    cli.write("reconciler.yaml", PROJECT.format(urls=server.urls[0]))
    cli.write("manifests/shop.yaml", SHOP)
    (folder / "ca.pem").write_bytes(server.ca_file.read_bytes())
    yield cli
    cli.stop()


def sent(server: Running) -> list[str]:
    """Return what was sent beside GETs; none of it with any effect."""
    assert [entry for entry in server.log if entry.effect] == []
    return sorted(f"{entry.method} {entry.path} {dict(entry.query)}" for entry in server.log if entry.method != "GET")


DRY = [f"POST {path} {{'dry_run': 'true'}}" for path in ("/v1/bdbs", "/v1/redis_acls", "/v1/roles")]


def test_the_clusters_are_asked_and_what_could_not_be_asked_is_counted(cli: Cli, server: Running) -> None:
    done = cli("plan", "--server-dry-run")
    assert done.out == cli("plan").out
    assert done.err == (
        "dry run: 1 of 4 could not be validated: they refer to objects that this plan creates first\n"
        "dry run: 3 of 4 validated; no objections\n"
    )
    assert sent(server) == DRY


def test_objections_are_shown_with_their_changes_and_end_with_4(cli: Cli, server: Running) -> None:
    cli.write("manifests/bad.yaml", BAD)
    done = cli("plan", "--server-dry-run", "--detailed-exitcode", code=4)
    assert OBJECTIONS in done.out
    assert done.out.endswith("Plan: 6 to create, 0 to update, 0 to delete.\n")
    assert done.err.endswith("dry run: 5 of 6 validated; the clusters reject 2\n")
    assert len(sent(server)) == 5
    cli("plan", "--detailed-exitcode", code=2)


def test_a_ci_job_asks_by_itself_unless_told_not_to(cli: Cli, server: Running) -> None:
    cli.write("manifests/bad.yaml", BAD)
    cli("plan", "--no-server-dry-run", CI="true")
    cli("plan", CI="false")
    assert sent(server) == []
    cli("plan", CI="true", code=4)
    assert len(sent(server)) == 5


def test_a_plan_with_objections_is_saved_and_its_digest_is_that_of_the_work(cli: Cli) -> None:
    cli.write("manifests/bad.yaml", BAD)
    cli("plan", "--out", "plain.json")
    cli("plan", "--server-dry-run", "--out", "asked.json", "-o", "json", code=4)
    plain, asked = (json.loads((cli.folder / name).read_text()) for name in ("plain.json", "asked.json"))
    assert [note["level"] for note in asked["notes"]] == ["objection", "objection"]
    assert asked["digest"] == plain["digest"]
    assert "objection" in cli("plan", "--server-dry-run", "-o", "markdown", code=4).out
    done = cli("apply", "asked.json", "--yes", code=6)
    assert "Apply incomplete: 4 created, 0 updated, 0 deleted; 2 failed." in done.out


def test_help_says_what_is_sent(bare: Cli) -> None:
    text = " ".join(bare("plan", "--help").out.split())
    assert "Sends only GETs. With --server-dry-run, also sends each create, update and replacement with dry_run" in text


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["7.4", "7.8", "7.22", "8.0", "8.2"], indirect=True)
def test_the_shop_goes_all_the_way_under_every_version(cli: Cli, server: Running) -> None:
    cli("plan", "--server-dry-run")
    assert all("dry_run" in text for text in sent(server))
    assert cli("apply", "--yes").out.endswith("Apply complete! 4 created, 0 updated, 0 deleted.\n")
    assert cli("plan", "--server-dry-run").out == "No changes.\n"
    cli("export", "--out", "mine")
    assert cli("plan", "-f", "mine").out.endswith("No changes.\n")


@pytest.mark.parametrize("server", ["7.4", "7.8"], indirect=True)
def test_a_field_that_is_too_new_is_told_with_its_place_before_anything_is_sent(cli: Cli, server: Running) -> None:
    cli.edit("manifests/shop.yaml", "  memory_size: 1GiB\n", "  memory_size: 1GiB\n  maxclients: 100\n")
    cli("validate")
    for words in (["plan"], ["plan", "--server-dry-run"], ["apply", "--yes"], ["drift"]):
        done = cli(*words, code=3)
        line = next(line for line in done.err.splitlines() if "maxclients" in line)
        assert (
            "manifests/shop.yaml:24:3: spec.maxclients: here:Database/sessions: requires version 7.22 or later;" in line
        )
        assert "the cluster runs 7." in line
    assert sent(server) == []
