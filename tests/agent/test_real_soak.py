"""A short life with real processes: git over https and ssh, webhooks, people, trouble and kill -9 in between.

`python -m tests.benchmarks.soak` is the long one. Here nothing is killed while it creates: whether such a create still
takes effect can only be known two minutes later, and `tests/cli/test_run.py` looks at that.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from reconciler.simulator.testing import Caller
from tests.benchmarks.soak import Soak
from tests.cli.rig import wait_for


def test_killed_in_the_middle_of_its_work_again_and_again_it_ends_as_git_says(tmp_path: Path) -> None:
    with ExitStack() as stack:
        soak = Soak(tmp_path, 3, 7, stack)
        stack.callback(lambda: soak.agent.process.poll() is None and soak.agent.kill())
        assert soak.settled() == []

        def at_work(method: str) -> None:
            """Wait until the agent has sent another such call."""
            wait_for(lambda: sent(method) > before, f"the agent to {method}")

        def sent(method: str) -> int:
            return sum(entry.method == method for server in soak.servers for entry in server.log)

        before = sent("PUT")
        soak.declare(sessions=200, carts=210)
        at_work("PUT")
        soak.crash()

        for server in soak.servers:
            for one in soak.databases(server):
                Caller(server.core)("PUT", f"/v1/bdbs/{one['uid']}", {"memory_size": 333 << 20})
        before = sent("DELETE")
        soak.declare(carts=None)
        at_work("DELETE")
        soak.crash()

        soak.trouble()
        soak.declare(orders=150)
        assert soak.settled() == []
        before = sent("PUT")
        soak.declare(orders=160, sessions=170)
        at_work("PUT")
        soak.crash()

        assert soak.settled() == []
        writes = soak.writes()
        assert soak.agent.end() == 0
        assert soak.writes() == writes
        names = [one["name"] for server in soak.servers for one in soak.databases(server)]
        assert sorted(names) == ["orders"] * 3 + ["sessions"] * 3
