"""Active-Active databases: one manifest, several clusters; created, changed, widened, narrowed and removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler import yaml12
from reconciler.api.hooks import WriteContext
from reconciler.api.hooks.activeactive_tasks import run_task
from reconciler.api.protocol import Call, Elapsed, ProjectCluster, Response, Wait
from reconciler.errors import ImpactRefused, InputError
from reconciler.export import manifests_of
from reconciler.kinds import versions
from reconciler.manifests import Resource
from reconciler.model import Level, Observed, Reason
from reconciler.plan import Action, Options
from reconciler.plan.drift import Drift, find
from reconciler.plan.secret_status import secret_statuses
from reconciler.reconcile import check
from reconciler.render.reasons import note_text, why
from tests.engine.active_active import CARTS, GIB, ActiveActive, carts, instance
from tests.support.resources import KINDS, declared
from tests.support.simulation import NAMES


@pytest.fixture
def rig(tmp_path: Path) -> ActiveActive:
    return ActiveActive(tmp_path / "state")


def paths(plan: Any) -> list[str]:
    return [change.path for change in plan.changes[0].fields]


def held(plan: Any) -> dict[str, str]:
    return {str(note.address): note_text(note) for note in plan.notes if note.level is Level.HELD}


def test_it_is_created_on_each_cluster_and_the_next_plan_is_empty(rig: ActiveActive) -> None:
    one = carts("dc1", "dc2", config={"eviction_policy": "volatile-lru"}, causal_consistency=True)
    plan = rig.plan([one])
    assert [(change.action, change.address) for change in plan.changes] == [(Action.CREATE, CARTS)]
    rig.assert_converges([one])
    assert [rig.local(name)["eviction_policy"] for name in ("dc1", "dc2")] == ["volatile-lru"] * 2  # type: ignore[index]
    assert rig.crdb("dc2")["causal_consistency"] is True  # type: ignore[index]
    assert rig.local("dc3") is None
    assert set(rig.ledger.owned("dc1")) == {CARTS}
    assert rig.ledger.open_intents("dc1") == ()


def test_shared_settings_reach_every_instance(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    wider = carts("dc1", "dc2", config={"memory_size": 2 * GIB}, encryption=True)
    plan = rig.plan([wider])
    assert {"default_db_config.memory_size", "encryption"} <= set(paths(plan))
    rig.assert_converges([wider])
    assert [rig.local(name)["memory_size"] for name in ("dc1", "dc2")] == [2 * GIB] * 2  # type: ignore[index]


def test_an_instance_has_settings_of_its_own(rig: ActiveActive) -> None:
    one = carts("dc1", instance("dc2", compression=6, db_config={"memory_size": 3 * GIB, "port": 12345}))
    rig.assert_converges([one])
    assert rig.local("dc2")["memory_size"] == 3 * GIB  # type: ignore[index]
    assert rig.local("dc2")["endpoints"][0]["port"] == 12345  # type: ignore[index]
    other = carts("dc1", instance("dc2", compression=1, db_config={"memory_size": 2 * GIB, "port": 12345}))
    assert {"instances[cluster=dc2].compression", "instances[cluster=dc2].db_config.memory_size"} <= set(
        paths(rig.plan([other]))
    )
    rig.assert_converges([other])
    assert [rig.local(name)["memory_size"] for name in ("dc1", "dc2")] == [GIB, 2 * GIB]  # type: ignore[index]


@pytest.mark.parametrize("override", ["kept", "replaced"])
@pytest.mark.parametrize("size", [GIB, 4 * GIB])
def test_what_somebody_set_on_one_instance_is_drift_and_is_taken_back(tmp_path: Path, override: str, size: int) -> None:
    rig = ActiveActive(tmp_path / "state", switches={"crdb_local_override": override})
    rig.assert_converges([carts("dc1", "dc2")])
    rig.call("PUT", "/v1/bdbs/1", {"memory_size": 3 * GIB}, cluster="dc2")
    rig.clock.sleep(20)
    plan = rig.plan([carts("dc1", "dc2", config={"memory_size": size})])
    (change,) = [one for one in plan.changes[0].fields if one.path == "default_db_config.memory_size"]
    assert (change.before, change.after) == (3 * GIB, size)
    rig.assert_converges([carts("dc1", "dc2", config={"memory_size": size})])
    assert [rig.local(name)["memory_size"] for name in ("dc1", "dc2")] == [size] * 2  # type: ignore[index]
    rig.assert_converges([carts("dc1", "dc2", config={"memory_size": 5 * GIB})])
    assert rig.local("dc2")["memory_size"] == 5 * GIB  # type: ignore[index]


def test_a_third_cluster_joins_and_one_leaves_with_consent(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    rig.assert_converges([carts("dc1", "dc2", "dc3")])
    assert rig.local("dc3")["crdt_replica_id"] == 3  # type: ignore[index]

    two = [carts("dc1", "dc3")]
    plan = rig.plan(two)
    assert why(plan.changes[0]) == "removed from dc2, with its data there"
    assert plan.changes[0].impact == "loses-data"
    assert plan.changes[0].unconsented == ("loses-data",)
    with pytest.raises(ImpactRefused, match="the plan would update dc1:ActiveActiveDatabase/carts"):
        check(plan, Options())
    check(plan, Options(allow_destroy=frozenset({str(CARTS)})))
    rig.assert_converges(two)
    assert rig.local("dc2") is None
    assert rig.crdb("dc2") is None
    assert [one["id"] for one in rig.crdb()["instances"]] == [1, 3]  # type: ignore[index]


def test_settings_newcomers_and_leavers_are_one_change(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    rig.assert_converges([carts("dc1", "dc3", config={"memory_size": 2 * GIB})])
    assert [rig.local(name) and rig.local(name)["memory_size"] for name in ("dc1", "dc2", "dc3")] == [  # type: ignore[index]
        2 * GIB,
        None,
        2 * GIB,
    ]


def test_nobody_joins_or_leaves_while_a_link_is_down(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    rig.part("dc1", "dc2")
    before = len(rig.sent)
    report = rig.converge([carts("dc1", "dc2", "dc3")])
    assert "instances cannot be added or removed while" in report.failed[0].why
    assert "the link from a.example.com to b.example.com is down" in report.failed[0].why
    assert len(rig.sent) == before
    assert rig.ledger.open_intents("dc1") == ()
    rig.part("dc1", "dc2", whole=True)
    rig.assert_converges([carts("dc1", "dc2", "dc3")])


def test_a_change_that_a_peer_cannot_take_fails_with_what_it_said(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    rig.part("dc1", "dc2")
    report = rig.converge([carts("dc1", "dc2", config={"memory_size": 2 * GIB})])
    assert report.failed[0].why == (
        "the cluster accepted it, then it failed: b.example.com: cannot connect to the cluster"
    )
    assert rig.local("dc1")["memory_size"] == GIB  # type: ignore[index]
    rig.part("dc1", "dc2", whole=True)
    rig.assert_converges([carts("dc1", "dc2", config={"memory_size": 2 * GIB})])


def test_a_wrong_password_of_a_peer_makes_nothing_and_the_next_run_is_right(rig: ActiveActive) -> None:
    rig.passwords["DC2_PASSWORD"] = "wrong"
    report = rig.converge([carts("dc1", "dc2")])
    assert report.failed[0].why == "the cluster accepted it, then it failed: b.example.com: Error [401]"
    assert (rig.local("dc1"), rig.crdb(), rig.ledger.open_intents("dc1")) == (None, None, ())
    rig.passwords.clear()
    rig.assert_converges([carts("dc1", "dc2")])


@pytest.mark.parametrize("reading", ["absent", "masked", "value"])
@pytest.mark.parametrize("keeping", ["kept", "every-time"])
def test_a_new_password_of_a_peer_is_told_to_all(tmp_path: Path, reading: str, keeping: str) -> None:
    rig = ActiveActive(tmp_path / "state", switches={"crdb_credentials": keeping, "crdb_credentials_read": reading})
    rig.assert_converges([carts("dc1", "dc2")])
    rig.call("PUT", "/v1/users/1", {"password": "another"}, cluster="dc2")
    rig.clusters["dc2"].core.settings.password = "another"
    rig.clients = rig.connect()
    rig.passwords["DC2_PASSWORD"] = "another"
    assert "instances[cluster=dc2].credentials.password" in paths(rig.plan([carts("dc1", "dc2")]))
    rig.assert_converges([carts("dc1", "dc2")])
    rig.assert_converges([carts("dc1", "dc2", config={"memory_size": 2 * GIB})])


def test_a_lost_cluster_is_given_up_by_name_only(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2", "dc3")])
    rig.part("dc1", "dc2")
    rig.part("dc3", "dc2")
    rig.run = ["dc1", "dc3"]
    plain = rig.plan([carts("dc1", "dc3")])
    assert held(plain) == {str(CARTS): "spans several clusters; dc2 is not part of this run; omit --cluster"}
    by_force = [carts("dc1", "dc3", force_remove=["dc2"])]
    plan = rig.plan(by_force)
    assert why(plan.changes[0]) == "removed from dc2, by force, with its data there"
    (note,) = plan.notes
    assert f"purge it: PUT /v1/crdbs/{plan.changes[0].uid}/purge" in note_text(note)
    with pytest.raises(ImpactRefused):
        check(plan, Options())
    rig.assert_converges(by_force)
    assert [one["id"] for one in rig.crdb()["instances"]] == [1, 3]  # type: ignore[index]
    assert rig.local("dc2") is not None
    rig.assert_converges([carts("dc1", "dc3")])


def test_a_tombstone_takes_every_instance_away(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    gone = declared("ActiveActiveDatabase", "carts", {}, absent=True)
    assert rig.converge([gone]).complete
    assert [rig.local(name) for name in ("dc1", "dc2")] == [None, None]
    assert rig.ledger.owned("dc1") == {}


def test_a_delete_fails_while_a_peer_cannot_be_reached(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    rig.part("dc1", "dc2")
    gone = declared("ActiveActiveDatabase", "carts", {}, absent=True)
    report = rig.converge([gone])
    assert "b.example.com: cannot connect" in report.failed[0].why
    assert rig.local("dc1") is not None
    rig.part("dc1", "dc2", whole=True)
    assert rig.converge([gone]).complete


def test_what_cannot_be_changed_is_replaced_with_consent_only(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    hashed = [carts("dc1", "dc2", config={"sharding": True, "oss_sharding": True, "shards_count": 2})]
    plan = rig.plan(hashed)
    assert plan.changes[0].action is Action.REPLACE
    with pytest.raises(ImpactRefused):
        check(plan, Options())
    rig.assert_converges(hashed)
    assert rig.local("dc2")["shards_count"] == 2  # type: ignore[index]


def test_a_new_version_is_an_upgrade(tmp_path: Path) -> None:
    rig = ActiveActive(tmp_path / "state")
    rig.assert_converges([carts("dc1", "dc2", config={"redis_version": "7.4"})])
    rig.assert_converges([carts("dc1", "dc2", config={"redis_version": "8.0"})])
    assert [rig.local(name)["redis_version"] for name in ("dc1", "dc2")] == ["8.0", "8.0"]  # type: ignore[index]


# --- who may use an instance ---------------------------------------------------------------------------------------


def access(cluster: str, role: str) -> list[Any]:
    return [
        declared("Role", role, {"management": "none"}, cluster=cluster),
        declared("RedisACL", f"{role}-keys", {"acl": "+@read ~*"}, cluster=cluster),
    ]


def using(role: str) -> dict[str, Any]:
    return {"roles_permissions": [{"role": role, "redis_acl": f"{role}-keys"}]}


def test_each_instance_has_roles_of_its_own_cluster(rig: ActiveActive) -> None:
    for number in range(3):  # the same name has another uid on each cluster
        rig.call("POST", "/v1/roles", {"name": f"other-{number}", "management": "none"}, cluster="dc2")
    one = carts(instance("dc1", **using("east")), instance("dc2", **using("west"), default_user=False))
    everything = [one, *access("dc1", "east"), *access("dc2", "west")]
    plan = rig.plan(everything)
    assert plan.changes[-1].address == CARTS
    assert len(plan.changes[-1].after) == 4
    rig.assert_converges(everything)
    for cluster, role in (("dc1", "east"), ("dc2", "west")):
        roles = {item["uid"]: item["name"] for item in rig.call("GET", "/v1/roles", cluster=cluster).json()}
        (entry,) = rig.local(cluster)["roles_permissions"]  # type: ignore[index]
        assert roles[entry["role_uid"]] == role
    assert [rig.local(name)["default_user"] for name in ("dc1", "dc2")] == [True, False]  # type: ignore[index]
    rig.assert_converges(
        [carts(instance("dc1", **using("east")), instance("dc2", roles_permissions=[])), *everything[1:]]
    )
    assert rig.local("dc2")["roles_permissions"] == []  # type: ignore[index]


def test_a_role_that_an_instance_uses_is_not_deleted(rig: ActiveActive) -> None:
    everything = [carts("dc1", instance("dc2", **using("west"))), *access("dc2", "west")]
    rig.assert_converges(everything)
    gone = declared("Role", "west", {"management": "none"}, cluster="dc2", absent=True)
    with pytest.raises(InputError, match="Role/west is declared absent"):
        rig.plan([everything[0], gone, everything[2]])
    assert "dc2:Role/west" in held(rig.plan([gone]))


def test_a_role_that_is_on_another_cluster_only_is_no_role(rig: ActiveActive) -> None:
    with pytest.raises(InputError, match="Role 'east' is neither declared nor on cluster dc2"):
        rig.plan([carts("dc1", instance("dc2", **using("east"))), *access("dc1", "east")])


# --- what a plan refuses -------------------------------------------------------------------------------------------


def test_a_cluster_that_takes_no_part_holds_it(rig: ActiveActive) -> None:
    rig.run = ["dc1"]
    assert held(rig.plan([carts("dc1", "dc2")])) == {
        str(CARTS): "spans several clusters; dc2 is not part of this run; omit --cluster"
    }
    rig.run = ["dc1", "dc2", "dc3"]
    rig.assert_converges([carts("dc1", "dc2")])
    rig.run = ["dc1"]
    gone = declared("ActiveActiveDatabase", "carts", {}, absent=True)
    assert list(held(rig.plan([gone]))) == [str(CARTS)]


def test_a_new_one_needs_two_clusters_and_a_way_into_each(rig: ActiveActive) -> None:
    with pytest.raises(InputError, match="needs at least two clusters"):
        rig.plan([carts("dc1")])
    with pytest.raises(InputError, match="the instance on dc2 is new and needs credentials or certificate_auth"):
        rig.plan([carts("dc1", {"cluster": "dc2"})])


def test_snapshots_are_refused() -> None:
    spec = {"default_db_config": {"memory_size": GIB, "data_persistence": "snapshot"}, "instances": [instance("dc1")]}
    (finding,) = KINDS["ActiveActiveDatabase"].validator.explain(spec)
    assert finding.message == 'must be one of disabled or aof, got "snapshot"'


def test_instances_are_no_databases_of_their_own(rig: ActiveActive) -> None:
    one = carts("dc1", "dc2")
    plain = declared("Database", "other", {"memory_size": GIB}, cluster="dc2")
    rig.assert_converges([one, plain])
    assert rig.plan([one, plain], prune=True).changes == ()
    same = declared("Database", "carts", {"memory_size": 2 * GIB}, cluster="dc2")
    assert held(rig.plan([one, same]))["dc2:Database/carts"].startswith("managed by the Active-Active database carts")


def test_another_coordinating_cluster_takes_over_without_a_change(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    moved = [carts("dc1", "dc2", home="dc2")]
    plan = rig.plan(moved, prune=True)
    assert [(one.action, one.address, why(one)) for one in plan.changes] == [
        (Action.FORGET, CARTS, "now declared as dc2:ActiveActiveDatabase/carts")
    ]


def test_an_unchanged_password_that_goes_along_is_no_change(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    more = [carts("dc1", "dc2", config={"memory_size": 2 * GIB})]
    assert {one.path: one.reason for one in drift_of(rig, more)} == {
        "default_db_config.memory_size": Reason.DECLARED_CHANGED,
    }
    rig.passwords["DC2_PASSWORD"] = "another"
    assert {one.path: one.reason for one in drift_of(rig, [carts("dc1", "dc2")])} == {
        "instances[cluster=dc2].credentials.password": Reason.DECLARED_CHANGED,
    }


def test_an_edit_of_one_instance_sends_and_shows_only_that_and_the_logins(rig: ActiveActive) -> None:
    def wanted(policy: str) -> list[Resource]:
        shared, own = ({"authentication_redis_pass": {"valueFrom": {"env": name}}} for name in ("SHARED", "OWN"))
        return [carts(instance("dc1", db_config={"aof_policy": policy, **own}), "dc2", config=shared)]

    rig.assert_converges(wanted("appendfsync-always"))
    edited = wanted("appendfsync-every-sec")
    (change,) = rig.plan(edited).changes
    assert [field.path for field in change.fields] == ["instances[cluster=dc1].db_config.aof_policy"]
    assert change.impacts == ()
    rig.assert_converges(edited)
    (sent,) = [entry.body for entry in rig.sent if entry.method == "PATCH"]
    assert b"authentication_redis_pass" not in sent
    rig.passwords["OWN"] = "another-one"
    (change,) = rig.plan(edited).changes
    assert [field.path for field in change.fields] == ["instances[cluster=dc1].db_config.authentication_redis_pass"]
    assert [one.impact for one in change.impacts] == ["drops-clients"]


def drift_of(rig: ActiveActive, resources: list[Resource]) -> tuple[Drift, ...]:
    owned = {address: mine for name in rig.run for address, mine in rig.ledger.owned(name).items()}
    secrets = secret_statuses(KINDS, resources, rig.reveal, rig.ledger)
    return find(KINDS, rig.plan(resources), Observed(rig.read(), owned, secrets))


def test_secrets_are_nowhere_in_a_plan(rig: ActiveActive) -> None:
    from reconciler.plan import to_json

    assert "secret-dc" not in json.dumps(to_json(rig.plan([carts("dc1", "dc2")])), default=str)


def test_the_port_of_an_instance_cannot_be_changed(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", instance("dc2", db_config={"port": 12345}))])
    plan = rig.plan([carts("dc1", instance("dc2", db_config={"port": 12346}))])
    assert (plan.changes[0].action, why(plan.changes[0])) == (Action.REPLACE, "port cannot be changed")
    with pytest.raises(ImpactRefused):
        check(plan, Options())


def test_what_is_exported_declares_it_as_it_is(rig: ActiveActive) -> None:
    one = carts(
        instance("dc1", **using("east")),
        instance("dc2", **using("west"), compression=5, default_user=False, db_config={"memory_size": 2 * GIB}),
        config={"module_list": [{"module_name": "search"}], "tls_mode": "enabled"},
    )
    rig.assert_converges([one, *access("dc1", "east"), *access("dc2", "west")])
    objects = rig.read()["dc1"].objects
    text = manifests_of(KINDS["ActiveActiveDatabase"], objects["ActiveActiveDatabase"], cluster="dc1").text
    (document,) = [each.value for each in yaml12.parse(text.encode(), "export.yaml", yaml12.ParserLimits())[0]]
    assert document["metadata"] == {"name": "carts", "cluster": "dc1"}
    (west,) = [item for item in document["spec"]["instances"] if item["cluster"] == "dc2"]
    assert (west["compression"], west["db_config"]["memory_size"], west["default_user"]) == (5, "2GiB", False)
    assert west["roles_permissions"] == [{"role": "west", "redis_acl": "west-keys"}]
    back = declared("ActiveActiveDatabase", "carts", document["spec"])
    assert rig.plan([back]).changes == ()
    assert "# Database/carts is left out: it is managed by" in manifests_of(KINDS["Database"], objects["Database"]).text


@pytest.mark.parametrize("version", ["7.4", "7.8", "7.22", "8.0", "8.2"])
def test_what_is_exported_plans_to_nothing_on_every_version(tmp_path: Path, version: str) -> None:
    rig = ActiveActive(tmp_path / "state", server_version=version)
    one = carts(instance("dc1", db_config={"data_persistence": "aof"}), "dc2", "dc3")
    rig.assert_converges([one])
    state = rig.read()["dc1"]
    kind = KINDS["ActiveActiveDatabase"]
    text = manifests_of(kind, state.objects[kind.name], cluster="dc1", state=state).text
    (document,) = yaml12.read(text, "export.yaml")
    back = declared(kind.name, "carts", document.value["spec"])
    assert (rig.plan([back]).changes, [*versions.findings(kind, back.spec, state.version)]) == ((), [])


def test_an_instance_on_a_cluster_that_nobody_declared_is_not_exported(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    del rig.clusters["dc2"]
    rig.run = ["dc1"]
    (found,) = rig.read()["dc1"].objects["ActiveActiveDatabase"]
    assert [item["cluster"] for item in found.spec["instances"]] == ["#b.example.com", "dc1"]
    page = manifests_of(KINDS["ActiveActiveDatabase"], [found])
    assert "kind:" not in page.text
    assert [one.text for one in page.remarks] == [
        "left out: it has an instance on b.example.com, a cluster that is not in this run"
    ]


# --- how it is done ------------------------------------------------------------------------------------------------


def test_one_that_somebody_made_is_known_by_the_names_of_its_clusters(rig: ActiveActive) -> None:
    logins = {name: {"username": f"admin@{NAMES[name]}", "password": f"secret-{name}"} for name in ("dc1", "dc2")}
    members = [
        {"cluster": {"name": NAMES[name], "url": f"https://{NAMES[name]}:9443", "credentials": login}}
        for name, login in logins.items()
    ]
    rig.call("POST", "/v1/crdbs", {"name": "carts", "default_db_config": {"memory_size": GIB}, "instances": members})
    rig.clock.sleep(60)
    plan = rig.plan([carts("dc1", "dc2")])
    assert plan.changes == ()
    assert {note_text(note).partition(" cannot ")[2] for note in plan.notes} == {
        f"be compared (no recorded digest); not sent unless `reconciler apply --resend-secret {CARTS}`",
        f"be read back and was never applied; not sent unless `reconciler apply --resend-secret {CARTS}`",
    }
    assert rig.converge([carts("dc1", "dc2", "dc3")]).complete
    assert rig.local("dc3") is not None


class Watching:
    """A client that looks, before each write, whether a task is still running."""

    def __init__(self, rig: ActiveActive, cluster: str) -> None:
        self._rig, self._cluster, self._client = rig, cluster, rig.clients[cluster]
        self.written = 0

    def get(self, path: str, **options: Any) -> Any:
        return self._client.get(path, **options)

    def accepts(self, login: Any) -> bool:
        return self._client.accepts(login)

    def at(self, url: str) -> Any:
        return self._client.at(url)

    def send(self, call: Call) -> Any:
        assert self._rig.call("GET", "/v1/crdb_tasks", cluster=self._cluster).json() == []
        self.written += 1
        return self._client.send(call)


def test_tasks_follow_each_other_however_many_writes_are_allowed_at_once(rig: ActiveActive) -> None:
    both = [carts("dc1", "dc2"), carts("dc1", "dc2", name="wishes")]
    client = Watching(rig, "dc1")
    assert rig.converge(both, parallelism=4, clients={"dc1": client}).complete
    assert client.written == 2


def test_a_task_that_somebody_else_began_is_waited_for(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", "dc2")])
    guid = rig.crdb()["guid"]  # type: ignore[index]
    plan, live = rig.plan([carts("dc1", "dc2", "dc3")]), rig.read()
    rig.call("PATCH", f"/v1/crdbs/{guid}", {"causal_consistency": True})
    assert rig.apply(plan, live=live, clients={"dc1": Watching(rig, "dc1")}).complete
    assert rig.local("dc3") is not None


def test_a_task_that_is_forgotten_is_no_failure() -> None:
    context = WriteContext(KINDS["ActiveActiveDatabase"], CARTS, None, {}, {}, lambda address: 0)
    flow = run_task(context, "POST", "/v1/crdbs", {})
    answers = {"POST": Response(200, {"id": "task-1", "status": "queued"}, {}), "GET": Response(404, None, {})}
    asked: list[str] = []
    said: Any = None
    guid = None
    while guid is None:
        try:
            step = flow.send(said)
        except StopIteration as end:
            guid = end.value
            break
        said = Elapsed(0.0, 0.0) if isinstance(step, Wait) else answers[step.method]
        asked += [] if isinstance(step, Wait) else [f"{step.method} {step.path}"]
    assert (guid, asked) == ("", ["POST /v1/crdbs", "GET /v1/crdb_tasks/task-1"])


@pytest.mark.parametrize("version", ["7.4", "7.8", "7.22", "8.0", "8.2"])
@pytest.mark.parametrize("values", ["at-once", "when-done"])
def test_every_version_takes_it_there_and_back(tmp_path: Path, version: str, values: str) -> None:
    rig = ActiveActive(tmp_path / "state", server_version=version, switches={"put_values": values})
    rig.assert_converges([carts("dc1", instance("dc2", compression=6))])
    rig.call("PUT", "/v1/bdbs/1", {"memory_size": 3 * GIB}, cluster="dc2")
    rig.clock.sleep(20)
    rig.assert_converges([carts("dc1", "dc2", "dc3", config={"memory_size": 2 * GIB, "data_persistence": "disabled"})])
    found = [rig.local(name) for name in ("dc1", "dc2", "dc3")]
    assert [(one["memory_size"], one["data_persistence"]) for one in found if one] == [(2 * GIB, "disabled")] * 3
    rig.assert_converges([carts("dc2", "dc3", home="dc2", config={"memory_size": GIB})])
    assert rig.local("dc1") is None


def test_a_login_may_be_named_by_reference(rig: ActiveActive) -> None:
    login = {"username": {"valueFrom": {"env": "PEER"}}, "password": {"valueFrom": {"env": "DC2_PASSWORD"}}}
    rig.passwords["PEER"] = f"admin@{NAMES['dc2']}"
    one = carts("dc1", {"cluster": "dc2", "credentials": login})
    rig.assert_converges([one])
    rig.passwords["PEER"] = "nobody"
    assert "instances[cluster=dc2].credentials.username" in paths(rig.plan([one]))


def test_harm_to_one_instance_alone_needs_a_yes_as_well(rig: ActiveActive) -> None:
    rig.assert_converges([carts("dc1", instance("dc2", db_config={"memory_size": 3 * GIB}))])
    plan = rig.plan([carts("dc1", instance("dc2", db_config={"memory_size": 2 * GIB}))])
    assert plan.changes[0].unconsented == ("may-lose-data",)
    with pytest.raises(ImpactRefused, match=r"instances\[cluster=dc2\].db_config.memory_size"):
        check(plan, Options())
    wider = rig.plan([carts("dc1", instance("dc2", db_config={"memory_size": 3 * GIB}), "dc3")])
    assert wider.changes[0].unconsented == ()


class FirstIsNoMember(ActiveActive):
    """The project file names a machine first that is in no cluster."""

    @property
    def project_clusters(self) -> dict[str, ProjectCluster]:
        return {name: one._replace(urls=one.urls[::-1]) for name, one in super().project_clusters.items()}


def test_others_are_told_of_a_machine_that_serves(tmp_path: Path) -> None:
    rig = FirstIsNoMember(tmp_path / "state", ("dc1", "dc2"), nodes=1, outside=1)
    report = rig.converge([carts("dc1", "dc2")])
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []


@pytest.mark.parametrize("status", ["pending", "active-change-pending", "delete-pending"])
def test_an_instance_in_transition_is_never_no_change(rig: ActiveActive, status: str) -> None:
    one = carts("dc1", "dc2")
    rig.assert_converges([one])
    state = rig.clusters["dc2"].core.state
    next(iter(state.bdbs.values())).set(status=status)
    state.bdbs.version += 1
    plan = rig.plan([one])
    assert f"in progress: the cluster reports {status}" in held(plan)[str(CARTS)]
    assert [note.details for note in plan.in_progress] == [(status,)]
