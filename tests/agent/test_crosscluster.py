"""What stands in several clusters, under the agent: one pass writes it on all of them, and nobody else meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reconciler.agent.crosscluster import ClusterClaimed, ProbeCache, WriteClaims
from reconciler.agent.status import Phase
from reconciler.errors import Locked, Unauthorized
from reconciler.simulator.databases import links
from tests.agent.rig import PASSWORD, Fleet

HEAD = "apiVersion: reconciler/v1\n"
GIB = 1 << 30
FULL = "mode: apply, interval: 5m"


def carts(*names: str, size: str = "1GiB", metadata: str = "", more: str = "") -> str:
    """Return the manifest of an Active-Active database."""
    login = "{username: admin@example.com, password: {valueFrom: {env: PEER}}}"
    instances = "".join(f"    - {{cluster: {name}, credentials: {login}}}\n" for name in names)
    return (
        f"{HEAD}kind: ActiveActiveDatabase\nmetadata: {{name: carts{metadata}}}\nspec:\n"
        f"  default_db_config: {{memory_size: {size}}}\n{more}" + (f"  instances:\n{instances}" if names else "")
    )


def plain(name: str, cluster: str, size: str = "100MiB") -> str:
    return f"{HEAD}kind: Database\nmetadata: {{name: {name}, cluster: {cluster}}}\nspec: {{memory_size: {size}}}\n"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Fleet]:
    def made(*names: str, agent: str = FULL, **own: str) -> Fleet:
        fleet = Fleet(tmp_path, *names, agent=agent)
        fleet.environ["PEER"] = PASSWORD
        fleet.own.update(own)
        fleet.restart()
        return fleet

    return made


def sizes(fleet: Fleet, name: str = "carts") -> dict[str, int]:
    """Return the memory of the instance on each cluster that has one."""
    found: dict[str, int] = {}
    for cluster in fleet.clusters:
        for one in fleet.call("GET", "/v1/bdbs", cluster=cluster):
            if one["name"] == name:
                assert cluster not in found
                found[cluster] = one["memory_size"]
    return found


def at_rest(fleet: Fleet) -> bool:
    """Whether every cluster is as git says, and the next looks write nothing."""
    before = {name: len(fleet.sent(name)) for name in fleet.clusters}
    fleet.run(1200)
    for name in fleet.clusters:
        status = fleet.status(name)
        assert (name, status.failure, status.drift, status.held) == (name, None, (), ())
        assert (name, status.plan.changes, status.phase) == (name, (), Phase.IDLE)
    return before == {name: len(fleet.sent(name)) for name in fleet.clusters}


def die(fleet: Fleet, name: str) -> None:
    """Let a cluster be gone for the agent and for its peers."""
    fleet.clusters[name].faults.add("refuse", times=1_000_000)
    for other in fleet.clusters:
        if other != name:
            links.set_connection(fleet.clusters[name].core.state, fleet.clusters[other].core.state)


def come_back(fleet: Fleet, name: str) -> None:
    fleet.clusters[name].faults.clear()
    for other in fleet.clusters:
        if other != name:
            links.set_connection(fleet.clusters[name].core.state, fleet.clusters[other].core.state, connected=True)


# --- it comes, changes, widens, narrows, moves, goes ------------------------------------------------------------------


def test_it_is_made_and_changed_on_two_clusters(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west")
    fleet.source.commit(base=carts("east", "west"))
    fleet.run(600)
    assert sizes(fleet) == {"east": GIB, "west": GIB}
    assert at_rest(fleet)
    fleet.source.commit(base=carts("east", "west", size="2GiB"))
    fleet.run(600)
    assert sizes(fleet) == {"east": 2 * GIB, "west": 2 * GIB}
    assert at_rest(fleet)


def test_an_instance_joins_leaves_with_consent_and_all_of_it_goes(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west", "north")
    fleet.source.commit(base=carts("east", "west"))
    fleet.run(600)
    fleet.source.commit(base=carts("east", "west", "north"))
    fleet.run(600)
    assert sizes(fleet) == {"east": GIB, "west": GIB, "north": GIB}
    assert at_rest(fleet)

    fleet.source.commit(base=carts("east", "north"))
    fleet.run(600)
    assert set(sizes(fleet)) == {"east", "west", "north"}
    (held,) = fleet.status("east").held
    assert "removed from west, with its data there" in held
    fleet.source.commit(base=carts("east", "north", metadata=", allow: [loses-data]"))
    fleet.run(600)
    assert set(sizes(fleet)) == {"east", "north"}
    assert at_rest(fleet)

    fleet.source.commit(
        base=carts(metadata=", cluster: east, state: absent, allow: [loses-data]").partition("spec:")[0]
    )
    fleet.run(600)
    assert sizes(fleet) == {}
    assert at_rest(fleet)


def test_what_a_person_changes_on_one_instance_is_put_right(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west")
    fleet.source.commit(base=carts("east", "west", metadata=", allow: [may-lose-data]"))
    fleet.run(600)
    fleet.edit("/v1/bdbs", "carts", "west", memory_size=3 * GIB)
    fleet.run(900)
    assert sizes(fleet) == {"east": GIB, "west": GIB}
    assert at_rest(fleet)


@pytest.mark.parametrize("prune", ["false", "true"])
def test_another_cluster_may_coordinate_it_and_nothing_is_deleted(make: Callable[..., Fleet], prune: str) -> None:
    fleet = make("east", "west", agent=f"{FULL}, prune: {prune}")
    beside = f"---\n{plain('beside', 'east')}"
    fleet.source.commit(base=carts("east", "west", metadata=", cluster: east") + beside)
    fleet.run(600)
    fleet.source.commit(base=carts("west", "east", metadata=", cluster: west") + beside)
    fleet.run(1200)
    assert sizes(fleet) == {"east": GIB, "west": GIB}
    assert [fleet.sent(name).count("DELETE /v1/crdbs") for name in fleet.clusters] == [0, 0]
    owned = {name: {one.kind for one in fleet.ledger.owned(name)} for name in fleet.clusters}
    assert owned == {"east": {"Database"}, "west": {"ActiveActiveDatabase"}}
    assert at_rest(fleet)


# --- a peer is away ---------------------------------------------------------------------------------------------------


def test_a_dead_peer_holds_up_nothing_but_what_stands_there(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west", "north")
    names = tuple(fleet.clusters)
    fleet.source.commit(base=carts("east", "west", "north") + "---\n" + plain("own", "east"))
    fleet.run(900)
    assert set(sizes(fleet)) == set(names)

    die(fleet, "north")
    fleet.run(600)
    fleet.source.commit(
        base=carts("east", "west", "north", size="2GiB") + "---\n" + plain("own", "east", "200MiB"),
        other=plain("beside", "west"),
    )
    began = fleet.clock.now
    fleet.run(120)
    assert fleet.wire("/v1/bdbs", "own", cluster="east")["memory_size"] == 200 << 20
    assert fleet.wire("/v1/bdbs", "beside", cluster="west")["memory_size"] == 100 << 20
    (held,) = fleet.status("east").held
    assert held == (
        "ActiveActiveDatabase/carts: spans several clusters; north is not part of this run: it is unreachable"
    )
    assert (fleet.status("east").failure, fleet.status("west").failure) == (None, None)
    assert fleet.status("north").failure.kind == "Unreachable"
    assert fleet.status("east").duration < 5
    fleet.run(3600 - (fleet.clock.now - began))

    come_back(fleet, "north")
    fleet.run(900)
    assert sizes(fleet) == dict.fromkeys(names, 2 * GIB)
    assert at_rest(fleet)


def test_a_refused_login_bars_the_cluster_that_refused_it_and_no_other(make: Callable[..., Fleet]) -> None:
    own = "password: {valueFrom: {env: NORTH}}"
    fleet = make("east", "west", "north", north=own)
    fleet.environ["NORTH"] = "wrong"
    fleet.source.commit(base=carts("east", "west", "north") + "---\n" + plain("own", "east"))
    fleet.run(3600)
    assert fleet.wire("/v1/bdbs", "own", cluster="east")["memory_size"] == 100 << 20
    refused = [entry.time for entry in fleet.calls("north") if entry.status == 401]
    assert max(sum(at <= other < at + 900 for other in refused) for at in refused) <= 2  # five would lock the account
    assert [fleet.status(name).failure for name in ("east", "west")] == [None, None]
    assert fleet.status("north").failure.kind == "Unauthorized"
    (held,) = fleet.status("east").held
    assert held.endswith("north is not part of this run: its login was refused")

    fleet.context.settings.login_sources.environ["NORTH"] = PASSWORD
    fleet.run(900)
    assert set(sizes(fleet)) == {"east", "west", "north"}
    assert at_rest(fleet)


def test_a_copy_waits_for_the_cluster_of_its_source_and_holds_up_nothing(make: Callable[..., Fleet]) -> None:
    fleet = make("west", "east")
    copy = plain("copy", "west") + "  replica_sources: [{cluster: east, database: origin}]\n"
    copy = copy.replace("spec: {memory_size: 100MiB}", "spec:\n  memory_size: 100MiB")
    die(fleet, "east")
    fleet.source.commit(base="---\n".join([plain("origin", "east"), copy, plain("own", "west")]))
    fleet.run(600)
    assert [one["name"] for one in fleet.call("GET", "/v1/bdbs", cluster="west")] == ["own"]
    (held,) = fleet.status("west").held
    assert held == (
        "Database/copy: refers to east:Database/origin, and east is not part of this run: it is unreachable"
    )
    come_back(fleet, "east")
    fleet.run(900)
    assert len(fleet.wire("/v1/bdbs", "copy", cluster="west")["replica_sources"]) == 1
    assert at_rest(fleet)


def test_a_wrong_login_is_tried_once_however_many_reconciliations_probe_at_the_same_time() -> None:
    probes, tried, results = ProbeCache(), [], []
    ready = threading.Barrier(8)

    def ask() -> Unauthorized:
        tried.append(1)
        return Unauthorized("no")

    def probe() -> None:
        ready.wait()
        results.append(probes.probe("north", ask))

    threads = [threading.Thread(target=probe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(tried), len(results), {type(one) for one in results}) == (1, 8, {Unauthorized})
    probes.forget("north")
    assert probes.probe("north", lambda: None) is None


# --- the settings of every cluster count ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("west", "why"),
    [
        ("agent: {suspend: true}", "suspended"),
        ("agent: {mode: observe}", "in mode observe, while east is in mode apply"),
        (
            "agent: {freeze: [{name: always, cron: '0 0 * * *', duration: 1d}]}",
            "frozen: freeze window always",
        ),
    ],
)
def test_nothing_is_written_on_a_cluster_that_may_not_be_written(
    make: Callable[..., Fleet], west: str, why: str
) -> None:
    fleet = make("east", "west", west=west)
    fleet.source.commit(base=carts("east", "west") + "---\n" + plain("own", "east"))
    fleet.run(1200)
    assert sizes(fleet) == {}
    assert fleet.sent("west") == []
    assert fleet.status("east").held == (f"ActiveActiveDatabase/carts: has a member on west, which is {why}",)
    assert [one.drift.address.name for one in fleet.status("east").drift] == ["carts"]
    assert fleet.wire("/v1/bdbs", "own", cluster="east")["status"] == "active"
    fleet.own["west"] = ""
    fleet.loop.reload()
    fleet.run(600)
    assert set(sizes(fleet)) == {"east", "west"}


def test_it_is_changed_as_soon_as_the_window_of_the_other_cluster_ends(make: Callable[..., Fleet]) -> None:
    window = "agent: {freeze: [{name: hour, cron: '0 * * * *', duration: 30m}]}"
    fleet = make("east", "west", west=window, agent="mode: apply, interval: 10h")
    fleet.clock.now += 3660 - fleet.clock.now % 3600  # a minute past the hour
    fleet.source.commit(base=carts("east", "west"))
    fleet.run(1500)
    assert sizes(fleet) == {}
    fleet.run(600)
    assert set(sizes(fleet)) == {"east", "west"}


# --- locks ------------------------------------------------------------------------------------------------------------


def test_the_locks_of_all_clusters_are_held_while_it_is_written(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west", "north")
    held: list[dict[str, bool]] = []
    seen: Any = fleet.clusters["east"].core.exchange

    def exchange(request: Any) -> Any:
        if request.method != "GET":
            held.append({name: is_locked(fleet, name) for name in fleet.clusters})
        return seen(request)

    fleet.clusters["east"].core.exchange = exchange  # type: ignore[method-assign]
    fleet.source.commit(base=carts("east", "west") + "---\n" + plain("own", "north"))
    fleet.run(600)
    assert set(sizes(fleet)) == {"east", "west"}
    assert held
    assert all(one == {"east": True, "west": True, "north": False} for one in held)


def is_locked(fleet: Fleet, name: str) -> bool:
    try:
        with fleet.ledger.lock(name):
            return False
    except Locked:
        return True


def test_while_somebody_else_is_at_a_peer_the_rest_goes_on(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west")
    fleet.source.commit(base=plain("own", "east", "101MiB"))
    fleet.run(60)  # takes note of which clusters are there
    fleet.source.commit(base=carts("east", "west") + "---\n" + plain("own", "east"))
    with fleet.ledger.lock("west"):
        fleet.run(120)
        assert fleet.wire("/v1/bdbs", "own", cluster="east")["status"] == "active"
        assert sizes(fleet) == {}
        (held,) = fleet.status("east").held
        assert "cluster 'west' is locked by" in held
        assert fleet.status("east").failure is None
    fleet.run(60)
    assert set(sizes(fleet)) == {"east", "west"}
    assert at_rest(fleet)


def test_a_pass_waits_where_another_one_writes_and_that_is_no_failure(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west")
    fleet.source.commit(base=plain("own", "west"))
    with fleet.context.coordination.write_claims.claim(["east", "west"], "east"):
        fleet.run(120)
        status = fleet.status("west")
        assert (status.failure, status.phase, status.why) == (
            None,
            Phase.IDLE,
            "the reconciliation of east is changing west",
        )
        assert fleet.sent("west") == []
    fleet.run(30)
    assert fleet.wire("/v1/bdbs", "own", cluster="west")["status"] == "active"


def test_whoever_finds_one_cluster_taken_holds_none_of_the_others() -> None:
    claims = WriteClaims()
    with ExitStack() as stack:
        stack.enter_context(claims.claim(["b", "c"], "b"))
        with pytest.raises(ClusterClaimed, match="the reconciliation of b is changing c"):
            stack.enter_context(claims.claim(["a", "c"], "a"))
    with claims.claim(["a", "b", "c"], "a"):
        pass


def test_passes_of_a_mesh_that_are_due_at_once_all_come_to_an_end(make: Callable[..., Fleet]) -> None:
    fleet = make("east", "west", "north")
    three = ("east", "west", "north")
    documents = [carts(*three[index:], *three[:index]).replace("carts", f"carts-{index}") for index in range(3)]
    fleet.source.commit(base="---\n".join(documents))
    fleet.run(900)
    for index in range(3):
        assert set(sizes(fleet, f"carts-{index}")) == set(three)
    assert at_rest(fleet)
