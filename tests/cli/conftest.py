"""Folders and clusters for the command line: the simulator over real TLS, a project that points at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Running, running
from tests.cli import canary
from tests.cli.rig import PROJECT, SHOP, Cli, environment


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Cli]:
    """A folder with nothing in it, and no cluster."""
    cli = Cli(tmp_path / "bare", environment())
    cli.folder.mkdir()
    yield cli
    cli.stop()


@pytest.fixture
def server() -> Iterator[Running]:
    """A cluster of two nodes, and one node outside of it."""
    with running(nodes=2, outside=1, username="admin@example.com", password=canary.LOGIN, seed=1) as server:
        yield server


@pytest.fixture
def cli(tmp_path: Path, server: Running) -> Iterator[Cli]:
    """A project with one cluster, which runs, and the shop's manifests; nothing applied yet."""
    yield from _project(tmp_path / "project", server)


def _project(folder: Path, server: Running) -> Iterator[Cli]:
    folder.mkdir()
    cli = Cli(folder, environment())
    outside_first = (server.urls[-1], *server.urls[:-1])
    cli.write("reconciler.yaml", PROJECT.format(urls=", ".join(outside_first)))
    cli.write("manifests/shop.yaml", SHOP)
    (folder / "ca.pem").write_bytes(server.ca_file.read_bytes())
    yield cli
    cli.stop()


@pytest.fixture
def applied(cli: Cli) -> Cli:
    """The same with everything applied."""
    cli("apply", "--yes")
    return cli
