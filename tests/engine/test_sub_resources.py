"""Fields of a database that the API keeps at endpoints of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.diff import SECRET
from reconciler.errors import InputError
from reconciler.kinds import MISSING
from reconciler.plan import Action, Plan
from tests.support.resources import declared
from tests.support.simulation import CANARY, Simulation

LEAST = {"memory_size": "100MiB"}
ONE, TWO = {"valueFrom": {"env": "ONE"}}, {"valueFrom": {"env": "TWO"}}


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def apply(rig: Simulation, spec: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Apply *spec* to one database, show that nothing is left to do; return the calls other than to the object."""
    wanted = [declared("Database", "db", {**LEAST, **spec})]
    begun = len(rig.sent)
    report = rig.converge(wanted)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(wanted).changes == ()
    return [
        (entry.method, entry.path.removeprefix("/v1/bdbs/"), json.loads(entry.body or b"null"))
        for entry in rig.sent[begun:]
    ]


def plan(rig: Simulation, spec: Mapping[str, Any]) -> Plan:
    return rig.plan([declared("Database", "db", {**LEAST, **spec})])


def alert(threshold: str) -> dict[str, Any]:
    return {"enabled": True, "threshold": threshold}


def test_a_new_database_gets_its_alerts_once_it_is_there(rig: Simulation) -> None:
    calls = apply(rig, {"alerts": {"bdb_size": alert("80")}})
    assert [call[:2] for call in calls] == [("POST", "/v1/bdbs"), ("POST", "alerts/1")]
    assert "alerts" not in calls[0][2]
    assert calls[1][2] == {"bdb_size": alert("80")}


def test_alerts_that_nobody_declares_stay_unchanged(rig: Simulation) -> None:
    apply(rig, {"alerts": {"bdb_size": alert("80")}})
    rig.call("POST", "/v1/bdbs/alerts/1", {"bdb_high_latency": alert("3000")})
    assert plan(rig, {"alerts": {"bdb_size": alert("80")}}).changes == ()
    change = plan(rig, {"alerts": {"bdb_size": alert("90")}}).changes[0]
    assert [tuple(one) for one in change.fields] == [("alerts.bdb_size.threshold", "80", "90")]
    apply(rig, {"alerts": {"bdb_size": alert("90")}})
    assert rig.call("GET", "/v1/bdbs/alerts/1").json()["bdb_high_latency"]["threshold"] == "3000"


def test_a_sub_resource_that_nobody_declares_costs_no_request(rig: Simulation) -> None:
    apply(rig, {"alerts": {"bdb_size": alert("80")}})
    begun = len(rig.cluster.log)
    rig.converge([declared("Database", "other", LEAST)])
    paths = [entry.path for entry in rig.cluster.log[begun:] if entry.path.startswith("/v1/bdbs/alerts")]
    assert paths == ["/v1/bdbs/alerts"] * paths.count("/v1/bdbs/alerts")  # the rig reads all there is, the flows do not


def test_traffic_stops_and_runs_again(rig: Simulation) -> None:
    assert [call[1] for call in apply(rig, {"traffic": "stopped"})] == ["/v1/bdbs", "1/actions/stop_traffic"]
    assert [call[1] for call in apply(rig, {"traffic": "running"})] == ["1/actions/resume_traffic"]
    rig.call("POST", "/v1/bdbs/1/actions/stop_traffic", {})
    rig.cluster.clock.sleep(60)
    assert [call[1] for call in apply(rig, {"traffic": "running"})] == ["1/actions/resume_traffic"]


def test_a_raised_version_is_an_upgrade_with_its_options(rig: Simulation) -> None:
    apply(rig, {"redis_version": "7.4", "replication": True, "upgrade": {"preserve_roles": True}})
    calls = apply(rig, {"redis_version": "8.0", "replication": True, "upgrade": {"preserve_roles": True}})
    assert calls == [("POST", "1/upgrade", {"preserve_roles": True, "redis_version": "8.0"})]
    assert rig.wire("Database", "db")["redis_version"] == "8.0"


def test_options_by_themselves_are_no_difference(rig: Simulation) -> None:
    apply(rig, {"redis_version": "8.0"})
    assert plan(rig, {"redis_version": "8.0", "upgrade": {"force_restart": True}}).changes == ()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"redis_version": "8.0"}, {"redis_version": "7.4"}),
        ({"sharding": True, "shards_count": 2}, {"sharding": True, "shards_count": 1}),
        ({"sharding": True, "shards_count": 2}, {"sharding": False}),
    ],
)
def test_what_only_grows_is_refused_before_anything_is_sent(
    rig: Simulation, first: Mapping[str, Any], then: Mapping[str, Any]
) -> None:
    apply(rig, first)
    with pytest.raises(InputError, match="cannot go back to") as refused:
        plan(rig, then)
    assert "now" in refused.value.problems[0].hint


