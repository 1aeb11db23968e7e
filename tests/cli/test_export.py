"""What each role can read is exported, what it cannot read is reported, and a plan of the result is empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from reconciler.simulator.testing import Running, running
from tests.cli import canary
from tests.cli.rig import SHOP, Cli, environment

VIEWERS = ("cluster_member", "cluster_viewer", "db_member", "db_viewer", "user_manager")
MANIFESTS = SHOP + "".join(
    f"""---
apiVersion: reconciler/v1
kind: Role
metadata: {{name: r-{role}}}
spec: {{management: {role}}}
---
apiVersion: reconciler/v1
kind: User
metadata: {{name: u-{role}}}
spec: {{email: {role}@example.com, roles: [r-{role}], password: {{valueFrom: {{env: ANA_PASSWORD}}}}}}
"""
    for role in VIEWERS
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A cluster with some objects of every sort, and a user for each role."""
    with running(nodes=1, seed=3, username="admin@example.com", password=canary.LOGIN) as server:
        folder = tmp_path_factory.mktemp("shop")
        (folder / "shop.yaml").write_text(MANIFESTS)
        yield ready(folder, server)


def ready(folder: Path, server: Running) -> Cli:
    env = {
        **environment(),
        "REDIS_ENTERPRISE_URL": ",".join(server.urls),
        "REDIS_ENTERPRISE_CA_CERT": str(server.ca_file),
        "REDIS_ENTERPRISE_USER": "admin@example.com",
        "REDIS_ENTERPRISE_PASSWORD": canary.LOGIN,
    }
    cli = Cli(folder, env)
    cli("apply", "-f", "shop.yaml", "--yes", "-q")
    return cli


@pytest.mark.parametrize("role", VIEWERS)
def test_an_export_of_what_a_role_can_read_plans_to_nothing_and_names_what_it_cannot(shop: Cli, role: str) -> None:
    login = {
        "REDIS_ENTERPRISE_USER": f"{role}@example.com",
        "REDIS_ENTERPRISE_PASSWORD": shop.env["ANA_PASSWORD"],
    }
    state = ("--state-dir", f"state-{role}")
    done = shop("export", "--out", role, *state, **login)
    assert "OCSP: left out: this account cannot read it (GET /v1/ocsp" in done.err
    text = (shop.folder / role / "ocsp.yaml").read_text()
    assert "# OCSP is left out: this account cannot read it (GET /v1/ocsp" in text
    assert "name: sessions" in (shop.folder / role / "database.yaml").read_text()
    assert shop("plan", "-f", role, *state, **login).out.endswith("No changes.\n")


def test_a_kind_that_is_named_has_to_be_readable(shop: Cli) -> None:
    login = {"REDIS_ENTERPRISE_USER": "db_viewer@example.com", "REDIS_ENTERPRISE_PASSWORD": shop.env["ANA_PASSWORD"]}
    done = shop("export", "User", "--state-dir", "state-db_viewer", code=4, **login)
    assert "403" in done.err


def test_the_schema_of_an_export_exists_for_its_reader(shop: Cli) -> None:
    shop("export", "Role", "--out", "roles")
    first, *_ = (shop.folder / "roles" / "role.yaml").read_text().splitlines()
    assert (shop.folder / "roles" / first.partition("$schema=")[2]).is_file()
    first, *_ = shop("export", "Role").out.splitlines()
    assert Path(unquote(urlsplit(first.partition("$schema=")[2]).path)).is_file()


def test_what_is_left_out_is_reported_once_for_each_kind_and_reason(shop: Cli) -> None:
    done = shop("export", "Role", "User")
    lines = done.err.splitlines()
    assert len(lines) == len({line.partition(": ")[2] + line.partition(" ")[0] for line in lines})
    assert any(line.startswith("Role Admin, ") and "it is built into the cluster" in line for line in lines)
    assert any(line.startswith("User ana, ") and "secrets are not exported" in line for line in lines)
