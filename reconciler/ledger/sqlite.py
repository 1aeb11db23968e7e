"""The SQLite file of the ledger: opening, integrity check, schema, and group commits of several threads.

Used by `ledger` and `agent_state`. Must not know what the tables mean.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.errors import LedgerCorrupt, LedgerUnwritable
from reconciler.ledger import state_dir

VERSION = 2
_NAME = "ledger.sqlite"
# The column `identity` is "" until it is known which cluster is behind the name (`identities`).
_CLUSTER_TABLES = """
CREATE TABLE owned (cluster TEXT, identity TEXT, kind TEXT, name TEXT, uid TEXT NOT NULL, created TEXT NOT NULL,
                    fields TEXT NOT NULL, secrets TEXT NOT NULL, made INTEGER NOT NULL,
                    PRIMARY KEY (cluster, identity, kind, name)) WITHOUT ROWID;
CREATE TABLE intents (op_id TEXT PRIMARY KEY, cluster TEXT NOT NULL, identity TEXT NOT NULL, kind TEXT NOT NULL,
                      name TEXT NOT NULL, run TEXT NOT NULL, at REAL NOT NULL, outcome TEXT, closed REAL,
                      content TEXT NOT NULL);
CREATE INDEX open_intents ON intents (cluster) WHERE outcome IS NULL;
CREATE TABLE clusters (name TEXT, identity TEXT, state_id INTEGER NOT NULL, PRIMARY KEY (name, identity));
CREATE TABLE identities (place TEXT, identity TEXT, since REAL NOT NULL, PRIMARY KEY (place, identity))
"""
_SCHEMA = f"""{_CLUSTER_TABLES};
CREATE TABLE runs (id TEXT PRIMARY KEY, started REAL NOT NULL, finished REAL, revision TEXT NOT NULL,
                   digest TEXT NOT NULL, counts TEXT NOT NULL, outcomes TEXT NOT NULL)
"""
# Of format 1, which knew clusters by their names alone. What it recorded belongs to the cluster that is seen first
# under that name. It did not say which objects were created; the intents do.
_RENAMED_1 = """
ALTER TABLE owned RENAME TO owned_1;
ALTER TABLE intents RENAME TO intents_1;
ALTER TABLE clusters RENAME TO clusters_1;
DROP INDEX open_intents
"""
_COPIED_1 = """
INSERT INTO intents SELECT op_id, cluster, '', kind, name, run, at, outcome, closed, content FROM intents_1;
INSERT INTO owned SELECT cluster, '', kind, name, uid, created, fields, secrets, EXISTS (
  SELECT 1 FROM intents_1 i WHERE i.cluster = owned_1.cluster AND i.kind = owned_1.kind AND i.name = owned_1.name
  AND i.outcome LIKE 'done%' AND json_extract(i.content, '$.action') = 'create') FROM owned_1;
INSERT INTO clusters SELECT name, '', state_id FROM clusters_1;
DROP TABLE owned_1;
DROP TABLE intents_1;
DROP TABLE clusters_1
"""
_FROM_FORMAT_1 = f"{_RENAMED_1};{_CLUSTER_TABLES};{_COPIED_1}"
# Added later. Versions that do not know the table ignore it, so the format version stays the same.
_MEMORY_TABLE = """
CREATE TABLE IF NOT EXISTS memory (cluster TEXT, topic TEXT, name TEXT, at REAL NOT NULL, content TEXT NOT NULL,
                                   PRIMARY KEY (cluster, topic, name)) WITHOUT ROWID
"""
# Added later: who started a run. Ignored by versions that do not know it.
_AUTHORS_TABLE = "CREATE TABLE IF NOT EXISTS authors (run TEXT PRIMARY KEY, who TEXT NOT NULL) WITHOUT ROWID"
# Added later: see `login_table`. Ignored by versions that do not know it.
_LOGINS_TABLE = """
CREATE TABLE IF NOT EXISTS rejected_logins (account TEXT, event TEXT, credential TEXT NOT NULL, at REAL NOT NULL,
                                            PRIMARY KEY (account, event)) WITHOUT ROWID
