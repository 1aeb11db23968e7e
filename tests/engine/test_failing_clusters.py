"""One of several clusters fails, for each cause: the plan of the others is whole, and what spans both is held."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import reconcile
from reconciler import settings as settings_module
from reconciler.client import Client, ClientOptions
from reconciler.commands import saved_plan
from reconciler.errors import ClustersFailed, InputError, Unauthorized
from reconciler.kinds import load_kinds
from reconciler.manifests import Manifests, load
from reconciler.plan import Options, SavedPlan, from_json, to_json
from reconciler.render.reasons import note_text
from reconciler.runtime import Runtime
from reconciler.session import Session, SessionOverrides
from tests.support.cluster import SimulatedCluster
from tests.support.inprocess import InProcess
from tests.support.simulation import Simulation

ROLE = "{apiVersion: reconciler/v1, kind: Role, metadata: {name: app}, spec: {management: none}}\n"
DATABASE = "---\n{apiVersion: reconciler/v1, kind: Database, metadata: {name: %s}, spec: %s}\n"
ACCOUNT, PASSWORD = "admin@example.com", "canary-login-Yq71"


class Project:
    """A project file over simulated clusters, and sessions on it."""

    def __init__(self, folder: Path, *names: str, **settings: Any) -> None:
        self.folder = folder
        self.simulation = Simulation(folder / ".reconciler", names, username=ACCOUNT, password=PASSWORD, **settings)
        self.environ = {"LOGIN": PASSWORD, "PEER": PASSWORD}
        self.own: dict[str, str] = {}  # by cluster: more keys of it
        self.manifests = ROLE

    def fail(self, name: str, action: str, **where: Any) -> None:
        self.simulation.clusters[name].faults.add(action, times=10_000, **where)

    def session(self, *chosen: str) -> tuple[Session, Manifests]:
        lines = ["apiVersion: reconciler/v1", "clusterDefaults:", f"  username: {ACCOUNT}"]
        lines += ["  password: {valueFrom: {env: LOGIN}}", "  manifests: [manifests]", "clusters:"]
        for name, cluster in self.simulation.clusters.items():
            lines.append(f"  - {{name: {name}, urls: {list(cluster.endpoints().urls)}{self.own.get(name, '')}}}")
        (self.folder / "reconciler.yaml").write_text("\n".join(lines))
        (self.folder / "manifests").mkdir(exist_ok=True)
        (self.folder / "manifests/all.yaml").write_text(self.manifests)
        settings = settings_module.load(self.folder / "reconciler.yaml", self.environ, {"clusters": chosen})
        manifests = load((), load_kinds(), clusters=settings.targets)
        overrides = SessionOverrides(ledger=self.simulation.ledger, connect=self.connect)
        return Session(settings, settings.selected, overrides=overrides), manifests

    def connect(self, target: Any, credentials: Any, runtime: Runtime, options: ClientOptions) -> Client:
        clock = self.simulation.clock
        runtime = replace(runtime, sleep=clock.sleep, clock=clock, random=random.Random(9))
        own = self.simulation.clusters[target.name]
        return Client(target, credentials, runtime, replace(options, transport=InProcess(own.core, clock)))

    def plan(self, **options: Any) -> tuple[Session, reconcile.Planned]:
        session, manifests = self.session()
        return session, reconcile.plan(session, manifests, Options(**options))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, "dc1", "dc2", "dc3")


def _no_secret(project: Project) -> None:
    project.own["dc2"] = ", password: {valueFrom: {env: NOT_SET}}"


def _no_permission(project: Project) -> None:
    viewer = {"name": "viewer", "email": "viewer@example.com", "password": PASSWORD, "role": "db_viewer"}
    assert project.simulation.call("POST", "/v1/users", viewer, cluster="dc2").status == 200
    project.own["dc2"] = ", username: viewer@example.com"
    mapping = DATABASE % ("ops", "{dn: 'cn=ops', roles: [app]}")
    project.manifests += mapping.replace("kind: Database", "kind: LDAPMapping")


def _older_version(project: Project) -> None:
    account = {"username": ACCOUNT, "password": PASSWORD}
    project.simulation.clusters["dc2"] = SimulatedCluster("dc2", server_version="7.4", **account)
    project.manifests += DATABASE % ("new", "{memory_size: 1GiB, maxclients: 20000}")


CAUSES: dict[str, Callable[[Project], None]] = {
    "refuses the login": lambda project: project.fail("dc2", "401"),
    "is down": lambda project: project.fail("dc2", "refuse"),
    "is unavailable": lambda project: project.fail("dc2", "503"),
    "is no cluster": lambda project: project.fail("dc2", "503_member"),
    "sends HTML": lambda project: project.fail("dc2", "not_json"),
    "sends half of a list": lambda project: project.fail("dc2", "truncate", path="/v1/roles"),
    "refuses a list": _no_permission,
    "does not know a declared field": _older_version,
    "redirects": lambda project: project.fail("dc2", "redirect", location="https://elsewhere.example.com/"),
    "has no secret": _no_secret,
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cluster_that_fails_leaves_the_plan_of_the_others_whole(project: Project, cause: str) -> None:
    CAUSES[cause](project)
    session, planned = project.plan()
    assert {change.address.cluster for change in planned.plan.changes} == {"dc1", "dc3"}
    assert planned.plan.clusters == ("dc1", "dc3")
    assert [one.cluster for one in planned.plan.failures] == ["dc2"]
    assert planned.plan.notes == ()
    assert from_json(to_json(planned.plan)) == planned.plan
    assert session.failures.keys() == {"dc2"}


def test_a_cluster_that_is_being_upgraded_leaves_the_others(tmp_path: Path) -> None:
    project = Project(tmp_path, "dc1", "dc2")
    project.simulation.clusters["dc2"].core.state.nodes[1].fields["software_version"] = "7.4.2-54"
    (failure,) = project.plan()[1].plan.failures
    assert failure.message.startswith("dc2: an upgrade is in progress (nodes run 7.4.2-54, ")


@pytest.mark.parametrize("chosen", [(), ("dc1", "dc2")])
def test_where_all_clusters_fail_their_errors_end_the_run(project: Project, chosen: tuple[str, ...]) -> None:
    for name in project.simulation.clusters:
        project.fail(name, "401")
    session, manifests = project.session(*chosen)
    with pytest.raises(ClustersFailed) as found:
        reconcile.plan(session, manifests, Options())
    assert {type(error) for error in found.value.failures.values()} == {Unauthorized}
    assert found.value.exit_code == Unauthorized.exit_code


def test_the_error_of_a_single_cluster_is_raised_as_it_is(project: Project) -> None:
    project.fail("dc2", "401")
    session, manifests = project.session("dc2")
    with pytest.raises(Unauthorized):
        reconcile.plan(session, manifests, Options())


def test_a_problem_that_only_some_clusters_have_is_reported_with_its_place(project: Project) -> None:
    _older_version(project)
    session, _ = project.plan()
    (problem,) = session.failures["dc2"].problems  # type: ignore[attr-defined]
    assert problem.line == 3
    assert problem.message.startswith("dc2:Database/new: ")


def test_a_problem_that_all_clusters_have_is_invalid_input_with_every_place(project: Project) -> None:
    project.manifests += DATABASE % (
        "orders",
        "{memory_size: 1GiB, roles_permissions: [{role: nope, redis_acl: nope}]}",
    )
    with pytest.raises(InputError) as found:
        project.plan()
    assert {one.cluster for one in found.value.problems} == {"dc1", "dc2", "dc3"}


def test_what_refers_to_a_cluster_that_failed_is_held_with_the_reason(project: Project) -> None:
    project.fail("dc2", "401")
    source = "{memory_size: 1GiB, replica_sync: enabled, replica_sources: [{database: orders, cluster: dc2}]}"
    project.manifests += DATABASE % ("orders, cluster: dc2", "{memory_size: 1GiB}")
    project.manifests += DATABASE % ("copy, cluster: dc1", source)
    _, planned = project.plan()
    ((address, text),) = [(note.address, note_text(note)) for note in planned.plan.notes]
    assert str(address) == "dc1:Database/copy"
    assert text.startswith("refers to dc2:Database/orders, and dc2 is not part of this run: dc2: https://")


def test_what_spans_a_cluster_that_failed_is_held_with_the_reason(project: Project) -> None:
    project.fail("dc3", "refuse")
    login = "credentials: {username: x, password: {valueFrom: {env: PEER}}}"
    members = ", ".join(f"{{cluster: {name}, {login}}}" for name in ("dc1", "dc3"))
    spec = f"{{default_db_config: {{memory_size: 1GiB}}, instances: [{members}]}}"
    project.manifests += (DATABASE % ("carts", spec)).replace("kind: Database", "kind: ActiveActiveDatabase")
    _, planned = project.plan()
    assert [str(change.address) for change in planned.plan.changes] == ["dc1:Role/app", "dc2:Role/app"]
    ((address, text),) = [(note.address, note_text(note)) for note in planned.plan.notes]
    assert str(address) == "dc1:ActiveActiveDatabase/carts"
    assert text.startswith("spans several clusters; dc3 is not part of this run: dc3: ")


def test_nothing_is_deleted_because_a_cluster_with_all_manifests_failed(project: Project) -> None:
    project.manifests = DATABASE % ("orders, cluster: dc2", "{memory_size: 1GiB}")
    project.fail("dc2", "503")
    _, planned = project.plan(prune=True)
    assert planned.plan.changes == ()


def test_a_cluster_that_fails_while_others_read_from_it_does_not_fail_them(project: Project) -> None:
    """The clusters of an Active-Active database are asked about each other."""
    project.manifests = ROLE
    project.simulation.call("POST", "/v1/roles", {"name": "x", "management": "none"}, cluster="dc1")
    project.fail("dc2", "not_json", path="/v1/bdbs")
    _, planned = project.plan()
    assert planned.plan.clusters == ("dc1", "dc2", "dc3")  # these are not needed for roles


def test_an_apply_changes_the_clusters_that_work_and_reports_the_others(project: Project) -> None:
    session, planned = project.plan()
    project.fail("dc3", "refuse")
    session, _ = project.session()
    now = saved_plan.decide_again(session, SavedPlan(planned.plan, planned.desired, Options()), Options())
    report = reconcile.execute(session, now.plan, now.observed, parallelism=1)
    assert {str(one.change.address): one.status.value for one in report.outcomes} == {
        "dc1:Role/app": "done",
        "dc2:Role/app": "done",
        "dc3:Role/app": "not attempted",
    }
    assert report.stopped.keys() == {"dc3"}
    project.simulation.clusters["dc3"].faults.clear()
    assert [one["name"] for one in project.simulation.call("GET", "/v1/roles", cluster="dc3").json()].count("app") == 0
