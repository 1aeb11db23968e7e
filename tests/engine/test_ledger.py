"""The local record: durable, private, shared by threads, and clear about what is wrong with it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.errors import LedgerCorrupt, LedgerError, LedgerUnwritable, Locked
from reconciler.ledger import Fact, Intent, Ledger, Record
from reconciler.ledger.sqlite import Database
from reconciler.model import Address, Owned
from reconciler.secrets import Secret

ORDERS = Address("dc1", "Database", "orders")
CACHE = Address("dc1", "Database", "cache")
ELSEWHERE = Address("dc2", "Database", "orders")
CANARY = "canary-8Kw3nRp0-secret"


def intent(op_id: str, address: Address = ORDERS, **more: object) -> Intent:
    return Intent(op_id, "create", address, {"memory_size": 1, "port": 12000}, **more)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger.open(folder, now=iter(range(1000)).__next__) as opened:
        yield opened


def test_an_intent_stays_open_until_it_is_closed_and_survives_a_restart(folder: Path, ledger: Ledger) -> None:
    ledger.intend(intent("a", secrets={"password": "digest"}, state_id=7, run="r"))
    ledger.intend(intent("b", CACHE, uid=3))
    ledger.intend(intent("c", ELSEWHERE, uid="guid"))
    ledger.close("b", "done")
    with Ledger.open(folder) as again:
        assert again.open_intents("dc1") == (intent("a", secrets={"password": "digest"}, state_id=7, run="r"),)
        assert again.open_intents("dc2") == (intent("c", ELSEWHERE, uid="guid"),)
        assert [(event.op_id, outcome) for event, outcome in again.events()] == [("b", "done")]


def test_closing_and_owning_are_one_step_and_closing_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.intend(intent("a"))
    ledger.close("a", "done", record=Record(ORDERS, 5, "2026", {"memory_size": 1}))
    ledger.close("a", "failed")
    assert ledger.owned("dc1") == {ORDERS: Owned(5, "2026", {"memory_size": 1})}
    assert [outcome for _, outcome in ledger.events()] == ["done"]
    ledger.close("a", "done", forget=ORDERS)
    assert ledger.owned("dc1") == {}


def test_an_intent_may_be_renewed_with_the_same_op_id(ledger: Ledger) -> None:
    ledger.intend(intent("a", run="first"))
    ledger.intend(intent("a", run="second")._replace(body={"memory_size": 2}))
    (left,) = ledger.open_intents("dc1")
    assert (left.run, left.body) == ("second", {"memory_size": 2})


def test_owned_is_kept_by_cluster_with_the_type_of_the_uid(ledger: Ledger) -> None:
    ledger.record(ORDERS, 5, "c", {"b": [1], "a": None}, {})
    ledger.record(ELSEWHERE, "guid", "", {}, {})
    assert ledger.owned("dc1") == {ORDERS: Owned(5, "c", {"a": None, "b": [1]})}
    assert ledger.owned("dc2") == {ELSEWHERE: Owned("guid", "", {})}
    ledger.record_all([Record(ORDERS, 6, "d", {}), Record(CACHE, 7, "", {})])
    ledger.forget(CACHE)
    assert ledger.owned("dc1") == {ORDERS: Owned(6, "d", {})}


def test_secrets_are_known_by_keyed_digests_only(folder: Path, ledger: Ledger, tmp_path: Path) -> None:
    secret = Secret(CANARY)
    assert ledger.secret_status(ORDERS, "password", secret) == "unknown"
    ledger.record(ORDERS, 5, "", {}, {"password": ledger.digest(ORDERS, "password", secret)})
    ledger.record(ORDERS, 5, "", {}, {"other": "kept beside it"})
    assert ledger.secret_status(ORDERS, "password", secret) == "same"
    assert ledger.secret_status(ORDERS, "password", Secret("new")) == "changed"
    assert ledger.secret_status(ORDERS, "elsewhere", secret) == "unknown"
    places = {ledger.digest(a, p, secret) for a in (ORDERS, CACHE) for p in ("password", "elsewhere")}
    with Ledger.open(tmp_path / "another") as other:
        places.add(other.digest(ORDERS, "password", secret))
    assert len(places) == 5
    for path in folder.iterdir():
        assert CANARY.encode() not in path.read_bytes()


def test_runs_are_listed_newest_first(ledger: Ledger) -> None:
    ledger.start_run("one", revision="abc", digest="d1")
    ledger.start_run("two")
    ledger.finish_run("one", {"done": 2}, [{"address": "x", "status": "done"}])
    two, one = ledger.runs()
    assert (two.id, two.finished, two.counts, two.outcomes) == ("two", None, {}, ())
    assert (one.revision, one.digest, one.counts, one.outcomes) == (
        "abc",
        "d1",
        {"done": 2},
        ({"address": "x", "status": "done"},),
    )
    assert ledger.run("one") == one
    assert ledger.run("none") is None
    assert ledger.runs(1) == (two,)


def test_the_state_id_never_falls(ledger: Ledger) -> None:
    for seen in (5, 9, 3):
        ledger.saw_state_id("dc1", seen)
    assert (ledger.state_id("dc1"), ledger.state_id("dc2")) == (9, 0)


def test_intents_of_many_threads_are_all_there(folder: Path, ledger: Ledger) -> None:
    ids = [f"{number:04}" for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda op_id: ledger.intend(intent(op_id)), ids))
        list(pool.map(lambda op_id: ledger.close(op_id, "done"), ids[:200]))
    with Ledger.open(folder) as again:
        assert sorted(left.op_id for left in again.open_intents("dc1")) == ids[200:]
        assert len(again.events()) == 200


def test_threads_that_meet_share_a_commit(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    database = ledger._database
    commits = []
    original = database._commit
    first_is_in, go_on = threading.Event(), threading.Event()

    def commit(batch: list[object]) -> None:
        commits.append(len(batch))
        if len(commits) == 1:
            first_is_in.set()
            go_on.wait(60)
        original(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "_commit", commit)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(ledger.intend, intent("first"))
        assert first_is_in.wait(60)
        others = [pool.submit(ledger.intend, intent(f"other-{number}")) for number in range(5)]
        while len(database._queue) < 5:
            threading.Event().wait(0.001)
        go_on.set()
        for future in (first, *others):
            future.result()
    assert commits == [1, 5]
    assert len(ledger.open_intents("dc1")) == 6


def test_nobody_else_can_read_any_of_it_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        with Ledger.open(folder) as opened, opened.lock("dc1"):
            opened.intend(intent("a"))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "key", ".gitignore"} < set(modes)
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_folder_that_others_could_enter_is_closed_to_them(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    Ledger.open(folder).disconnect()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "key"])
def test_a_planted_symlink_is_refused_and_its_target_untouched(folder: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    folder.mkdir(mode=0o700)
    (folder / name).symlink_to(target)
    with pytest.raises(LedgerUnwritable, match="symbolic link"):
        Ledger.open(folder)
    assert target.read_bytes() == b"precious"


def test_a_folder_that_is_a_symlink_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(LedgerUnwritable, match="not a link"):
        Ledger.open(folder)


@pytest.mark.parametrize("name", ["ledger.sqlite", "key"])
def test_a_file_with_a_second_name_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir(mode=0o700)
    (tmp_path / "other").write_bytes(b"")
    os.link(tmp_path / "other", folder / name)
    with pytest.raises(LedgerError, match="single hard link"):
        Ledger.open(folder)


def test_what_belongs_to_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(LedgerError, match="another user"):
        Ledger.open(folder)


def test_a_damaged_file_is_a_clear_error(folder: Path) -> None:
    with Ledger.open(folder) as opened:
        for number in range(200):
            opened.intend(intent(f"{number}"))
    path = folder / "ledger.sqlite"
    whole = path.read_bytes()
    for torn in (b"not a database" * 100, whole[:4096] + random.Random(1).randbytes(len(whole) - 4096), whole[:-2000]):
        path.write_bytes(torn)
        for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
            (folder / name).unlink(missing_ok=True)
        with pytest.raises(LedgerCorrupt, match=r"is corrupt .* move it away to start with an empty ledger"):
            Ledger.open(folder)


def test_a_file_of_a_later_version_is_not_touched(folder: Path) -> None:
    Ledger.open(folder).disconnect()
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerCorrupt, match="newer reconciler"):
        Ledger.open(folder)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from reconciler.errors import LedgerUnwritable
from reconciler.model import Address
from reconciler.ledger import Intent, Ledger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
durable = 0
try:
    for number in range(1000):
        ledger.intend(Intent(f"{number:04}", "create", Address("dc1", "Database", "x"), {"fill": "x" * 2000}))
        durable += 1
except LedgerUnwritable as error:
    print(durable, error)
"""


