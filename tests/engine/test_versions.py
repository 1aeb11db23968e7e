"""Clusters of every version: what they have plans and applies, what they lack is refused before any write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler import live
from reconciler.errors import InputError
from reconciler.kinds import server_schema, versions
from reconciler.manifests import Resource
from reconciler.model import LiveState
from reconciler.plan import Plan
from reconciler.plan.read_set import ReadSet, fields_of
from reconciler.render.reasons import note_text
from tests.kinds.samples import values_of
from tests.kinds.test_kind_files import SOURCES
from tests.support.inprocess import InProcess
from tests.support.resources import KINDS, declared, shop
from tests.support.simulation import Simulation

VERSIONS = ("7.4", "7.8", "7.22", "8.0", "8.2")
SERVED = {name: kind.rest.jsonschema for name, kind in KINDS.items() if kind.rest.jsonschema}

every_version = pytest.mark.parametrize("version", VERSIONS)


def read(rig: Simulation, resources: Sequence[Resource]) -> LiveState:
    return live.read(rig.client, KINDS, ReadSet(fields_of(KINDS, resources, ()), schemas=True), "dc1")


def plan(rig: Simulation, resources: Sequence[Resource]) -> Plan:
    return rig.plan(resources, {"dc1": read(rig, resources)})


def lacking(version: str) -> list[tuple[str, str]]:
    """Return each field (kind, name) that a version does not have, of the kinds that it has."""
    there = versions.parse(version)
    kinds = [kind for kind in KINDS.values() if versions.has(there, kind)]
    return [
        (kind.name, name) for kind in kinds for name, field in kind.fields.items() if not versions.has(there, field)
    ]


@every_version
def test_the_shop_plans_and_applies_under_every_version(tmp_path: Path, version: str) -> None:
    rig = Simulation(tmp_path / "state", server_version=version)
    state = read(rig, shop())
    assert str(state.version).startswith(f"{version}.")
    made = rig.plan(shop(), {"dc1": state})
    assert made.notes == ()
    report = rig.apply(made, live={"dc1": state})
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    again = plan(rig, shop())
    assert (again.changes, again.notes, again.unchanged) == ((), (), 10)


@every_version
def test_an_old_cluster_is_not_asked_for_what_it_lacks(tmp_path: Path, version: str) -> None:
    rig = Simulation(tmp_path / "state", server_version=version)
    live.read(rig.client, KINDS, ReadSet(dict.fromkeys(KINDS), schemas=True), "dc1")
    state = live.read(rig.client, KINDS, ReadSet({"Database": frozenset(KINDS["Database"].fields)}), "dc1")
    there = versions.parse(version)
    single = {
        kind.rest.path for kind in KINDS.values() if kind.singleton and versions.has(there, kind)
    }  # may be missing
    assert [entry.path for entry in rig.cluster.log if entry.status != 200 and entry.path not in single] == []
    asked = {name for entry in rig.cluster.log for name in entry.query.get("fields", "").split(",")}
    assert asked & {name for kind, name in lacking(version) if kind == "Database"} == set()
    extended = any("extended" in entry.query for entry in rig.cluster.log)
    assert extended == (version in ("8.0", "8.2"))
    assert state.objects.keys() == {name for name in state.objects if versions.has(there, KINDS[name])}


@every_version
def test_kind_files_and_servers_agree_on_what_a_version_has(tmp_path: Path, version: str) -> None:
    """Two witnesses: our kind files, and the schemas that the server makes of its own data."""
    rig = Simulation(tmp_path / "state", server_version=version)
    state = live.read(rig.client, KINDS, ReadSet(dict.fromkeys(KINDS), schemas=True), "dc1")
    assert state.schemas.keys() == {name for name in SERVED if versions.has(state.version, KINDS[name])}
    for name in state.schemas:
        served = state.schemas[name]
        known = server_schema.known_fields(KINDS[name], served) - served.separate
        ours = {field for field, it in KINDS[name].fields.items() if versions.has(state.version, it)} - served.separate
        stateless = {
            field for field, it in KINDS[name].fields.items() if it.access.write_only or it.access.option_of is not None
        }
        assert known <= ours
        assert ours - known <= stateless


LACKING = [(version, kind, name) for version in VERSIONS for kind, name in lacking(version)]


@pytest.mark.parametrize(("version", "kind", "name"), LACKING, ids=[f"{v}-{k}.{n}" for v, k, n in LACKING])
def test_a_field_that_the_version_lacks_is_refused_before_any_write(
    tmp_path: Path, version: str, kind: str, name: str
) -> None:
    rig = Simulation(tmp_path / "state", server_version=version, nodes=1)
    resource = declared(
        kind, "cluster" if KINDS[kind].singleton else "a", {name: values_of(SOURCES[kind]["properties"][name])[0]}
    )
    with pytest.raises(InputError) as caught:
        plan(rig, [resource])
    it = KINDS[kind].fields[name]
    last = versions.passed(versions.parse(version), it.support.until)
    why = f"removed after version {it.support.until};" if last else f"requires version {it.support.since} or later;"
    assert [problem.path for problem in caught.value.problems if why in problem.message] == [f"spec.{name}"]
    assert rig.sent == []


@pytest.mark.parametrize("fault", ["500", "503", "truncate", "wrong_type", "drop", "refuse", "409", "429"])
def test_a_schema_that_does_not_come_is_not_waited_for_and_changes_nothing(tmp_path: Path, fault: str) -> None:
    rig = Simulation(tmp_path / "state")
    expected = plan(rig, shop())
    slept = list(rig.cluster.sleeps)
    rig.cluster.faults.add(fault, path="/v1/jsonschema", times=100)
    assert plan(rig, shop()) == expected
    assert rig.cluster.sleeps == slept


def test_a_schema_that_is_slow_costs_seconds_and_not_minutes(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state")
    expected = plan(rig, shop())
    rig.cluster.faults.add("slow", path="/v1/jsonschema", times=100, seconds=60)
    before = rig.cluster.clock()
    assert plan(rig, shop()) == expected
    assert rig.cluster.clock() - before < 20  # in virtual time: one attempt, however many kinds


class Without(httpx.BaseTransport):
    """A cluster that answers all but one endpoint."""

    def __init__(self, rig: Simulation, status: int) -> None:
        self._others = InProcess(rig.cluster.core, rig.cluster.clock)
        self._status = status

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/jsonschema":
            return httpx.Response(self._status, stream=httpx.ByteStream(b'{"error_code": "not_here"}'))
        return self._others.handle_request(request)


@pytest.mark.parametrize("status", [200, 400, 403, 404, 406, 501])
def test_a_cluster_without_such_schemas_is_planned_all_the_same(tmp_path: Path, status: int) -> None:
    rig = Simulation(tmp_path / "state")
    rig.client = rig.cluster.client(transport=Without(rig, status))
    state = read(rig, shop())
    assert state.schemas == {}
    made = rig.plan(shop(), {"dc1": state})
    assert (len(made.changes), made.notes) == (10, ())


def test_one_schema_a_kind_is_asked_for_and_only_of_what_is_declared(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state")
    plan(rig, shop()[:2])
    asked = [entry.query["object"] for entry in rig.cluster.log if entry.path == "/v1/jsonschema"]
    assert asked == ["redis_acl"]


def test_what_only_the_cluster_says_that_it_has_is_written_and_read_back(tmp_path: Path) -> None:
    """The documentation may be younger than the software: eviction policies are an example that the server knows."""
    rig = Simulation(tmp_path / "state", server_version="7.22")
    resource = declared("Database", "a", {"memory_size": "100MiB", "eviction_policy": "allkeys-lrm"})
    made = plan(rig, [resource])
    assert ["its own schema has it" in note_text(note) for note in made.notes] == [True]
    report = rig.apply(made)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert plan(rig, [resource]).changes == ()


def test_a_field_that_only_the_clusters_schema_knows_is_read(tmp_path: Path) -> None:
    schema = {"properties": {"maxclients": {"type": "integer"}}}

    class Client:
        state_id, user = 1, "me"

        def open(self) -> Any:
            return self.get("/v1/nodes")

        def get(self, path: str, **more: Any) -> Any:
            from reconciler.api.protocol import Response

            bodies: dict[str, Any] = {
                "/v1/nodes": [{"software_version": "7.8.2-1"}],
                "/v1/jsonschema": schema,
                "/v1/bdbs": [{"uid": 1, "name": "a", "maxclients": 7, "use_selective_flush": True}],
            }
            return Response(200, bodies[path.partition("?")[0]], {})

    wanted = {"Database": frozenset({"maxclients", "use_selective_flush"})}
    for asked, spec in ((True, {"maxclients": 7}), (False, {})):
        state = live.read(Client(), KINDS, ReadSet(wanted, schemas=asked), "dc1")
        assert state.objects["Database"][0].spec == spec
