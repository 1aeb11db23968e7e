"""The git source on real repositories: what is followed, what is refused, what survives."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import (
    InputError,
    Interrupted,
    SourceEmpty,
    SourceError,
    SourceRewound,
    SourceStale,
    SourceUnsafe,
)
from reconciler.settings import ProjectLimits
from reconciler.settings.source import GitSource, SourceLimits
from reconciler.source.git_repository import GitRepository
from reconciler.source.mirror import INCOMING
from tests.source.rig import Remote, context, in_thread, manifest, source, texts, tool


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote.git")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def mirror_of(state: Path) -> Path:
    (found,) = (state / "source").iterdir()
    return found


# --- what is followed --------------------------------------------------------------------------------------------


def test_a_branch_gives_its_newest_commit(remote: Remote, state: Path) -> None:
    first = remote.add({"a.yaml": "one"}, message="First\n\nbody", author="Änne Example <ana@example.com>")
    follow = source(remote, state)
    found = follow.fetch()
    assert (found.id, found.subject, found.author, found.time) == (first, "First", "Änne Example", 1_750_000_000.0)
    assert (found.name, found.path) == ("main", "")
    assert texts(found) == {"a.yaml": "one"}
    second = remote.add({"a.yaml": "two"}, first)
    assert follow.fetch().id == second


def test_only_manifests_of_the_folder_are_given(remote: Remote, state: Path) -> None:
    files = dict.fromkeys(
        ("prod/a.yaml", "prod/deep/b.yml", "prod/.hidden/c.yaml", "prod/README.md", "prod/reconciler.yaml", "x.yaml"),
        "1",
    )
    remote.add(files)
    assert sorted(source(remote, state, path="prod").fetch().files) == ["prod/a.yaml", "prod/deep/b.yml"]


def test_a_tag_is_followed_to_its_commit(remote: Remote, state: Path) -> None:
    commit = remote.add({"a.yaml": "1"})
    tag = remote.put("tag", f"object {commit}\ntype commit\ntag live\ntagger A <a@b> 1 +0000\n\nx\n".encode())
    remote.point(tag, "refs/tags/live")
    found = source(remote, state, tag="live").fetch()
    assert (found.id, found.name) == (commit, "live")


def test_the_highest_version_in_the_range_is_followed(remote: Remote, state: Path) -> None:
    ids = {}
    for tag in ("v1.2.0", "v1.10.0", "v1.11.0-rc.1", "v2.0.0", "latest"):
        ids[tag] = remote.add({"a.yaml": tag}, ref=f"refs/tags/{tag}")
    found = source(remote, state, semver="1.x").fetch()
    assert (found.id, found.name) == (ids["v1.10.0"], "v1.10.0")


def test_a_version_from_another_branch_may_follow(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"}, ref="refs/tags/1.0.1")
    follow = source(remote, state, semver="1.x")
    follow.accept(follow.fetch())
    later = remote.add({"a.yaml": "2"}, ref="refs/tags/1.1.0")
    assert follow.fetch().id == later


def test_a_shallow_first_fetch_is_enough_to_go_on(remote: Remote, state: Path) -> None:
    commits: list[str] = []
    for number in range(30):
        commits.append(remote.add({"a.yaml": str(number)}, *commits[-1:]))
    url = f"file://{remote.folder}"
    follow = source(url, state, depth=2)
    follow.accept(follow.fetch())
    assert len((mirror_of(state) / "mirror.git/shallow").read_text().split()) == 1
    for number in range(5):
        commits.append(remote.add({"a.yaml": f"more {number}"}, *commits[-1:]))
    assert follow.fetch().id == commits[-1]


def test_odd_texts_of_a_commit_are_spelt_out(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"}, message="\x1b[31mred\u202e", author="E\x1bvil <e@x>")
    found = source(remote, state).fetch()
    assert found.subject.isprintable()
    assert found.author == "E\\x1bvil"


# --- accept, reject, restart ---------------------------------------------------------------------------------------


def test_a_restart_knows_what_was_accepted_and_what_was_rejected(remote: Remote, state: Path) -> None:
    good = remote.add({"a.yaml": "good"})
    follow = source(remote, state)
    assert (follow.accepted(), follow.rejected()) == (None, None)
    follow.accept(follow.fetch())
    bad = remote.add({"a.yaml": "bad"}, good)
    follow.reject(follow.fetch(), "a.yaml:1:1: not\na manifest")
    again = source(remote, state)
    accepted, rejected = again.accepted(), again.rejected()
    assert accepted is not None
    assert (accepted.id, texts(accepted), accepted.name) == (good, {"a.yaml": "good"}, "main")
    assert rejected is not None
    assert (rejected.id, rejected.why) == (bad, "a.yaml:1:1: not\\na manifest")


def test_what_is_accepted_clears_what_was_rejected(remote: Remote, state: Path) -> None:
    follow = source(remote, state)
    first = remote.add({"a.yaml": "1"})
    follow.reject(follow.fetch(), "bad")
    remote.add({"a.yaml": "2"}, first)
    follow.accept(follow.fetch())
    assert follow.rejected() is None


def test_the_last_good_revision_survives_a_remote_that_is_gone(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "good"})
    follow = source(remote, state)
    follow.accept(follow.fetch())
    remote.folder.rename(remote.folder.with_name("away"))
    with pytest.raises(SourceStale, match="fetching branch main"):
        follow.fetch()
    assert texts(source(remote, state).accepted()) == {"a.yaml": "good"}


def test_another_source_has_another_record(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    remote.add({"a.yaml": "2"}, ref="refs/heads/next")
    follow = source(remote, state)
    follow.accept(follow.fetch())
    assert source(remote, state, branch="next").accepted() is None


def test_a_damaged_mirror_is_reported_with_the_remedy(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    follow = source(remote, state)
    follow.accept(follow.fetch())
    (mirror_of(state) / "mirror.git/refs/reconciler/accepted").write_text("1" * 40 + "\n")
    with pytest.raises(SourceError, match="corrupt; remove that folder"):
        follow.accepted()


def test_the_mirror_is_ours_alone_under_any_umask(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    before = os.umask(0)
    try:
        follow = source(remote, state)
        follow.accept(follow.fetch())
    finally:
        os.umask(before)
    folder = mirror_of(state)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    loose = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert loose == []


def test_a_planted_link_is_not_taken_for_the_mirror(remote: Remote, state: Path, tmp_path: Path) -> None:
    remote.add({"a.yaml": "1"})
    follow = source(remote, state)
    follow.fetch()
    folder = mirror_of(state)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="cannot be used"):
        follow.fetch()


# --- rewinds -------------------------------------------------------------------------------------------------------


def accepted_chain(remote: Remote, state: Path, **more: Any) -> tuple[GitRepository, list[str]]:
    commits: list[str] = []
    for number in range(3):
        commits.append(remote.add({"a.yaml": str(number)}, *commits[-1:]))
    follow = source(remote, state, **more)
    follow.accept(follow.fetch())
    return follow, commits


def test_a_rewind_is_refused_and_names_both(remote: Remote, state: Path) -> None:
    follow, commits = accepted_chain(remote, state)
    remote.point(commits[0])
    with pytest.raises(SourceRewound, match="rewritten") as caught:
        follow.fetch()
    assert (caught.value.old, caught.value.new) == (commits[2], commits[0])
    assert caught.value.exit_code == 5
    assert texts(follow.accepted()) == {"a.yaml": "2"}


def test_a_rewind_is_taken_where_it_is_meant(remote: Remote, state: Path) -> None:
    _, commits = accepted_chain(remote, state)
    remote.point(commits[0])
    assert source(remote, state, allow_rewind=commits[0]).fetch().id == commits[0]
    assert source(remote, state, allow_rewind=True).fetch().id == commits[0]
    with pytest.raises(SourceRewound):
        source(remote, state, allow_rewind=commits[1]).fetch()


@pytest.mark.parametrize("what", ["moved", "back"])
def test_versions_do_not_move_and_do_not_go_back(remote: Remote, state: Path, what: str) -> None:
    first = remote.add({"a.yaml": "1"}, ref="refs/tags/v1.0.0")
    second = remote.add({"a.yaml": "2"}, first, ref="refs/tags/v1.1.0")
    follow = source(remote, state, semver="^1")
    follow.accept(follow.fetch())
    if what == "moved":
        remote.add({"a.yaml": "3"}, second, ref="refs/tags/v1.1.0")
    else:
        remote.remove("refs/tags/v1.1.0")
    with pytest.raises(SourceRewound, match="was moved" if what == "moved" else "went back to v1.0.0"):
        follow.fetch()


# --- empty, bounds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [{}, {"README.md": "x"}, {".a.yaml": "x"}, {"reconciler.yaml": "x"}])
def test_nothing_is_never_taken_for_delete_everything(remote: Remote, state: Path, files: dict[str, str]) -> None:
    good = remote.add({"a.yaml": "good"})
    follow = source(remote, state)
    follow.accept(follow.fetch())
    remote.add(files, good)
    with pytest.raises(SourceEmpty, match="contains no manifests"):
        follow.fetch()
    assert texts(follow.accepted()) == {"a.yaml": "good"}


def test_a_folder_that_is_gone_is_empty(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    with pytest.raises(SourceEmpty, match="no folder prod"):
        source(remote, state, path="prod").fetch()


def test_the_bounds_of_manifests_hold(remote: Remote, state: Path) -> None:
    remote.add({f"{name}.yaml": name * 100 for name in "abcd"})
    for limits, words in (
        (ProjectLimits(file_size=99), "a.yaml is 100 bytes"),
        (ProjectLimits(total_size=399), "together are 400 bytes"),
        (ProjectLimits(files=3), "there are 4 manifests"),
    ):
        with pytest.raises(SourceUnsafe, match=words):
            source(remote, state, limits_of_manifests=limits).fetch()
    assert (
        len(
            source(remote, state, limits_of_manifests=ProjectLimits(file_size=100, total_size=400, files=4))
            .fetch()
            .files
        )
        == 4
    )


def test_the_size_of_a_fetch_is_bounded(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1", "big.bin": os.urandom(3_000_000)})
    with pytest.raises(SourceUnsafe):
        source(remote, state, limits=SourceLimits(size=1_000_000)).fetch()
    assert source(remote, state, limits=SourceLimits(size=4_000_000)).fetch().files


# --- stop, time, kill ------------------------------------------------------------------------------------------------


def slow_git(folder: Path) -> str:
    """Return a search path whose git says that it was started, ignores being asked to stop, and waits for ever."""
    folder.mkdir()
    script = folder / "git"
    script.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {folder}/pid\nsleep 3600 & wait\nsleep 3600\n")
    script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def members(group: int) -> list[str]:
    """Return the processes of a group that run; what only waits to be reaped does not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
            if int(number) == group and state not in "ZX":
                found.append(path.parent.name)
    return found


