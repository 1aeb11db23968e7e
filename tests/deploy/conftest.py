"""A checkout as a CI job has it, with a simulated cluster, and forges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.testing import Running, running
from tests.cli import canary
from tests.cli.rig import PROJECT, SHOP, Cli, environment
from tests.deploy.fakeforge import FakeForge, forge


@pytest.fixture
def server() -> Iterator[Running]:
    with running(username="admin@example.com", password=canary.LOGIN, seed=1) as server:
        yield server


@pytest.fixture
def checkout(tmp_path: Path, server: Running) -> Iterator[Cli]:
    folder = tmp_path / "checkout"
    folder.mkdir()
    cli = Cli(folder, environment())
    cli.write("reconciler.yaml", PROJECT.format(urls=server.urls[0]))
    cli.write("manifests/shop.yaml", SHOP)
    (folder / "ca.pem").write_bytes(server.ca_file.read_bytes())
    yield cli
    cli.stop()


@pytest.fixture(params=["github", "gitea", "gitlab"])
def any_forge(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    with forge(request.param) as fake:
        yield fake


@pytest.fixture
def github() -> Iterator[FakeForge]:
    with forge("github") as fake:
        yield fake


@pytest.fixture
def gitlab() -> Iterator[FakeForge]:
    with forge("gitlab") as fake:
        yield fake
