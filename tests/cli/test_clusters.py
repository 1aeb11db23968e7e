"""One project over two clusters: names that lead from one to the other, and the order that follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import Cli, environment

PROJECT = """\
apiVersion: reconciler/v1
clusters:
  - name: east
    urls: [{east}]
    caCert: ca.pem
    username: {{valueFrom: {{env: REDIS_ENTERPRISE_USER}}}}
    password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
    manifests: [manifests]
  - name: west
    urls: [{west}]
    caCert: ca.pem
    username: {{valueFrom: {{env: REDIS_ENTERPRISE_USER}}}}
    password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
    manifests: [manifests]
"""
SOURCE = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: orders, cluster: west}
spec: {memory_size: 1GiB}
"""
COPY = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: a-copy, cluster: east}
spec:
  memory_size: 1GiB
  replica_sync: enabled
  replica_sources: [{database: %s, cluster: %s, compression: 3}]
"""


@pytest.fixture
def servers() -> Iterator[tuple[Running, Running]]:
    names = ({"cluster_name": "west.local"},)
    with running(username="admin@example.com", password=canary.LOGIN, seed=1, clusters=names) as east:
        yield east, east.peers[0]


@pytest.fixture
def cli(tmp_path: Path, servers: tuple[Running, Running]) -> Iterator[Cli]:
    folder = tmp_path / "project"
    folder.mkdir()
    cli = Cli(folder, environment())
    east, west = (", ".join(server.urls) for server in servers)
    cli.write("reconciler.yaml", PROJECT.format(east=east, west=west))
    cli.write("manifests/source.yaml", SOURCE)
    cli.write("manifests/copy.yaml", COPY % ("orders", "west"))
    (folder / "ca.pem").write_bytes(servers[0].ca_file.read_bytes())
    yield cli
    cli.stop()


def test_a_source_on_another_cluster_is_made_first_and_found_by_name(
    cli: Cli, servers: tuple[Running, Running]
) -> None:
    cli("apply", "--yes")
    assert "No changes." in cli("plan").out
    east, west = (Caller(server.core) for server in servers)
    copy = east("GET", "/v1/bdbs").json()[0]
    source = west("GET", "/v1/bdbs").json()[0]
    end = source["endpoints"][0]
    uri = f"redis://admin:{source['authentication_admin_pass']}@{end['dns_name']}:{end['port']}"
    assert [one["uri"] for one in copy["replica_sources"]] == [uri]
    assert copy["replica_sources"][0]["status"] == "in-sync"


def test_a_source_that_somebody_turned_elsewhere_is_a_difference(cli: Cli, servers: tuple[Running, Running]) -> None:
    cli("apply", "--yes")
    east = Caller(servers[0].core)
    east("PUT", "/v1/bdbs/1", {"replica_sources": [{"uri": "redis://admin:x@elsewhere.example.com:1234"}]})
    agreed = ("--allow-impact", "east:Database/a-copy=loses-data")
    plan = cli("plan", "--cluster", "east", "--cluster", "west", *agreed).out
    assert 'replica_sources[0].address      "elsewhere.example.com:1234" → ' in plan
    assert "admin:x" not in plan


def test_a_source_whose_cluster_takes_no_part_is_held(cli: Cli) -> None:
    done = cli("plan", "--cluster", "east")
    assert "Database/a-copy (held): refers to west:Database/orders, and west is not part of this run" in done.out


@pytest.mark.parametrize(
    ("database", "cluster", "said", "code"),
    [
        ("orders", "wset", 'unknown cluster "wset" (did you mean "west"?)', 3),
        ("order", "west", "Database 'order' is neither declared nor on cluster west (did you mean 'orders'?)", 4),
    ],
)
def test_a_source_that_is_nowhere_is_told_with_its_place(
    cli: Cli, database: str, cluster: str, said: str, code: int
) -> None:
    cli.write("manifests/copy.yaml", COPY % (database, cluster))
    done = cli("plan", code=code)
    assert said in done.err
    assert "manifests/copy.yaml:" in done.err
