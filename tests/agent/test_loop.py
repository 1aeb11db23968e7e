"""The agent against simulated clusters, in virtual time: modes, healing, back-off, restarts, reloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.agent.status import Phase
from reconciler.errors import SourceStale
from tests.agent.rig import BASE, Fleet

ALWAYS_FROZEN = 'freeze: [{name: always, cron: "0 0 * * *", duration: 1d}]'


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


# --- modes ---------------------------------------------------------------------------------------------------------


def test_apply_makes_the_cluster_equal_and_then_only_looks(fleet: Fleet) -> None:
    fleet.run(60)
    assert fleet.wire("/v1/bdbs", "sessions")["memory_size"] == 100 * 1024**2
    writes = len(fleet.sent())
    fleet.run(3600)
    status = fleet.status()
    assert (len(fleet.sent()), status.phase, status.revision, status.failure) == (writes, Phase.IDLE, "rev-1", None)
    assert (status.plan.changes, status.drift) == ((), ())


def test_observe_reports_and_writes_nothing(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: observe")
    fleet.run(3600)
    assert fleet.sent() == []
    assert len(fleet.status().plan.changes) == 3
    assert {str(one.drift.address) for one in fleet.status().drift} == {
        "dc1:Database/sessions",
        "dc1:RedisACL/app-keys",
        "dc1:Role/app",
    }


def test_plan_waits_for_the_approval_of_its_digest(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: plan")
    fleet.run(600)
    digest = fleet.status().plan_digest
    assert (fleet.sent(), fleet.status().phase) == ([], Phase.AWAITING_APPROVAL)
    fleet.ledger.memory.remember("dc1", "approved", digest)
    fleet.run(30)
    assert fleet.wire("/v1/bdbs", "sessions")["memory_size"] == 100 * 1024**2
    assert (fleet.status().phase, fleet.status().plan_digest) == (Phase.IDLE, "")


def test_an_approval_of_another_plan_does_nothing(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: plan")
    fleet.run(30)
    old = fleet.status().plan_digest
    fleet.source.commit(base=BASE.replace("100MiB", "200MiB"))
    fleet.run(30)
    fleet.ledger.memory.remember("dc1", "approved", old)
    fleet.run(1200)
    assert (fleet.sent(), fleet.status().phase) == ([], Phase.AWAITING_APPROVAL)
    assert fleet.ledger.memory.facts("dc1", "approved") == {}


def test_a_suspended_cluster_is_not_even_looked_at(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, suspend: true")
    fleet.run(3600)
    assert (fleet.calls(), fleet.status().phase) == ([], Phase.SUSPENDED)
    fleet.agent = "mode: apply"
    fleet.loop.reload()
    fleet.run(60)
    assert fleet.status().phase is Phase.IDLE
    assert fleet.sent()


def test_frozen_forbids_writes_and_not_the_look(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent=f"mode: apply, {ALWAYS_FROZEN}")
    fleet.run(3600)
    assert (fleet.sent(), fleet.status().phase, fleet.status().frozen) == ([], Phase.FROZEN, "freeze window always")
    assert len(fleet.status().plan.changes) == 3


def test_a_suspended_manifest_is_held_while_the_others_go_on(fleet: Fleet) -> None:
    fleet.source.commit(base=BASE.replace("{name: sessions}", "{name: sessions, suspend: true}"))
    fleet.run(60)
    assert fleet.call("GET", "/v1/bdbs") == []
    assert fleet.status().held == ("Database/sessions: suspended in its manifest; remove metadata.suspend to resume",)
    assert fleet.wire("/v1/roles", "app")["management"] == "none"


# --- healing ---------------------------------------------------------------------------------------------------------


def test_what_a_person_changes_is_put_right(fleet: Fleet) -> None:
    fleet.run(60)
    fleet.edit("/v1/bdbs", "sessions", memory_size=200 * 1024**2)
    fleet.run(600)
    assert fleet.wire("/v1/bdbs", "sessions")["memory_size"] == 100 * 1024**2


def test_a_new_revision_is_applied_without_waiting_for_the_interval(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, interval: 1d")
    fleet.run(60)
    fleet.source.commit(base=BASE.replace("100MiB", "200MiB"))
    fleet.run(60)
    assert fleet.wire("/v1/bdbs", "sessions")["memory_size"] == 200 * 1024**2
    assert fleet.status().revision == "rev-2"


def test_nothing_is_deleted_because_it_left_the_manifests(fleet: Fleet) -> None:
    fleet.run(60)
    fleet.source.commit(base=BASE.partition("---\napiVersion: reconciler/v1\nkind: Database")[0])
    fleet.run(1200)
    assert fleet.wire("/v1/bdbs", "sessions")["status"] == "active"


def test_prune_deletes_what_is_ours_but_nothing_that_holds_data(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, prune: true")
    fleet.run(60)
    fleet.source.commit(
        base="apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: other}\nspec: {management: none}\n"
    )
    fleet.run(1200)
    assert fleet.wire("/v1/bdbs", "sessions")["status"] == "active"
    (held,) = [text for text in fleet.status().held if text.startswith("Database/sessions")]
    assert "loses data (all that it holds)" in held
    assert fleet.wire("/v1/roles", "other")["management"] == "none"


def test_a_tombstone_deletes(fleet: Fleet) -> None:
    fleet.run(60)
    head, _, _ = BASE.partition("kind: Database")
    fleet.source.commit(
        base=f"{head}kind: Database\nmetadata: {{name: sessions, state: absent, allow: [loses-data]}}\n"
    )
    fleet.run(600)
    assert fleet.call("GET", "/v1/bdbs") == []


def test_more_deletes_than_allowed_wait_for_an_approval(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, maxDeletes: 0")
    fleet.run(60)
    head, _, _ = BASE.partition("kind: Database")
    fleet.source.commit(
        base=f"{head}kind: Database\nmetadata: {{name: sessions, state: absent, allow: [loses-data]}}\n"
    )
    fleet.run(600)
    assert fleet.status().failure.kind == "PlanTooLarge"
    assert len(fleet.call("GET", "/v1/bdbs")) == 1
    fleet.ledger.memory.remember("dc1", "approved", fleet.status().plan_digest)
    fleet.run(60)
    assert fleet.call("GET", "/v1/bdbs") == []
    assert fleet.status().failure is None


def test_who_undoes_us_again_and_again_is_left_alone_and_told_of(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, interval: 1m")
    fleet.run(60)
    for _ in range(20):
        fleet.edit("/v1/redis_acls", "app-keys", acl="+@all ~*")
        fleet.run(120)
    corrections = [line for line in fleet.sent() if line.startswith("PUT /v1/redis_acls/")]
    assert len(corrections) == 3
    assert fleet.status().held == ("RedisACL/app-keys acl: reverted by others 3 times in an hour; left unchanged",)
    assert [one.drift.path for one in fleet.status().drift] == ["acl"]
    fleet.source.commit(base=BASE.replace("+@read ~app:*", "+@write ~app:*"))
    fleet.run(120)
    assert fleet.wire("/v1/redis_acls", "app-keys")["acl"] == "+@write ~app:*"
    assert fleet.status().held == ()


def test_after_an_hour_what_was_fought_over_is_tried_again(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply, interval: 1m")
    fleet.run(60)
    for _ in range(4):
        fleet.edit("/v1/redis_acls", "app-keys", acl="+@all ~*")
        fleet.run(120)
    assert fleet.wire("/v1/redis_acls", "app-keys")["acl"] == "+@all ~*"
    fleet.run(3600)
    assert fleet.wire("/v1/redis_acls", "app-keys")["acl"] == "+@read ~app:*"


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_bad_commit_is_refused_whole_and_the_last_good_one_stays_enforced(fleet: Fleet) -> None:
    fleet.run(60)
    good = fleet.source.id
    bad = fleet.source.commit(base=BASE.replace("100MiB", "-1"), more=BASE.replace("sessions", "cache"))
    fleet.run(600)
    source = fleet.status_store.status.source
    assert (source.revision, source.rejected, source.failure.kind) == (good, bad, "InputError")
    fleet.edit("/v1/bdbs", "sessions", memory_size=200 * 1024**2)
    fleet.run(600)
    assert [one["memory_size"] for one in fleet.call("GET", "/v1/bdbs")] == [100 * 1024**2]


def test_after_a_restart_the_last_good_commit_is_enforced_and_the_bad_one_still_refused(fleet: Fleet) -> None:
    fleet.run(60)
    bad = fleet.source.commit(base=BASE.replace("100MiB", "-1"))
    fleet.restart()
    fleet.edit("/v1/bdbs", "sessions", memory_size=200 * 1024**2)
    fleet.run(600)
    assert fleet.wire("/v1/bdbs", "sessions")["memory_size"] == 100 * 1024**2
    assert (fleet.status_store.status.source.revision, fleet.status_store.status.source.rejected) == ("rev-1", bad)


def test_without_the_source_what_was_accepted_is_kept_up(fleet: Fleet) -> None:
    fleet.run(60)
    fleet.source.error = SourceStale("no network")
    fleet.restart()
    fleet.edit("/v1/bdbs", "sessions", memory_size=200 * 1024**2)
    fleet.run(600)
    assert fleet.wire("/v1/bdbs", "sessions")["memory_size"] == 100 * 1024**2
    assert fleet.status_store.status.source.failure.kind == "SourceStale"
    fetches = fleet.source.fetches
    fleet.run(3600)
    assert fleet.source.fetches - fetches <= 12


def test_a_refused_login_is_tried_once_in_twenty_minutes_whatever_happens(fleet: Fleet) -> None:
    fleet.environ["LOGIN"] = "wrong"
    for number in range(8):
        fleet.source.commit(base=BASE.replace("100MiB", f"{200 + number}MiB"))
        fleet.restart()
        fleet.loop.fetch_now()
        fleet.run(300)
    refused = [entry for entry in fleet.calls() if entry.status == 401]
    assert len(refused) == 2
    assert fleet.status().failure.kind == "Unauthorized"


def test_a_new_secret_is_tried_at_once(fleet: Fleet) -> None:
    fleet.environ["LOGIN"] = "wrong"
    fleet.run(60)
    assert fleet.status().failure.kind == "Unauthorized"
    fleet.context.settings.login_sources.environ["LOGIN"] = fleet.clusters["dc1"].core.settings.password
    fleet.run(30)
    assert (fleet.status().failure, fleet.status().phase) == (None, Phase.IDLE)


def test_a_cluster_that_does_not_answer_is_asked_ever_less_and_comes_back(fleet: Fleet) -> None:
    fleet.clusters["dc1"].faults.add("refuse", times=100_000)
    fleet.run(3600)
    passes = len(fleet.emitted("reconciliation.failed"))
    assert 6 <= passes <= 16
    assert (fleet.status().phase, fleet.status().failure.kind) == (Phase.FAILING, "Unreachable")
    fleet.clusters["dc1"].faults.clear()
    fleet.run(700)
    assert (fleet.status().failure, fleet.status().phase) == (None, Phase.IDLE)


def test_dead_clusters_do_not_keep_the_others_from_their_passes(tmp_path: Path) -> None:
    names = [f"dc{number}" for number in range(40)]
    fleet = Fleet(tmp_path, *names, agent="mode: apply, interval: 10m")
    for name in ("dc3", "dc17"):
        fleet.clusters[name].faults.add("refuse", times=100_000)
    fleet.run(600)
    ended = {name: fleet.status(name) for name in names}
    assert {name for name, status in ended.items() if status.failure} == {"dc3", "dc17"}
    assert all(status.plan.changes == () for name, status in ended.items() if not status.failure)


def test_a_create_without_an_answer_is_settled_after_a_restart_and_made_once(fleet: Fleet) -> None:
    def die(cluster: str) -> None:
        fleet.clusters["dc1"].faults.add("drop", method="POST", path="^/v1/bdbs$", times=1)

    fleet.connected = die
    fleet.run(30)
    fleet.connected = lambda cluster: None
    fleet.restart()
    fleet.run(1800)
    assert [one["name"] for one in fleet.call("GET", "/v1/bdbs")] == ["sessions"]
    assert fleet.ledger.open_intents("dc1") == ()


# --- settings ---------------------------------------------------------------------------------------------------------


def test_reloading_takes_up_new_clusters_and_lets_go_of_old_ones(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "dc1", "dc2")
    gone = fleet.clusters.pop("dc2")
    fleet.loop.reload()
    fleet.run(60)
    assert list(fleet.status_store.status.clusters) == ["dc1"]
    before = len(gone.log)
    fleet.clusters["dc2"] = gone
    fleet.loop.reload()
    fleet.run(60)
    assert fleet.wire("/v1/bdbs", "sessions", cluster="dc2")["status"] == "active"
    assert len(gone.log) > before


def test_when_something_began_to_differ_outlives_a_restart(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, agent="mode: apply")
    fleet.run(60)
    fleet.agent = "mode: observe"
    fleet.restart()
    fleet.edit("/v1/bdbs", "sessions", memory_size=200 * 1024**2)
    changed = fleet.clock.now
    fleet.run(900)
    (first,) = fleet.status().drift
    assert abs(first.since - changed) < 2  # the cluster's log knows the time to the second
    fleet.restart()
    fleet.run(900)
    (again,) = fleet.status().drift
    assert (again.since, again.drift.path) == (first.since, "memory_size")


# --- several clusters that know each other ----------------------------------------------------------------------------

SOURCE_DB = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: origin, cluster: east}
spec: {memory_size: 100MiB}
"""
COPY = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: copy, cluster: west}
spec:
  memory_size: 100MiB
  replica_sources:
    - {cluster: east, database: origin}
