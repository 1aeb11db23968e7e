"""A short life with real processes: git over https and ssh, webhooks, people, trouble and kill -9 in between."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.soak import Soak
from tests.cli.rig import wait_for


def test_killed_in_the_middle_of_its_work_again_and_again_it_ends_as_git_says(tmp_path: Path) -> None:
    with ExitStack() as stack:
        soak = Soak(tmp_path, 3, 7, stack)
        stack.callback(lambda: soak.agent.process.poll() is None and soak.agent.kill())

        def at_work() -> None:
            """Wait until the agent has written something more."""
            before = soak.writes()
            wait_for(lambda: soak.writes() > before, "the agent to write")

        at_work()
        soak.crash()  # in the middle of its first creates
        at_work()
        soak.trouble()
        soak.sizes["sessions"] = 200
        soak.commit()
        at_work()
        soak.crash()
        for _ in soak.servers:
            soak.person()
        soak.sizes |= {"carts": None, "orders": 150}
        soak.commit()
        at_work()
        soak.trouble()
        soak.crash()

        assert soak.settled() == []
        before = soak.writes()
        assert soak.agent.end() == 0
        assert soak.writes() == before
        names = [one["name"] for server in soak.servers for one in soak.databases(server)]
        assert len(names) == len(set(names)) * len(soak.servers)
