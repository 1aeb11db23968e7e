"""Runs over three clusters of which one fails: the others are shown and changed, and nothing hides the failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import Cli, environment

PROJECT = """\
apiVersion: reconciler/v1
clusterDefaults:
  caCert: ca.pem
  username: {{valueFrom: {{env: REDIS_ENTERPRISE_USER}}}}
  password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
  manifests: [manifests]
clusters:
  - {{name: east, labels: {{env: prod}}, urls: [{east}]}}
  - {{name: west, labels: {{env: prod}}, urls: [{west}]{more}}}
"""
ROLE = """\
apiVersion: reconciler/v1
kind: Role
metadata: {name: app}
spec: {management: none}
"""
DATABASE = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: orders}
spec: {memory_size: 1GiB}
"""


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Running, Running]]:
    names = ({"cluster_name": "west.local"},)
    with running(username="admin@example.com", password=canary.LOGIN, seed=1, clusters=names) as east:
        yield east, east.peers[0]


@pytest.fixture
def servers(started: tuple[Running, Running]) -> tuple[Running, Running]:
    for server in started:
        server.core.faults.clear()
        call = Caller(server.core)
        for path in ("/v1/bdbs", "/v1/roles"):
            for one in call("GET", path).json():
                if one["name"] in ("orders", "app"):
                    call("DELETE", f"{path}/{one['uid']}")
    return started


@pytest.fixture
def cli(tmp_path: Path, servers: tuple[Running, Running]) -> Iterator[Cli]:
    cli = Cli(tmp_path / "project", environment())
    cli.folder.mkdir()
    project(cli, servers)
    cli.write("manifests/role.yaml", ROLE)
    (cli.folder / "ca.pem").write_bytes(servers[0].ca_file.read_bytes())
    yield cli
    cli.stop()


def project(cli: Cli, servers: tuple[Running, Running], west: str = "", more: str = "") -> None:
    east, other = (", ".join(server.urls) for server in servers)
    cli.write("reconciler.yaml", PROJECT.format(east=east, west=west or other, more=more))


CAUSES = {
    "down": {"west": "https://127.0.0.1:9"},
    "no CA": {"more": ", caCert: missing.pem"},
    "another CA": {"more": ", pin: '" + "a" * 64 + "'"},
    "no secret": {"more": ", password: {valueFrom: {env: NOT_SET}}"},
}


@pytest.mark.parametrize("cause", CAUSES)
def test_one_cluster_that_cannot_be_used_hides_nothing_of_the_others(
    cli: Cli, servers: tuple[Running, Running], cause: str
) -> None:
    project(cli, servers, **CAUSES[cause])
    planned = cli("plan", code=4)
    assert "+ east:Role/app" in planned.out
    assert "Plan: 1 to create, 0 to update, 0 to delete. 1 cluster failed." in planned.out
    (error,) = (line for line in planned.err.splitlines() if line.startswith("error: "))
    assert "west" in error
    assert "east" not in planned.err


def test_the_failure_is_in_every_form_of_a_plan(cli: Cli, servers: tuple[Running, Running]) -> None:
    project(cli, servers, **CAUSES["no secret"])
    found = json.loads(cli("plan", "-o", "json", "--out", "p.json", code=4).out)
    assert [(one["cluster"], one["error"]) for one in found["failures"]] == [("west", "SecretMissing")]
    assert found["clusters"] == ["east"]
    markdown = cli("plan", "-o", "markdown", code=4).out
    assert "**Not part of this plan**, since these clusters failed:\n\n- west: " in markdown


def test_a_saved_plan_applies_to_the_clusters_that_it_covers_and_says_so(
    cli: Cli, servers: tuple[Running, Running]
) -> None:
    project(cli, servers, **CAUSES["no secret"])
    saved = cli("plan", "--out", "p.json", code=4)
    assert "The saved plan does not cover west; plan again when the errors are resolved." in saved.err
    project(cli, servers)
    done = cli("apply", "p.json", "--yes")
    assert "p.json does not cover west, which failed when it was planned" in done.err
    assert "east:Role/app created" in done.err
    assert [one["name"] for one in Caller(servers[1].core)("GET", "/v1/roles").json()].count("app") == 0


