"""What we own, what we are about to do, what we did: the local record. Home of sqlite3.

The engine writes an intent here, durable, before each write to a cluster, and closes it afterwards; the plan asks what
is owned. It holds no secret, only keyed digests. Calls from several threads that meet share one commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import statedir
from reconciler.errors import LedgerCorrupt, LedgerUnwritable
from reconciler.kinds import Address
from reconciler.plan import Owned

if TYPE_CHECKING:
    from types import TracebackType

    from reconciler.secrets import Secret

VERSION = 1
_FILE = "ledger.sqlite"
_SCHEMA = """
CREATE TABLE owned (cluster TEXT, kind TEXT, name TEXT, uid TEXT NOT NULL, created TEXT NOT NULL, fields TEXT NOT NULL,
                    secrets TEXT NOT NULL, PRIMARY KEY (cluster, kind, name)) WITHOUT ROWID;
CREATE TABLE intents (op_id TEXT PRIMARY KEY, cluster TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
                      run TEXT NOT NULL, at REAL NOT NULL, outcome TEXT, closed REAL, content TEXT NOT NULL);
CREATE INDEX open_intents ON intents (cluster) WHERE outcome IS NULL;
CREATE TABLE runs (id TEXT PRIMARY KEY, started REAL NOT NULL, finished REAL, revision TEXT NOT NULL,
                   digest TEXT NOT NULL, counts TEXT NOT NULL, outcomes TEXT NOT NULL);
CREATE TABLE clusters (name TEXT PRIMARY KEY, state_id INTEGER NOT NULL);
"""
_RECORD = """
INSERT INTO owned VALUES (:cluster, :kind, :name, :uid, :created, :fields, :secrets)
ON CONFLICT DO UPDATE SET uid = excluded.uid, created = excluded.created, fields = excluded.fields,
                          secrets = json_patch(secrets, excluded.secrets)
"""


class Intent(NamedTuple):
    """A write that is about to be sent; *body* is in spec form and so has no secret."""

    op_id: str
    action: str  # "create", "update", "delete"
    address: Address
    body: Mapping[str, Any]
    uid: int | str | None = None
    secrets: Mapping[str, str] = {}  # path → digest of what is sent there
    state_id: int = 0  # highest cluster-state-id seen before
    run: str = ""

    @property
    def body_hash(self) -> str:
        return hashlib.sha256(_json(self.body).encode()).hexdigest()


class Record(NamedTuple):
    """An object that we own from now on: what was last applied to it."""

    address: Address
    uid: int | str
    created: str
    fields: Mapping[str, Any]
    secrets: Mapping[str, str] = {}  # path → digest; paths that are not named keep theirs


class Run(NamedTuple):
    """One apply, as the record has it."""

    id: str
    started: float
    finished: float | None  # None: it was killed, or is under way
    revision: str
    digest: str  # of the plan
    counts: Mapping[str, int]
    outcomes: tuple[Mapping[str, Any], ...]


_Statement = tuple[str, Mapping[str, Any]]


@dataclass(slots=True, eq=False)
class _Ticket:
    """One caller's statements on their way into a commit."""

    statements: tuple[_Statement, ...]
    done: bool = False
    error: Exception | None = field(default=None)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a plain value")


