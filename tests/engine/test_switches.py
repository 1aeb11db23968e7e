"""The engine converges under every reading of what the facts leave open."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.simulator.settings import SWITCHES
from tests.support.resources import declared, shop, user_spec
from tests.support.simulation import Simulation

READINGS = [(name, choice) for name, switch in SWITCHES.items() for choice in switch.choices]
CHANGED = [
    declared("RedisACL", "app-keys", {"acl": "+@all ~app:*"}),
    declared("Role", "app", {"management": "db_viewer"}),
    declared("Role", "ops", {"management": "db_viewer", "resources": [{"type": "db", "databases": ["db-0", "db-1"]}]}),
    declared("User", "anna", user_spec("anna", ["app", "ops"])),
    declared("Database", "db-0", {"memory_size": "200MiB", "proxy_policy": "all-master-shards"}),
    declared("Database", "db-1", {"tags": [{"key": "team", "value": "new"}]}),
    declared("Database", "db-3", {}, absent=True, protect=False),
]


@pytest.mark.parametrize(("switch", "choice"), READINGS)
def test_apply_converges(tmp_path: Path, switch: str, choice: str) -> None:
    rig = Simulation(tmp_path / "state", switches={switch: choice})
    for resources in (shop(), CHANGED):
        report = rig.converge(resources, parallelism=2)
        assert [outcome.why for outcome in report.outcomes if outcome.why] == []
        assert rig.plan(resources).changes == ()
    assert rig.ledger.open_intents("dc1") == ()


def test_a_role_keeps_its_resources_when_something_else_of_it_changes(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state", switches={"role_put_resources": "clears"})
    rig.converge(shop())
    rig.converge([CHANGED[2]])
    rig.converge([declared("Role", "ops", {"management": "db_member"})])
    assert rig.wire("Role", "ops")["resources"] == [{"type": "db", "uids": ["1", "2"]}]


def test_a_password_that_the_server_has_already_is_no_failure(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state", switches={"same_password": "refuse"})
    rig.converge(shop())
    changed = [declared("User", "anna", {**user_spec("anna", ["app"]), "email_alerts": False})]
    plan = rig.plan(changed, resend_secrets=frozenset({"dc1:User/anna"}))
    report = rig.apply(plan)
    assert [outcome.why for outcome in report.outcomes] == [""]
    assert rig.object("User", "anna").spec["email_alerts"] is False