def test_an_apply_changes_the_others_and_ends_as_partially_applied(cli: Cli, servers: tuple[Running, Running]) -> None:
    project(cli, servers, **CAUSES["no secret"])
    done = cli("apply", "--yes", code=6)
    assert "Apply incomplete: 1 created, 0 updated, 0 deleted; 1 cluster failed." in done.out
    assert "error: cluster west: environment variable NOT_SET: is not set" in done.err
    assert "No changes. 1 cluster failed." in cli("apply", "--yes", code=4).out


def test_a_saved_plan_of_both_is_applied_to_the_one_that_still_works(
    cli: Cli, servers: tuple[Running, Running]
) -> None:
    cli("plan", "--out", "p.json")
    project(cli, servers, **CAUSES["no secret"])
    done = cli("apply", "p.json", "--yes", code=6)
    assert "west:Role/app: not attempted" in done.out
    assert "Apply incomplete: 1 created, 0 updated, 0 deleted; 1 not attempted, 1 cluster failed." in done.out


def test_the_other_reading_commands_show_what_they_can(cli: Cli, servers: tuple[Running, Running]) -> None:
    cli.write("manifests/database.yaml", DATABASE)
    cli("apply", "--yes")
    east = Caller(servers[0].core)
    (database,) = (one for one in east("GET", "/v1/bdbs").json() if one["name"] == "orders")
    east("PUT", f"/v1/bdbs/{database['uid']}", {"memory_size": 2 << 30})
    project(cli, servers, **CAUSES["no secret"])
    error = "error: cluster west: environment variable NOT_SET: is not set"
    drift = cli("drift", code=4)
    assert "east:Database/orders" in drift.out
    assert error in drift.err
    failed = json.loads(cli("drift", "-o", "json", code=4).out)[-1]
    assert (failed["cluster"], failed["error"]) == ("west", "SecretMissing")
    outputs = cli("outputs", code=4)
    assert "east:orders" in outputs.out
    assert error in outputs.err
    assert json.loads(cli("outputs", "-o", "json", code=4).out)[-1]["cluster"] == "west"
    exported = cli("export", "Database", "--out", "live", code=4)
    assert exported.out == "live/east/database.yaml\n"
    assert error in exported.err
    accepted = cli("accept", "east:Database/orders", "-f", "manifests/database.yaml", code=None)
    assert error in accepted.err
    assert cli("snapshot", "--cluster", "east").out.startswith("{")


def test_options_that_name_nothing_are_errors_before_anything_is_asked(
    cli: Cli, servers: tuple[Running, Running]
) -> None:
    before = [len(server.core.log) for server in servers]
    flags = ("--allow-impact", "Role/ap=may-cut-off", "--resend-secret", "wset:Role/app", "--exclude", "Role/nobody")
    refused = cli("plan", *flags, code=3)
    assert "error: --allow-impact: Role/ap matches no resource (did you mean Role/app?)" in refused.err
    assert "error: --resend-secret: wset:Role/app matches no resource (did you mean west:Role/app?)" in refused.err
    assert "error: --exclude: Role/nobody matches no resource" in refused.err
    assert "--cluster: unknown cluster" in cli("drift", "--cluster", "eats", code=3).err
    assert [len(server.core.log) for server in servers] == before


def test_clusters_are_chosen_by_label_and_excluded_by_name(cli: Cli) -> None:
    assert "east:Role/app" not in cli("plan", "--cluster", "env=prod", "--exclude", "east").out
    both = cli("plan", "--cluster", "env=prod", "--resend-secret", "Role/app")
    assert "--resend-secret Role/app has no cluster and applies to east, west" in both.err
    assert "Valid: 1 resource for west." in cli("validate", "--exclude", "e*").out
    assert "excludes clusters only" in cli("drift", "--exclude", "Role/app", code=3).err