def group_is_gone(group: int) -> bool:
    """Tell whether a group that was killed ends; the system may take a moment to do it."""
    deadline = time.monotonic() + 120
    while members(group) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return not members(group)


def started(folder: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (folder / "pid").exists() and (text := (folder / "pid").read_text().strip()):
            return int(text)
        threading.Event().wait(0.01)
    raise AssertionError("git was not started")


def test_stop_ends_git_and_all_that_it_started(remote: Remote, state: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    follow = source(remote, state, path_of_programs=slow_git(tmp_path / "bin"))
    thread, found = in_thread(lambda: follow.fetch(stop))
    pid = started(tmp_path / "bin")
    stop.set()
    thread.join(120)
    assert isinstance(found[0], Interrupted)
    assert group_is_gone(pid)


def test_a_fetch_that_takes_too_long_is_given_up(remote: Remote, state: Path, tmp_path: Path) -> None:
    path = slow_git(tmp_path / "bin")
    for timeout in (1, 5, 25):  # on a busy machine, git may not have begun within the first
        with pytest.raises(SourceStale, match="timed out"):
            source(remote, state, path_of_programs=path, timeout=timeout).fetch()
        if (tmp_path / "bin/pid").exists():
            break
    assert group_is_gone(started(tmp_path / "bin"))


def test_two_processes_take_turns(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    one, two = source(remote, state), source(remote, state, timeout=0.3)
    one.fetch()
    from reconciler.source.process import Deadline

    with one._mirror.locked(Deadline.after(60)), pytest.raises(SourceStale, match="another process"):
        two.fetch()
    assert source(remote, state).fetch().files


PASS = """
import sys
from pathlib import Path
from tests.source.rig import source
follow = source(sys.argv[1], Path(sys.argv[2]), path_of_programs=sys.argv[3])
follow.accept(follow.fetch())
"""
STEPS = 13  # programs that one fetch and its acceptance start


def killing_git(folder: Path, step: int) -> str:
    """Return a search path whose git kills who called it just before the given step, and else is git."""
    folder.mkdir()
    (folder / "count").write_text("0")
    script = folder / "git"
    script.write_text(
        f"#!/bin/sh\nn=$(($(cat {folder}/count) + 1))\necho $n > {folder}/count\n"
        f'[ $n -eq {step} ] && kill -9 $PPID\nexec {tool("git")} "$@"\n'
    )
    script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("step", range(1, STEPS + 2))
def test_a_kill_at_any_step_leaves_a_good_revision(remote: Remote, state: Path, tmp_path: Path, step: int) -> None:
    good = remote.add({"a.yaml": "good"})
    follow = source(remote, state)
    follow.accept(follow.fetch())
    new = remote.add({"a.yaml": "new"}, good)
    words = [sys.executable, "-c", PASS, str(remote.folder), str(state), killing_git(tmp_path / "bin", step)]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == (-signal.SIGKILL if step <= STEPS else 0)
    again = source(remote, state)
    accepted = again.accepted()
    assert accepted is not None
    assert accepted.id in ((good,) if step < STEPS - 1 else (good, new))  # git goes on although its caller is dead
    again.accept(again.fetch())
    assert texts(again.accepted()) == {"a.yaml": "new"}


def test_a_kill_in_the_middle_of_a_fetch_leaves_the_last_good_revision(remote: Remote, state: Path) -> None:
    good = remote.add({"a.yaml": "good"})
    follow = source(remote, state)
    follow.accept(follow.fetch())
    remote.add({"a.yaml": "new", "big.bin": os.urandom(20_000_000)}, good)
    words = [sys.executable, "-c", PASS, str(remote.folder), str(state), os.environ["PATH"]]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2]) as process:
        packs = mirror_of(state) / "mirror.git/objects/pack"
        deadline = time.monotonic() + 120
        while not list(packs.glob("tmp_pack_*")) and time.monotonic() < deadline and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    again = source(remote, state)
    again.accept(again.fetch())
    assert texts(again.accepted()) == {"a.yaml": "new"}


def test_what_a_killed_git_left_is_removed(remote: Remote, state: Path) -> None:
    first = remote.add({"a.yaml": "1"})
    follow = source(remote, state)
    follow.accept(follow.fetch())
    mirror = mirror_of(state) / "mirror.git"
    left = [mirror / f"{INCOMING}.lock", mirror / "packed-refs.lock", mirror / "objects/pack/tmp_pack_x"]
    for path in left:
        path.write_bytes(b"half")
    (mirror / "objects/incoming-x").mkdir()
    second = remote.add({"a.yaml": "2"}, first)
    assert follow.fetch().id == second
    assert not any(path.exists() for path in left)


def test_a_mirror_that_was_half_made_is_made_anew(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    follow = source(remote, state)
    follow.fetch()
    (mirror_of(state) / "mirror.git/HEAD").unlink()
    assert follow.fetch().files


def test_months_of_commits_do_not_pile_up(remote: Remote, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.source.mirror.MAX_PACKS", 5)
    follow = source(remote, state)
    tip: list[str] = []
    for number in range(14):
        tip = [remote.add({"a.yaml": str(number)}, *tip)]
        follow.accept(follow.fetch())
    packs = list((mirror_of(state) / "mirror.git/objects/pack").glob("*.pack"))
    assert len(packs) <= 6
    assert texts(source(remote, state).accepted()) == {"a.yaml": "13"}


# --- failures in words -----------------------------------------------------------------------------------------------


def test_a_branch_that_is_not_there_is_reported(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"})
    with pytest.raises(SourceStale, match="check the name of the branch or tag"):
        source(remote, state, branch="production").fetch()


def test_no_version_in_the_range_is_reported(remote: Remote, state: Path) -> None:
    remote.add({"a.yaml": "1"}, ref="refs/tags/v2.0.0")
    with pytest.raises(SourceStale, match=r"matches the version range 1\.x"):
        source(remote, state, semver="1.x").fetch()


def test_without_git_the_message_says_so(remote: Remote, state: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="git cannot be started"):
        source(remote, state, path_of_programs=str(tmp_path)).fetch()


def test_an_address_that_settings_would_refuse_is_refused_here_too(state: Path) -> None:
    with pytest.raises(InputError, match="is not accepted"):
        GitRepository(GitSource("ext::sh -c true", branch="main"), context(state))


def test_manifests_of_a_revision_load(remote: Remote, state: Path) -> None:
    from reconciler import manifests
    from reconciler.kinds import load_kinds

    remote.add({"prod/base/a.yaml": manifest("a"), "prod/base/b.yaml": manifest("b", "x")})
    found = source(remote, state, path="prod").fetch()
    tree = manifests.FileTree(found.files, base=found.path)
    assert len(manifests.load(["base/a.yaml"], load_kinds(), tree=tree).resources) == 1
    with pytest.raises(InputError, match=r"^prod/base/b\.yaml:4:8: spec\.memory_size"):
        manifests.load(["base"], load_kinds(), tree=tree)