def passwords(rig: Simulation) -> int:
    """Return how many passwords the database has."""
    record = next(one for one in rig.cluster.core.state.bdbs.values() if one.fields["name"] == "db")
    return len(record.hidden["passwords"])


def test_a_password_is_added_and_the_old_one_removed_later(rig: Simulation) -> None:
    assert apply(rig, {"passwords": [ONE]})[1:] == [("PUT", "1/passwords", {"password": f"{CANARY}-ONE"})]
    change = plan(rig, {"passwords": [ONE, TWO]}).changes[0]
    assert [tuple(one) for one in change.fields] == [("passwords[1]", MISSING, SECRET)]
    assert apply(rig, {"passwords": [ONE, TWO]}) == [("POST", "1/passwords", {"password": f"{CANARY}-TWO"})]
    assert passwords(rig) == 2
    assert apply(rig, {"passwords": [TWO]}) == [("PUT", "1/passwords", {"password": f"{CANARY}-TWO"})]
    assert passwords(rig) == 1


def test_a_password_that_is_named_as_retired_is_removed_alone(rig: Simulation) -> None:
    apply(rig, {"passwords": [ONE, TWO]})
    calls = apply(rig, {"passwords": [TWO], "retire": {"passwords": [ONE]}})
    assert calls == [("DELETE", "1/passwords", {"password": f"{CANARY}-ONE"})]
    assert passwords(rig) == 1


def test_a_password_that_was_removed_can_come_back(rig: Simulation) -> None:
    apply(rig, {"passwords": [ONE, TWO]})
    apply(rig, {"passwords": [ONE]})
    assert apply(rig, {"passwords": [ONE, TWO]}) == [("POST", "1/passwords", {"password": f"{CANARY}-TWO"})]
    assert passwords(rig) == 2


def test_a_busy_sub_resource_is_retried(rig: Simulation) -> None:
    apply(rig, {})
    rig.cluster.faults.add("lost", method="POST", path="/v1/bdbs/alerts", times=1)
    calls = apply(rig, {"alerts": {"bdb_size": alert("80")}})
    assert [call[:2] for call in calls] == [("POST", "alerts/1"), ("POST", "alerts/1")]


def test_a_create_that_was_killed_before_its_sub_resources_is_finished_by_the_next_run(rig: Simulation) -> None:
    rig.cluster.faults.add("401", method="POST", path="/v1/bdbs/alerts", times=2)
    wanted = [declared("Database", "db", {**LEAST, "alerts": {"bdb_size": alert("80")}, "passwords": [ONE]})]
    assert not rig.converge(wanted).complete
    rig.reopen()
    report = rig.converge(wanted)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert passwords(rig) == 1
    assert rig.plan(wanted).changes == ()
    assert len(rig.call("GET", "/v1/bdbs").json()) == 1


def bring(rig: Simulation, *versions: str) -> None:
    """Make versions of a module of users known to the cluster."""
    rig.call("PUT", "/v1/cluster", {"allow_modules_upload": True})
    for version in versions:
        own = {
            "module_name": "geo",
            "version": int(version.replace(".", "")),
            "semantic_version": version,
            "display_name": "Geo",
            "commands": [],
            "command_line_args": "",
            "capabilities": ["types", "clustering", "persistence_aof", "persistence_rdb", "failover_migrate"],
            "min_redis_version": "7.4",
        }
        assert rig.call("POST", "/v2/modules/user-defined", own).status == 200


def test_a_raised_module_version_is_an_upgrade_and_no_replacement(rig: Simulation) -> None:
    bring(rig, "1.0.0")
    geo = {"module_name": "geo", "semantic_version": "1.0.0"}
    apply(rig, {"module_list": [geo], "upgrade": {"preserve_roles": True}})
    bring(rig, "1.1.0")
    begun = len(rig.sent)
    raised = {"module_list": [{**geo, "semantic_version": "1.1.0"}], "upgrade": {"preserve_roles": True}}
    change = plan(rig, raised).changes[0]
    assert change.action is Action.UPDATE
    apply(rig, raised)
    assert [entry.path for entry in rig.sent[begun:]] == ["/v1/bdbs/1/modules/upgrade"]
    assert json.loads(rig.sent[-1].body)["preserve_roles"] is True
    with pytest.raises(InputError, match="cannot go back"):
        plan(rig, {"module_list": [geo]})


def test_a_module_more_still_means_another_database(rig: Simulation) -> None:
    bring(rig, "1.0.0")
    apply(rig, {"redis_version": "7.4", "module_list": [{"module_name": "geo"}]})
    more = {"redis_version": "7.4", "module_list": [{"module_name": "geo"}, {"module_name": "search"}]}
    assert [change.action for change in plan(rig, more).changes] == [Action.REPLACE]
