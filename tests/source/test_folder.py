"""The folder source: ConfigMaps and plain folders, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest

from reconciler.errors import Interrupted, SourceEmpty, SourceError, SourceStale, SourceUnsafe
from reconciler.settings import FolderSource, ProjectLimits
from reconciler.source import Source
from reconciler.source.folder import ManifestFolder
from tests.source.rig import Opened, texts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "manifests"
    path.mkdir()
    return path


@pytest.fixture
def source(folder: Path, tmp_path: Path) -> Source:
    return ManifestFolder(FolderSource(folder), tmp_path / "state", ProjectLimits())


class ConfigMap:
    """A folder that is changed as the kubelet changes a mounted ConfigMap."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0

    def swap(self, files: dict[str, str]) -> None:
        self.number += 1
        inside = self.folder / f"..2025_{self.number}"
        for name, text in files.items():
            (inside / name).parent.mkdir(parents=True, exist_ok=True)
            (inside / name).write_text(text)
        (self.folder / "..data_tmp").symlink_to(inside.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")
        for name in {name.partition("/")[0] for name in files}:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


def test_a_folder_is_a_revision_by_its_contents(folder: Path, source: Source) -> None:
    (folder / "deep").mkdir()
    (folder / "deep/b.yml").write_text("2")
    for name in ("a.yaml", "README.md", ".hidden.yaml", "reconciler.yaml"):
        (folder / name).write_text("1")
    first = source.fetch()
    assert texts(first) == {"a.yaml": "1", "deep/b.yml": "2"}
    assert first.id.startswith("sha256:")
    assert source.fetch() is first
    (folder / "a.yaml").write_text("3")
    second = source.fetch()
    assert second.id != first.id
    (folder / "a.yaml").write_text("1")
    assert source.fetch().id == first.id


def test_a_mounted_config_map_changes_in_one_step(folder: Path, source: Source) -> None:
    mounted = ConfigMap(folder)
    mounted.swap({"a.yaml": "1", "sub/b.yaml": "1"})
    assert texts(source.fetch()) == {"a.yaml": "1", "sub/b.yaml": "1"}
    mounted.swap({"a.yaml": "2", "sub/b.yaml": "2"})
    assert texts(source.fetch()) == {"a.yaml": "2", "sub/b.yaml": "2"}


def test_a_swap_while_it_is_read_gives_one_of_the_two_or_none(folder: Path, source: Source) -> None:
    mounted = ConfigMap(folder)
    mounted.swap({"a.yaml": "0", "b.yaml": "0"})
    done = threading.Event()

    def swapping() -> None:
        for number in range(1, 200):
            mounted.swap({"a.yaml": str(number), "b.yaml": str(number)})
        done.set()

    thread = threading.Thread(target=swapping)
    thread.start()
    while not done.is_set():
        with contextlib.suppress(SourceStale):  # it keeps changing: said, and taken for nothing
            found = texts(source.fetch())
            assert found["a.yaml"] == found["b.yaml"]
    thread.join()
    assert texts(source.fetch()) == {"a.yaml": "199", "b.yaml": "199"}


def test_the_folder_itself_may_be_a_link_that_is_swapped(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(name)
    link = tmp_path / "current"
    link.symlink_to("one")
    source = ManifestFolder(FolderSource(link), tmp_path / "state", ProjectLimits())
    assert texts(source.fetch()) == {"a.yaml": "one"}
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    assert texts(source.fetch()) == {"a.yaml": "two"}


def test_a_restart_knows_what_was_accepted_and_what_was_rejected(folder: Path, source: Source, tmp_path: Path) -> None:
    assert (source.accepted(), source.rejected()) == (None, None)
    (folder / "a.yaml").write_text("good")
    good = source.fetch()
    source.accept(good)
    (folder / "a.yaml").write_text("bad!")
    bad = source.fetch()
    source.reject(bad, "not a manifest")
    again = ManifestFolder(FolderSource(folder), tmp_path / "state", ProjectLimits())
    accepted, rejected = again.accepted(), again.rejected()
    assert accepted is not None
    assert rejected is not None
    assert (accepted.id, texts(accepted)) == (good.id, {"a.yaml": "good"})
    assert (rejected.id, rejected.why) == (bad.id, "not a manifest")
    again.accept(bad)
    assert again.rejected() is None


def test_the_record_is_ours_alone(folder: Path, source: Source, tmp_path: Path) -> None:
    (folder / "a.yaml").write_text("1")
    before = os.umask(0)
    try:
        source.accept(source.fetch())
    finally:
        os.umask(before)
    (record,) = (tmp_path / "state").rglob("folder.json")
    assert record.stat().st_mode & 0o077 == 0
    assert record.parent.stat().st_mode & 0o077 == 0
    record.write_text("{half")
    with pytest.raises(SourceError, match="corrupt; remove it"):
        source.accepted()


def test_links_inside_are_followed(folder: Path, source: Source) -> None:
    first = ConfigMap(folder / "base")
    first.folder.mkdir()
    first.swap({"a.yaml": "1", "sub/b.yaml": "2"})
    assert texts(source.fetch()) == {"base/a.yaml": "1", "base/sub/b.yaml": "2"}
    first.swap({"a.yaml": "3", "sub/b.yaml": "2"})
    assert texts(source.fetch()) == {"base/a.yaml": "3", "base/sub/b.yaml": "2"}


def test_links_that_leave_the_folder_are_refused_and_never_followed(
    folder: Path, source: Source, tmp_path: Path
) -> None:
    canary = tmp_path / "canary.yaml"
    canary.write_text("secret")
    (folder / "a.yaml").write_text("1")
    watched = Opened(canary)
    (folder / "x.txt").symlink_to(canary)
    assert texts(source.fetch()) == {"a.yaml": "1"}
    for name, target in (("folder", tmp_path), ("link.yaml", canary)):
        (folder / name).symlink_to(target)
        with pytest.raises(SourceUnsafe, match=f"{name} is a symbolic link that leaves the folder"):
            source.fetch()
        (folder / name).unlink()
    (folder / "..data").symlink_to(tmp_path)
    with pytest.raises(SourceUnsafe, match="points outside the folder"):
        source.fetch()
    assert watched.events() == []
    watched.close()


def test_a_pipe_is_no_manifest(folder: Path, source: Source) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "a.yaml").write_text("1")
    assert texts(source.fetch()) == {"a.yaml": "1"}


def test_nothing_is_never_taken_for_delete_everything(folder: Path, source: Source) -> None:
    with pytest.raises(SourceEmpty, match="contains no manifests"):
        source.fetch()
    folder.rmdir()
    with pytest.raises(SourceStale, match="does not exist"):
        source.fetch()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ProjectLimits(file_size=9), "over the limit of 9"),
        (ProjectLimits(total_size=19), "contains 2 manifests of 20 bytes"),
        (ProjectLimits(files=1), "contains 2 manifests"),
    ],
)
def test_the_bounds_of_manifests_hold(folder: Path, tmp_path: Path, limits: ProjectLimits, words: str) -> None:
    for name in "ab":
        (folder / f"{name}.yaml").write_text("x" * 10)
    with pytest.raises(SourceUnsafe, match=words):
        ManifestFolder(FolderSource(folder), tmp_path / "state", limits).fetch()


def test_folders_may_be_32_deep(folder: Path, source: Source) -> None:
    deep = folder.joinpath(*["x"] * 33)
    deep.mkdir(parents=True)
    with pytest.raises(SourceUnsafe, match="folders deep"):
        source.fetch()


def test_a_stop_is_obeyed(source: Source) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        source.fetch(stop)
