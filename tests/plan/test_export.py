"""Live objects to manifests, and back to an empty plan."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import yaml12
from reconciler.export.manifests import Page, Remark, env_name, manifests_of, spec_of
from reconciler.kinds import versions
from reconciler.manifests import load
from reconciler.model import Level, LiveObject, LiveState
from reconciler.render.reasons import note_text
from reconciler.yaml12.writer import document
from tests.plan.worlds import KINDS, World, declared, found, plan_of, secrets_are, state, worlds

keys = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=12
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=40)
    | st.sampled_from(
        ("no", "1:30", "012", "0x1f", "~", "null", "1e3", "a: b", "- a", "#", "a #b", "\n", " x ", "x\ny\n")
    )
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=15
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(keys, values, min_size=1, max_size=5))
def test_what_is_written_reads_back_the_same(value: dict[str, Any]) -> None:
    text = document(value)
    assert [one.value for one in yaml12.read(text, "x.yaml")] == [value]


def planned_back(live: LiveState) -> tuple[Any, list[str]]:
    pages = [manifests_of(KINDS[name], live.objects[name], state=live).text for name in KINDS if name in live.objects]
    text = "---\n".join(filter(None, pages))
    if "kind: " not in text:
        return (), []
    resources = load(["-"], KINDS, stdin=io.BytesIO(text.encode())).resources
    plan = plan_of(resources, live, secrets=secrets_are("missing", resources))  # type: ignore[arg-type]
    return plan.changes, [note_text(note) for note in plan.notes if note.level is Level.HELD]


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds())
def test_planning_an_export_changes_nothing(world: World) -> None:
    assert planned_back(world.live) == ((), [])


@pytest.mark.parametrize("text", ["7.4.2-54", "7.8.4-18", "7.22.0-28", "8.0.2-1", "8.2.0-1"])
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(world=worlds())
def test_planning_an_export_of_every_version_changes_nothing(text: str, world: World) -> None:
    version = versions.parse(text)
    objects = {name: found for name, found in world.live.objects.items() if versions.has(version, KINDS[name])}
    assert planned_back(replace(world.live, objects=objects, version=version)) == ((), [])


def shop() -> LiveState:
    return state(
        found("RedisACL", 1, "Full Access", {"acl": "+@all ~*"}, builtin=True),
        found("RedisACL", 9, "app-keys", {"acl": "+@read ~app:*"}),
        found("Role", 7, "app", {"management": "none"}),
        found("User", 3, "anna", {"email": "anna@shop.example", "roles": ["app"], "email_alerts": True}),
        found("User", 4, "twin", {"roles": ["app"]}),
        found("User", 5, "twin", {"roles": ["app"]}),
        found(
            "Database",
            1,
            "orders",
            {
                "memory_size": 2147483648,
                "redis_version": "8.0",
                "backup": True,
                "backup_interval": 43200,
                "eviction_policy": "volatile-lru",
                "port": 12000,
                "module_list": [{"module_name": "search", "semantic_version": "8.0.1"}],
                "backup_location": {"type": "s3", "bucket_name": "shop", "access_key_id": "AKIA1", "subdir": ""},
                "roles_permissions": [{"role": "app", "redis_acl": "app-keys"}],
                "tags": [{"key": "team", "value": "on"}],
                "snapshot_policy": [],
            },
        ),
        found("Database", 2, "theirs", {"memory_size": 1}, owner="a Kubernetes operator"),
        found(
            "Database",
            3,
            "dangling",
            {"memory_size": 2147483648, "roles_permissions": [{"role": "#99", "redis_acl": "app-keys"}]},
        ),
    )


def test_an_export_reads_well() -> None:
    page = manifests_of(KINDS["Database"], shop().objects["Database"])
    assert page.text == (
        """\
# yaml-language-server: $schema=manifest.schema.json
# Database/theirs is left out: it is managed by a Kubernetes operator.
# roles_permissions is left out: it refers to a deleted object
# secrets are not exported, if set: authentication_admin_pass, authentication_redis_pass, authentication_sasl_pass
apiVersion: reconciler/v1
kind: Database
metadata: {name: dangling}
spec: {memory_size: "2GiB"}
---
# secrets are not exported: set the variables that valueFrom names, or change it
# secrets are not exported, if set: authentication_admin_pass, authentication_redis_pass, authentication_sasl_pass
apiVersion: reconciler/v1
kind: Database
metadata: {name: orders}
spec:
  redis_version: "8.0"
  memory_size: "2GiB"
  port: 12000
  roles_permissions:
    - {role: app, redis_acl: app-keys}
  tags:
    - {key: team, value: "on"}
  backup: true
  backup_interval: "12h"
  backup_location:
    type: s3
    bucket_name: shop
    access_key_id: AKIA1
    secret_access_key: {valueFrom: {env: DATABASE_ORDERS_BACKUP_LOCATION_SECRET_ACCESS_KEY}}
