"""Manifests of what stands in several clusters: declared once, planned on one of them, checked against all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import InputError
from reconciler.kinds import load_kinds
from reconciler.manifests import Manifests, load
from reconciler.settings import Target

HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {metadata}\n"
SPEC = """\
spec:
  default_db_config: {memory_size: 1GiB}
  instances:
    - {cluster: dc2, credentials: {username: a, password: {valueFrom: {env: A}}}}
    - {cluster: dc1, credentials: {username: b, password: {valueFrom: {env: B}}}, %s}
"""


def text(metadata: str = "{name: carts}", more: str = "compression: 3", spec: str = SPEC) -> str:
    return HEAD.format(kind="ActiveActiveDatabase", metadata=metadata) + (spec % more if "%s" in spec else spec)


def other(kind: str, metadata: str, spec: str) -> str:
    return "---\n" + HEAD.format(kind=kind, metadata=metadata) + f"spec: {spec}\n"


def declared(folder: Path, content: str, *names: str) -> Manifests:
    path = folder / "carts.yaml"
    path.write_text(content)
    password: Any = {"valueFrom": {"env": "X"}}
    clusters = [Target(name, ("https://h:9443",), "u", password, manifests=(path,)) for name in names]
    return load([], load_kinds(), clusters=clusters)


def refused(folder: Path, content: str, *names: str) -> str:
    with pytest.raises(InputError) as caught:
        declared(folder, content, *(names or ("dc1", "dc2")))
    return str(caught.value)


@pytest.mark.parametrize(("metadata", "home"), [("{name: carts}", "dc2"), ("{name: carts, cluster: dc1}", "dc1")])
def test_it_is_declared_once_for_the_cluster_that_coordinates(tmp_path: Path, metadata: str, home: str) -> None:
    found = declared(tmp_path, text(metadata), "dc1", "dc2", "dc3")
    assert [str(one.address) for one in found.resources] == [f"{home}:ActiveActiveDatabase/carts"]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (text("{name: carts, cluster: dc3}"), "the coordinating cluster dc3 is not in spec.instances"),
        (text("{name: carts, clusters: [dc1, dc2]}"), "a ActiveActiveDatabase lists its clusters in spec.instances"),
        (text(more="compression: 9"), "spec.instances[1].compression: must be at most 6"),
        (text(spec=SPEC.replace("dc2", "dc22")), 'unknown cluster "dc22" (did you mean "dc2"?)'),
        (text(spec=SPEC.replace("dc2", "dc1")), 'cluster "dc1" is duplicated'),
        (
            text("{name: carts, state: absent}", spec=""),
            "the coordinating cluster of this ActiveActiveDatabase is not set",
        ),
        (text() + "  force_remove: [dc9]\n", 'unknown cluster "dc9"'),
        (text(more="replication_endpoint: '127.1:12000'"), 'the host "127.1" is the node itself'),
        (text() + "  force_remove: [dc1]\n", "dc1 cannot be in both force_remove and instances"),
        (text("{name: carts, renamedFrom: old}"), "ActiveActiveDatabase cannot be renamed"),
        (
            text() + other("Database", "{name: carts, cluster: dc1}", "{memory_size: 1GiB}"),
            "conflicts with the instance of ActiveActiveDatabase/carts on dc1",
        ),
        (text(spec=SPEC.replace("1GiB}", "1GiB, data_persistence: snapshot}")), "must be one of disabled or aof"),
        (text(spec=SPEC.replace("1GiB}", "1GiB, sharding: true}")), "say how keys are hashed"),
    ],
)
def test_what_is_invalid_is_reported_with_its_place(tmp_path: Path, content: str, said: str) -> None:
    problems = refused(tmp_path, content, "dc1", "dc2", "dc3")
    assert said in problems
    assert "carts.yaml:" in problems


def test_without_a_project_file_there_is_no_such_thing(tmp_path: Path) -> None:
    path = tmp_path / "carts.yaml"
    path.write_text(text())
    with pytest.raises(InputError, match="ActiveActiveDatabase requires a project file"):
        load([path], load_kinds())


def test_roles_are_looked_for_on_the_cluster_of_their_instance(tmp_path: Path) -> None:
    using = "roles_permissions: [{role: app, redis_acl: Full Access}]"
    away = other("Role", "{name: app, cluster: dc2}", "{management: none}")
    found = declared(tmp_path, text(more=using) + away, "dc1", "dc2")
    assert [problem.message for problem in found.unresolved] == [
        "dc1:Role/app is not declared",
        "dc1:RedisACL/Full Access is not declared",
    ]
    here = other("Role", "{name: app, cluster: dc1, state: absent}", "{management: none}")
    assert "dc1:Role/app is declared absent" in refused(tmp_path, text(more=using) + here)


def test_a_cluster_that_coordinates_and_has_other_manifests_is_reported(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.yaml", tmp_path / "theirs.yaml"
    mine.write_text(text())
    theirs.write_text(HEAD.format(kind="Role", metadata="{name: app}") + "spec: {management: none}\n")
    password: Any = {"valueFrom": {"env": "X"}}
    layers = {"dc1": mine, "dc2": theirs}
    clusters = [Target(name, ("https://h:9443",), "u", password, manifests=(path,)) for name, path in layers.items()]
    found = load([], load_kinds(), clusters=clusters)
    assert [str(one.address) for one in found.resources] == ["dc2:Role/app"]
    assert [warning.message for warning in found.warnings] == [
        "does not apply to any cluster with this layer of manifests"
    ]
