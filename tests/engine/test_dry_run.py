"""What clusters say to a plan before it is applied: asked with dry_run, and never with any effect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler import live
from reconciler.apply import dry_run
from reconciler.apply.dry_run import DryRunResult
from reconciler.errors import SecretMissing
from reconciler.manifests import Resource
from reconciler.model import Level, LiveState
from reconciler.plan import Plan, digest, from_json, to_json
from reconciler.plan.read_set import ReadSet, fields_of
from reconciler.render.reasons import note_text
from reconciler.secrets import Secret
from tests.support.resources import KINDS, declared, shop, user_spec
from tests.support.simulation import Simulation

VERSIONS = ("7.4", "7.8", "7.22", "8.0", "8.2")


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def prepared(rig: Simulation, resources: Sequence[Resource], **options: Any) -> tuple[Plan, LiveState]:
    state = live.read(rig.client, KINDS, ReadSet(fields_of(KINDS, resources, ()), schemas=True), "dc1")
    return rig.plan(resources, {"dc1": state}, **options), state


def asked(rig: Simulation, resources: Sequence[Resource], **options: Any) -> DryRunResult:
    """Rehearse what *resources* would do, and prove that it has no effect."""
    plan, state = prepared(rig, resources, **options)
    before = len(rig.writes), len(rig.sent)
    said = dry_run.dry_run(plan, KINDS, {"dc1": rig.client}, {"dc1": state}, rig.reveal)
    assert len(rig.writes) == before[0]
    assert all(entry.query == {"dry_run": "true"} for entry in rig.sent[before[1] :])
    return said


def objections(said: DryRunResult) -> list[str]:
    return [f"{note.address.kind}/{note.address.name}: {note_text(note)}" for note in said.objections]


def database(name: str = "big", **spec: Any) -> Resource:
    return declared("Database", name, {"memory_size": "100MiB", **spec})


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_asked_where_it_knows_dry_run_and_nothing_takes_effect(tmp_path: Path, version: str) -> None:
    rig = Simulation(tmp_path / "state", server_version=version)
    said = asked(rig, shop())
    kinds = {entry.path for entry in rig.sent}
    if version == "7.4":  # users, roles and ACLs take it since 7.8: before, it would be done for real
        assert (kinds, said) == ({"/v1/bdbs"}, DryRunResult((), 4, {}))
    else:
        assert kinds == {"/v1/bdbs", "/v1/roles", "/v1/redis_acls"}
        assert said == DryRunResult((), 8, {dry_run.MISSING_REFERENCE: 2})


@pytest.mark.parametrize("version", VERSIONS)
def test_an_applied_shop_is_asked_about_whole(tmp_path: Path, version: str) -> None:
    rig = Simulation(tmp_path / "state", server_version=version)
    rig.apply(prepared(rig, shop())[0])
    changed = [
        declared("RedisACL", "app-keys", {"acl": "+@all ~app:*"}),
        declared("Role", "app", {"management": "db_viewer"}),
        declared("User", "anna", {**user_spec("anna", ["app", "ops"])}),
        declared("Database", "db-0", {"memory_size": "200MiB", "tags": [{"key": "team", "value": "new"}]}),
    ]
    assert asked(rig, changed) == DryRunResult((), 1 if version == "7.4" else 4, {})


def test_what_is_asked_is_what_an_apply_sends(rig: Simulation) -> None:
    resources = [shop()[0], shop()[2], database(tags=[{"key": "team", "value": "a"}])]
    asked(rig, resources)
    rehearsed = {entry.path: json.loads(entry.body) for entry in rig.sent}
    begun = len(rig.sent)
    rig.converge(resources)
    sent = {entry.path: json.loads(entry.body) for entry in rig.sent[begun:]}
    sent["/v1/bdbs"]["tags"] = [tag for tag in sent["/v1/bdbs"]["tags"] if tag["key"] != "reconciler_op"]
    assert rehearsed == sent


def test_a_put_is_completed_from_what_is_live_as_an_apply_does(rig: Simulation) -> None:
    rig.converge(shop())
    begun = len(rig.sent)
    asked(rig, [declared("Database", "db-0", {"tags": [{"key": "team", "value": "new"}]})])
    (entry,) = rig.sent[begun:]
    assert [tag["key"] for tag in json.loads(entry.body)["tags"]] == ["team", "reconciler_op"]


# --- what is objected ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_objections_are_notes_of_their_changes(tmp_path: Path, version: str) -> None:
    rig = Simulation(tmp_path / "state", server_version=version, shards_limit=8)
    said = asked(
        rig,
        [
            declared("RedisACL", "bad", {"acl": "~* nonsense"}),
            declared("Role", "good", {"management": "none"}),
            database(sharding=True, shards_count=40),
            database("small", sharding=True, shards_count=2),
        ],
    )
    assert objections(said) == [
        "RedisACL/bad: the cluster would reject this: 400 invalid_param: acl is not a list of ACL rules",
        "Database/big: the cluster would reject this: 406 insufficient_resources: "
        "the licence does not allow so many shards",
    ]
    assert (said.asked, said.unasked) == (4, {})


def test_an_update_is_objected_to_as_well(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state", shards_limit=4)
    rig.converge([database(sharding=True, shards_count=2)])
    said = asked(rig, [database(sharding=True, shards_count=16)])
    assert [note.address.name for note in said.objections] == ["big"]
    assert said.objections[0].level is Level.OBJECTION


def test_objections_are_no_part_of_the_digest_and_survive_a_saved_plan(rig: Simulation) -> None:
    from dataclasses import replace

    resource = declared("RedisACL", "bad", {"acl": "~* nonsense"})
    plan, _ = prepared(rig, [resource])
    more = replace(plan, notes=(*plan.notes, *asked(rig, [resource]).objections))
    assert len(more.notes) == len(plan.notes) + 1
    assert digest(more) == digest(plan)
    assert from_json(to_json(more)) == more


def test_a_secret_is_sent_for_real_and_never_repeated(rig: Simulation) -> None:
    rig.converge(shop())
    rig.passwords["ANNA_PASSWORD"] = "a-new-password-7"
    begun = len(rig.sent)
    said = asked(rig, shop())
    assert (said.asked, said.objections) == (1, ())
    assert json.loads(rig.sent[begun].body) == {"password": "a-new-password-7"}
    assert "a-new-password-7" not in repr(said)


def test_a_login_in_an_address_that_the_server_repeats_is_not_shown(rig: Simulation) -> None:
    rig.converge([database("source")])
    text = "cannot reach redis://admin:p4ss@source.example:12000"
    rig.cluster.faults.add(
        "code", method="POST", path="/v1/bdbs", status=406, error_code="insufficient_resources", description=text
    )
    said = asked(rig, [database("copy", replica_sources=[{"database": "source"}], replica_sync="enabled")])
    assert [message.partition("reject this: ")[2] for message in objections(said)] == [
        "406 insufficient_resources: cannot reach redis://(secret)@source.example:12000"
    ]


# --- what cannot be asked --------------------------------------------------------------------------------------------


def test_a_missing_secret_skips_that_one(rig: Simulation) -> None:
    rig.converge(shop()[:4])

    def reveal(value_from: Mapping[str, Any]) -> Secret:
        raise SecretMissing([])

    plan, state = prepared(rig, [*shop()[:6], declared("Role", "more", {"management": "none"})])
    said = dry_run.dry_run(plan, KINDS, {"dc1": rig.client}, {"dc1": state}, reveal)
    assert said == DryRunResult((), 1, {dry_run.MISSING_SECRET: 2})


def test_a_replacement_is_asked_about_as_the_create_that_it_ends_with(rig: Simulation) -> None:
    rig.converge([database(port=17000)])
    assert asked(rig, [database(port=17000, replica_read_only=True)]) == DryRunResult((), 1, {})
    said = asked(rig, [database(port=17000, replica_read_only=True, rack_aware=True)])
    text = "the cluster would reject this: 406 not_rack_aware: the cluster is not rack-aware"
    assert objections(said) == [f"Database/big: {text}"]


def test_a_second_step_is_not_asked_about(rig: Simulation) -> None:
    ring = [
        declared("Role", "r", {"management": "db_viewer", "resources": [{"type": "db", "databases": ["other"]}]}),
        declared("RedisACL", "k", {"acl": "+@all ~*"}),
        database("other", roles_permissions=[{"role": "r", "redis_acl": "k"}]),
    ]
    said = asked(rig, ring)
    assert (said.objections, said.unasked) == ((), {dry_run.MISSING_REFERENCE: 2})


def test_a_login_that_may_only_read_is_no_objection(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state")
    role = rig.call("GET", "/v1/roles").json()
    uid = next(one["uid"] for one in role if one["management"] == "cluster_viewer")
    body = {"email": "viewer@example.com", "password": "viewer-password-1", "role_uids": [uid], "name": "viewer"}
    assert rig.call("POST", "/v1/users", body).status == 200
    before = len(rig.writes)
    from reconciler.client import Client, ClientOptions
    from reconciler.runtime import Runtime
    from reconciler.secrets import Secret
    from tests.support.inprocess import InProcess

    client = Client(
        rig.cluster.endpoints(),
        ("viewer@example.com", Secret("viewer-password-1")),
        Runtime(clock=rig.cluster.clock, sleep=rig.cluster.sleep),
        ClientOptions(transport=InProcess(rig.cluster.core, rig.cluster.clock)),
    )
    resources = [*shop()[:4], *shop()[6:]]
    state = live.read(client, KINDS, ReadSet(fields_of(KINDS, resources, ())), "dc1")
    said = dry_run.dry_run(rig.plan(resources, {"dc1": state}), KINDS, {"dc1": client}, {"dc1": state}, rig.reveal)
    assert said == DryRunResult((), 0, {dry_run.FORBIDDEN: 8})
    assert len(rig.writes) == before


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("500", dry_run.NO_RESPONSE),
        ("drop", dry_run.NO_RESPONSE),
        ("truncate", dry_run.NO_RESPONSE),
        ("409", dry_run.BUSY),
    ],
)
def test_a_cluster_that_does_not_answer_has_no_objection_and_is_not_waited_for(
    rig: Simulation, fault: str, why: str
) -> None:
    plan, state = prepared(rig, shop()[:4])
    rig.cluster.faults.add(fault, method="POST", times=100)
    slept = list(rig.cluster.sleeps)
    said = dry_run.dry_run(plan, KINDS, {"dc1": rig.client}, {"dc1": state}, rig.reveal)
    assert said == DryRunResult((), 0, {why: 4})
    assert rig.cluster.sleeps == slept


def test_of_a_cluster_that_states_no_version_only_what_always_took_dry_run_is_asked(rig: Simulation) -> None:
    from dataclasses import replace

    plan, state = prepared(rig, [*shop()[:4], database()])
    unknown = replace(state, version=None)
    said = dry_run.dry_run(plan, KINDS, {"dc1": rig.client}, {"dc1": unknown}, rig.reveal)
    assert (said.asked, {entry.path for entry in rig.sent}) == (1, {"/v1/bdbs"})


def test_what_a_hook_puts_into_a_request_is_asked_about_too(rig: Simulation) -> None:
    """The URI of a named source is looked up first; the first write is rehearsed, and nothing after it."""
    rig.converge([database("source")])
    begun = len(rig.sent)
    said = asked(rig, [database("copy", replica_sources=[{"database": "source"}], replica_sync="enabled")])
    assert (said.asked, said.unasked) == (1, {})
    (entry,) = rig.sent[begun:]
    assert json.loads(entry.body)["replica_sources"][0]["uri"].startswith("redis://admin:")


def test_a_sub_resource_alone_is_not_asked_about(rig: Simulation) -> None:
    rig.converge([database()])
    begun = len(rig.sent)
    said = asked(rig, [database(traffic="stopped")])
    assert (said, rig.sent[begun:]) == (DryRunResult((), 0, {}), [])
