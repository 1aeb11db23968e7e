"""What the record says was applied last: it goes along with a new name, and does not grow by what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.diff import SECRET
from reconciler.manifests import Resource
from reconciler.render.reasons import note_text
from tests.support.resources import declared, user_spec
from tests.support.simulation import Simulation

ANNA = declared("User", "anna", user_spec("anna", ["DB Viewer"]))
ANN = declared("User", "ann", user_spec("anna", ["DB Viewer"]), renamed_from="anna")
DATABASE = declared("Database", "orders", {"memory_size": "100MiB"})
PASSWORD = {"authentication_redis_pass": {"valueFrom": {"env": "ORDERS"}}}
BIGGER = declared("Database", "orders", {"memory_size": "200MiB", **PASSWORD})


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def sent_passwords(rig: Simulation, resource: Resource) -> list[str]:
    """Plan once more, and return the paths of the secrets that would be sent."""
    return [field.path for change in rig.plan([resource]).changes for field in change.fields if field.after is SECRET]


def test_a_renamed_user_keeps_what_is_known_of_its_password(rig: Simulation) -> None:
    rig.converge([ANNA])
    assert rig.converge([ANN]).complete
    plan = rig.plan([ANN])
    assert (plan.changes, plan.notes) == ((), ())
    rig.passwords["ANNA_PASSWORD"] = "another-Pw-8831"
    assert sent_passwords(rig, ANN) == ["password"]
    assert rig.converge([ANN]).complete
    assert rig.plan([ANN]).changes == ()
    assert [address.name for address in rig.ledger.owned("dc1")] == ["ann"]
    assert rig.ledger.owned("dc1")[ANN.address].fields["email"] == "anna@example.com"


@pytest.mark.parametrize(
    "secrets",
    [
        PASSWORD,
        {"passwords": [{"valueFrom": {"env": "ORDERS"}}]},
        {"authentication_admin_pass": {"valueFrom": {"env": "ORDERS"}}},
    ],
    ids=lambda secrets: next(iter(secrets)),
)
def test_a_password_that_is_declared_after_the_create_is_sent(rig: Simulation, secrets: dict[str, object]) -> None:
    rig.converge([DATABASE])
    protected = declared("Database", "orders", {"memory_size": "100MiB", **secrets})
    assert len(sent_passwords(rig, protected)) == 1
    assert rig.converge([protected]).complete
    assert b"ORDERS" in rig.sent[-1].body
    assert sent_passwords(rig, protected) == []


def test_a_password_of_a_renamed_database_is_still_known_not_to_be_set(rig: Simulation) -> None:
    rig.converge([DATABASE])
    rig.converge([declared("Database", "carts", {"memory_size": "100MiB"}, renamed_from="orders")])
    assert sent_passwords(rig, declared("Database", "carts", {"memory_size": "100MiB", **PASSWORD})) != []


def test_a_password_on_an_object_that_a_person_made_is_held(rig: Simulation) -> None:
    rig.call("POST", "/v1/bdbs", {"name": "orders", "memory_size": 100 * 2**20})
    rig.cluster.clock.sleep(30)
    plan = rig.plan([declared("Database", "orders", {"memory_size": "100MiB", **PASSWORD})])
    assert (plan.changes, plan.held) == ((), 1)


def test_a_rename_that_was_killed_after_its_effect_keeps_it_too(rig: Simulation) -> None:
    rig.converge([ANNA])
    original = rig.ledger.close

    def killed(*words: object, **more: object) -> None:
        raise KeyboardInterrupt

    rig.ledger.close = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        rig.converge([ANN])
    rig.ledger.close = original  # type: ignore[method-assign]
    rig.reopen()
    assert rig.converge([ANN]).outcomes == ()
    assert [address.name for address in rig.ledger.owned("dc1")] == ["ann"]
    rig.passwords["ANNA_PASSWORD"] = "another-Pw-8831"
    assert sent_passwords(rig, ANN) == ["password"]


def test_an_update_that_failed_was_not_applied(rig: Simulation) -> None:
    rig.converge([DATABASE])
    before = rig.ledger.owned("dc1")
    rig.cluster.faults.add("fail", method="PUT", path="/v1/bdbs/")
    assert not rig.converge([BIGGER]).complete
    assert rig.ledger.owned("dc1") == before


def test_an_update_that_failed_leaves_its_password_to_be_sent_again(rig: Simulation) -> None:
    with_password = declared("Database", "orders", {"memory_size": "100MiB", **PASSWORD})
    rig.converge([with_password])
    rig.passwords["ORDERS"] = "another-Pw-8831"
    rig.cluster.faults.add("fail", method="PUT", path="/v1/bdbs/")
    assert not rig.converge([BIGGER]).complete
    assert sent_passwords(rig, BIGGER) == ["authentication_redis_pass"]
    assert rig.converge([BIGGER]).complete
    assert rig.plan([BIGGER]).changes == ()


def test_another_object_of_the_name_is_not_known_by_what_was_sent_to_the_first(rig: Simulation) -> None:
    rig.converge([ANNA])
    role, uid = rig.wire("Role", "DB Viewer")["uid"], rig.wire("User", "anna")["uid"]
    rig.call("DELETE", f"/v1/users/{uid}")
    rig.cluster.clock.sleep(30)
    account = {"email": "anna@example.com", "name": "anna", "password": "by-Hand-8831", "role_uids": [role]}
    assert rig.call("POST", "/v1/users", account).status == 200
    plan = rig.plan([ANNA], adopt=frozenset({"User/anna"}))
    assert plan.changes == ()
    assert "cannot be compared (no recorded digest)" in note_text(plan.notes[0])