"""


def test_a_cluster_may_refer_to_what_another_one_holds(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "west", "east", agent="mode: apply, interval: 1h")
    fleet.source.commit(base=f"{SOURCE_DB}---\n{COPY}")
    fleet.run(1200)
    (copy,) = fleet.call("GET", "/v1/bdbs", cluster="west")
    assert len(copy["replica_sources"]) == 1
    assert [one["name"] for one in fleet.call("GET", "/v1/bdbs", cluster="east")] == ["origin"]
    writes = len(fleet.sent("east"))
    fleet.run(7200)
    assert len(fleet.sent("east")) == writes
    assert fleet.status("west").failure is None


def test_lasting_harm_needs_consent_in_the_manifest(fleet: Fleet) -> None:
    text = BASE.replace("memory_size: 100MiB", "memory_size: 100MiB\n  data_persistence: aof")
    fleet.source.commit(base=text)
    fleet.run(60)
    assert fleet.wire("/v1/bdbs", "sessions")["data_persistence"] == "aof"
    text = text.replace("aof", "disabled")
    fleet.source.commit(base=text)
    fleet.run(600)
    assert fleet.wire("/v1/bdbs", "sessions")["data_persistence"] == "aof"
    (held,) = fleet.status().held
    assert "metadata.allow: [" in held
    allowed = held.partition("metadata.allow: [")[2].partition("]")[0]
    fleet.source.commit(base=text.replace("{name: sessions}", f"{{name: sessions, allow: [{allowed}]}}"))
    fleet.run(600)
    assert fleet.wire("/v1/bdbs", "sessions")["data_persistence"] == "disabled"
    assert fleet.status().held == ()
