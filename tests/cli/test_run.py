"""`reconciler run` as a process of its own: rounds, signals, kills, reloads, approvals."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from reconciler.simulator.testing import Caller, Running
from tests.cli.rig import LIMIT, Cli
from tests.source.rig import Remote

AGENT = "agent: {mode: apply, interval: 1s, retryInterval: {base: 1s, max: 2s}, listen: {enabled: false}}\n"
SOURCE = "source: {folder: ., interval: 1s}\n"


class Agent:
    """The agent in a process, and the events that it tells."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self.cli = cli
        self.process = cli.start("run", "--log-format", "json", *words)
        self.lines: list[bytes] = []
        self.events: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith(b"{"):
                self.events.put(json.loads(line))

    def wait(self, event: str, **about: object) -> dict[str, object]:
        """Return the next such event."""
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                found = self.events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no {event} {about}\n{b''.join(self.lines[-30:]).decode()}")
            if found["event"] == event and all(found.get(name) == value for name, value in about.items()):
                return found

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """Wait for the end; return the exit code, after everything was searched for secrets."""
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        self.cli.done(self.process, b"", b"".join(self.lines))
        return code


@pytest.fixture
def project(cli: Cli) -> Cli:
    cli.edit("reconciler.yaml", "clusters:", f"{AGENT}{SOURCE}clusters:")
    return cli


@pytest.fixture
def agent(project: Cli) -> Agent:
    """An agent that has made everything equal."""
    started = Agent(project)
    started.wait("reconciliation.done", changes=4)
    started.wait("reconciliation.done", changes=0)
    return started


def memory(server: Running, name: str = "sessions") -> list[int]:
    return [one["memory_size"] for one in Caller(server.core)("GET", "/v1/bdbs").json() if one["name"] == name]


# --- one round --------------------------------------------------------------------------------------------------------


def test_one_round_makes_everything_equal_and_ends(project: Cli, server: Running) -> None:
    project("run", "--once")
    assert memory(server) == [1024**3]
    writes = [entry for entry in server.log if entry.method != "GET"]
    project("run", "--once")
    assert [entry for entry in server.log if entry.method != "GET"] == writes


def test_one_round_of_observing_says_by_its_code_that_something_differs(project: Cli, server: Running) -> None:
    project("run", "--once", "--mode", "observe")
    project("run", "--once", "--mode", "observe", "--detailed-exitcode", code=2)
    assert [entry for entry in server.log if entry.method != "GET"] == []


def test_bad_manifests_end_a_round_as_invalid_input(project: Cli, server: Running) -> None:
    project.edit("manifests/shop.yaml", "1GiB", "-1")
    done = project("run", "--once", code=3)
    assert "memory_size" in done.err
    assert list(server.log) == []


def test_a_round_over_a_cluster_that_refuses_the_login_ends_with_4(project: Cli) -> None:
    done = project("run", "--once", code=4, REDIS_ENTERPRISE_PASSWORD="wrong-" + "x" * 8)
    assert "Unauthorized" in done.err


