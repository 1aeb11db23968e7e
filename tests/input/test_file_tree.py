"""Manifests out of a mapping instead of the file system: the same rules, the same complaints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler import manifests
from reconciler.errors import InputError
from reconciler.manifests import FileTree
from reconciler.settings import ProjectLimits
from tests.input.test_manifests import KINDS, cluster, database, put, specs


def tree(files: dict[str, str], **more: Any) -> FileTree:
    return FileTree({name: text.encode() for name, text in files.items()}, **more)


def problems(files: dict[str, str], *paths: str, limits: ProjectLimits | None = None, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        manifests.load(paths, KINDS, limits=limits, tree=tree(files, **more))
    return [str(problem) for problem in caught.value.problems]


def test_layers_of_a_cluster_are_folders_of_the_tree(tmp_path: Path) -> None:
    files = {
        "shop/base/a.yaml": database("a", "{memory_size: 1GiB, replication: true}"),
        "shop/dev/a.yml": database("a", "{memory_size: 2GiB}"),
        "base/a.yaml": "is: not looked at",
    }
    dev = cluster("dev", tmp_path / "base", tmp_path / "dev")
    found = manifests.load((), KINDS, clusters=[dev], tree=tree(files, base="shop", root=tmp_path))
    assert specs(found) == {"dev:Database/a": {"memory_size": 2 * 1024**3, "replication": True}}


def test_a_tree_and_a_folder_with_the_same_files_give_the_same(tmp_path: Path) -> None:
    texts = {"b": database("b"), "a": database("a", "{memory_size: x}"), "c": "kind: Databas\n"}
    put(tmp_path / "all", **texts)
    with pytest.raises(InputError) as caught:
        manifests.load([tmp_path / "all"], KINDS)
    on_disk = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert problems({f"all/{name}.yaml": text for name, text in texts.items()}, "all") == on_disk


def test_problems_are_placed_by_the_name_in_the_repository() -> None:
    (first,) = problems({"base/shop.yaml": database("a", "{memory_size: x}")}, "base")
    assert first.startswith("base/shop.yaml:4:8: spec.memory_size:")


def test_problems_of_another_revision_say_so() -> None:
    (first,) = problems({"base/shop.yaml": database("a", "{memory_size: x}")}, "base", label="v1:")
    assert first.startswith("v1:base/shop.yaml:4:8:")


def test_what_is_no_manifest_by_its_name_is_not_read() -> None:
    files = dict.fromkeys(
        ("base/.a.yaml", "base/.b/c.yaml", "base/reconciler.yaml", "base/README.md", "base2/x.yaml"), "["
    )
    found = manifests.load(["base"], KINDS, tree=tree({**files, "base/sub/a.yaml": database("a")}))
    assert list(specs(found)) == ["Database/a"]


def test_a_folder_that_is_named_may_be_hidden() -> None:
    found = manifests.load([".deploy"], KINDS, tree=tree({".deploy/a.yaml": database("a"), "deploy/b.yaml": "["}))
    assert list(specs(found)) == ["Database/a"]


def test_a_single_file_can_be_a_layer() -> None:
    found = manifests.load(["all.yaml"], KINDS, tree=tree({"all.yaml": database("a"), "b.yaml": "["}))
    assert list(specs(found)) == ["Database/a"]


@pytest.mark.parametrize("path", ["../other", "/etc", "base/../../x", "-"])
def test_nothing_outside_the_tree_has_a_name(path: str) -> None:
    assert problems({"shop/a.yaml": database("a")}, path, base="shop") == [
        f"{path}: is outside the manifest source (name a folder inside it)"
    ]


def test_a_folder_without_manifests_is_reported() -> None:
    (only,) = problems({"a.yaml": database("a")}, "prod")
    assert only.startswith("prod: no manifests found")


def test_a_folder_may_be_missing_where_that_is_no_mistake() -> None:
    found = manifests.load(["prod"], KINDS, tree=tree({"a.yaml": database("a")}, complete=False))
    assert found.resources == ()


def test_the_bounds_hold_for_trees() -> None:
    files = {f"a/{number}.yaml": database(f"db-{number}") for number in range(4)}
    assert "more than 3 files" in problems(files, "a", limits=ProjectLimits(files=3))[0]
    assert "exceed the total size limit" in problems(files, "a", limits=ProjectLimits(total_size=200))[0]
    assert "over the limit of 50" in problems(files, "a", limits=ProjectLimits(file_size=50))[0]


def test_a_file_named_twice_counts_once() -> None:
    found = manifests.load(["a", "a/x.yaml"], KINDS, tree=tree({"a/x.yaml": database("a")}))
    assert list(specs(found)) == ["Database/a"]
