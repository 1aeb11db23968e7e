"""Freeze windows of single manifests, under the agent, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.agent.status import Phase
from tests.agent.rig import BASE, Fleet

HALF = "freeze: [{name: half, cron: '0 * * * *', duration: 30m}]"  # the first half of every hour


def frozen(window: str = HALF, size: str = "100MiB") -> str:
    return BASE.replace("{name: sessions}", f"{{name: sessions, {window}}}").replace("100MiB", size)


def at_full_hour(fleet: Fleet) -> Fleet:
    fleet.clock.now += 3600 - fleet.clock.now % 3600
    return fleet


def memory(fleet: Fleet) -> int:
    return int(fleet.wire("/v1/bdbs", "sessions")["memory_size"]) >> 20


def test_its_object_waits_for_the_end_of_the_window_and_the_others_do_not(tmp_path: Path) -> None:
    fleet = at_full_hour(Fleet(tmp_path, agent="mode: apply, interval: 6h"))
    fleet.source.commit(base=frozen())
    fleet.run(1500)
    assert fleet.call("GET", "/v1/bdbs") == []
    assert fleet.wire("/v1/roles", "app")["management"] == "none"
    status = fleet.status()
    (held,) = status.held
    assert held.startswith("Database/sessions: freeze window half, until 2026-01-15 ")
    assert held.endswith(":30 UTC, by its manifest")
    assert (status.phase, status.failure) == (Phase.IDLE, None)
    fleet.run(600)  # the interval is hours: the end of the window wakes it
    assert memory(fleet) == 100
    assert (fleet.status().held, fleet.status().drift) == ((), ())


def test_what_a_person_changes_in_the_window_is_reported_at_once_and_put_right_after_it(tmp_path: Path) -> None:
    fleet = at_full_hour(Fleet(tmp_path, agent="mode: apply, interval: 5m"))
    fleet.clock.now += 2000
    fleet.source.commit(base=frozen())
    fleet.run(600)
    at_full_hour(fleet)
    fleet.edit("/v1/bdbs", "sessions", memory_size=200 << 20)
    fleet.run(900)
    assert [one.drift.path for one in fleet.status().drift] == ["memory_size"]
    assert memory(fleet) == 200
    fleet.run(1200)
    assert memory(fleet) == 100


def test_windows_may_also_say_when_alone_it_is_changed_and_deny_wins(tmp_path: Path) -> None:
    both = (
        "freeze: [{cron: '15 * * * *', duration: 10m, effect: allow}, {name: first, cron: '0 * * * *', duration: 20m}]"
    )
    fleet = at_full_hour(Fleet(tmp_path, agent="mode: apply, interval: 1m"))
    fleet.source.commit(base=frozen(both))
    fleet.run(1180)
    assert fleet.call("GET", "/v1/bdbs") == []
    fleet.run(120)
    assert memory(fleet) == 100
    fleet.run(300)
    fleet.source.commit(base=frozen(both, "200MiB"))
    fleet.run(120)
    assert memory(fleet) == 100
    assert "outside the windows that allow changes" in fleet.status().held[0]


def test_a_tombstone_waits_as_well(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, interval: 5m")
    fleet.run(300)
    at_full_hour(fleet)
    gone = BASE.partition("---\napiVersion: reconciler/v1\nkind: Database")[0]
    metadata = f"{{name: sessions, state: absent, allow: [loses-data], {HALF}}}"
    tombstone = f"apiVersion: reconciler/v1\nkind: Database\nmetadata: {metadata}\n"
    fleet.source.commit(base=f"{gone}---\n{tombstone}")
    fleet.run(1200)
    assert memory(fleet) == 100
    fleet.run(1200)
    assert fleet.call("GET", "/v1/bdbs") == []


@pytest.mark.parametrize("mode", ["observe", "plan"])
def test_other_modes_show_it_and_write_nothing(tmp_path: Path, mode: str) -> None:
    fleet = at_full_hour(Fleet(tmp_path, agent=f"mode: {mode}"))
    fleet.source.commit(base=frozen())
    fleet.run(600)
    assert fleet.sent() == []
    assert {one.drift.address.name for one in fleet.status().drift} == {"sessions", "app", "app-keys"}
    assert len(fleet.status().plan.changes) == (3 if mode == "observe" else 2)