"""

Statement = tuple[str, Mapping[str, Any]]
Row = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class _PendingWrite:
    """The statements of one caller, waiting for a commit."""

    statements: tuple[Statement, ...]
    done: bool = False
    error: Exception | None = None


class Database:
    """One SQLite file with one connection; safe to use from several threads.

    Every method raises LedgerUnwritable where the file cannot be used, LedgerCorrupt where it is damaged.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / _NAME
        self.read_only = read_only
        for suffix in ("", "-wal", "-shm", "-journal"):
            state_dir.check_regular(folder / f"{_NAME}{suffix}", read_only=read_only)
        if not read_only:
            os.close(state_dir.open_private(self.path))
        self._queue: list[_PendingWrite] = []
        self._queue_lock = threading.Lock()
        self._writer = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                self._address(), timeout=10, isolation_level=None, check_same_thread=False, uri=True
            )
        except sqlite3.Error as error:
            raise self._translate(error) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._translate(error) from error
        except BaseException:
            self._connection.close()
            raise

    def _address(self) -> str:
        """Return the URI to open: an empty database in memory where there is no file and none can be created."""
        if not self.read_only:
            return self.path.absolute().as_uri()
        if not self.path.exists():
            return ":memory:"
        log = self.path.with_name(f"{_NAME}-wal")
        # With a WAL there is more to read than the file, and a writer to coordinate with.
        mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
        return f"{self.path.absolute().as_uri()}?{mode}"

    def close(self) -> None:
        """Close the file."""
        with self._writer:
            self._connection.close()

    def read(self, query: str, *values: Any) -> list[Row]:
        """Return the rows of *query*, each as a mapping by column; *values* are its parameters, or one mapping."""
        named = values[0] if len(values) == 1 and isinstance(values[0], dict) else values
        with self._writer:
            try:
                rows = self._connection.execute(query, named).fetchall()
            except sqlite3.Error as error:
                raise self._translate(error) from error
        return [dict(row) for row in rows]

    def write(self, *statements: Statement) -> None:
        """Commit *statements* in one durable transaction; threads that wait for a running commit share the next one."""
        if self.read_only:
            raise LedgerUnwritable(f"{self.path} cannot be written; without it, no change is sent to a cluster")
        pending = _PendingWrite(statements)
        with self._queue_lock:
            self._queue.append(pending)
        with self._writer:
            if not pending.done:
                with self._queue_lock:
                    batch, self._queue = self._queue, []
                if pending not in batch:  # the thread that took it was interrupted
                    batch.append(pending)
                self._commit(batch)
        if pending.error is not None:
            raise self._translate(pending.error) from pending.error

    def probe(self) -> None:
        """Commit a transaction that changes nothing; raises as `write` does."""
        self.write((f"PRAGMA user_version = {VERSION}", {}))

    def _commit(self, batch: list[_PendingWrite]) -> None:
        try:
            with self._transaction():
                for pending in batch:
                    for statement, values in pending.statements:
                        self._connection.execute(statement, values)
        except sqlite3.Error as error:
            if len(batch) > 1:
                for pending in batch:
                    self._commit([pending])
                return
            batch[0].error = error
        for pending in batch:
            pending.done = True

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to report
                self._connection.execute("ROLLBACK")
            raise

    def _prepare(self) -> None:
        """Check the file and create or extend its schema."""
        self._connection.row_factory = sqlite3.Row
        if self.read_only and self.path.exists() and self._version() == 1:
            self._copy_to_memory()
        integrity = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if integrity != "ok":
            raise LedgerCorrupt(self._corrupt(integrity))
        if self.read_only and self.path.exists():
            self._check_version()
            for name, table in (("authors", _AUTHORS_TABLE), ("rejected_logins", _LOGINS_TABLE)):
                if not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
                    self._connection.execute(table.replace("TABLE", "TEMP TABLE", 1))
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._upgrade()
        self._check_version()
        self._connection.execute(_MEMORY_TABLE)
        self._connection.execute(_AUTHORS_TABLE)
        self._connection.execute(_LOGINS_TABLE)

    def _upgrade(self) -> None:
        """Create the schema, or bring that of an older version to this one."""
        steps = {0: _SCHEMA, 1: _FROM_FORMAT_1}
        if self._version() in steps:
            with self._transaction():
                for statement in filter(str.strip, steps.get(self._version(), "").split(";")):  # none if done meanwhile
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _copy_to_memory(self) -> None:
        """Read a file of an older version that cannot be written from an upgraded copy."""
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.backup(copy)
        self._connection.close()
        self._connection = copy
        copy.row_factory = sqlite3.Row
        self._upgrade()

    def _check_version(self) -> None:
        if self._version() != VERSION:
            raise LedgerCorrupt(
                f"{self.path} has format {self._version()}, but this version supports {VERSION}; use a newer reconciler"
            )

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _corrupt(self, what: object) -> str:
        reason = " ".join(str(what).split())
        return f"{self.path} is corrupt ({reason:.120}); back it up and move it away to start with an empty ledger"

    def _translate(self, error: Exception) -> Exception:
        """Return the LedgerError for an error of the database."""
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            return LedgerUnwritable(f"{self.path} cannot be used ({error}); without it, no change is sent to a cluster")
        if type(error) is sqlite3.DatabaseError or isinstance(error, sqlite3.OperationalError):
            return LedgerCorrupt(self._corrupt(error))
        return error
