"""The real command over TLS: one manifest, an Active-Active database on two clusters, then on three, then on none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import Cli, environment

NAMES = ("east", "west", "north")
PROJECT = "apiVersion: reconciler/v1\nclusters:\n"
CLUSTER = """\
  - name: {name}
    urls: [{urls}]
    caCert: ca.pem
    username: {{valueFrom: {{env: REDIS_ENTERPRISE_USER}}}}
    password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
    manifests: [manifests]
"""
CARTS = """\
apiVersion: reconciler/v1
kind: ActiveActiveDatabase
metadata: {{name: carts{metadata}}}
spec:
  default_db_config: {{memory_size: {size}}}
  instances:
"""
INSTANCE = """\
    - cluster: {name}
      credentials: {{username: admin@example.com, password: {{valueFrom: {{env: PEER_PASSWORD}}}}}}
"""
ACCESS = """\
      roles_permissions: [{role: app, redis_acl: app-keys}]
---
apiVersion: reconciler/v1
kind: Role
metadata: {name: app, cluster: west}
spec: {management: none}
---
apiVersion: reconciler/v1
kind: RedisACL
metadata: {name: app-keys, cluster: west}
spec: {acl: +@read ~app:*}
"""


@pytest.fixture
def servers() -> Iterator[list[Running]]:
    others = tuple({"cluster_name": f"{name}.local"} for name in NAMES[1:])
    with running(username="admin@example.com", password=canary.LOGIN, seed=1, clusters=others) as first:
        yield [first, *first.peers]


@pytest.fixture
def cli(tmp_path: Path, servers: list[Running]) -> Iterator[Cli]:
    folder = tmp_path / "project"
    folder.mkdir()
    cli = Cli(folder, {**environment(), "PEER_PASSWORD": canary.LOGIN})
    places = zip(NAMES, servers, strict=True)
    project = [CLUSTER.format(name=name, urls=", ".join(server.urls)) for name, server in places]
    cli.write("reconciler.yaml", PROJECT + "".join(project))
    (folder / "ca.pem").write_bytes(servers[0].ca_file.read_bytes())
    yield cli
    cli.stop()


def declare(cli: Cli, *names: str, size: str = "1GiB", metadata: str = "", more: str = "") -> None:
    instances = "".join(INSTANCE.format(name=name) for name in names)
    cli.write("manifests/carts.yaml", CARTS.format(size=size, metadata=metadata) + instances + more)


def members(servers: list[Running]) -> list[str]:
    """Return the clusters that have an instance."""
    found = zip(NAMES, servers, strict=True)
    return [name for name, server in found if Caller(server.core)("GET", "/v1/crdbs").json()]


def test_it_comes_widens_narrows_and_goes(cli: Cli, servers: list[Running]) -> None:
    declare(cli, "east", "west", more=ACCESS)
    assert "Plan: 3 to create, 0 to update, 0 to delete." in cli("plan").out
    cli("apply", "--yes")
    assert "No changes." in cli("plan").out
    assert members(servers) == ["east", "west"]
    assert cli("drift").out.startswith("No drift")

    exported = cli("export", "ActiveActiveDatabase", "Database")
    assert exported.out.count("kind: ActiveActiveDatabase") == 1
    assert "kind: Database" not in exported.out

    declare(cli, "east", "west", "north", size="2GiB")
    cli("apply", "--yes")
    assert members(servers) == ["east", "west", "north"]

    declare(cli, "east", "north", size="2GiB")
    refused = cli("apply", "--yes", code=5)
    assert (
        "update east:ActiveActiveDatabase/carts (removed from west, with its data there), which loses data"
        in refused.err
    )
    cli("apply", "--yes", "--allow-destroy", "east:ActiveActiveDatabase/carts")
    assert members(servers) == ["east", "north"]
    assert "No changes." in cli("plan").out

    cli.write(
        "manifests/carts.yaml",
        "apiVersion: reconciler/v1\nkind: ActiveActiveDatabase\n"
        "metadata: {name: carts, cluster: east, state: absent}\n",
    )
    cli("apply", "--yes", code=5)
    cli("apply", "--yes", "--allow-destroy", "east:ActiveActiveDatabase/carts")
    assert members(servers) == []


def test_it_is_held_while_one_of_its_clusters_takes_no_part(cli: Cli) -> None:
    declare(cli, "east", "west")
    held = "ActiveActiveDatabase/carts (held): spans several clusters; west is not part of this run"
    assert held in " ".join(cli("plan", "--cluster", "east").out.split())
    assert "No changes." in cli("plan", "--cluster", "west").out


def test_a_saved_plan_does_what_it_says(cli: Cli, servers: list[Running]) -> None:
    declare(cli, "east", "west")
    cli("plan", "--out", "plan.json")
    cli("apply", "plan.json", "--yes")
    assert members(servers) == ["east", "west"]
    assert "No changes." in cli("plan").out
