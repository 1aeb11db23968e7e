"""Manifests to resources: files, layers, clusters, references, warnings."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import manifests
from reconciler.errors import InputError, Problem
from reconciler.kinds import load_kinds
from reconciler.model import Address
from reconciler.settings import ProjectLimits, Target

KINDS = load_kinds()


def cluster(name: str, *layers: Path, **labels: str) -> Target:
    return Target(name, (), "", {}, labels=labels, manifests=layers)


def database(name: str, spec: str = "{memory_size: 1GiB}", metadata: str = "") -> str:
    return f"apiVersion: reconciler/v1\nkind: Database\nmetadata: {{name: {name}{metadata}}}\nspec: {spec}\n"


def other(kind: str, name: str, spec: str, metadata: str = "") -> str:
    return database(name, spec, metadata).replace("Database", kind)


def put(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def load(text: str, **more: Any) -> manifests.Manifests:
    return manifests.load(["-"], KINDS, stdin=io.BytesIO(text.encode()), **more)


def problems(text: str, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(text, **more)
    return [str(problem) for problem in caught.value.problems]


def specs(found: manifests.Manifests) -> dict[str, Any]:
    return {str(resource.address): resource.spec for resource in found.resources}


# --- resources ---------------------------------------------------------------------------------------------------


def test_a_manifest_becomes_a_resource_in_canonical_form() -> None:
    (resource,) = load(database("a", metadata=", labels: {team: x}, protect: false, ignore: [port]")).resources
    assert resource.address == Address("", "Database", "a")
    assert resource.spec == {"memory_size": 1024**3}
    assert (resource.absent, resource.protect, resource.renamed_from) == (False, False, None)
    assert (resource.ignore, resource.labels) == (("port",), {"team": "x"})
    assert resource.place(("spec", "memory_size")) == ("<stdin>", 4, 8)


def test_a_tombstone_needs_no_spec() -> None:
    (resource,) = load("apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a, state: absent}\n").resources
    assert resource.absent
    assert resource.spec == {}


def test_a_rename_names_the_old_object() -> None:
    (resource,) = load(database("new", metadata=", renamedFrom: old")).resources
    assert resource.renamed_from == "old"


def test_empty_documents_are_nothing() -> None:
    assert len(load("---\n---\n" + database("a") + "---\n# nothing\n").resources) == 1


def test_aliases_and_merge_keys_work_within_bounds() -> None:
    text = database("a", "{memory_size: &m 1GiB, tags: &t [{key: a, value: b}]}")
    text = text.replace("spec:", "spec: &s") + "---\n" + database("b")
    assert specs(load(text))["Database/a"]["memory_size"] == 1024**3


# --- files -------------------------------------------------------------------------------------------------------


def test_a_folder_is_read_in_order_and_everything_else_in_it_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, b=database("b"), a=database("a"))
    put(tmp_path / "deep" / "er", c=database("c"))
    put(tmp_path / ".hidden", d="[broken")
    (tmp_path / "e.yml").write_text(database("e"))
    (tmp_path / ".f.yaml").write_text("[broken")
    (tmp_path / "g.json").write_text("[broken")
    (tmp_path / "reconciler.yaml").write_text("[broken")
    names = [resource.address.name for resource in manifests.load([tmp_path], KINDS).resources]
    assert names == ["a", "b", "c", "e"]


def test_links_that_stay_in_the_folder_are_followed_and_each_file_is_read_once(tmp_path: Path) -> None:
    data = tmp_path / "..2026_11_30"
    put(data, a=database("a"), b=database("b"))
    put(data / "sub", c=database("c"))
    (tmp_path / "..data").symlink_to(data.name)
    for name in ("a.yaml", "b.yaml", "sub"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "again.yaml").symlink_to("a.yaml")
    found = manifests.load([tmp_path], KINDS).resources
    assert [str(one.address) for one in found] == ["Database/a", "Database/b", "Database/c"]
    assert found[1].place(()).file == f"{tmp_path}/b.yaml"


@pytest.mark.parametrize("what", ["file", "folder", "absolute"])
def test_a_link_that_leaves_the_folder_is_refused_and_not_opened(tmp_path: Path, what: str) -> None:
    outside = put(tmp_path / "outside", secret="[broken")
    inside = put(tmp_path / "inside", a=database("a"))
    link = inside / ("link" if what == "folder" else "link.yaml")
    link.symlink_to({"file": "../outside/secret.yaml", "folder": outside, "absolute": outside / "secret.yaml"}[what])
    with pytest.raises(InputError) as found:
        manifests.load([inside], KINDS)
    (problem,) = found.value.problems
    assert str(problem).startswith(f"{link}: is a symbolic link that leaves the folder: {outside}")


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a=database("a"))
    (tmp_path / "gone.yaml").symlink_to("nothing.yaml")
    with pytest.raises(InputError, match="leads nowhere"):
        manifests.load([tmp_path], KINDS)


@contextlib.contextmanager
def nested_folders(top: Path, depth: int) -> Iterator[None]:
    """Make folders whose path is longer than a system call takes, and remove them: pytest could not."""
    here = os.getcwd()
    os.chdir(top)
    try:
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        os.chdir(here)
        yield
    finally:
        subprocess.run(["rm", "-rf", str(top / "d")], check=True)
        os.chdir(here)


def test_a_folder_nested_too_deep_is_refused(tmp_path: Path) -> None:
    with nested_folders(tmp_path, 1_500), pytest.raises(InputError, match="is nested more than 32 folders deep"):
        manifests.load([tmp_path], KINDS)


@pytest.mark.parametrize("name", ["a\nerror: b.yaml", "a\x1b[2J.yaml", "a\u202e.yaml"])
def test_a_name_with_control_characters_is_refused_and_shown_escaped(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(database("a"))
    with pytest.raises(InputError) as found:
        manifests.load([tmp_path], KINDS)
    (problem,) = found.value.problems
    assert str(problem) == f"{tmp_path}/{ascii(name)[1:-1]}: has a name with control characters (rename it)"


def test_pipes_and_devices_in_a_folder_are_not_opened(tmp_path: Path) -> None:
    put(tmp_path, a=database("a"))
    os.mkfifo(tmp_path / "pipe.yaml")
    assert len(manifests.load([tmp_path], KINDS).resources) == 1


def test_a_file_that_is_named_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path, a=database("a"))
    (tmp_path / "link").symlink_to(tmp_path / "a.yaml")
    assert len(manifests.load([tmp_path / "link"], KINDS).resources) == 1


def test_a_folder_without_manifests_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no manifests found"):
        manifests.load([tmp_path], KINDS)


@pytest.mark.parametrize("text", ["", "\n", "# nothing but a comment\n", "---\n---\n"])
def test_a_standard_input_without_manifests_is_an_error(text: str) -> None:
    assert problems(text) == ["<stdin>: no manifests found (check the output of the command before the pipe)"]


def test_a_broken_standard_input_is_reported_once() -> None:
    assert len(problems("a: [")) == 1


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml: no such file or directory \(check the path\)"):
        manifests.load([tmp_path / "nothing.yaml"], KINDS)


def test_no_paths_and_no_layers_is_an_error() -> None:
    with pytest.raises(InputError, match="no manifests are specified"):
        manifests.load([], KINDS)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ProjectLimits(file_size=50), "over the limit of 50"),
        (ProjectLimits(total_size=150), "exceed the total size limit of 150 bytes"),
        (ProjectLimits(files=1), "more than 1 files"),
    ],
)
def test_the_size_of_the_input_is_bounded(tmp_path: Path, limits: ProjectLimits, words: str) -> None:
    put(tmp_path, a=database("a"), b=database("b"))
    with pytest.raises(InputError, match=words):
        manifests.load([tmp_path], KINDS, limits=limits)


def test_limits_can_be_raised() -> None:
    text = "---\n".join(database(f"db-{i}") for i in range(20_000))
    assert len(text) > ProjectLimits().file_size
    assert len(load(text, limits=ProjectLimits(file_size=10**8)).resources) == 20_000


def test_ten_thousand_problems_are_cut() -> None:
    text = "---\n".join(database(f"db-{i}", "{port: 1}") for i in range(2_000))
    found = problems(text)
    assert len(found) == 1_001
    assert found[-1] == "manifests: too many problems; the rest is not shown"


def test_a_file_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path, a=database("a"), b=database("b"))
    found = manifests.load([tmp_path, tmp_path / "a.yaml", tmp_path, f"{tmp_path}/./b.yaml"], KINDS)
    assert list(specs(found)) == ["Database/a", "Database/b"]


# --- clusters and layers -----------------------------------------------------------------------------------------


def test_a_later_layer_is_merged_over_an_earlier_one(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a", "{memory_size: 1GiB, replication: true, port: 12000}"))
    top = put(tmp_path / "top", db=database("a", "{memory_size: 4GiB, port: null}", ", labels: {tier: gold}"))
    found = manifests.load([], KINDS, clusters=[cluster("dev", base), cluster("prod", base, top)])
    assert specs(found) == {
        "dev:Database/a": {"memory_size": 1024**3, "replication": True, "port": 12000},
        "prod:Database/a": {"memory_size": 4 * 1024**3, "replication": True},
    }
    assert [resource.labels for resource in found.resources] == [{}, {"tier": "gold"}]


def test_a_merged_value_is_placed_in_the_layer_that_gave_it(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a", "{memory_size: 1GiB, replication: true}"))
    top = put(tmp_path / "top", db=database("a", "{memory_size: 4GiB}"))
    (resource,) = manifests.load([], KINDS, clusters=[cluster("prod", base, top)]).resources
    assert resource.place(("spec", "memory_size")).file.endswith("top/db.yaml")
    assert resource.place(("spec", "replication")).file.endswith("base/db.yaml")


def test_a_layer_can_bury_an_object(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a"))
    top = put(tmp_path / "top", db="apiVersion: reconciler/v1\nkind: Database\nmetadata: {name: a, state: absent}\n")
    (resource,) = manifests.load([], KINDS, clusters=[cluster("prod", base, top)]).resources
    assert resource.absent


def test_a_problem_that_only_the_merged_manifest_has_is_found(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a"))
    top = put(tmp_path / "top", db=database("a", "{memory_size: 5GiX}"))
    with pytest.raises(InputError, match=r"top/db\.yaml:4:8: spec\.memory_size"):
        manifests.load([], KINDS, clusters=[cluster("dev", base), cluster("prod", base, top)])


def test_a_problem_of_a_shared_layer_is_reported_once(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a", "{port: 1}"))
    with pytest.raises(InputError) as caught:
        manifests.load([], KINDS, clusters=[cluster("dev", base), cluster("prod", base)])
    assert len(caught.value.problems) == 1


def test_the_same_folder_in_two_layers_changes_nothing(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a"))
    once = manifests.load([], KINDS, clusters=[cluster("dev", base)])
    assert specs(once) == specs(manifests.load([], KINDS, clusters=[cluster("dev", base, base)]))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("", ["dev", "prod"]),
        (", cluster: prod", ["prod"]),
        (", clusters: [dev, prod]", ["dev", "prod"]),
        (", clusters: [dev]", ["dev"]),
        (", clusterSelector: {tier: gold}", ["prod"]),
        (", clusterSelector: {tier: gold, region: eu}", ["prod"]),
    ],
)
def test_metadata_says_which_clusters_a_manifest_is_for(metadata: str, expected: list[str]) -> None:
    clusters = [cluster("dev", tier="clay", region="eu"), cluster("prod", tier="gold", region="eu")]
    found = load(database("a", metadata=metadata), clusters=clusters)
    assert [resource.address.cluster for resource in found.resources] == expected


def test_one_name_may_be_declared_once_for_each_cluster() -> None:
    text = database("a", "{memory_size: 1GiB}", ", cluster: dev") + "---\n"
    text += database("a", "{memory_size: 2GiB}", ", cluster: prod")
    found = load(text, clusters=[cluster("dev"), cluster("prod")])
    assert [resource.spec["memory_size"] for resource in found.resources] == [1024**3, 2 * 1024**3]


def test_the_same_work_serves_every_cluster() -> None:
    first, second = load(database("a"), clusters=[cluster("dev"), cluster("prod")]).resources
    assert first.spec is second.spec


def test_a_manifest_that_no_cluster_takes_is_checked_and_reported(tmp_path: Path) -> None:
    dev = put(tmp_path / "dev", a=database("a", metadata=", cluster: prod"))
    prod = put(tmp_path / "prod", b=database("b"))
    clusters = [cluster("dev", dev), cluster("prod", prod)]
    (warning,) = manifests.load([], KINDS, clusters=clusters).warnings
    assert warning.message == "does not apply to any cluster with this layer of manifests"
    put(dev, a=database("a", "{port: 1}", ", cluster: prod"))
    with pytest.raises(InputError, match=r"spec\.port"):
        manifests.load([], KINDS, clusters=clusters)


def test_paths_that_are_given_replace_the_layers(tmp_path: Path) -> None:
    base = put(tmp_path / "base", db=database("a"))
    found = manifests.load(["-"], KINDS, clusters=[cluster("dev", base)], stdin=io.BytesIO(database("b").encode()))
    assert list(specs(found)) == ["dev:Database/b"]


# --- references --------------------------------------------------------------------------------------------------

ACL = other("RedisACL", "keys", "{acl: +@all ~*}")
ROLE = other("Role", "app", "{management: none}")
GRANT = "{memory_size: 1GiB, roles_permissions: [{role: %s, redis_acl: %s}]}"


def test_a_reference_to_a_declared_object_is_resolved() -> None:
    assert load("---\n".join([database("a", GRANT % ("app", "keys")), ACL, ROLE])).unresolved == ()


def test_a_reference_that_only_the_cluster_can_satisfy_is_reported_with_its_place() -> None:
    found = load(database("a", GRANT % ("app", "Full Access")) + "---\n" + ROLE.replace("app", "apps"))
    assert [str(problem) for problem in found.unresolved] == [
        '<stdin>:4:48: spec.roles_permissions[0].role: Role/app is not declared (did you mean "apps"?)',
    ]


def test_a_builtin_object_needs_no_declaration() -> None:
    assert load(database("a", GRANT % ("app", "Full Access")) + "---\n" + ROLE).unresolved == ()


def test_the_old_name_of_a_renamed_object_says_the_new_one() -> None:
    renamed = other("Role", "application", "{management: none}", ", renamedFrom: app")
    found = load("---\n".join([database("a", GRANT % ("app", "keys")), ACL, renamed]))
    assert [problem.hint for problem in found.unresolved] == ['it was renamed to "application"']


def test_references_stay_within_their_cluster() -> None:
    role = ROLE.replace("name: app", "name: app, cluster: dev")
    text = "---\n".join([database("a", GRANT % ("app", "keys")), ACL, role])
    found = load(text, clusters=[cluster("dev"), cluster("prod")])
    assert [problem.message for problem in found.unresolved] == ["prod:Role/app is not declared"]


def test_words_that_are_no_names_are_no_references() -> None:
    user = other("User", "u", "{email: a@b.example, roles: [app], bdbs_email_alerts: [all]}")
    assert load(user + "---\n" + ROLE).unresolved == ()


def test_references_of_every_shape_are_found() -> None:
    role = other("Role", "viewer", "{management: db_viewer, resources: [{type: db, databases: [a]}]}")
    user = other("User", "u", "{email: a@b.example, roles: [x], bdbs_email_alerts: [b]}")
    messages = sorted(problem.message for problem in load(role + "---\n" + user).unresolved)
    assert messages == ["Database/a is not declared", "Database/b is not declared", "Role/x is not declared"]


# --- warnings ----------------------------------------------------------------------------------------------------


def test_a_size_that_is_plainly_a_mistake_warns() -> None:
    (warning,) = load(database("a", "{memory_size: 100KiB}")).warnings
    assert warning[:4] == ("<stdin>", 4, 8, "spec.memory_size")
    assert warning.message == "100 KiB is unusually small"


def test_usual_manifests_have_no_warnings() -> None:
    assert load(database("a")).warnings == ()


# --- errors ------------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_reported_at_once_in_reading_order(tmp_path: Path) -> None:
    put(tmp_path, a=database("x", "{port: no}"), b="[", c=database("y", "{prot: 1}") + "---\n" + database("y"))
    with pytest.raises(InputError) as caught:
        manifests.load([tmp_path], KINDS)
    found = [(Path(problem.file).name, problem.line) for problem in caught.value.problems]
    assert found == [("a.yaml", 4), ("b.yaml", 1), ("c.yaml", 4), ("c.yaml", 8)]


def test_a_value_that_yaml_refused_is_not_judged_again() -> None:
    assert len(problems(database("a", "{port: 012000, replication: no}"))) == 2


def test_a_problem_reads_as_file_line_column_path_message_hint() -> None:
    problem = Problem("a.yaml", 3, 5, "spec.port", "must be at least 10000, got 1", "x")
    assert str(problem) == "a.yaml:3:5: spec.port: must be at least 10000, got 1 (x)"


def test_the_collector_is_left_as_it_was() -> None:
    import gc

    assert gc.isenabled()
    load(database("a"))
    assert gc.isenabled()