"""
    )


def test_users_get_a_placeholder_for_their_password_and_twins_are_left_out() -> None:
    page = manifests_of(KINDS["User"], shop().objects["User"], cluster="dc1", schema="https://x.example/s.json")
    assert page.text == (
        """\
# yaml-language-server: $schema=https://x.example/s.json
# User/twin is left out: 2 live objects have this name.
# secrets are not exported: set the variables that valueFrom names, or change it
apiVersion: reconciler/v1
kind: User
metadata: {name: anna, cluster: dc1}
spec:
  email: "anna@shop.example"
  roles:
    - app
  password: {valueFrom: {env: USER_ANNA_PASSWORD}}
"""
    )


def test_a_whole_shop_comes_back_empty() -> None:
    assert planned_back(shop()) == ((), [])


def test_what_is_left_out_is_reported_where_nothing_is_declared_too() -> None:
    page = manifests_of(KINDS["RedisACL"], [found("RedisACL", 1, "Full Access", builtin=True)])
    assert page.text.splitlines()[1:] == ["# RedisACL/Full Access is left out: it is built into the cluster."]
    assert page.remarks == (Remark("RedisACL", "Full Access", "left out: it is built into the cluster"),)
    assert manifests_of(KINDS["RedisACL"], []) == Page("")


def test_what_a_version_does_not_have_is_left_out_with_a_comment() -> None:
    spec = {"default_db_config": {"memory_size": 2**30, "eviction_policy": "volatile-lru"}, "instances": []}
    there = replace(state(), version=versions.parse("7.4.6-279"))
    (one,) = spec_of(KINDS["ActiveActiveDatabase"], found("ActiveActiveDatabase", "a", "shop", spec), there)[1][:1]
    assert one == (
        "default_db_config.eviction_policy is left out: requires version 8.0 or later; the cluster runs 7.4.6-279"
    )


def test_what_refers_to_a_kind_that_cannot_be_read_is_left_out_and_says_so() -> None:
    spec = {"memory_size": 2**30, "roles_permissions": [{"role": "#7", "redis_acl": "app-keys"}]}
    live = replace(state(found("Database", 1, "orders", spec)), unreadable={"Role": "403"})
    page = manifests_of(KINDS["Database"], live.objects["Database"], state=live)
    assert "# roles_permissions is left out: it refers to a Role, which this account cannot read\n" in page.text
    roles = manifests_of(KINDS["Role"], (), state=live)
    assert "# Role is left out: this account cannot read it (403).\n" in roles.text
    assert [one.kind for one in roles.remarks] == ["Role"]


def test_nothing_is_deleted_that_a_kind_which_cannot_be_read_may_refer_to() -> None:
    live = replace(state(found("RedisACL", 9, "keys", {"acl": "+@all ~*"})), unreadable={"Database": "403"})
    plan = plan_of([declared("RedisACL", "keys", absent=True)], live)
    assert plan.changes == ()
    assert [note_text(note) for note in plan.notes] == [
        "not changed: this account cannot read every Database, which may refer to it"
    ]


@pytest.mark.parametrize(("text", "name"), [("User_a.b_password", "USER_A_B_PASSWORD"), ("9x", "_9X"), ("é", "_")])
def test_environment_names(text: str, name: str) -> None:
    assert env_name(text) == name


def test_what_an_untouched_policy_supplies_is_left_out_and_what_was_chosen_stays() -> None:
    kind = KINDS["Database"]
    usual = LiveObject("Database", 1, "usual", {"memory_size": 2**30, "resp3": True, "recovery_wait_time": -1})
    chosen = LiveObject("Database", 2, "chosen", {"memory_size": 2**30, "resp3": False, "recovery_wait_time": 300})
    assert spec_of(kind, usual)[0] == {"memory_size": "1GiB"}
    assert spec_of(kind, chosen)[0] == {"memory_size": "1GiB", "recovery_wait_time": "5m", "resp3": False}
