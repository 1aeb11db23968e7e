"""What changes do beyond their values: which class, for which reason, and who must agree to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.diff import changes
from reconciler.diff.normalize import canonical
from reconciler.errors import ImpactRefused
from reconciler.kinds.kind_files import _kind
from reconciler.kinds.vocabulary import IMPACTS
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan import Action, Change, Consent, ConsentSource, Options, Plan, from_json, increased_impacts, to_json
from reconciler.plan.impacts import Impacted, impacts_of
from reconciler.reconcile import check
from reconciler.render.impacts import impact_line, impact_lines
from reconciler.render.markdown import plan_markdown
from reconciler.render.text import plan_text
from tests.plan.worlds import KINDS, Declared, declared, found, plan_of, state
from tests.support.planning import make_plan

GIB = 1024**3


def update(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    kind: str = "Database",
    used: float | None = None,
    allow: tuple[str, ...] = (),
) -> Plan:
    """Return the plan that changes one object from *before* to *after*."""
    measured = {} if used is None else {(kind, 1): {"used_memory": used}}
    return plan_of([declared(kind, "a", after, allow=allow)], state(found(kind, 1, "a", before), measured=measured))


def classes(plan: Plan) -> list[str]:
    (change,) = plan.changes
    return [one.impact for one in change.impacts]


RULE = [{"regex": ".*\\{(?<tag>.*)\\}.*"}]
SOURCE = {"uri": "redis://10.0.0.1:12000"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"data_persistence": "aof"}, {"data_persistence": "disabled"}, ["may-lose-data"]),
        ({"data_persistence": "disabled"}, {"data_persistence": "aof"}, []),
        ({"replication": True}, {"replication": False}, ["may-lose-data"]),
        ({"replication": False}, {"replication": True}, []),
        ({"eviction_policy": "noeviction"}, {"eviction_policy": "allkeys-lru"}, ["may-lose-data"]),
        ({"eviction_policy": "allkeys-lru"}, {"eviction_policy": "noeviction"}, []),
        ({"shard_key_regex": []}, {"shard_key_regex": RULE}, ["loses-data"]),
        ({"replica_sources": []}, {"replica_sources": [SOURCE]}, ["loses-data"]),
        ({"replica_sources": [SOURCE]}, {"replica_sources": []}, []),
        ({"replica_sync": "disabled"}, {"replica_sync": "enabled"}, ["loses-data"]),
        ({"replica_sync": "stopped"}, {"replica_sync": "enabled"}, ["loses-data"]),
        ({"replica_sync": "enabled"}, {"replica_sync": "disabled"}, []),
        ({"shards_count": 2}, {"shards_count": 4}, ["irreversible", "resharding"]),
        ({"sharding": False}, {"sharding": True, "shards_count": 2}, ["irreversible", "loses-data", "resharding"]),
        ({"backup_history": 0}, {"backup_history": 7}, ["may-lose-data"]),
        ({"backup_history": 7}, {"backup_history": 0}, []),
        ({"proxy_policy": "single"}, {"proxy_policy": "all-nodes"}, ["drops-clients"]),
        ({"tls_mode": "disabled"}, {"tls_mode": "enabled"}, ["new-connections"]),
        ({"default_user": True}, {"default_user": False}, ["drops-clients"]),
        ({"max_connections": 0}, {"max_connections": 10}, ["new-connections"]),
        ({"max_connections": 10}, {"max_connections": 20}, []),
        ({"redis_version": "7.4"}, {"redis_version": "8.2"}, ["restart"]),
        ({"search": {}}, {"search": {"search-no-gc": True}}, ["restart"]),
        ({}, {"search": {"search-no-gc": True}}, ["restart"]),
        ({"slave_ha": True}, {"slave_ha": False}, []),
        (
            {"redis_version": "7.4"},
            {"redis_version": "8.2", "upgrade": {"may_discard_data": True, "preserve_roles": True}},
            ["may-lose-data", "failover", "restart"],
        ),
        ({"redis_version": "7.4"}, {"redis_version": "8.2", "upgrade": {"may_discard_data": False}}, ["restart"]),
    ],
)
def test_a_change_has_the_classes_of_what_it_does(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(set(classes(update(before, after)))) == sorted(expected)


NAMED = {"database": "src", "address": "a.example.com:12000"}
MODULE = {"module_name": "search", "semantic_version": "2.10.5"}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Database", {"eviction_policy": "allkeys-lru"}, {"eviction_policy": "allkeys-lfu"}),
        ("Database", {"eviction_policy": "volatile-lru"}, {"eviction_policy": "volatile-ttl"}),
        ("Database", {"eviction_policy": "allkeys-random"}, {"eviction_policy": "volatile-lfu"}),
        (
            "Database",
            {"replica_sources": [{"address": "a.example.com:12000"}]},
            {"replica_sources": [{**NAMED, "compression": 3}]},
        ),
        ("Database", {"enforce_client_authentication": "enabled"}, {"enforce_client_authentication": "disabled"}),
        ("Database", {"roles_permissions": []}, {"roles_permissions": [{"role": "app", "redis_acl": "all"}]}),
        ("User", {"email": "a@example.com", "roles": ["app"]}, {"email": "a@example.com", "roles": ["app", "ops"]}),
        ("LDAPMapping", {"roles": ["app"]}, {"roles": ["app", "ops"]}),
    ],
)
def test_what_loses_nothing_raises_no_alarm(kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert impacts_of(KINDS[kind], "a", changes(KINDS[kind], after, before), after, {}) == ()


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("Database", {"eviction_policy": "noeviction"}, {"eviction_policy": "volatile-ttl"}, "may-lose-data"),
        ("Database", {"eviction_policy": "volatile-ttl"}, {"eviction_policy": "allkeys-lru"}, "may-lose-data"),
        ("Database", {}, {"eviction_policy": "allkeys-lru"}, "may-lose-data"),  # what it was is not known
        ("Database", {"replica_sources": [{"address": "b.example.com:1"}]}, {"replica_sources": [NAMED]}, "loses-data"),
        ("Database", {"module_list": [{**MODULE, "semantic_version": "2.10.4"}]}, {"module_list": [MODULE]}, "restart"),
        ("User", {"roles": ["app", "ops"]}, {"roles": ["app"]}, "drops-clients"),
        ("LDAPMapping", {"roles": ["app"]}, {"roles": ["ops"]}, "may-cut-off"),
        ("Cluster", {"password_expiration_duration": 0}, {"password_expiration_duration": 90}, "may-cut-off"),
    ],
)
def test_what_may_lose_something_raises_one_alarm(
    kind: str, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    found_ = impacts_of(KINDS[kind], "a", changes(KINDS[kind], after, before), after, {})
    assert [one.impact for one in found_] == [expected]


@pytest.mark.parametrize(
    ("before", "after", "used", "expected"),
    [
        (2 * GIB, GIB, None, ["may-lose-data"]),  # nobody knows
        (2 * GIB, GIB, GIB + 1, ["may-lose-data"]),
        (2 * GIB, GIB, GIB, []),
        (GIB, 2 * GIB, 3 * GIB, []),
        (0, GIB, 2 * GIB, ["may-lose-data"]),  # 0 is no limit
        (0, GIB, GIB, []),
        (2 * GIB, 0, None, []),
    ],
)
def test_memory_loses_data_only_where_it_shrinks_below_what_is_used(
    before: int, after: int, used: float | None, expected: list[str]
) -> None:
    assert classes(update({"memory_size": before}, {"memory_size": after}, used=used)) == expected


def test_the_reason_does_not_hold_the_figure_so_that_a_plan_stays_what_it_was() -> None:
    plans = [update({"memory_size": 2 * GIB}, {"memory_size": GIB}, used=used) for used in (GIB + 5.0, GIB + 9.0)]
    assert to_json(plans[0]) == to_json(plans[1])


def test_data_that_grew_since_makes_a_saved_plan_stale() -> None:
    plan = update({"memory_size": 2 * GIB}, {"memory_size": GIB}, used=GIB / 2)
    now = {used: state(measured={("Database", 1): {"used_memory": used}}) for used in (float(GIB), GIB + 1.0)}
    assert [*increased_impacts(plan, {"": now[float(GIB)]}, KINDS)] == []
    address = Address("", "Database", "a")
    assert [*increased_impacts(plan, {"": now[GIB + 1.0]}, KINDS)] == [
        (address, "memory_size", "harmless", "may-lose-data")
    ]
    known = update({"memory_size": 2 * GIB}, {"memory_size": GIB}, used=2 * GIB)
    assert [*increased_impacts(known, {"": now[GIB + 1.0]}, KINDS)] == []


def test_the_worst_comes_first_and_is_the_class_of_the_change() -> None:
    plan = update({"proxy_policy": "single", "replication": True}, {"proxy_policy": "all-nodes", "replication": False})
    assert plan.changes[0].impacts == (
        Impacted("may-lose-data", "replication", "the replica copies are dropped"),
        Impacted("drops-clients", "proxy_policy", "proxies are bound and unbound"),
    )
    assert plan.changes[0].impact == "may-lose-data"
    assert plan.impact == {"may-lose-data": 1, "drops-clients": 1}


def test_a_create_does_no_harm() -> None:
    plan = plan_of([declared("Database", "a", {"memory_size": GIB, "replication": False, "shards_count": 4})])
    assert plan.changes[0].impacts == ()
    assert plan.changes[0].impact == "none"
    check(plan, Options())


def test_what_holds_data_loses_it_when_it_goes() -> None:
    live = state(found("Database", 1, "a", {"type": "redis"}), found("Database", 2, "b"), found("RedisACL", 3, "c"))
    graves = [declared("Database", "b", absent=True), declared("RedisACL", "c", absent=True)]
    plan = plan_of([declared("Database", "a", {"type": "memcached", "memory_size": GIB}), *graves], live)
    assert {change.address.name: change.impact for change in plan.changes} == {
        "a": "loses-data",
        "b": "loses-data",
        "c": "none",
    }
    assert {change.address.name: change.unconsented for change in plan.changes} == {
        "a": ("loses-data",),
        "b": ("loses-data",),
        "c": (),
    }
    with pytest.raises(ImpactRefused, match="--allow-destroy Database/a"):
        check(plan, Options())


PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUEXAMPLE%s\n-----END CERTIFICATE-----\n"


def test_some_impacts_are_those_of_certain_objects_alone() -> None:
    for name, impact in (("api", "may-cut-off"), ("syncer", "new-connections")):
        there = LiveObject("Certificate", name, name, {"certificate": PEM % "ONE"})
        plan = plan_of([declared("Certificate", name, {"certificate": PEM % "TWO"})], state(there))
        assert plan.changes[0].impact == impact


# --- consent ---------------------------------------------------------------------------------------------------------

OFF = ({"data_persistence": "aof"}, {"data_persistence": "disabled"})


def test_it_is_refused_without_consent_and_the_text_names_what_to_add() -> None:
    with pytest.raises(ImpactRefused) as refused:
        check(update(*OFF), Options())
    assert str(refused.value) == (
        "the plan would update Database/a, which may lose data: data_persistence (nothing is left on disk after a "
        "failure); to consent, use `reconciler apply --allow-impact Database/a=may-lose-data`, or metadata.allow: "
        "[may-lose-data] in its manifest, if allowedImpacts of the project file permits it"
    )
    assert refused.value.exit_code == 5


def test_fields_that_do_the_same_for_the_same_reason_share_a_line() -> None:
    (change,) = plan_of([declared("LDAP", "cluster", {"uris": ["ldaps://a.example:636"], "bind_dn": "cn=a"})]).changes
    assert [*impact_lines(change)] == [
        ("changes new connections: bind_dn, uris (logins by LDAP go another way)", False),
    ]


def test_a_flag_agrees_to_one_class_on_one_resource() -> None:
    plan = update(*OFF)
    check(plan, Options(allow_impact=frozenset({("Database/a", "may-lose-data")})))
    for other in (("Database/b", "may-lose-data"), ("Database/a", "irreversible"), ("Database/*", "may-lose-data")):
        with pytest.raises(ImpactRefused):
            check(plan, Options(allow_impact=frozenset({other})))


def test_a_manifest_agrees_for_those_whom_nobody_asks() -> None:
    plan = update(*OFF, allow=("may-lose-data",))
    assert plan.changes[0].consents == (Consent("may-lose-data", ConsentSource.MANIFEST),)
    assert plan.changes[0].unconsented == ()
    check(plan, Options())
    assert "! consented to by its manifest: may-lose-data\n" in plan_text(plan)


def test_consent_to_a_loss_is_consent_to_the_risk_of_it_and_not_the_other_way_round() -> None:
    check(update(*OFF, allow=("loses-data",)), Options())
    worse = update({"shard_key_regex": []}, {"shard_key_regex": RULE}, allow=("may-lose-data",))
    with pytest.raises(ImpactRefused, match="Database/a=loses-data"):
        check(worse, Options())


def test_each_class_needs_its_own_consent() -> None:
    plan = update({"replication": True, "shards_count": 2}, {"replication": False, "shards_count": 4})
    assert plan.changes[0].unconsented == ("irreversible", "may-lose-data")
    given = {("Database/a", "may-lose-data")}
    with pytest.raises(ImpactRefused, match=r"^the plan would update Database/a, which cannot be undone"):
        check(plan, Options(allow_impact=frozenset(given)))
    check(plan, Options(allow_impact=frozenset({*given, ("Database/a", "irreversible")})))


def test_destruction_and_harm_are_refused_in_one_go() -> None:
    live = state(found("Database", 1, "a", {"replication": True}), found("Database", 2, "b", {"type": "redis"}))
    resources = [
        declared("Database", "a", {"replication": False}),
        declared("Database", "b", {"type": "memcached", "memory_size": GIB}),
    ]
    with pytest.raises(ImpactRefused) as refused:
        check(plan_of(resources, live), Options())
    assert "--allow-destroy Database/b" in str(refused.value)
    assert "--allow-impact Database/a=may-lose-data" in str(refused.value)


def test_an_address_that_a_shell_would_take_apart_is_quoted() -> None:
    live = state(found("Role", 7, "ops team", {"management": "admin"}))
    with pytest.raises(ImpactRefused, match="--allow-impact 'Role/ops team=may-cut-off'"):
        check(plan_of([declared("Role", "ops team", {"management": "none"})], live), Options())


def test_consent_without_a_cluster_names_the_object_on_every_cluster() -> None:
    live = [state(found("Database", 1, "a", {"replication": True}), cluster=name) for name in ("one", "two")]
    plan = plan_of([declared("Database", "a", {"replication": False}, "one")], *live)
    with pytest.raises(ImpactRefused, match="--allow-impact one:Database/a=may-lose-data"):
        check(plan, Options(allow_impact=frozenset({("two:Database/a", "may-lose-data")})))
    for name in ("Database/a", "one:Database/a"):
        check(plan, Options(allow_impact=frozenset({(name, "may-lose-data")})))


DC1: dict[str, Any] = {"cluster": "dc1", "db_config": {"replication": True}}
DC2: dict[str, Any] = {"cluster": "dc.2", "roles_permissions": [{"role": "a.b]", "redis_acl": "y"}]}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([DC1, DC2], []),
        ([DC1, DC2, {"cluster": "dc3", "db_config": {"replication": False}}], []),  # a new one has nothing to lose
        ([{"cluster": "dc1", "db_config": {"replication": False}}, DC2], ["may-lose-data"]),
        ([DC1], []),  # that is about consent to destroy
        ([DC1, {"cluster": "dc.2", "roles_permissions": [{"role": "a.b]", "redis_acl": "x"}]}], ["drops-clients"]),
        ([DC1, {**DC2, "roles_permissions": [*DC2["roles_permissions"], {"role": "b", "redis_acl": "x"}]}], []),
        ([DC1, {**DC2, "roles_permissions": []}], ["drops-clients"]),
    ],
)
def test_harm_inside_items_of_a_list_is_found(after: list[dict[str, Any]], expected: list[str]) -> None:
    kind = KINDS["ActiveActiveDatabase"]
    wanted, there = canonical(kind, {"instances": after}), canonical(kind, {"instances": [DC1, DC2]})
    found_ = impacts_of(kind, "a", changes(kind, wanted, there), wanted, {})
    assert [one.impact for one in found_] == expected


# --- settings that there is one of -----------------------------------------------------------------------------------

LOGIN = _kind(
    {
        "title": "Login",
        "x-rest": {
            "path": "/v1/login",
            "singleton": True,
            "verbs": {"create": "PUT", "update": "PUT", "delete": "DELETE"},
        },
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "enabled": {
                "type": "boolean",
                "default": False,
                "x-impact": [{"impact": "may-cut-off", "to": [False], "why": "who logs in by it is shut out"}],
            },
            "strict": {"type": "boolean", "x-impact": [{"impact": "may-cut-off", "to": [True]}]},
            "retries": {"type": "integer", "x-impact": "none"},
        },
        "examples": [],
    }
)


def login(live: Mapping[str, Any] | None, *, absent: bool = False, **spec: Any) -> Change:
    """Return the change of a made-up singleton."""
    address = Address("", "Login", "cluster")
    there = () if live is None else (LiveObject("Login", "cluster", "cluster", live),)
    states = {"": LiveState("", {"Login": there})}
    wanted = Declared(address, spec, absent=absent)
    plan = make_plan({"Login": LOGIN}, [wanted], states, {}, Options(), {})  # type: ignore[list-item]
    return plan.changes[0]


def test_settings_that_are_made_or_taken_back_change_what_the_cluster_did_without_them() -> None:
    assert login(None, enabled=True, strict=True).impacts == (Impacted("may-cut-off", "strict"),)
    assert login(None, enabled=True).impacts == ()
    back = login({"enabled": True, "strict": True, "retries": 3}, absent=True)
    assert back.action is Action.DELETE
    assert back.impacts == (Impacted("may-cut-off", "enabled", "who logs in by it is shut out"),)
    assert back.unconsented == ("may-cut-off",)
    assert back.may_lock_out


# --- our own access --------------------------------------------------------------------------------------------------


def own_role(*, ours: tuple[str, ...] | None, role: str = "ops") -> Change:
    """Return a change of a role, where the account that we log in as has the roles *ours* (None: nobody read it)."""
    roles = [found("Role", 7, "ops", {"management": "admin"}), found("Role", 8, "app", {"management": "admin"})]
    spec = {} if ours is None else {"roles": list(ours)}
    users = [found("User", 3, "tool", spec, owner="people", ourselves=True)]
    plan = plan_of([declared("Role", role, {"management": "none"})], state(*roles, *users))
    return plan.changes[0]


def test_a_role_cuts_us_off_where_we_have_it_or_nobody_knows() -> None:
    assert own_role(ours=("ops", "app")).impact == "may-cut-off"
    assert own_role(ours=None).impact == "may-cut-off"
    assert own_role(ours=("app",)).impact == "drops-clients"
    unread = plan_of(
        [declared("Role", "ops", {"management": "none"})], state(found("Role", 7, "ops", {"management": "admin"}))
    )
    assert unread.changes[0].may_lock_out


def test_what_may_cut_us_off_comes_after_everything_else_even_after_deletes() -> None:
    live = state(
        found("Role", 7, "aaa", {"management": "admin"}),
        found("Role", 8, "old"),
        found("RedisACL", 9, "keys", {"acl": "+@all ~*"}),
        found("User", 3, "anna", {"roles": ["old"]}),
    )
    resources = [
        declared("Role", "aaa", {"management": "none"}),
        declared("Role", "old", absent=True),
        declared("RedisACL", "keys", {"acl": "+@read ~*"}),
        declared("User", "anna", {"roles": ["aaa"]}),
    ]
    assert [change.address.name for change in plan_of(resources, live).changes] == ["keys", "anna", "old", "aaa"]


def test_what_needs_such_a_change_comes_after_it() -> None:
    live = state(found("Role", 7, "was", {"management": "admin"}), found("User", 3, "anna", {"roles": ["was"]}))
    resources = [
        declared("Role", "new", {"management": "none"}, renamed_from="was"),
        declared("User", "zoe", {"email": "zoe@shop.example", "roles": ["new"], "auth_method": "sso"}),
        declared("RedisACL", "keys", {"acl": "+@read ~*"}),
    ]
    plan = plan_of(resources, live)
    assert [change.address.name for change in plan.changes] == ["keys", "new", "zoe"]
    assert plan.changes[2].after == (2,)


# --- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMPACTS[1:])
def test_every_class_has_words(name: str) -> None:
    change = replace(update(*OFF).changes[0], impacts=(Impacted(name, "field", "why"),))
    assert impact_line(Plan((change,))).startswith("Impact: 1 ")
    assert impact_line(Plan((change, change))).startswith("Impact: 2 ")
    text, harm = next(impact_lines(change))
    assert text.endswith(": field (why)")
    assert harm == (name in ("may-lose-data", "loses-data", "irreversible", "may-cut-off"))


def test_json_counts_and_lists_them_and_a_saved_plan_keeps_them() -> None:
    plan = update(*OFF, allow=("may-lose-data",))
    document = json.loads(to_json(plan))
    assert document["impact"] == {"may-lose-data": 1}
    assert document["changes"][0]["impacts"] == [
        {"impact": "may-lose-data", "field": "data_persistence", "why": "nothing is left on disk after a failure"}
    ]
    assert document["changes"][0]["consents"] == [{"to": "may-lose-data", "source": "manifest"}]
    assert from_json(to_json(plan)) == plan


def test_text_and_markdown_count_them_and_say_what_is_missing() -> None:
    plan = update(*OFF)
    assert plan_text(plan).endswith("Plan: 0 to create, 1 to update, 0 to delete.\nImpact: 1 may lose data.\n")
    assert "\n      ! needs --allow-impact Database/a=may-lose-data\n" in plan_text(plan)
    page = plan_markdown(plan)
    assert "\n**Impact: 1 may lose data.**\n" in page
    assert "**Has an impact that needs consent**; refused without it: Database/a=may-lose-data" in page


def test_a_plan_without_effects_has_no_line_for_them() -> None:
    plan = update({"slave_ha": True}, {"slave_ha": False})
    assert plan_text(plan).endswith("\nPlan: 0 to create, 1 to update, 0 to delete.\n")
    assert json.loads(to_json(plan))["impact"] == {}