def test_a_full_disk_says_so_and_loses_nothing_that_was_promised(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    durable, _, text = done.stdout.partition(" ")
    assert "without it, no change is sent to a cluster" in text
    with Ledger.open(folder) as opened:
        left = [one.op_id for one in opened.open_intents("dc1")]
        opened.intend(intent("after"))
    assert left == [f"{number:04}" for number in range(int(durable))]


def test_a_killed_process_keeps_what_was_promised(folder: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from reconciler.model import Address
from reconciler.ledger import Intent, Ledger
ledger = Ledger.open(Path(sys.argv[1]))
with ledger.lock("dc1"):
    for number in range(50):
        ledger.intend(Intent(f"{number:04}", "create", Address("dc1", "Database", "x"), {}))
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, timeout=60)
    assert done.returncode == -9
    with Ledger.open(folder) as opened, opened.lock("dc1"):
        assert len(opened.open_intents("dc1")) == 50


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnwritable, match="state folder"):
        Ledger.open(tmp_path / "file" / "state")


@pytest.mark.parametrize("closed", [True, False])
def test_what_cannot_be_written_can_be_read_and_is_left_as_it_is(
    folder: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    digest = ledger.digest(ORDERS, "password", Secret(CANARY))
    ledger.record(ORDERS, 5, "c", {"memory_size": 1}, {"password": digest})
    if closed:
        ledger.disconnect()
    folder.chmod(0o500)
    (folder / ".gitignore").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite-shm"}
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with Ledger.open(folder) as found:
        assert found.owned("dc1") == {ORDERS: Owned(5, "c", {"memory_size": 1})}
        assert found.secret_status(ORDERS, "password", Secret(CANARY)) == "same"
        found.saw_state_id("dc1", 7)
        assert found.state_id("dc1") == 0
        with pytest.raises(LedgerUnwritable, match="cannot be written"):
            found.intend(intent("a"))
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite-shm"}
    assert after == before
    assert stat.S_IMODE(folder.stat().st_mode) == 0o500


def test_an_empty_folder_that_cannot_be_written_owns_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with Ledger.open(folder) as found:
        assert found.owned("dc1") == {}
    assert list(folder.iterdir()) == []


def test_one_cluster_is_locked_and_others_are_free(ledger: Ledger) -> None:
    with ledger.lock("dc1"), ledger.lock("dc2"):
        with pytest.raises(Locked, match=rf"process {os.getpid()} on ") as caught, ledger.lock("dc1"):
            pass
        assert "'dc1'" in str(caught.value)
    with ledger.lock("dc1"):
        pass


@pytest.mark.parametrize("cluster", ["../../etc/passwd", "a/b", "", "x" * 300, "ü\n"])
def test_odd_cluster_names_make_files_in_the_folder_only(folder: Path, ledger: Ledger, cluster: str) -> None:
    with ledger.lock(cluster):
        (lock,) = folder.glob("*.lock")
        assert lock.parent == folder


def test_digests_of_secrets_follow_a_new_name_and_not_a_new_object(ledger: Ledger) -> None:
    secret, names = Secret(CANARY), ("first name", "second name", "third")
    first, second, third = (ORDERS._replace(name=name) for name in names)
    ledger.record(first, 5, "", {}, {"password": ledger.digest(first, "password", secret)})
    for former, now in ((first, second), (second, third)):
        ledger.close("none", "done", record=Record(now, 5, "", {}), forget=former)
        assert ledger.secret_status(now, "password", secret) == "same"
        assert ledger.secret_status(now, "password", Secret("another")) == "changed"
        assert ledger.secret_status(former, "password", secret) == "unknown"
    ledger.record(third, 6, "", {}, {})
    assert ledger.secret_status(third, "password", secret) == "unknown"


# --- what the agent remembers, and what is thrown away -------------------------------------------------------------


def test_facts_survive_a_restart_by_cluster_topic_and_name(folder: Path, ledger: Ledger) -> None:
    ledger.memory.remember("dc1", "drift", "Database/a", {"live": 1})
    ledger.memory.remember("dc1", "approved", "abc")
    ledger.memory.remember("dc2", "drift", "Database/a")
    with Ledger.open(folder) as again:
        assert again.memory.facts("dc1", "drift") == {"Database/a": Fact(0.0, {"live": 1})}
        assert list(again.memory.facts("dc1", "approved")) == ["abc"]
        again.memory.forget("dc1", "approved", ["abc"])
        assert again.memory.facts("dc1", "approved") == {}


def test_keeping_facts_replaces_a_topic_and_leaves_what_is_the_same(ledger: Ledger) -> None:
    memory = ledger.memory
    memory.keep("dc1", "drift", {"a": Fact(1.0, None), "b": Fact(2.0, None)})
    memory.keep("dc1", "drift", {"b": Fact(2.0, None), "c": Fact(3.0, None)})
    assert memory.facts("dc1", "drift") == {"b": Fact(2.0, None), "c": Fact(3.0, None)}


def test_a_record_from_before_facts_were_kept_has_none(folder: Path, ledger: Ledger) -> None:
    ledger.disconnect()
    with sqlite3.connect(folder / "ledger.sqlite") as raw:
        raw.execute("DROP TABLE memory")
    raw.close()
    with Ledger.open(folder) as again:
        assert again.memory.facts("dc1", "drift") == {}


def test_trimming_keeps_the_newest_runs_and_everything_that_is_open(ledger: Ledger) -> None:
    for number in range(6):
        ledger.start_run(f"run-{number}")
        ledger.intend(intent(f"op-{number}", run=f"run-{number}"))
        if number != 1:
            ledger.close(f"op-{number}", "done")
        ledger.finish_run(f"run-{number}", {}, [])
    ledger.trim(keep_runs=2, keep_seconds=1e6)
    assert [run.id for run in ledger.runs()] == ["run-5", "run-4"]
    assert [event.op_id for event, _ in ledger.events()] == ["op-4", "op-5"]
    assert [one.op_id for one in ledger.open_intents("dc1")] == ["op-1"]


def test_trimming_removes_what_is_too_old_however_few_there_are(ledger: Ledger) -> None:
    ledger.start_run("old")
    ledger.intend(intent("op", run="old"))
    ledger.close("op", "done")
    ledger.trim(keep_runs=100, keep_seconds=0.5)
    assert ledger.runs() == ()
    assert ledger.events() == ()


def test_a_run_knows_who_began_it(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "state") as ledger:
        ledger.start_run("one", revision="abc")
        ledger.start_run("two", who="anna@laptop")
        assert {run.id: run.who for run in ledger.runs()}["two"] == "anna@laptop"
        found = ledger.run("one")
        assert found is not None
        assert re.fullmatch(r".+@.+", found.who)


def test_a_record_without_authors_is_read_and_gets_them(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with Ledger.open(folder) as ledger:
        ledger.start_run("one")
    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute("DROP TABLE authors")
    connection.close()
    with contextlib.closing(Database(folder, read_only=True)) as database:
        assert database.read("SELECT * FROM authors") == []
    with Ledger.open(folder) as ledger:
        assert [run.who for run in ledger.runs()] == [""]
        ledger.start_run("two", who="anna")
        assert {run.who for run in ledger.runs()} == {"", "anna"}


def test_whether_the_record_can_be_written_is_tried_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(tmp_path / "state") as ledger:
        assert ledger.writable()
        monkeypatch.setattr(ledger._database, "read_only", True)
        assert not ledger.writable()


# --- which cluster is behind a name ----------------------------------------------------------------------------------

FORMAT_1 = """
CREATE TABLE owned (cluster TEXT, kind TEXT, name TEXT, uid TEXT NOT NULL, created TEXT NOT NULL, fields TEXT NOT NULL,
                    secrets TEXT NOT NULL, PRIMARY KEY (cluster, kind, name)) WITHOUT ROWID;
CREATE TABLE intents (op_id TEXT PRIMARY KEY, cluster TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
                      run TEXT NOT NULL, at REAL NOT NULL, outcome TEXT, closed REAL, content TEXT NOT NULL);
CREATE INDEX open_intents ON intents (cluster) WHERE outcome IS NULL;
CREATE TABLE runs (id TEXT PRIMARY KEY, started REAL NOT NULL, finished REAL, revision TEXT NOT NULL,
                   digest TEXT NOT NULL, counts TEXT NOT NULL, outcomes TEXT NOT NULL);
CREATE TABLE clusters (name TEXT PRIMARY KEY, state_id INTEGER NOT NULL);
INSERT INTO owned VALUES ('dc1', 'Database', 'orders', '5', '2026', '{"memory_size":1}', '{}');
INSERT INTO owned VALUES ('dc1', 'Database', 'cache', '6', '2026', '{}', '{"password":"digest"}');
INSERT INTO intents VALUES ('a', 'dc1', 'Database', 'orders', 'r', 1, 'done', 2,
  '{"action":"create","body":{},"uid":null,"secrets":{},"state_id":0}');
INSERT INTO intents VALUES ('b', 'dc1', 'Database', 'cache', 'r', 1, NULL, NULL,
  '{"action":"update","body":{},"uid":6,"secrets":{},"state_id":0}');
INSERT INTO runs VALUES ('r', 1, 2, 'abc', 'd', '{}', '[]');
INSERT INTO clusters VALUES ('dc1', 9);
PRAGMA user_version = 1;
"""
FIRST, SECOND = "one.example.com 2026-01-01", "two.example.com 2026-02-02"


def older(folder: Path) -> None:
    """Make a ledger as the version before identities did."""
    with Ledger.open(folder):
        pass
    for path in folder.glob("ledger.sqlite*"):
        path.unlink()
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        database.executescript(FORMAT_1)
    (folder / "ledger.sqlite").chmod(0o600)


def known(ledger: Ledger) -> tuple[object, ...]:
    return (
        {address.name: (mine.uid, mine.made) for address, mine in ledger.owned("dc1").items()},
        [one.op_id for one in ledger.open_intents("dc1")],
        ledger.state_id("dc1"),
        [run.id for run in ledger.runs()],
    )


ALL = ({"orders": (5, True), "cache": (6, False)}, ["b"], 9, ["r"])


def test_an_older_ledger_loses_nothing_and_belongs_to_the_cluster_that_is_seen_first(folder: Path) -> None:
    older(folder)
    with Ledger.open(folder) as ledger:
        assert known(ledger) == ALL
        ledger.identities.bind("dc1", FIRST, ["dc1"])
        assert known(ledger) == ALL
        ledger.identities.bind("dc1", SECOND, ["dc1"])
        assert known(ledger) == ({}, [], 0, ["r"])
    with Ledger.open(folder) as again:
        again.identities.bind("dc1", FIRST, ["dc1"])
        assert known(again) == ALL


def test_an_older_ledger_that_cannot_be_written_can_be_read(folder: Path) -> None:
    older(folder)
    folder.chmod(0o500)
    database = Database(folder, read_only=True)
    try:
        ledger = Ledger(folder, database, b"k" * 32, lambda: 0.0)
        ledger.identities.bind("dc1", FIRST, ["dc1"])
        assert known(ledger) == ALL
    finally:
        database.close()
        folder.chmod(0o700)


def test_each_cluster_behind_a_name_has_rows_and_a_lock_of_its_own(folder: Path, ledger: Ledger) -> None:
    ledger.identities.bind("", FIRST, ["https://one:9443"])
    ledger.record(Address("", "Database", "orders"), 5, "", {}, {})
    ledger.saw_state_id("", 70)
    with ledger.lock(""), Ledger.open(folder) as other:
        other.identities.bind("", SECOND, ["https://two:9443"])
        assert (other.owned(""), other.state_id("")) == ({}, 0)
        with other.lock(""):
            pass
        other.identities.bind("", FIRST, ["https://one:9443"])
        assert len(other.owned("")) == 1
        with pytest.raises(Locked), other.lock(""):
            pass


def test_the_last_cluster_that_was_accepted_behind_a_place_is_expected(ledger: Ledger) -> None:
    assert ledger.identities.expected(["dc1"]) == ""
    for identity in (FIRST, SECOND, SECOND, FIRST):
        ledger.identities.bind("dc1", identity, ["dc1"])
        assert ledger.identities.expected(["dc1"]) == identity
    assert [one.identity for one in ledger.identities.history()] == [SECOND, FIRST]
