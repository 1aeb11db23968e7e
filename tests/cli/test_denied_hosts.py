"""A manifest cannot make a cluster connect to a host that is not allowed, wherever the address comes from."""

from __future__ import annotations

import pytest

from reconciler.simulator.testing import Running
from tests.cli.rig import Cli

REPLICA = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: copy}
spec:
  memory_size: 1GiB
  replica_sync: enabled
  replica_sources: [{uri: {valueFrom: {env: BOB_PASSWORD}}}]
"""
METADATA = """\
apiVersion: reconciler/v1
kind: SSO
metadata: {name: cluster}
spec: {idp_metadata: {valueFrom: {file: idp.xml}}}
"""
PLACE = "spec.replica_sources[0].uri: its host is not allowed (allow it in clusters[].hosts of the project file)"
DENIED, GOOD = "redis://u:canaryword@169.254.169.254:6379", "redis://u:canaryword@source.example.com:6379"


@pytest.fixture(autouse=True)
def _replica(cli: Cli) -> None:
    cli.write("manifests/shop.yaml", REPLICA)


def writes(server: Running) -> list[str]:
    return [entry.path for entry in server.core.log if entry.method != "GET"]


def test_an_address_in_a_variable_is_checked_by_plan(cli: Cli, server: Running) -> None:
    done = cli("plan", code=3, BOB_PASSWORD=DENIED)
    assert PLACE in done.err
    assert "canaryword" not in done.err + done.out
    assert "169.254" not in done.err + done.out
    assert writes(server) == []


def test_an_address_in_public_text_is_checked_by_plan(cli: Cli) -> None:
    cli.write("manifests/shop.yaml", METADATA)
    cli.write("public/idp.xml", '<EntityDescriptor><X Location="https://169.254.169.254/sso"/></EntityDescriptor>')
    assert 'spec.idp_metadata: the host "169.254.169.254" is link-local' in cli("plan", code=3).err


def test_an_address_is_checked_again_when_a_saved_plan_is_applied(cli: Cli, server: Running) -> None:
    cli("plan", "--out", "plan.json", BOB_PASSWORD=GOOD)
    done = cli("apply", "plan.json", "--yes", code=5, BOB_PASSWORD=DENIED)
    assert "Database/copy: spec.replica_sources[0].uri: its host is not allowed; nothing was written" in done.err
    assert "canaryword" not in done.err + done.out
    assert writes(server) == []