class Ledger:
    """The record in one folder; safe to use from several threads."""

    def __init__(self, folder: Path, database: sqlite3.Connection, key: bytes, now: Callable[[], float]) -> None:
        self._folder = folder
        self._database = database
        self._key = key
        self._now = now
        self._queue: list[_Ticket] = []
        self._queue_lock = threading.Lock()
        self._writer = threading.RLock()

    @classmethod
    def open(
        cls, folder: Path, *, now: Callable[[], float] = time.time, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> Ledger:
        """Open the record in *folder*, making it where there is none. *now* is only ever shown to people."""
        statedir.prepare(folder)
        path = folder / _FILE
        for name in (_FILE, f"{_FILE}-wal", f"{_FILE}-shm", f"{_FILE}-journal"):
            statedir.check_plain(folder / name)
        os.close(statedir.open_private(path))
        key = statedir.key(folder, random_bytes)
        database = None
        try:
            database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            _prepare(database, path)
        except sqlite3.Error as error:
            if database is not None:
                database.close()
            raise _explained(error, path) from error
        except LedgerCorrupt:
            database.close()
            raise
        return cls(folder, database, key, now)

    def disconnect(self) -> None:
        """Let go of the files."""
        with self._writer:
            self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.disconnect()

    # --- intents ---------------------------------------------------------------------------------------------------

    def intend(self, intent: Intent) -> None:
        """Make *intent* durable. Raises LedgerUnwritable; then its write must not be sent."""
        content = {
            "action": intent.action,
            "body": intent.body,
            "body_hash": intent.body_hash,
            "uid": intent.uid,
            "secrets": intent.secrets,
            "state_id": intent.state_id,
        }
        statement = (
            "INSERT INTO intents VALUES (:op_id, :cluster, :kind, :name, :run, :at, NULL, NULL, :content) "
            "ON CONFLICT DO NOTHING"
        )
        values = {"op_id": intent.op_id, "run": intent.run, "at": self._now(), "content": _json(content)}
        self._write((statement, {**values, **intent.address._asdict()}))

    def close(self, op_id: str, outcome: str, *, record: Record | None = None, forget: Address | None = None) -> None:
        """Write how an intent ended, and what follows for what we own, in one step. Closing twice changes nothing."""
        statements: list[_Statement] = []
        if forget is not None:
            statements.append(_forget(forget))
        if record is not None:
            statements.append(_record(record))
        closing = "UPDATE intents SET outcome = :outcome, closed = :now WHERE op_id = :op_id AND outcome IS NULL"
        statements.append((closing, {"op_id": op_id, "outcome": outcome, "now": self._now()}))
        self._write(*statements)

    def open_intents(self, cluster: str) -> tuple[Intent, ...]:
        """Return what was begun on *cluster* and never closed, oldest first."""
        query = "SELECT * FROM intents WHERE cluster = ? AND outcome IS NULL ORDER BY at, op_id"
        return tuple(_intent(row) for row in self._read(query, cluster))

    def events(self) -> tuple[tuple[Intent, str], ...]:
        """Return every intent that was closed, with its outcome, oldest first."""
        query = "SELECT * FROM intents WHERE outcome IS NOT NULL ORDER BY closed, op_id"
        return tuple((_intent(row), row["outcome"]) for row in self._read(query))

    # --- what we own -----------------------------------------------------------------------------------------------

    def owned(self, cluster: str) -> Mapping[Address, Owned]:
        """Return what we created or adopted on *cluster*."""
        rows = self._read("SELECT * FROM owned WHERE cluster = ? ORDER BY kind, name", cluster)
        return {
            Address(row["cluster"], row["kind"], row["name"]): Owned(
                uid=json.loads(row["uid"]), created=row["created"], fields=json.loads(row["fields"])
            )
            for row in rows
        }

    def record(
        self,
        address: Address,
        uid: int | str,
        created: str,
        fields: Mapping[str, Any],
        secret_digests: Mapping[str, str],
    ) -> None:
        """Own one object; digests of paths that are not named stay."""
        self.record_all([Record(address, uid, created, fields, secret_digests)])

    def record_all(self, records: Iterable[Record]) -> None:
        """Own many objects, in one step."""
        self._write(*map(_record, records))

    def forget(self, address: Address) -> None:
        """Own this no longer."""
        self._write(_forget(address))

    def digest(self, address: Address, path: str, secret: Secret) -> str:
        """Return a keyed digest of a secret at its place: it says same or not, and only on this machine."""
        place = json.dumps([*address, path, secret.reveal()]).encode()
        return hmac.new(self._key, place, hashlib.sha256).hexdigest()

    def secret_status(self, address: Address, path: str, secret: Secret) -> str:
        """Return "same", "changed", or "unknown" for a secret that we never applied there."""
        query = "SELECT secrets FROM owned WHERE cluster = ? AND kind = ? AND name = ?"
        rows = self._read(query, *address)
        known = json.loads(rows[0]["secrets"]).get(path) if rows else None
        if known is None:
            return "unknown"
        return "same" if hmac.compare_digest(known, self.digest(address, path, secret)) else "changed"

    # --- clusters and runs -----------------------------------------------------------------------------------------

    def state_id(self, cluster: str) -> int:
        """Return the highest cluster-state-id that was ever seen: an answer below it is stale."""
        rows = self._read("SELECT state_id FROM clusters WHERE name = ?", cluster)
        return int(rows[0]["state_id"]) if rows else 0

    def saw_state_id(self, cluster: str, state_id: int) -> None:
        """Remember a cluster-state-id; a lower one than known changes nothing."""
        statement = (
            "INSERT INTO clusters VALUES (:name, :state_id) "
            "ON CONFLICT DO UPDATE SET state_id = max(state_id, excluded.state_id)"
        )
        self._write((statement, {"name": cluster, "state_id": state_id}))

    def start_run(self, run: str, *, revision: str = "", digest: str = "") -> None:
        """Write that a run begins."""
        statement = "INSERT INTO runs VALUES (:id, :now, NULL, :revision, :digest, '{}', '[]')"
        self._write((statement, {"id": run, "now": self._now(), "revision": revision, "digest": digest}))

    def finish_run(self, run: str, counts: Mapping[str, int], outcomes: Iterable[Mapping[str, Any]]) -> None:
        """Write how a run ended."""
        statement = "UPDATE runs SET finished = :now, counts = :counts, outcomes = :outcomes WHERE id = :id"
        values = {"id": run, "now": self._now(), "counts": _json(counts), "outcomes": _json(list(outcomes))}
        self._write((statement, values))

    def runs(self, limit: int = 50) -> tuple[Run, ...]:
        """Return the latest runs, newest first."""
        return tuple(map(_run, self._read("SELECT * FROM runs ORDER BY started DESC, id LIMIT ?", limit)))

    def run(self, run: str) -> Run | None:
        """Return one run."""
        rows = self._read("SELECT * FROM runs WHERE id = ?", run)
        return _run(rows[0]) if rows else None

    def lock(self, cluster: str, *, wait: float = 0.0) -> contextlib.AbstractContextManager[None]:
        """Hold *cluster* for this process; raises Locked after *wait* seconds."""
        return statedir.lock(self._folder, cluster, wait=wait)

    # --- the database ----------------------------------------------------------------------------------------------

    def _read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._writer:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise _explained(error, self._folder / _FILE) from error

    def _write(self, *statements: _Statement) -> None:
        """Commit *statements* as one; whoever comes while a commit runs goes into the next one together."""
        ticket = _Ticket(statements)
        with self._queue_lock:
            self._queue.append(ticket)
        with self._writer:
            if not ticket.done:
                with self._queue_lock:
                    batch, self._queue = self._queue, []
                if ticket not in batch:  # whoever took it along was interrupted
                    batch.append(ticket)
                self._commit(batch)
        if ticket.error is not None:
            raise _explained(ticket.error, self._folder / _FILE) from ticket.error

    def _commit(self, batch: list[_Ticket]) -> None:
        try:
            with _transaction(self._database):
                for ticket in batch:
                    for statement, values in ticket.statements:
                        self._database.execute(statement, values)
        except sqlite3.Error as error:
            if len(batch) > 1:
                for ticket in batch:
                    self._commit([ticket])
                return
            batch[0].error = error
        for ticket in batch:
            ticket.done = True


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
            database.execute("ROLLBACK")
        raise


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    """Check the file and bring it to our schema."""
    database.row_factory = sqlite3.Row
    verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise LedgerCorrupt(f"{path} is damaged ({verdict:.120}); keep a copy and move it away to start afresh")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        with _transaction(database):
            if database.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
    elif version != VERSION:
        raise LedgerCorrupt(f"{path} has format {version}, and this version knows {VERSION}; use a newer reconciler")


def _explained(error: Exception, path: Path) -> Exception:
    """Return what an error of the database means to people."""
    damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.ProgrammingError | sqlite3.IntegrityError
    )
    if damaged or "malformed" in str(error):
        return LedgerCorrupt(f"{path} is damaged ({error}); keep a copy and move it away to start afresh")
    if isinstance(error, sqlite3.OperationalError):
        return LedgerUnwritable(f"{path} cannot be written ({error}); nothing is sent to a cluster without it")
    return error


def _record(record: Record) -> _Statement:
    values = {
        "uid": _json(record.uid),
        "created": record.created,
        "fields": _json(record.fields),
        "secrets": _json(record.secrets),
    }
    return _RECORD, {**values, **record.address._asdict()}


def _forget(address: Address) -> _Statement:
    return "DELETE FROM owned WHERE cluster = :cluster AND kind = :kind AND name = :name", address._asdict()


def _intent(row: sqlite3.Row) -> Intent:
    content = json.loads(row["content"])
    return Intent(
        op_id=row["op_id"],
        action=content["action"],
        address=Address(row["cluster"], row["kind"], row["name"]),
        body=content["body"],
        uid=content["uid"],
        secrets=content["secrets"],
        state_id=content["state_id"],
        run=row["run"],
    )


def _run(row: sqlite3.Row) -> Run:
    return Run(
        id=row["id"],
        started=row["started"],
        finished=row["finished"],
        revision=row["revision"],
        digest=row["digest"],
        counts=json.loads(row["counts"]),
        outcomes=tuple(json.loads(row["outcomes"])),
    )
