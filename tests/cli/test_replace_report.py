"""What `apply` says where a replacement has deleted the old object and could not create the new one."""

from __future__ import annotations

import json

import pytest

from reconciler.simulator.testing import Running
from tests.cli.rig import Cli

MANIFEST = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: carts}
spec: {memory_size: 1GiB}
"""
ALLOWED = ("--allow-destroy", "Database/carts")


@pytest.fixture
def half(cli: Cli, server: Running) -> Cli:
    """A database that has to be replaced; the cluster validates the create, and refuses it afterwards."""
    file = cli.write("one.yaml", MANIFEST)
    cli("apply", "-f", "one.yaml", "--yes")
    file.write_text(MANIFEST.replace("1GiB", "1GiB, replica_read_only: true"))
    fault = {"status": 406, "error_code": "insufficient_resources"}
    server.faults.add("code", method="POST", path="^/v1/bdbs$", nth=2, **fault)
    return cli


def test_the_report_names_the_loss_and_the_exit_code_is_6(half: Cli) -> None:
    done = half("apply", "-f", "one.yaml", "--yes", *ALLOWED, code=6)
    assert "Database/carts was deleted and not created again" in " ".join(done.out.split())
    assert "Apply incomplete: 0 created, 0 updated, 1 deleted; 1 failed." in done.out
    again = half("plan", "-f", "one.yaml")
    assert "an earlier apply deleted it and did not create its replacement" in again.out


def test_the_json_output_counts_the_deletion(half: Cli) -> None:
    done = half("apply", "-f", "one.yaml", "--yes", "-o", "json", *ALLOWED, code=6)
    report = json.loads(done.out)
    assert (report["totals"]["delete"], report["outcomes"][0]["destroyed"]) == (1, True)
