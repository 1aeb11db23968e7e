"""Nothing of the hostile corpus is read, run or believed, and the last good commit stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from reconciler.errors import InputError
from reconciler.settings import GitSource
from reconciler.settings.source import SourceLimits, is_ref, protocol
from reconciler.source.git_repository import GitRepository
from tests.input.test_settings import PROJECT, project
from tests.source.hostile import ACCEPTED_REFS, COMMITS, GOOD, PATHS, REFS, URLS, Case
from tests.source.rig import Opened, Remote, bytes_below, context, source, texts

CANARY = "canary-2Fw8Yt-from-outside-the-repository"


def test_the_corpus_is_large() -> None:
    assert len(URLS) + len(REFS) + len(PATHS) + len(COMMITS) >= 150
    assert len({case.name for case in COMMITS}) == len(COMMITS) >= 80


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", URLS)
def test_a_hostile_address_is_refused_before_anything_runs(tmp_path: Path, url: str) -> None:
    assert protocol(url) == ""
    with pytest.raises(InputError):
        GitRepository(GitSource(url, branch="main"), context(tmp_path, path="/nowhere"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in REFS if name not in ACCEPTED_REFS])
def test_a_hostile_name_of_a_branch_is_refused(name: str) -> None:
    assert not is_ref(name)


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isalnum() or c in "/.-_" else f"\\x{ord(c):02x}" for c in text) + '"'


@pytest.mark.parametrize("path", PATHS)
def test_a_hostile_folder_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"source\.path"):
        project(tmp_path, f"{PROJECT}source: {{url: /srv/x, path: {quoted(path)}}}\n")


# --- repositories ----------------------------------------------------------------------------------------------------


class Ground(NamedTuple):
    """A repository with a good commit, a state that accepted it, and things that nobody may touch."""

    remote: Remote
    good: str
    canary: Path
    template: Path  # state folders, by the folder of the source
    trap: Path  # what runs it leaves a file beside it


PREFIXES = ("", "prod", "link/prod")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "outside").mkdir()
    canary = folder / "outside" / "canary.yaml"
    canary.write_text(f"kind: {CANARY}\n")
    trap = folder / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {folder}/sprung\n")
    trap.chmod(0o755)
    remote = Remote(folder / "remote.git")
    old = remote.add({"a.yaml": "kind: old\n"})
    good = remote.add({"a.yaml": GOOD, "prod/a.yaml": GOOD, "link/prod/a.yaml": GOOD}, old, message="good")
    for number, prefix in enumerate(PREFIXES):
        follow = source(remote, folder / "states" / str(number), path=prefix)
        follow.accept(follow.fetch())
    return Ground(remote, good, canary, folder / "states", trap)


@pytest.fixture
def watched(ground: Ground) -> Iterator[Opened]:
    opened = Opened(ground.canary, ground.canary.parent)
    yield opened
    opened.close()


@pytest.mark.parametrize("case", COMMITS, ids=[case.name for case in COMMITS])
def test_a_hostile_commit_is_refused_and_the_last_good_one_stays(
    ground: Ground, watched: Opened, tmp_path: Path, case: Case
) -> None:
    state = tmp_path / "state"
    shutil.copytree(ground.template / str(PREFIXES.index(case.path)), state)
    for leftover in ("info/grafts", "shallow"):
        (ground.remote.folder / leftover).unlink(missing_ok=True)
    case.make(ground.remote, ground.good, ground.canary)
    follow = source(ground.remote, state, path=case.path, limits=SourceLimits(size=8 * 1024**2))
    with pytest.raises(case.error) as caught:
        follow.fetch()
    assert "timed out" not in str(caught.value)  # refused for what it contains, not for the time that it takes
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    accepted = source(ground.remote, state, path=case.path).accepted()
    assert accepted is not None
    assert accepted.id == ground.good
    assert set(texts(accepted).values()) == {GOOD}
    assert watched.events() == []
    assert CANARY not in str(caught.value)
    assert not [data for data in bytes_below(state) if CANARY.encode() in data]
    assert not (ground.trap.parent / "sprung").exists()


# --- what is neither read nor run although nothing is refused --------------------------------------------------------


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    remote = Remote(tmp_path / "remote.git")
    remote.add({"a.yaml": GOOD})
    return remote


def trapped(folder: Path) -> Path:
    trap = folder / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {folder}/sprung\nexec cat\n")
    trap.chmod(0o755)
    return trap


def test_the_environment_does_not_reach_git(remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = trapped(tmp_path)
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "pre-auto-gc", "post-update"):
        shutil.copy(trap, hooks / name)
    config = tmp_path / ".gitconfig"
    config.write_text(
        f"[core]\n\thooksPath = {hooks}\n\tsshCommand = {trap}\n\tpager = {trap}\n\taskPass = {trap}\n"
        f"\talternateRefsCommand = {trap}\n\tfsmonitor = {trap}\n[init]\n\ttemplateDir = {tmp_path}/template\n"
        f'[url "ext::{trap}"]\n\tinsteadOf = {remote.folder}\n[uploadpack]\n\tpackObjectsHook = {trap}\n'
        f"[gpg]\n\tprogram = {trap}\n[credential]\n\thelper = {trap}\n[include]\n\tpath = {tmp_path}/outside\n"
        '[protocol "ext"]\n\tallow = always\n'
    )
    (tmp_path / ".config/git").mkdir(parents=True)
    shutil.copy(config, tmp_path / ".config/git/config")
    given = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hooks),
        "GIT_TEMPLATE_DIR": str(tmp_path / "template"),
        "GIT_DIR": str(tmp_path / "elsewhere"),
        "GIT_WORK_TREE": "/",
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "elsewhere"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(tmp_path / "elsewhere"),
        "GIT_SSH_COMMAND": str(trap),
        "GIT_EXEC_PATH": str(tmp_path),
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_PAGER": str(trap),
        "GIT_ALLOW_PROTOCOL": "ext",
        "GIT_NAMESPACE": "x",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    follow = source(remote, tmp_path / "state")
    follow.accept(follow.fetch())
    assert texts(follow.accepted()) == {"a.yaml": GOOD}
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "trace").exists()


def test_hooks_and_configuration_of_the_other_side_run_nothing(remote: Remote, tmp_path: Path) -> None:
    trap = trapped(tmp_path)
    (remote.folder / "hooks").mkdir()
    for name in ("post-update", "pre-receive", "reference-transaction", "post-checkout", "fsmonitor-watchman"):
        shutil.copy(trap, remote.folder / "hooks" / name)
    with (remote.folder / "config").open("a") as file:
        file.write(
            f"[uploadpack]\n\tpackObjectsHook = {trap}\n[core]\n\tfsmonitor = {trap}\n\tsshCommand = {trap}\n"
            f"\talternateRefsCommand = {trap}\n\thooksPath = {remote.folder}/hooks\n[include]\n\tpath = {trap}.inc\n"
        )
    (tmp_path / "trap.sh.inc").write_text(f"[core]\n\tpager = {trap}\n")
    assert source(remote, tmp_path / "state").fetch().files
    assert not (tmp_path / "sprung").exists()


def test_references_beside_the_branch_are_not_taken(remote: Remote, tmp_path: Path) -> None:
    """Replacements, notes and references with the names of ours would change what our copy says."""
    good = (remote.folder / "refs/heads/main").read_text().strip()
    bad = remote.commit(remote.folder_of({"a.yaml": "kind: bad\n"}), good)
    for ref in (f"refs/replace/{good}", "refs/reconciler/accepted", "refs/notes/commits", "refs/tags/main", "refs/x"):
        remote.point(bad, ref)
    follow = source(remote, tmp_path / "state")
    found = follow.fetch()
    assert (found.id, texts(found)) == (good, {"a.yaml": GOOD})
    assert follow.accepted() is None
    (mirror,) = (tmp_path / "state/source").iterdir()
    refs = sorted(
        path.relative_to(mirror / "mirror.git").as_posix() for path in (mirror / "mirror.git/refs").rglob("*")
    )
    assert [ref for ref in refs if ref.count("/") == 2] == ["refs/reconciler/incoming"]
    assert not (mirror / "mirror.git/hooks").exists()


def test_attributes_of_the_repository_change_nothing(remote: Remote, tmp_path: Path) -> None:
    attributes = "* filter=trap diff=trap merge=trap text eol=crlf ident working-tree-encoding=UTF-16 export-subst\n"
    good = (remote.folder / "refs/heads/main").read_text().strip()
    remote.add({".gitattributes": attributes, "a.yaml": "id: $Id$\n$Format:%H$\n"}, good)
    assert texts(source(remote, tmp_path / "state").fetch()) == {"a.yaml": "id: $Id$\n$Format:%H$\n"}


def test_odd_permissions_of_plain_files_are_read_as_git_reads_them(remote: Remote, tmp_path: Path) -> None:
    modes = (b"100664", b"100600", b"104755", b"0100644")
    blob = remote.blob(GOOD)
    tree = remote.tree(*((mode, b"%d.yaml" % number, blob) for number, mode in enumerate(modes)))
    remote.point(remote.commit(tree, (remote.folder / "refs/heads/main").read_text().strip()))
    assert len(source(remote, tmp_path / "state").fetch().files) == len(modes)


@pytest.mark.parametrize("link", ["a.yaml", "base"])
def test_the_witness_sees_who_follows_a_link(tmp_path: Path, link: str) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "x.yaml").write_text(CANARY)
    opened = Opened(canary, canary / "x.yaml")
    (tmp_path / link).symlink_to(canary / "x.yaml" if link == "a.yaml" else canary)
    target = tmp_path / link
    assert target.read_text() if link == "a.yaml" else os.listdir(target)
    assert opened.events()
    opened.close()
