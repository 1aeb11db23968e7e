"""A password of a user follows another: added, shown to log in, both valid for a while, the old one taken away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.protocol import Login
from reconciler.manifests import Resource
from reconciler.manifests.resolve import with_pending_retirements
from reconciler.simulator.state.records import digest
from tests.engine.killable import Fuse, KillableClient, KillableLedger, Killed
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY, Simulation

OLD, NEW, THIRD = ({"valueFrom": {"env": name}} for name in ("OLD", "NEW", "THIRD"))
DUE = "2026-12-01T00:00:00Z"
BEFORE, AFTERWARDS = "2026-11-30T23:59:59Z", DUE


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def user(now: str = BEFORE, **passwords: Any) -> list[Resource]:
    spec = {"email": "ana@example.com", "roles": ["ops"], **passwords}
    resources = [declared("Role", "ops", {"management": "db_viewer"}), declared("User", "ana", spec)]
    return with_pending_retirements(KINDS, resources, now)


def valid(rig: Simulation) -> list[str]:
    """Return which passwords log in, without counting as failed logins."""
    hidden = next(one for one in rig.cluster.core.state.users.values() if one.fields["name"] == "ana").hidden
    held = [hidden["password"], *hidden.get("more", ())]
    names = {digest(f"{CANARY}-{name}"): name for name in ("OLD", "NEW", "THIRD")}
    return [names[one] for one in held]


def apply(rig: Simulation, wanted: Sequence[Resource]) -> list[tuple[str, str]]:
    begun = len(rig.sent)
    report = rig.converge(wanted)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(wanted).changes == ()
    return [(entry.method, entry.path) for entry in rig.sent[begun:]]


def test_the_old_password_stays_valid_until_its_time(rig: Simulation) -> None:
    apply(rig, user(password=OLD))
    rotating = {"passwords": [NEW], "retire": {"passwords": [OLD], "after": DUE}}
    assert apply(rig, user(**rotating)) == [("POST", "/v1/users/password")]
    assert sorted(valid(rig)) == ["NEW", "OLD"]
    assert apply(rig, user(**rotating)) == []
    assert apply(rig, user(AFTERWARDS, **rotating)) == [("DELETE", "/v1/users/password")]
    assert valid(rig) == ["NEW"]
    assert apply(rig, user(AFTERWARDS, passwords=[NEW])) == []


def test_told_so_the_old_password_goes_at_once(rig: Simulation) -> None:
    apply(rig, user(passwords=[OLD]))
    apply(rig, user(passwords=[OLD, NEW]))
    assert apply(rig, user(passwords=[NEW], retire={"passwords": [OLD]})) == [("DELETE", "/v1/users/password")]
    assert valid(rig) == ["NEW"]


def test_what_goes_without_being_named_takes_all_others_along(rig: Simulation) -> None:
    apply(rig, user(passwords=[OLD, THIRD]))
    assert apply(rig, user(passwords=[NEW]))[0] == ("PUT", "/v1/users/password")
    assert valid(rig) == ["NEW"]


def test_a_new_user_gets_all_of_its_passwords(rig: Simulation) -> None:
    apply(rig, user(passwords=[NEW, OLD]))
    assert sorted(valid(rig)) == ["NEW", "OLD"]


def test_a_password_that_does_not_log_in_leaves_the_old_one_in_place(
    rig: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(rig, user(passwords=[OLD]))
    tried: list[str] = []

    def refuse(login: Login) -> bool:
        tried.append(login.user)
        return False

    monkeypatch.setattr(rig.client, "accepts", refuse)
    report = rig.converge(user(AFTERWARDS, passwords=[NEW], retire={"passwords": [OLD]}))
    assert "the new password of ana@example.com was added but does not log in" in report.failed[0].why
    assert tried == ["ana@example.com"]
    assert "OLD" in valid(rig)


@pytest.mark.parametrize("build", ["7.4", "7.8"])
def test_a_build_that_would_change_our_own_password_is_not_asked(tmp_path: Path, build: str) -> None:
    rig = Simulation(tmp_path / "state", server_version=build)
    for node in rig.cluster.core.state.nodes.values():
        node.set(software_version=f"{build}.2-10")
    apply(rig, user(passwords=[OLD]))
    report = rig.converge(user(passwords=[OLD, NEW]))
    assert "RS161290" in report.failed[0].why
    assert valid(rig) == ["OLD"]


def rotate(rig: Simulation, now: str, fuse: Fuse) -> None:
    rotating = user(now, passwords=[NEW], retire={"passwords": [OLD], "after": DUE})
    rig.converge(rotating, clients={"dc1": KillableClient(rig.client, fuse)}, ledger=KillableLedger(rig.ledger, fuse))


def test_the_harness_reaches_every_step(rig: Simulation) -> None:
    apply(rig, user(passwords=[OLD]))
    fuse = Fuse()
    rotate(rig, BEFORE, fuse)
    assert fuse.passed == 10
    rotate(rig, AFTERWARDS, fuse)
    assert fuse.passed == 20


@pytest.mark.parametrize("step", range(20))
def test_a_rotation_that_was_killed_anywhere_is_finished(tmp_path: Path, step: int) -> None:
    rig = Simulation(tmp_path / "state")
    apply(rig, user(passwords=[OLD]))
    fuse = Fuse(step)

    def whole() -> None:
        rotate(rig, BEFORE, fuse)
        rotate(rig, AFTERWARDS, fuse)

    with pytest.raises(Killed):
        whole()
    assert valid(rig)[:1] in (["OLD"], ["NEW"])
    rig.reopen()
    rotating = {"passwords": [NEW], "retire": {"passwords": [OLD], "after": DUE}}
    if step < 10:
        apply(rig, user(BEFORE, **rotating))
        assert sorted(valid(rig)) == ["NEW", "OLD"]
    apply(rig, user(AFTERWARDS, **rotating))
    assert valid(rig) == ["NEW"]
    assert rig.ledger.open_intents("dc1") == ()
