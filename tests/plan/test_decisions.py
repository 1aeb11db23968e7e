"""What the planner decides, one behaviour a test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import ImpactRefused, InputError, PlanTooLarge, Refused, SecretMissing
from reconciler.kinds import MISSING
from reconciler.model import Address, LiveState, Owned
from reconciler.plan import Action, Options, Plan, stale_fields
from reconciler.plan.read_set import fields_of, read_sets
from reconciler.reconcile import check
from reconciler.render.reasons import note_text
from tests.plan.worlds import KINDS, Declared, declared, found, plan_of, secrets_are, state
from tests.support.planning import make_plan

ACL = {"acl": "+@all ~*"}
PASSWORD = {"valueFrom": {"env": "ANNA_PASSWORD"}}
ANNA = {"email": "anna@shop.example", "roles": ["app"], "password": PASSWORD}


def actions(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action.name, str(change.address)) for change in plan.changes]


def notes(plan: Plan) -> list[str]:
    return [f"{note.level.value} {note.address}: {note_text(note)}" for note in plan.notes]


def problems(*args: object, **more: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        plan_of(*args, **more)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_input_deletes_nothing() -> None:
    live = state(found("RedisACL", 9, "all", ACL))
    owned = {Address("", "RedisACL", "all"): Owned(9, "", ACL)}
    assert actions(plan_of([], live, owned=owned)) == []
    with pytest.raises(Refused, match="nothing is declared"):
        plan_of([], live, owned=owned, prune=True)


def test_a_cluster_without_declarations_is_not_emptied_by_prune() -> None:
    states = [state(found("RedisACL", 9, "all", ACL), cluster=name) for name in ("a", "b")]
    owned = {Address(name, "RedisACL", "all"): Owned(9, "", ACL) for name in ("a", "b")}
    with pytest.raises(Refused, match="nothing is declared for b"):
        plan_of([declared("RedisACL", "all", ACL, "a")], *states, owned=owned, prune=True)


def test_what_is_not_owned_is_never_pruned() -> None:
    live = state(found("RedisACL", 9, "all", ACL), found("RedisACL", 10, "foreign", ACL))
    assert actions(plan_of([declared("RedisACL", "all", ACL)], live, prune=True)) == []


def test_an_owned_name_with_another_uid_is_forgotten_and_not_deleted() -> None:
    live = state(found("RedisACL", 9, "all", ACL), found("RedisACL", 10, "left", ACL))
    owned = {Address("", "RedisACL", "left"): Owned(8, "", ACL)}
    plan = plan_of([declared("RedisACL", "all", ACL)], live, owned=owned, prune=True)
    assert actions(plan) == [("FORGET", "RedisACL/left")]


def test_without_prune_what_is_owned_and_undeclared_is_only_mentioned() -> None:
    live = state(found("RedisACL", 9, "all", ACL), found("RedisACL", 10, "left", ACL))
    owned = {Address("", "RedisACL", "left"): Owned(10, "", ACL)}
    plan = plan_of([declared("RedisACL", "all", ACL)], live, owned=owned)
    assert actions(plan) == []
    assert notes(plan) == [
        "warning RedisACL/left: owned and no longer declared; `reconciler apply --prune` would delete it"
    ]


def test_a_kind_that_was_not_read_is_not_gone() -> None:
    live = type(state())("", {"RedisACL": (found("RedisACL", 9, "all", ACL),)})
    owned = {Address("", "Role", "app"): Owned(7, "", {})}
    assert actions(plan_of([declared("RedisACL", "all", ACL)], live, owned=owned, prune=True)) == []


def test_a_tombstone_of_what_is_gone_does_nothing() -> None:
    assert actions(plan_of([declared("Database", "old", absent=True)])) == []


def test_a_tombstone_consents_to_nothing_by_itself() -> None:
    live = state(found("Database", 1, "old"))
    plan = plan_of([declared("Database", "old", absent=True)], live)
    assert actions(plan) == [("DELETE", "Database/old")]
    with pytest.raises(ImpactRefused) as refused:
        check(plan, Options())
    assert str(refused.value) == (
        "the plan would delete Database/old (declared absent), which loses data (all that it holds); to consent, use "
        "`reconciler apply --allow-destroy Database/old`, or metadata.allow: [loses-data] in its manifest, "
        "if allowedImpacts of the project file permits it"
    )
    check(plan_of([declared("Database", "old", absent=True, allow=("loses-data",))], live), Options())


def replacement(**metadata: object) -> Plan:
    live = state(found("Database", 1, "cache", {"type": "redis", "port": 12000}))
    resource = declared("Database", "cache", {"type": "memcached", "memory_size": "1GiB"}, **metadata)
    return plan_of([resource], live)


def test_a_replacement_needs_consent_that_names_it() -> None:
    plan = replacement()
    assert actions(plan) == [("REPLACE", "Database/cache")]
    with pytest.raises(ImpactRefused, match="--allow-destroy Database/cache"):
        check(plan, Options())
    check(plan, Options(allow_destroy=frozenset({"Database/cache"})))
    check(plan, Options(allow_impact=frozenset({("Database/cache", "loses-data")})))
    check(replacement(allow=("loses-data",)), Options())


def test_what_a_manifest_protects_is_destroyed_by_a_flag_only() -> None:
    held = replacement(protect=True, allow=("loses-data",))
    with pytest.raises(
        ImpactRefused, match="and its manifest protects it; to consent, use `reconciler apply --allow-d"
    ):
        check(held, Options(allow_impact=frozenset({("Database/cache", "loses-data")})))
    check(held, Options(allow_destroy=frozenset({"Database/cache"})))


def test_a_replacement_keeps_the_port() -> None:
    assert replacement().changes[0].body["port"] == 12000


def test_what_refers_to_a_replacement_is_told_its_new_uid() -> None:
    viewer = {"management": "db_viewer", "resources": [{"type": "db", "databases": ["cache"]}]}
    live = state(found("Database", 1, "cache", {"type": "redis"}), found("Role", 7, "viewer", viewer))
    plan = plan_of(
        [
            declared("Database", "cache", {"type": "memcached", "memory_size": "1GiB"}),
            declared("Role", "viewer", viewer),
        ],
        live,
    )
    assert actions(plan) == [("REPLACE", "Database/cache"), ("UPDATE", "Role/viewer")]
    assert plan.changes[1].body == {"resources": viewer["resources"]}
    assert plan.changes[1].after == (1,)
    assert plan.unchanged == 0


VIEWER = {"management": "db_viewer", "resources": [{"type": "db", "databases": ["cache"]}]}
MEMCACHED = {"type": "memcached", "memory_size": "1GiB"}


def test_a_replacement_that_something_undeclared_refers_to_is_held() -> None:
    live = state(found("Database", 1, "cache", {"type": "redis"}), found("Role", 7, "viewer", VIEWER))
    plan = plan_of([declared("Database", "cache", MEMCACHED)], live)
    assert actions(plan) == []
    assert notes(plan)[0] == (
        "held Database/cache: not replaced: Role/viewer (resources) would lose its reference; "
        "declare it here too, or change it first"
    )
    bare = declared("Role", "viewer", {"management": "db_viewer"})  # a field that is not declared is not ours to send
    assert actions(plan_of([declared("Database", "cache", MEMCACHED), bare], live)) == []
    narrowed = [declared("Database", "cache", MEMCACHED), declared("Role", "viewer", VIEWER)]
    assert actions(plan_of(narrowed, live, targets=("Database/cache",))) == []


def test_a_replacement_that_nothing_will_refer_to_is_not_held() -> None:
    live = state(found("Database", 1, "cache", {"type": "redis"}), found("Role", 7, "viewer", VIEWER))
    gone = [declared("Database", "cache", MEMCACHED), declared("Role", "viewer", absent=True)]
    assert actions(plan_of(gone, live)) == [("REPLACE", "Database/cache"), ("DELETE", "Role/viewer")]
    renamed = [
        declared("Database", "store", MEMCACHED, renamed_from="cache"),
        declared("Role", "viewer", {"resources": [{"type": "db", "databases": ["store"]}]}),
    ]
    assert actions(plan_of(renamed, live)) == [("REPLACE", "Database/store"), ("UPDATE", "Role/viewer")]
    freed = [declared("Database", "cache", MEMCACHED), declared("Role", "viewer", {"resources": []})]
    assert ("REPLACE", "Database/cache") in actions(plan_of(freed, live))


def test_what_may_be_replaced_is_read_with_what_refers_to_it() -> None:
    def wanted(spec: dict[str, object]) -> dict[str, frozenset[str] | None]:
        return fields_of(KINDS, [declared("Database", "a", spec)], [])  # type: ignore[list-item]

    assert wanted({"memory_size": 1}) == {"Database": frozenset({"memory_size"})}
    read = wanted({"type": "redis"})
    assert read["Role"] == {"resources"}
    assert read["User"] == {"bdbs_email_alerts"}


def test_an_immutable_field_that_the_server_does_not_show_replaces_nothing() -> None:
    plan = plan_of(
        [declared("Database", "cache", {"type": "redis"})], state(found("Database", 1, "cache", {"bigstore": True}))
    )
    assert (
        actions(plan_of([declared("Database", "cache", {"bigstore_version": 2})], state(found("Database", 1, "cache"))))
        == []
    )
    assert actions(plan) == []


def test_sharding_alone_takes_the_standard_rules() -> None:
    plan = plan_of([declared("Database", "orders", {"memory_size": "1GiB", "sharding": True})])
    assert plan.changes[0].body["shard_key_regex"] == [{"regex": r".*\{(?<tag>.*)\}.*"}, {"regex": "(?<tag>.*)"}]
    again = plan_of(
        [declared("Database", "orders", {"sharding": True})], state(found("Database", 1, "orders", {"sharding": False}))
    )
    assert sorted(again.changes[0].body) == ["shard_key_regex", "sharding"]


def test_a_create_gets_a_free_port_that_nobody_else_has() -> None:
    live = state(found("Database", 1, "one", {"port": 15907}), taken_ports=frozenset({15908, 15910}))
    plan = plan_of(
        [
            declared("Database", "a", {"memory_size": "1GiB"}),
            declared("Database", "b", {"memory_size": "1GiB"}),
            declared("Database", "c", {"memory_size": "1GiB", "port": 15909}),
        ],
        live,
    )
    assert [change.body["port"] for change in plan.changes] == [15911, 18681, 15909]


def test_a_port_follows_from_the_name_so_that_two_runs_cannot_make_a_database_twice() -> None:
    one, two = (declared("Database", name, {"memory_size": "1GiB"}) for name in ("one", "two"))
    (alone,) = plan_of([two]).changes
    _, with_another = plan_of([one, two]).changes
    assert alone.body["port"] == with_another.body["port"]


def test_a_create_without_a_free_port_is_held() -> None:
    plan = plan_of(
        [declared("Database", name, {"memory_size": "1GiB"}) for name in ("a", "b")],
        state(taken_ports=frozenset(range(10000, 20000)) - {10050, 12345}),
    )
    assert [change.body["port"] for change in plan.changes] == [12345]
    assert note_text(plan.notes[0]) == "no port from 10000 to 19999 is free"


def test_a_port_that_was_pinned_before_is_kept() -> None:
    address = Address("", "Database", "a")
    plan = plan_of([declared("Database", "a", {"memory_size": "1GiB"})], pinned_ports={address: 10777})
    assert plan.changes[0].body["port"] == 10777


def test_the_plan_moves_when_its_port_is_taken_or_its_object_is_there() -> None:
    plan = plan_of([declared("Database", "a", {"memory_size": "1GiB"})])
    taken = state(taken_ports=frozenset({15907}))
    assert stale_fields(plan, {"": taken}) == [(Address("", "Database", "a"), "port", "15907 free", "taken")]
    there = state(found("Database", 4, "a"))
    assert stale_fields(plan, {"": there}) == [(Address("", "Database", "a"), "", "absent", "uid 4")]


def test_the_plan_moves_with_each_value_that_it_rests_on_and_with_no_other() -> None:
    live = {"memory_size": 1, "eviction_policy": "allkeys-lru"}
    plan = plan_of([declared("Database", "a", {"memory_size": 5})], state(found("Database", 1, "a", live)))
    address = Address("", "Database", "a")
    other = state(found("Database", 1, "a", {**live, "eviction_policy": "noeviction"}))
    assert stale_fields(plan, {"": other}) == []
    changed = state(found("Database", 1, "a", {"memory_size": 2}))
    assert stale_fields(plan, {"": changed}) == [(address, "memory_size", 1, 2)]
    assert stale_fields(plan, {"": state()}) == [(address, "", "uid 1", "deleted")]
    reused = state(found("Database", 1, "a", live, created="2026-01-01T00:00:00Z"))
    assert stale_fields(plan, {"": reused}) == [(address, "created_time", "", "2026-01-01T00:00:00Z")]
    renamed = state(found("Database", 1, "b", live))
    assert stale_fields(plan, {"": renamed}) == [(address, "name", "a", "b")]


def test_what_is_suspended_is_left_alone_and_said() -> None:
    resource = declared("RedisACL", "keys", {"acl": "+@all ~*"}, suspended=True)
    plan = plan_of([resource], state(found("RedisACL", 9, "keys", ACL)))
    assert plan.changes == ()
    assert [(note.level.value, str(note.address), note_text(note).split(";")[0]) for note in plan.notes] == [
        ("held", "RedisACL/keys", "suspended in its manifest")
    ]


def test_renamed_from_updates_the_name_and_only_once() -> None:
    resource = declared("RedisACL", "new", ACL, renamed_from="old")
    plan = plan_of([resource], state(found("RedisACL", 9, "old", ACL)))
    assert actions(plan) == [("UPDATE", "RedisACL/new")]
    assert (plan.changes[0].renamed_from, plan.changes[0].uid, plan.changes[0].body) == ("old", 9, {})
    owned = {Address("", "RedisACL", "old"): Owned(9, "", ACL)}
    assert actions(plan_of([resource], state(found("RedisACL", 9, "new", ACL)), owned=owned, prune=True)) == []


def refers_to_app(name: str) -> list[Declared]:
    permissions = [{"role": name, "redis_acl": "all"}]
    return [
        declared("Database", "orders", {"roles_permissions": permissions}),
        declared("User", "anna", {"email": "anna@shop.example", "roles": [name, "ops"]}),
    ]


def with_app() -> LiveState:
    others = (found(one.address.kind, 1, one.address.name, one.spec) for one in refers_to_app("app"))
    roles = (found("Role", uid, name, {"management": "none"}) for uid, name in ((7, "app"), (8, "ops")))
    return state(*others, *roles, found("RedisACL", 9, "all", ACL))


def test_what_refers_to_what_is_renamed_is_left_alone() -> None:
    renamed = declared("Role", "zapp", {"management": "none"}, renamed_from="app")
    plan = plan_of([renamed, *refers_to_app("zapp")], with_app())
    assert actions(plan) == [("UPDATE", "Role/zapp")]
    assert plan.unchanged == 2


def test_only_a_rename_of_this_plan_makes_an_old_name_count_as_new() -> None:
    renamed = declared("Role", "zapp", {"management": "none"}, renamed_from="app")
    there = state(*(one for items in with_app().objects.values() for one in items), found("Role", 17, "zapp"))
    plan = plan_of([renamed, *refers_to_app("zapp")], there)
    assert actions(plan) == [("UPDATE", "Database/orders"), ("UPDATE", "User/anna"), ("UPDATE", "Role/zapp")]
    assert not plan.changes[0].renamed_from


def test_what_changes_beside_a_renamed_reference_rests_on_the_names_of_before() -> None:
    renamed = declared("Role", "zapp", {"management": "none"}, renamed_from="app")
    anna = declared("User", "anna", {"email": "anna@shop.example", "roles": ["zapp"]})
    plan = plan_of([renamed, anna], with_app())
    assert actions(plan) == [("UPDATE", "Role/zapp"), ("UPDATE", "User/anna")]
    change = plan.changes[1]
    assert (change.body, change.rests_on) == ({"roles": ["zapp"]}, {"roles": ["app", "ops"]})
    assert change.after == (1,)


def test_ignored_fields_are_neither_compared_nor_written() -> None:
    live = state(found("Database", 1, "a", {"memory_size": 1, "replication": False}))
    resource = declared("Database", "a", {"memory_size": 5, "replication": True}, ignore=("memory_size",))
    assert plan_of([resource], live).changes[0].body == {"replication": True}


def test_undeclared_parts_of_a_changed_object_are_sent_along() -> None:
    live = state(
        found("Database", 1, "a", {"audit_settings": {"audit_mode": "disabled", "username_filter": {"enabled": True}}})
    )
    plan = plan_of([declared("Database", "a", {"audit_settings": {"audit_mode": "connection"}})], live)
    assert plan.changes[0].body == {
        "audit_settings": {"audit_mode": "connection", "username_filter": {"enabled": True}}
    }
    assert [field.path for field in plan.changes[0].fields] == ["audit_settings.audit_mode"]


def test_tags_are_declared_whole() -> None:
    live = state(found("Database", 1, "a", {"tags": [{"key": "other", "value": "1"}]}))
    plan = plan_of([declared("Database", "a", {"tags": [{"key": "team", "value": "shop"}]})], live)
    assert plan.changes[0].body == {"tags": [{"key": "team", "value": "shop"}]}
    other, team = plan.changes[0].fields
    assert (other.path, other.after) == ("tags[key=other]", MISSING)
    assert (team.path, team.before) == ("tags[key=team]", MISSING)


def test_a_permission_that_nobody_declared_is_taken_away() -> None:
    both = [{"role": "app", "redis_acl": "all"}, {"role": "ops", "redis_acl": "all"}]
    live = state(
        found("Database", 1, "a", {"roles_permissions": both}),
        found("RedisACL", 9, "all", ACL),
        found("Role", 7, "app"),
        found("Role", 8, "ops"),
    )
    plan = plan_of([declared("Database", "a", {"roles_permissions": both[:1]})], live)
    assert plan.changes[0].body == {"roles_permissions": both[:1]}


# Secrets.


def users(status: str, **options: object) -> Plan:
    resource = declared("User", "anna", ANNA)
    live = state(found("Role", 7, "app"), found("User", 3, "anna", {"email": "anna@shop.example", "roles": ["app"]}))
    return plan_of([resource], live, secrets=secrets_are(status, [resource]), **options)  # type: ignore[arg-type]


def test_a_secret_is_sent_when_it_changed_or_is_asked_for() -> None:
    assert actions(users("same")) == []
    assert users("changed").changes[0].body == {"password": PASSWORD}
    assert users("unknown", resend_secrets=frozenset({"User/anna"})).changes[0].body == {"password": PASSWORD}


def test_a_secret_that_cannot_be_compared_is_held_until_somebody_asks_for_it() -> None:
    plan = users("unknown")
    assert (actions(plan), plan.held) == ([], 1)
    assert "cannot be compared" in notes(plan)[0]


def test_a_secret_without_a_value_is_left_alone_and_mentioned() -> None:
    plan = users("missing")
    assert (actions(plan), plan.held) == ([], 0)
    assert "no value here" in notes(plan)[0]


def test_a_secret_that_cannot_be_compared_is_sent_with_the_first_write() -> None:
    resource = declared("User", "anna", {**ANNA, "email": "new@shop.example"})
    live = state(found("Role", 7, "app"), found("User", 3, "anna", {"email": "anna@shop.example", "roles": ["app"]}))
    plan = plan_of([resource], live, secrets=secrets_are("unknown", [resource]))
    assert plan.changes[0].body == {"email": "new@shop.example", "password": PASSWORD}
    assert plan.notes == ()


def test_what_was_never_set_on_an_object_that_this_tool_created_is_a_change() -> None:
    resource = declared("User", "anna", ANNA)
    live = state(found("Role", 7, "app"), found("User", 3, "anna", {"email": "anna@shop.example", "roles": ["app"]}))
    for made, body in ((True, [{"password": PASSWORD}]), (False, [])):
        owned = {resource.address: Owned(3, "", {"email": "anna@shop.example", "roles": ["app"]}, made)}
        plan = plan_of([resource], live, owned=owned, secrets=secrets_are("unknown", [resource]))
        assert [change.body for change in plan.changes] == body


def test_a_create_with_a_secret_that_is_missing_is_refused_with_its_place() -> None:
    resource = declared("User", "anna", ANNA)
    with pytest.raises(SecretMissing) as caught:
        plan_of([resource], state(found("Role", 7, "app")), secrets=secrets_are("missing", [resource]))
    assert str(caught.value) == (
        "shop.yaml:7:3: spec.password: User/anna: password is required to apply this, and env ANNA_PASSWORD has no "
        "value (set it where this runs)"
    )


def test_a_change_beside_an_unchanged_secret_sends_it_too_and_shows_no_change_of_it() -> None:
    place = {"type": "s3", "bucket_name": "old", "access_key_id": PASSWORD, "secret_access_key": PASSWORD}
    resource = declared("Database", "a", {"backup_location": {**place, "bucket_name": "new"}})
    live = state(found("Database", 1, "a", {"backup_location": {"type": "s3", "bucket_name": "old", "subdir": "x"}}))
    change = plan_of([resource], live, secrets=secrets_are("same", [resource])).changes[0]
    assert change.body == {"backup_location": {**place, "bucket_name": "new"}}
    assert [field.path for field in change.fields] == ["backup_location.bucket_name"]


# References.


def test_a_reference_to_nothing_has_its_place_and_a_near_match() -> None:
    resource = declared("User", "anna", {**ANNA, "roles": ["ap"]})
    assert problems([resource], state(found("Role", 7, "app"))) == [
        "shop.yaml:7:3: spec.roles: User/anna: Role 'ap' is neither declared nor on the cluster (did you mean 'app'?)"
    ]


def test_a_reference_to_a_tombstone_is_refused() -> None:
    live = state(found("Role", 7, "app"), found("User", 3, "anna", {"roles": ["app"], "email": "anna@shop.example"}))
    assert problems([declared("User", "anna", {"roles": ["app"]}), declared("Role", "app", absent=True)], live) == [
        "shop.yaml:7:3: spec.roles: User/anna: Role/app is declared absent"
    ]


def test_all_problems_come_at_once() -> None:
    found_problems = problems(
        [declared("Database", "a", {}), declared("Role", "r", {}), declared("User", "u", {"roles": ["x"]})]
    )
    assert [problem.split(": ", 2)[2] for problem in found_problems] == [
        "Database/a: memory_size is required to create a Database (add spec.memory_size)",
        "Role/r: management is required to create a Role (add spec.management)",
        "User/u: email is required to create a User (add spec.email)",
        "User/u: password is required to create a User (add spec.password)",
        "User/u: Role 'x' is neither declared nor on the cluster",
    ]


def test_what_needs_something_held_is_held_too() -> None:
    twins = [found("Role", uid, "app") for uid in (7, 8)]
    plan = plan_of([declared("Role", "app", {"management": "none"}), declared("User", "anna", ANNA)], state(*twins))
    assert actions(plan) == []
    assert "held User/anna: refers to Role/app, and 2 live objects have that name" in notes(plan)


def test_a_second_declaration_of_an_address_holds_it() -> None:
    plan = plan_of([declared("RedisACL", "all", ACL), declared("RedisACL", "all", {"acl": "-@all"})])
    assert actions(plan) == []
    assert notes(plan) == ["held RedisACL/all: declared 2 times; not changed"]


# Limits and selection.


def many(changed: int, total: int) -> Plan:
    resources = [
        declared("RedisACL", f"acl-{n}", {"acl": f"~new-{n}" if n < changed else ACL["acl"]}) for n in range(total)
    ]
    return plan_of(resources, state(*(found("RedisACL", 10 + n, f"acl-{n}", ACL) for n in range(total))))


def test_a_plan_may_change_three_of_ten_and_not_four() -> None:
    check(many(3, 10), Options())
    with pytest.raises(PlanTooLarge, match="changes 4 of 10"):
        check(many(4, 10), Options())
    check(many(9, 9), Options())


def test_creates_are_no_updates() -> None:
    check(plan_of([declared("RedisACL", f"acl-{n}", ACL) for n in range(50)]), Options())


SHOP: list[Declared] = [
    declared("RedisACL", "all", ACL),
    declared("RedisACL", "other", ACL),
    declared("Role", "app", {"management": "none"}),
    declared("User", "anna", ANNA),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"targets": ("RedisACL/*",)}, ["RedisACL/all", "RedisACL/other"]),
        ({"targets": ("User/anna",)}, ["Role/app", "User/anna"]),
        ({"targets": ("*/a*",)}, ["RedisACL/all", "Role/app", "User/anna"]),
        ({"excludes": ("User/*", "*/other")}, ["RedisACL/all", "Role/app"]),
        ({"targets": ("RedisACL/*",), "excludes": ("RedisACL/all",)}, ["RedisACL/other"]),
        ({"excludes": ("Role/app",)}, ["RedisACL/all", "RedisACL/other"]),
    ],
)
def test_targets_bring_what_they_need_and_excludes_win(
    options: dict[str, tuple[str, ...]], expected: list[str]
) -> None:
    assert [str(change.address) for change in plan_of(SHOP, **options).changes] == expected


def test_a_ring_that_no_second_step_opens_is_an_error() -> None:
    stubborn = {**KINDS, "Database": replace(KINDS["Database"], required_on_create=({"field": "roles_permissions"},))}
    resources = [
        declared("Role", "r", {"management": "db_viewer", "resources": [{"type": "db", "databases": ["d"]}]}),
        declared("Database", "d", {"memory_size": 1, "roles_permissions": [{"role": "r", "redis_acl": "all"}]}),
    ]
    with pytest.raises(InputError, match="refer to each other in a cycle: Database/d → Role/r → Database/d"):
        make_plan(stubborn, resources, {"": state(found("RedisACL", 9, "all", ACL))}, {}, Options(), {})  # type: ignore[arg-type]


def test_deletes_go_backwards_along_live_references() -> None:
    live = state(
        found("RedisACL", 9, "all", ACL),
        found("Role", 7, "app"),
        found("User", 3, "anna", {"roles": ["app"]}),
        found("Database", 1, "orders", {"roles_permissions": [{"role": "app", "redis_acl": "all"}]}),
    )
    graves = [
        declared(kind, name, absent=True) for kind, name in (("RedisACL", "all"), ("Role", "app"), ("User", "anna"))
    ]
    plan = plan_of([*graves, declared("Database", "orders", {"roles_permissions": []})], live)
    order = [str(change.address) for change in plan.changes]
    assert order.index("Database/orders") < order.index("Role/app")
    assert order.index("Database/orders") < order.index("RedisACL/all")
    assert order.index("User/anna") < order.index("Role/app")
    assert plan.changes[order.index("Role/app")].action is Action.DELETE


def test_what_may_be_deleted_is_read_with_what_has_its_address_on_every_cluster() -> None:
    sets = read_sets(KINDS, [declared("Database", "src", absent=True, cluster="a")], (), ["a", "b"])
    assert {name: "replica_sources" in (one.fields["Database"] or ()) for name, one in sets.items()} == {
        "a": True,
        "b": True,
    }


@pytest.mark.parametrize("why", [{"builtin": True}, {"owner": "maintenance mode"}])
def test_what_is_never_changed_is_held_only_where_it_differs(why: dict[str, object]) -> None:
    live = state(found("Role", 1, "ops", {"management": "db_viewer"}, **why))  # type: ignore[arg-type]
    assert plan_of([declared("Role", "ops", {"management": "db_viewer"})], live).held == 0
    assert plan_of([declared("Role", "ops", {"management": "none"})], live).held == 1
    assert plan_of([declared("Role", "ops", absent=True)], live).held == 1


def test_a_destroyed_object_that_the_ledger_does_not_have_is_named() -> None:
    live = state(found("Database", 1, "old"), found("Role", 7, "known"))
    owned = {Address("", "Role", "known"): Owned(7, "", {})}
    plan = plan_of(
        [declared("Database", "old", absent=True), declared("Role", "known", absent=True)], live, owned=owned
    )
    assert notes(plan) == [
        "warning Database/old: this would delete it, and it is not in the ledger: this tool never managed it"
    ]
    assert [note.reason.value for note in plan.notes] == ["not-in-ledger"]
