"""Stopped in the middle: by Ctrl-C, by SIGTERM, by SIGKILL. The next run goes on, and nothing is there twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import Counter

import pytest

from reconciler.commands.signals import exiting, stopping
from reconciler.simulator.testing import Running, running
from tests.cli import canary
from tests.cli.rig import LIMIT, Cli, wait_for

COUNT = 8


@pytest.fixture
def server() -> Running:  # type: ignore[misc]
    """A slow cluster: an apply takes long enough to be stopped in the middle."""
    settings = {"nodes": 2, "outside": 1, "username": "admin@example.com", "password": canary.LOGIN}
    with running(latency_ms=40, time_scale=20, seed=1, **settings) as server:  # type: ignore[arg-type]
        yield server


@pytest.fixture
def many(cli: Cli) -> Cli:
    """Manifests that take a while."""
    database = "apiVersion: reconciler/v1\nkind: Database\nmetadata: {{name: db-{}}}\nspec: {{memory_size: 100MiB}}\n"
    cli.write("manifests/many.yaml", "---\n".join(database.format(number) for number in range(COUNT)))
    return cli


def created(server: Running) -> list[str]:
    return [entry.path for entry in server.log if entry.method == "POST" and entry.effect]


def begin(cli: Cli, server: Running) -> subprocess.Popen[bytes]:
    """Start an apply and wait until it is in the middle."""
    process = cli.start("apply", "--yes", "--parallelism", "2")
    wait_for(lambda: len(created(server)) >= 3, "the first changes")
    return process


def names(server: Running) -> Counter[str]:
    return Counter(bdb["name"] for bdb in server.core.snapshot()["/v1/bdbs"])


def assert_converged(cli: Cli, server: Running) -> None:
    """Run apply once more, and find everything there exactly once."""
    cli("apply", "--yes")
    assert names(server) == Counter([f"db-{number}" for number in range(COUNT)] + ["sessions"])
    assert cli("plan", "--detailed-exitcode").out == "No changes.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_signal_ends_at_a_boundary_and_the_next_run_goes_on(
    many: Cli, server: Running, number: signal.Signals
) -> None:
    process = begin(many, server)
    os.kill(process.pid, number)
    done = many.done(process, *process.communicate(timeout=60))
    assert done.code == 130
    assert f"{number.name}: completing in-flight operations; no new ones started" in done.err
    assert "Interrupted: in-flight operations completed" in done.out
    assert "not attempted" in done.out
    assert "To go on: reconciler apply --yes --parallelism 2" in done.out
    begun = len(created(server))
    assert 3 <= begun < COUNT + 4
    assert_converged(many, server)


def test_a_second_ctrl_c_is_no_ruder_than_the_first(many: Cli, server: Running) -> None:
    process = begin(many, server)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    done = many.done(process, *process.communicate(timeout=60))
    assert done.code == 130
    assert "Traceback" not in done.err
    assert_converged(many, server)


def test_killed_in_the_middle_the_next_run_goes_on(many: Cli, server: Running) -> None:
    process = begin(many, server)
    process.kill()
    many.done(process, *process.communicate(timeout=60))
    assert process.returncode == -signal.SIGKILL
    assert_converged(many, server)
    runs = json.loads(many("history", "-o", "json").out)
    assert [run["finished"] is None for run in runs] == [False, True]


def test_ctrl_c_at_the_question_writes_nothing(cli: Cli, server: Running) -> None:
    done = cli.terminal(
        "apply", answers="too late", asked=lambda: os.kill(cli.started[-1].pid, signal.SIGINT), code=130
    )
    assert "interrupted" in done.out
    assert created(server) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["plan", "apply --yes", "drift", "export"])
def test_a_signal_while_reading_ends_at_once(cli: Cli, server: Running, command: str, number: signal.Signals) -> None:
    server.faults.add("slow", path="^/v1/roles", seconds=20)
    process = cli.start(*command.split())
    wait_for(lambda: any(entry.path == "/v1/bdbs" for entry in server.log), "the first list")
    os.kill(process.pid, number)
    done = cli.done(process, *process.communicate(timeout=10))
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "interrupted; nothing was written"
    assert created(server) == []


def test_once_an_apply_may_have_written_no_signal_leaves_before_its_end() -> None:
    stop, before = threading.Event(), signal.getsignal(signal.SIGTERM)
    with exiting():
        stopping(stop)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(LIMIT)
    assert signal.getsignal(signal.SIGTERM) is before
