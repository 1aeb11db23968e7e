"""Streams that are closed, full, narrow, or speak another encoding: the exit code and the cluster stay right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.simulator.testing import Running
from tests.cli.rig import LIMIT, Cli
from tests.cli.test_story import live


def shell(cli: Cli, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `reconciler` is the command."""
    line = f'reconciler() {{ "{sys.executable}" -m reconciler "$@"; }}; {line}'
    done = subprocess.run(
        ["/bin/bash", "-c", line], cwd=cli.folder, env=cli.env, capture_output=True, text=True, timeout=LIMIT
    )
    cli.search(f"{done.stdout}{done.stderr}".encode(), "both streams")
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    return done


@pytest.mark.parametrize("output", ["text", "markdown", "json"])
def test_what_an_encoding_lacks_is_escaped(applied: Cli, output: str) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3GiB")
    done = applied("plan", "-o", output, PYTHONIOENCODING="ascii")
    assert "memory_size" in done.out
    assert "\\u2192" in done.out or output == "json"


@pytest.mark.parametrize(
    ("redirected", "code"),
    [("plan >&-", 0), ("plan -f - <&-", 3), ("apply <&-", 5), ("plan -f nothing 2>&-", 3), ("plan <&- >&- 2>&-", 0)],
)
def test_a_closed_stream_is_an_empty_one(cli: Cli, redirected: str, code: int) -> None:
    assert shell(cli, f"reconciler {redirected}").returncode == code


@pytest.mark.parametrize("command", ["plan", "apply --yes", "kinds", "--help", "plan --help"])
def test_a_full_disk_under_standard_output_is_said(cli: Cli, command: str) -> None:
    done = shell(cli, f"reconciler {command} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("no space left on device")


@pytest.mark.parametrize("nobody", ["2>/dev/full", "2> >(true)"])
def test_an_apply_that_nobody_watches_ends_well(cli: Cli, server: Running, nobody: str) -> None:
    assert shell(cli, f"reconciler apply --yes {nobody}").returncode == 0
    assert live(server, "/v1/bdbs", "sessions")["memory_size"] == 1 << 30
    assert shell(cli, f"reconciler plan -f nothing {nobody}").returncode == 3
