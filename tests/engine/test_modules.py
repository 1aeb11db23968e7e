"""Modules that users bring along: a record in the cluster, a file on each node."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import InputError
from reconciler.manifests import Resource
from reconciler.manifests.artifacts import load
from reconciler.plan import Action
from tests.support.resources import declared
from tests.support.simulation import Simulation

FILE = "modules/geo.zip"


def packed(version: int = 10200) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("module.json"), json.dumps({"module_name": "geo", "version": version}))
    return data.getvalue()


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    rig = Simulation(tmp_path / "state")
    rig.call("PUT", "/v1/cluster", {"allow_modules_upload": True})
    (tmp_path / "modules").mkdir()
    (tmp_path / FILE).write_bytes(packed())
    return rig


def module(digest: str = "", *, absent: bool = False, **more: Any) -> list[Resource]:
    spec = {
        "version": 10200,
        "display_name": "Geo",
        "commands": [{"command_name": "GEO.NEAR", "command_arity": -3}],
        "command_line_args": "",
        "capabilities": ["clustering"],
        "min_redis_version": "7.4",
        "artifact": {"file": FILE, "sha256": digest or hashlib.sha256(packed()).hexdigest()},
        **more,
    }
    return [declared("Module", "geo@1.2.0", {} if absent else spec, absent=absent)]


def apply(rig: Simulation, wanted: Sequence[Resource]) -> list[str]:
    begun = len(rig.sent)
    report = rig.converge(wanted, read_file=lambda path: load(rig.folder.parent, path))
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(wanted).changes == ()
    return [f"{entry.method} {entry.path}" for entry in rig.sent[begun:]]


def nodes_with_file(rig: Simulation) -> list[int]:
    return sorted(node for node, files in rig.cluster.core.state.artifacts.items() if files)


UPLOAD = "POST /v2/local/modules/user-defined/artifacts"


def test_the_file_goes_to_every_node_and_then_the_module_is_known(rig: Simulation) -> None:
    assert apply(rig, module()) == [UPLOAD, UPLOAD, UPLOAD, "POST /v2/modules/user-defined"]
    assert nodes_with_file(rig) == [1, 2, 3]
    found = [one for one in rig.call("GET", "/v1/modules").json() if one["module_name"] == "geo"]
    assert [one["semantic_version"] for one in found] == ["1.2.0"]


def test_a_node_without_the_file_gets_it(rig: Simulation) -> None:
    apply(rig, module(on_every_node=True))
    rig.cluster.core.state.artifacts[2].clear()
    plan = rig.plan(module(on_every_node=True))
    assert [(change.action, change.fields[0].path) for change in plan.changes] == [(Action.UPDATE, "on_every_node")]
    assert apply(rig, module(on_every_node=True)) == [UPLOAD]
    assert nodes_with_file(rig) == [1, 2, 3]


def test_another_file_than_the_declared_one_is_not_sent(rig: Simulation) -> None:
    report = rig.converge(module("0" * 64), read_file=lambda path: load(rig.folder.parent, path))
    assert "has the digest" in report.failed[0].why
    assert nodes_with_file(rig) == []


def test_a_module_goes_with_its_files(rig: Simulation) -> None:
    apply(rig, module())
    assert apply(rig, module(absent=True))[0].startswith("DELETE /v2/modules/user-defined/")
    assert nodes_with_file(rig) == []


def test_bundled_modules_are_none_of_ours(rig: Simulation) -> None:
    assert len(rig.call("GET", "/v1/modules").json()) > 3
    assert rig.live().objects["Module"] == ()


@pytest.mark.parametrize("name", ["../outside", "modules", "none.zip", "link.zip", "a\0b"])
def test_a_file_that_is_none_or_lies_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "project"
    (root / "modules").mkdir(parents=True)
    (tmp_path / "outside").write_text("canary")
    (root / "link.zip").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError) as refused:
        load(root, name)
    assert "canary" not in str(refused.value)