def test_another_folder_can_be_followed(project: Cli, server: Running, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "manifests"
    elsewhere.mkdir(parents=True)
    text = (project.folder / "manifests/shop.yaml").read_text().replace("1GiB", "512MiB")
    (elsewhere / "shop.yaml").write_text(text)
    project("run", "--once", "--path", str(elsewhere.parent))
    assert memory(server) == [512 * 1024**2]


def test_a_window_without_sense_is_told_at_the_start(project: Cli) -> None:
    project.edit(
        "reconciler.yaml", "mode: apply,", 'mode: apply, freeze: [{name: w, cron: "61 0 * * *", duration: 1h}],'
    )
    done = project("run", code=3)
    assert "freeze window w: 61 0 * * * is not a cron expression" in done.err


# --- the long life ----------------------------------------------------------------------------------------------------


def test_the_agent_follows_the_manifests_heals_and_ends_quietly(agent: Agent, server: Running) -> None:
    agent.cli.edit("manifests/shop.yaml", "1GiB", "2GiB")
    agent.wait("reconciliation.done", changes=1)
    assert memory(server) == [2 * 1024**3]
    uid = Caller(server.core)("GET", "/v1/bdbs").json()[0]["uid"]
    Caller(server.core)("PUT", f"/v1/bdbs/{uid}", {"memory_size": 1024**3})
    agent.wait("reconciliation.done", changes=1)
    assert memory(server) == [2 * 1024**3]
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0
    assert b"agent.stopped" in agent.lines[-1]


def test_killed_in_the_middle_of_a_create_the_next_agent_makes_it_once(project: Cli, server: Running) -> None:
    server.faults.add("slow", method="POST", path="^/v1/bdbs$", times=1, seconds=3)
    first = Agent(project)
    first.wait("change.done", action="create")
    deadline = time.monotonic() + LIMIT
    while not any(entry.path == "/v1/bdbs" and entry.method == "POST" for entry in server.log):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.signal(signal.SIGKILL)
    first.process.wait(LIMIT)
    second = Agent(project)
    second.wait("reconciliation.done", changes=0)
    assert memory(server) == [1024**3]
    second.signal(signal.SIGTERM)
    assert second.end() == 0


def test_sigterm_lets_the_call_in_flight_end_and_starts_none(project: Cli, server: Running) -> None:
    server.faults.add("slow", method="POST", path="^/v1/redis_acls$", times=1, seconds=2)
    agent = Agent(project, "-v")
    agent.wait("change.started")
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0
    sent = [(entry.path, entry.status) for entry in server.log if entry.method != "GET"]
    assert all(status == 200 for _, status in sent)
    assert "/v1/bdbs" not in [path for path, _ in sent]
    project("run", "--once")
    assert memory(server) == [1024**3]


def test_sighup_takes_up_new_settings_and_refuses_bad_ones(agent: Agent, server: Running) -> None:
    agent.cli.edit("reconciler.yaml", "mode: apply", "mode: never")
    agent.signal(signal.SIGHUP)
    assert "mode" in str(agent.wait("settings.rejected")["why"])
    agent.cli.edit("reconciler.yaml", "mode: never", "mode: observe")
    agent.signal(signal.SIGHUP)
    agent.wait("settings.reloaded")
    agent.cli.edit("manifests/shop.yaml", "1GiB", "2GiB")
    agent.wait("reconciliation.done", mode="observe", drift=1)
    assert memory(server) == [1024**3]
    agent.signal(signal.SIGINT)
    assert agent.end() == 0


def test_a_second_agent_waits_for_the_first_and_takes_over(agent: Agent) -> None:
    second = Agent(agent.cli)
    assert f"process {agent.process.pid}" in str(second.wait("lease.waiting")["why"])
    agent.signal(signal.SIGKILL)
    agent.process.wait(LIMIT)
    second.wait("reconciliation.done")
    second.signal(signal.SIGTERM)
    assert second.end() == 0


def test_an_approved_plan_is_applied_and_a_stale_approval_refused(project: Cli, server: Running) -> None:
    project.edit("reconciler.yaml", "mode: apply", "mode: plan")
    agent = Agent(project)
    digest = str(agent.wait("reconciliation.done", phase="awaiting_approval")["plan"])
    project("approve", "0" * 64, code=5)
    done = project("approve", digest[:16])
    assert done.out.startswith("Approved: 4 changes on cluster here, revision ")
    agent.wait("reconciliation.done", changes=4)
    assert memory(server) == [1024**3]
    project("approve", digest, code=5)
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0


def test_the_page_and_health_are_served_while_the_agent_runs(project: Cli) -> None:
    project.edit("reconciler.yaml", "enabled: false", "port: 0")
    agent = Agent(project)
    url = str(agent.wait("web.started")["url"])
    agent.wait("reconciliation.done")
    with urllib.request.urlopen(f"{url}readyz") as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{url}metrics") as answer:
        assert 'reconciler_reconciliations_total{cluster="here",result="success"}' in answer.read().decode()
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0


def test_lines_for_people_are_one_an_event(project: Cli) -> None:
    done = project("run", "--once")
    assert [line.split()[2] for line in done.err.splitlines()] == [
        "agent.started",
        "source.accepted",
        *["change.done"] * 4,
        "reconciliation.done",
        "agent.stopped",
    ]


def test_sighup_follows_another_source_and_keeps_the_old_one_while_the_new_one_cannot_be(
    agent: Agent, server: Running, tmp_path: Path
) -> None:
    cli, remote = agent.cli, Remote(tmp_path / "shop.git")
    text = (cli.folder / "manifests/shop.yaml").read_text()

    def follow(path: Path) -> None:
        before = (cli.folder / "reconciler.yaml").read_text()
        (line,) = [line for line in before.splitlines() if line.startswith("source:")]
        cli.edit("reconciler.yaml", line, f"source: {{url: '{path}', interval: 1s}}")
        agent.signal(signal.SIGHUP)

    follow(tmp_path / "nowhere.git")
    assert "the previous one is kept" in str(agent.wait("source.switch_failed")["why"])
    cli.edit("manifests/shop.yaml", "1GiB", "2GiB")
    agent.wait("reconciliation.done", changes=1)
    assert memory(server) == [2 << 30]

    first = remote.add({"manifests/shop.yaml": text.replace("1GiB", "3GiB")})
    follow(remote.folder)
    assert agent.wait("source.switched")["location"] == str(remote.folder)
    agent.wait("reconciliation.done", changes=1, revision=first)
    assert memory(server) == [3 << 30]
    second = remote.add({"manifests/shop.yaml": text.replace("1GiB", "4GiB")}, first)
    agent.wait("reconciliation.done", changes=1, revision=second)
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0
