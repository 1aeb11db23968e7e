"""Consent under the agent: what git may consent to by itself, and what waits for an approved digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.agent.status import Phase
from tests.agent.rig import BASE, Fleet

HEAD = BASE.partition("kind: Database")[0]
GONE = HEAD + "kind: Database\nmetadata: {name: sessions, state: absent, allow: [loses-data]}\n"
SILENT = GONE.replace(", allow: [loses-data]", "")
LIMITED = "allowedImpacts: [may-lose-data]"


def fleet_with(folder: Path, base: str, *, mode: str = "apply", own: str = LIMITED) -> Fleet:
    """Return a fleet whose cluster is as declared, and whose git says *base* since."""
    fleet = Fleet(folder, agent="mode: apply, interval: 1m", own=own)
    fleet.run(60)
    fleet.agent = f"mode: {mode}, interval: 1m"
    fleet.loop.reload()
    fleet.source.commit(base=base)
    fleet.run(120)
    return fleet


def databases(fleet: Fleet) -> list[str]:
    return [one["name"] for one in fleet.call("GET", "/v1/bdbs")]


def test_a_tombstone_without_consent_is_held_and_no_approval_is_offered(tmp_path: Path) -> None:
    fleet = fleet_with(tmp_path, SILENT)
    (held,) = fleet.status().held
    assert "metadata.allow: [loses-data] in its manifest" in held
    assert (databases(fleet), fleet.status().phase, fleet.status().plan_digest) == (["sessions"], Phase.IDLE, "")
    assert fleet.loop.code == 6


@pytest.mark.parametrize("mode", ["apply", "plan"])
def test_consent_in_git_beyond_the_limit_waits_for_the_approval_of_its_plan(tmp_path: Path, mode: str) -> None:
    fleet = fleet_with(tmp_path, GONE, mode=mode)
    assert (databases(fleet), fleet.status().phase) == (["sessions"], Phase.AWAITING_APPROVAL)
    assert fleet.status().why == f"reconciler approve {fleet.status().plan_digest}"
    fleet.ledger.memory.remember("dc1", "approved", fleet.status().plan_digest)
    fleet.run(120)
    assert databases(fleet) == []
    assert fleet.status().failure is None


def test_in_mode_apply_the_rest_is_applied_meanwhile(tmp_path: Path) -> None:
    fleet = fleet_with(tmp_path, GONE.replace("+@read ~app:*", "+@write ~app:*"))
    assert fleet.wire("/v1/redis_acls", "app-keys")["acl"] == "+@write ~app:*"
    assert (databases(fleet), fleet.status().phase) == (["sessions"], Phase.AWAITING_APPROVAL)
    (change,) = fleet.status().plan.changes
    assert change.address.name == "sessions"
    (held,) = fleet.status().held
    assert "add loses-data to allowedImpacts in the project file" in held
    assert fleet.loop.code == 6


def test_consent_in_git_within_the_limit_needs_nobody(tmp_path: Path) -> None:
    assert databases(fleet_with(tmp_path, GONE, own="allowedImpacts: [loses-data]")) == []


@pytest.mark.parametrize("hold", ["suspend: true", "freeze: [{cron: '0 * * * *', duration: 1h}]"])
def test_a_declared_hold_is_not_a_failure(tmp_path: Path, hold: str) -> None:
    base = BASE.replace("{name: sessions}", f"{{name: sessions, {hold}}}").replace("100MiB", "200MiB")
    fleet = fleet_with(tmp_path, base)
    assert len(fleet.status().held) == 1
    assert fleet.loop.code == 0
