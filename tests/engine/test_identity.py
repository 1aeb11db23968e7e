"""Which cluster is behind a name or a URL: saved plans and the ledger are bound to it, and a change is noticed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from reconciler import reconcile
from reconciler import settings as settings_module
from reconciler.client import Client, ClientOptions
from reconciler.errors import ClusterIncarnationChanged
from reconciler.ledger import Ledger
from reconciler.manifests import Manifests
from reconciler.plan import Options
from reconciler.plan.plan_input import plain_input
from reconciler.render.plan_json import plan_json
from reconciler.runtime import Runtime
from reconciler.session import Session, SessionOverrides
from reconciler.simulator.testing import Caller
from tests.support.cluster import SimulatedCluster
from tests.support.inprocess import InProcess
from tests.support.resources import declared
from tests.support.sessions import ACCOUNT, PASSWORD, Runs

ROLE = "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: app}\nspec: {management: none}\n"
FIRST_READS = ["/v1/nodes", "/v1/cluster"]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def rebuild(runs: Runs) -> SimulatedCluster:
    """Put a cluster of the same FQDN, which was created later, behind the same name and URL; return the former one."""
    before = runs.simulation.clusters["dc1"]
    runs.simulation.clock.sleep(3600)
    runs.simulation.clusters["dc1"] = SimulatedCluster(
        "dc1", world=type(before.core.site.world)(runs.simulation.clock), nodes=3, username=ACCOUNT, password=PASSWORD
    )
    return before


def paths(cluster: SimulatedCluster) -> list[str]:
    return [entry.path for entry in cluster.log]


def test_a_saved_plan_is_refused_by_another_cluster_before_anything_else_is_read(runs: Runs) -> None:
    file = runs.saved(*runs.plan(ROLE))
    rebuild(runs)
    runs.simulation.reopen()
    with pytest.raises(ClusterIncarnationChanged, match="nothing else was read"):
        runs.decide_again(file)
    assert paths(runs.simulation.clusters["dc1"]) == FIRST_READS


def test_a_saved_plan_is_bound_to_its_cluster_without_a_ledger_too(runs: Runs, tmp_path: Path) -> None:
    file = runs.saved(*runs.plan(ROLE))
    rebuild(runs)
    runs.simulation.kill()
    runs.simulation.folder = tmp_path / "another"
    with pytest.raises(ClusterIncarnationChanged, match=r"the plan was made for cluster\.local"):
        runs.decide_again(file)
    assert paths(runs.simulation.clusters["dc1"]) == FIRST_READS


def test_a_rebuilt_cluster_is_held_until_it_is_accepted_and_the_former_one_is_kept(runs: Runs) -> None:
    assert runs.apply(ROLE).complete
    former = rebuild(runs)
    with pytest.raises(ClusterIncarnationChanged, match="--restored") as caught:
        runs.plan(ROLE)
    assert "another cluster responds than before: it was cluster.local (created " in str(caught.value)
    assert paths(runs.simulation.clusters["dc1"]) == FIRST_READS
    planned, _ = runs.plan(ROLE, accept=True)
    assert [change.action.name for change in planned.plan.changes] == ["CREATE"]
    assert planned.observed.owned == {}
    assert [change.action.name for change in runs.plan(ROLE)[0].plan.changes] == ["CREATE"]

    runs.simulation.clusters["dc1"] = former
    with pytest.raises(ClusterIncarnationChanged):
        runs.plan(ROLE)
    planned, _ = runs.plan(ROLE, accept=True)
    assert [address.name for address in planned.observed.owned] == ["app"]
    assert planned.plan.changes == ()


def test_the_identity_costs_one_request_in_a_run(runs: Runs) -> None:
    runs.apply(ROLE)
    cluster = runs.simulation.clusters["dc1"]
    begun = len(cluster.log)
    with runs.session() as session:
        manifests = Manifests((declared("Role", "app", {"management": "none"}),))
        reconcile.recover(session, manifests.resources)
        reconcile.plan(session, manifests, Options())
        reconcile.plan(session, manifests, Options())
    assert paths(cluster)[begun:].count("/v1/cluster") == 1
    assert paths(cluster)[begun:].count("/v1/nodes") == 2


class Environment:
    """One state folder, and runs on whatever cluster the environment names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open(folder / "state")

    def session(self, cluster: SimulatedCluster, port: int) -> Session:
        environ = {
            "REDIS_ENTERPRISE_URL": f"https://node.example.com:{port}",
            "REDIS_ENTERPRISE_USER": cluster.core.settings.username,
            "REDIS_ENTERPRISE_PASSWORD": cluster.core.settings.password,
        }
        settings = settings_module.load(None, environ, {"state_dir": str(self.folder / "state")})

        def connect(target: Any, credentials: Any, runtime: Runtime, options: ClientOptions) -> Client:
            inside = next(iter(cluster.core.urls.values()))
            transport = InProcess(cluster.core, cluster.clock)
            transport._nodes = {target.urls[0]: transport._nodes[inside]}
            return Client(target, credentials, runtime, options.__class__(transport, state_id=options.state_id))

        clock = cluster.clock
        runtime = Runtime(now=clock, clock=clock, sleep=clock.sleep, random=random.Random(5))
        return Session(
            settings, settings.selected, runtime=runtime, overrides=SessionOverrides(self.ledger, connect=connect)
        )

    def apply(self, cluster: SimulatedCluster, port: int, *names: str) -> reconcile.Planned:
        resources = tuple(declared("Database", name, {"memory_size": "100MiB"}, cluster="") for name in names)
        with self.session(cluster, port) as session:
            planned = reconcile.plan(session, Manifests(resources), Options(prune=True))
            reconcile.execute(session, planned.plan, planned.observed, parallelism=1)
            return planned


def test_one_state_folder_serves_several_clusters_through_the_environment(tmp_path: Path) -> None:
    environment, one = Environment(tmp_path), SimulatedCluster()
    one.clock.sleep(100)
    other = SimulatedCluster(cluster_name="other.local")
    for size in range(20):  # far ahead of the other one
        assert Caller(one.core)("PUT", "/v1/cluster", {"alert_settings": {}, "email_alerts": size % 2 == 0}).status
    environment.apply(one, 9443, "orders", "carts")
    planned = environment.apply(other, 9444, "users")
    assert [(change.action.name, change.address.name) for change in planned.plan.changes] == [("CREATE", "users")]
    planned = environment.apply(one, 9443, "orders", "carts")
    assert planned.plan.changes == ()
    assert sorted(address.name for address in planned.observed.owned) == ["carts", "orders"]


def test_another_cluster_behind_a_url_of_the_environment_is_noticed(tmp_path: Path) -> None:
    environment, one = Environment(tmp_path), SimulatedCluster()
    environment.apply(one, 9443, "orders")
    with pytest.raises(ClusterIncarnationChanged, match=r"https://node\.example\.com:9443: another cluster responds"):
        environment.apply(SimulatedCluster(cluster_name="other.local"), 9443, "orders")


def test_the_digest_of_a_plan_depends_on_the_cluster(runs: Runs) -> None:
    planned, options = runs.plan(ROLE)
    rebuild(runs)
    again, _ = runs.plan(ROLE, accept=True)
    files = {plan_json(one.plan, plan_input=plain_input(one.desired, options)) for one in (planned, again)}
    assert len(files) == 2
