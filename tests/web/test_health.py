"""Alive and ready mean something, and each reason shows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.agent.status import AgentStatus
from reconciler.web import AgentHandle, health
from tests.web.fake_status import NOW, fleet, refused, status_store
from tests.web.rig import serving


def unready(status: AgentStatus | None = None, *, writable: bool = True, **agent: Any) -> list[str]:
    checks = health.ready(status or fleet(), NOW, AgentHandle(**agent), writable=writable)
    return [check.name for check in checks if not check.ok]


def with_source(**changes: Any) -> AgentStatus:
    status = fleet()
    return replace(status, source=replace(status.source, **changes))


def test_an_agent_that_does_its_work_is_ready() -> None:
    assert unready() == []
    assert unready(refused(fleet())) == []  # the last good revision is enforced


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (with_source(fetched=None), "source"),
        (with_source(fetched=NOW - 181), "source"),
        (with_source(revision=""), "revision"),
        (replace(fleet(), leader=False), "leader"),
        (replace(fleet(), stopping=True), "running"),
    ],
)
def test_each_reason_makes_it_unready(status: AgentStatus, name: str) -> None:
    assert unready(status) == [name]


def test_a_ledger_that_cannot_be_written_and_a_loop_that_hangs_make_it_unready() -> None:
    assert unready(writable=False) == ["ledger"]
    assert unready(since_tick=lambda: 121.0) == ["loop"]


def test_the_source_may_be_three_intervals_old() -> None:
    assert unready(with_source(fetched=NOW - 900), interval=300) == []
    assert unready(with_source(fetched=NOW - 901), interval=300) == ["source"]
    assert unready(with_source(fetched=NOW + 3600)) == []  # a clock that was set back is no reason


def test_the_probes_answer_by_status_and_say_why() -> None:
    ticks = [0.0]
    agent = AgentHandle(since_tick=lambda: ticks[0], writable=lambda: False)
    with serving(agent=agent) as rig:
        assert rig.ask("/healthz").status == 200
        answer = rig.ask("/readyz")
        said = json.loads(answer.body)
        assert (answer.status, said["status"]) == (503, "failing")
        assert [one["name"] for one in said["checks"] if not one["ok"]] == ["ledger"]
        ticks[0] = 1000.0
        answer = rig.ask("/healthz")
        assert answer.status == 503
        assert json.loads(answer.body)["checks"][0]["why"] == "last tick 1000 s ago; limit 120 s"
        assert answer.headers["content-type"] == "application/json"


def test_the_ledger_is_asked_once_in_ten_seconds_however_many_probe() -> None:
    asked: list[int] = []

    def writable() -> bool:
        asked.append(1)
        return True

    with serving(status_store(), agent=AgentHandle(writable=writable)) as rig:
        for _ in range(5):
            assert rig.ask("/readyz").status == 200
        assert len(asked) == 1
        rig.time[0] = 10.0
        rig.ask("/readyz")
        assert len(asked) == 2
