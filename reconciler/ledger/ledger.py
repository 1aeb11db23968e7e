"""The ledger: owned resources, intents, runs and the highest cluster-state-ids.

`apply` records a durable intent before each write to a cluster and closes it afterwards; the planner reads what is
owned. It contains no secrets, only keyed digests. Concurrent writes of several threads share one commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.errors import LedgerError
from reconciler.ledger import state_dir
from reconciler.ledger.agent_state import AgentState
from reconciler.ledger.identities import ClusterIdentities
from reconciler.ledger.login_table import LoginTable
from reconciler.ledger.logins import Logins
from reconciler.ledger.records import Intent, Record, Run, to_json
from reconciler.ledger.sqlite import Database, Row, Statement
from reconciler.model import Address, Owned

if TYPE_CHECKING:
    from types import TracebackType

    from reconciler.secrets import Secret

_RECORD = """
INSERT INTO owned VALUES (:cluster, :identity, :kind, :name, :uid, :created, :fields, :secrets, :made)
ON CONFLICT DO UPDATE SET uid = excluded.uid, created = excluded.created, fields = excluded.fields,
                          secrets = iif(uid = excluded.uid, json_patch(secrets, excluded.secrets), excluded.secrets),
                          made = iif(uid = excluded.uid, max(made, excluded.made), excluded.made)
"""
_RUNS = "SELECT runs.*, authors.who FROM runs LEFT JOIN authors ON authors.run = runs.id"


Redact = Callable[[Any], Any]  # a JSON value → the same with secrets masked


def _as_it_is(value: Any) -> Any:
    return value


class Ledger:
    """The ledger in one state folder; safe to use from several threads. Writes raise LedgerUnwritable."""

    def __init__(
        self, folder: Path, database: Database, key: bytes, now: Callable[[], float], redact: Redact = _as_it_is
    ) -> None:
        self._redact = redact
        self._folder = folder
        self._database = database
        self._key = key
        self._now = now
        self.memory = AgentState(database, now)
        self.login_table = LoginTable(database, key)
        self.logins = Logins(folder, now, lambda: self.login_table, lambda: self.login_table)
        self.identities = ClusterIdentities(database, now)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        now: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
        redact: Redact = _as_it_is,
    ) -> Ledger:
        """Open the ledger in *folder*, or create it. *now*: seconds since the epoch, for display only. *redact* masks
        secrets in a JSON value.

        In a folder that is not writable it can be read, and writes raise LedgerUnwritable. Raises LedgerError.
        """
        read_only = state_dir.is_read_only(folder)
        state_dir.prepare(folder, read_only=read_only)
        key = state_dir.key(folder, random_bytes, read_only=read_only)
        return cls(folder, Database(folder, read_only=read_only), key, now, redact)

    def disconnect(self) -> None:
        """Close the files."""
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.disconnect()

    # --- intents ---------------------------------------------------------------------------------------------------

    def intend(self, intent: Intent) -> None:
        """Record *intent* durably. Raises LedgerUnwritable; its write must then not be sent."""
        content = {
            "action": intent.action,
            "body": self._redact(intent.body),
            "body_hash": intent.body_hash,
            "uid": intent.uid,
            "secrets": intent.secrets,
            "state_id": intent.state_id,
        }
        statement = (
            "INSERT INTO intents VALUES (:op_id, :cluster, :identity, :kind, :name, :run, :at, NULL, NULL, :content) "
            "ON CONFLICT DO UPDATE SET run = excluded.run, content = excluded.content, outcome = NULL, closed = NULL"
        )
        values = {"op_id": intent.op_id, "run": intent.run, "at": self._now(), "content": to_json(content)}
        self._database.write((statement, {**values, **self._place(intent.address)}))

    def close(self, op_id: str, outcome: str, *, record: Record | None = None, forget: Address | None = None) -> None:
        """Record the outcome of an intent and the resulting ownership, atomically. Closing twice has no effect.

        *record*: what is owned now. *forget*: what is no longer owned; with both, the former address of *record*,
        whose digests of secrets are kept.
        """
        statements: list[Statement] = []
        if forget is not None and record is not None:
            before = self.owned(forget.cluster).get(forget)
            made = record.made or (before is not None and before.made and before.uid == record.uid)
            record = record._replace(secrets={**self._secrets_to_move(forget), **record.secrets}, made=made)
        if forget is not None:
            statements.append(self._forget(forget))
        if record is not None:
            statements.append(self._record(record))
        closing = "UPDATE intents SET outcome = :outcome, closed = :now WHERE op_id = :op_id AND outcome IS NULL"
        statements.append((closing, {"op_id": op_id, "outcome": outcome, "now": self._now()}))
        self._database.write(*statements)

    def open_intents(self, cluster: str) -> tuple[Intent, ...]:
        """Return the intents on *cluster* that were never closed, oldest first."""
        query = (
            "SELECT * FROM intents WHERE cluster = :cluster AND identity IN (:identity, '') AND outcome IS NULL "
            "ORDER BY at, op_id"
        )
        return tuple(_intent(row) for row in self._database.read(query, self._of(cluster)))

    def events(self) -> tuple[tuple[Intent, str], ...]:
        """Return the closed intents with their outcomes, oldest first."""
        query = "SELECT * FROM intents WHERE outcome IS NOT NULL ORDER BY closed, op_id"
        return tuple((_intent(row), row["outcome"]) for row in self._database.read(query))

    # --- ownership -------------------------------------------------------------------------------------------------

    def owned(self, cluster: str) -> Mapping[Address, Owned]:
        """Return the resources that were created or adopted on *cluster*."""
        query = "SELECT * FROM owned WHERE cluster = :cluster AND identity IN (:identity, '') ORDER BY kind, name"
        rows = self._database.read(query, self._of(cluster))
        return {
            Address(row["cluster"], row["kind"], row["name"]): Owned(
                uid=json.loads(row["uid"]),
                created=row["created"],
                fields=json.loads(row["fields"]),
                made=bool(row["made"]),
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
        """Record one owned resource; digests of other paths are kept."""
        self.record_all([Record(address, uid, created, fields, secret_digests)])

    def record_all(self, records: Iterable[Record]) -> None:
        """Record owned resources, atomically."""
        self._database.write(*map(self._record, records))

    def forget(self, address: Address) -> None:
        """Remove the ownership of a resource."""
        self._database.write(self._forget(address))

    def _secrets(self, address: Address) -> dict[str, str]:
        query = (
            "SELECT secrets FROM owned WHERE cluster = :cluster AND identity IN (:identity, '') "
            "AND kind = :kind AND name = :name"
        )
        rows = self._database.read(query, self._place(address))
        known: dict[str, str] = json.loads(rows[0]["secrets"]) if rows else {}
        return known

    def _secrets_to_move(self, address: Address) -> dict[str, str]:
        """Return the digests of *address*, each with the name that was part of it when it was made."""
        return {
            path: text if " " in text else f"{text} {address.name}" for path, text in self._secrets(address).items()
        }

    def digest(self, address: Address, path: str, secret: Secret) -> str:
        """Return the keyed digest of a secret at its address and path; comparable only with this ledger's key."""
        place = json.dumps([*address, path, secret.reveal()]).encode()
        return hmac.new(self._key, place, hashlib.sha256).hexdigest()

    def secret_status(self, address: Address, path: str, secret: Secret) -> str:
        """Return "same", "changed", or "unknown" for a secret that was never applied there."""
        known, _, first_name = self._secrets(address).get(path, "").partition(" ")
        if not known:
            return "unknown"
        digest = self.digest(address._replace(name=first_name or address.name), path, secret)
        return "same" if hmac.compare_digest(known, digest) else "changed"

    def knows_set(self, address: Address, name: str) -> bool:
        """Return whether the secrets of a set, such as `passwords`, were ever applied there."""
        return f"{name}[]" in self._secrets(address)

    def set_digest(self, address: Address, name: str, secrets: Iterable[Secret]) -> str:
        """Return the digests of a set of secrets, sorted and joined by commas, for `set_statuses`."""
        return ",".join(sorted({self.digest(address, f"{name}[]", secret) for secret in secrets}))

    def set_statuses(self, address: Address, name: str, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Return "same", "changed" or "unknown" for each path of a set; "gone" at `name[]` if a secret was removed."""
        text = self._secrets(address).get(f"{name}[]")
        if text is None and name.removesuffix("s") not in self._secrets(address):
            return dict.fromkeys(secrets, "unknown")
        if text is None:  # it was a single secret before
            one = {path: self.secret_status(address, name.removesuffix("s"), s) for path, s in secrets.items()}
            return one if "same" in one.values() else {**one, f"{name}[]": "gone"}
        known, _, first_name = text.partition(" ")
        place = address._replace(name=first_name or address.name)
        digests = {path: self.digest(place, f"{name}[]", secret) for path, secret in secrets.items()}
        applied = set(filter(None, known.split(",")))
        found = {path: "same" if digest in applied else "changed" for path, digest in digests.items()}
        return {**found, f"{name}[]": "gone"} if applied - set(digests.values()) else found

    # --- clusters and runs -----------------------------------------------------------------------------------------

    def state_id(self, cluster: str) -> int:
        """Return the highest cluster-state-id seen, 0 for none: a response with a lower one is stale."""
        query = "SELECT max(state_id) AS highest FROM clusters WHERE name = :cluster AND identity IN (:identity, '')"
        return int(self._database.read(query, self._of(cluster))[0]["highest"] or 0)

    def saw_state_id(self, cluster: str, state_id: int) -> None:
        """Record a cluster-state-id; a lower one has no effect, and so has a read-only ledger."""
        if self._database.read_only:  # a read-only run loses only this observation
            return
        statement = (
            "INSERT INTO clusters VALUES (:cluster, :identity, :state_id) "
            "ON CONFLICT DO UPDATE SET state_id = max(state_id, excluded.state_id)"
        )
        self._database.write((statement, {**self._of(cluster), "state_id": state_id}))

    def forget_state_id(self, cluster: str) -> None:
        """Forget the cluster-state-id: the cluster was restored or rebuilt, and counts from the start."""
        self._database.write(("DELETE FROM clusters WHERE name = :cluster", {"cluster": cluster}))

    def start_run(self, run: str, *, revision: str = "", digest: str = "", who: str = "") -> None:
        """Record the start of a run; *who* defaults to the user and host of this process."""
        statement = "INSERT INTO runs VALUES (:id, :now, NULL, :revision, :digest, '{}', '[]')"
        self._database.write(
            (statement, {"id": run, "now": self._now(), "revision": revision, "digest": digest}),
            ("INSERT INTO authors VALUES (:run, :who)", {"run": run, "who": who or state_dir.whoami()}),
        )

    def finish_run(self, run: str, counts: Mapping[str, int], outcomes: Iterable[Mapping[str, Any]]) -> None:
        """Record the end of a run."""
        statement = "UPDATE runs SET finished = :now, counts = :counts, outcomes = :outcomes WHERE id = :id"
        shown = to_json(self._redact(list(outcomes)))
        values = {"id": run, "now": self._now(), "counts": to_json(counts), "outcomes": shown}
        self._database.write((statement, values))

    def runs(self, limit: int = 50) -> tuple[Run, ...]:
        """Return the latest runs, newest first."""
        return tuple(map(_run, self._database.read(f"{_RUNS} ORDER BY started DESC, id LIMIT ?", limit)))

    def run(self, run: str) -> Run | None:
        """Return the run with this id; None where there is none."""
        rows = self._database.read(f"{_RUNS} WHERE id = ?", run)
        return _run(rows[0]) if rows else None

    def trim(self, *, keep_runs: int, keep_seconds: float) -> None:
        """Delete old runs and closed intents: runs beyond the newest *keep_runs* or older than *keep_seconds*, closed
        intents older than that or of a deleted run.

        Open intents are kept, and so are unfinished runs within these limits.
        """
        before = self._now() - keep_seconds
        old_runs = (
            "DELETE FROM runs WHERE started < :before OR id NOT IN "
            "(SELECT id FROM runs ORDER BY started DESC, id LIMIT :keep)"
        )
        old_intents = (
            "DELETE FROM intents WHERE outcome IS NOT NULL AND "
            "(closed < :before OR run <> '' AND run NOT IN (SELECT id FROM runs))"
        )
        old_authors = "DELETE FROM authors WHERE run NOT IN (SELECT id FROM runs)"
        self._database.write(
            (old_runs, {"before": before, "keep": keep_runs}), (old_intents, {"before": before}), (old_authors, {})
        )

    def writable(self) -> bool:
        """Return whether writes work now, by committing an empty one."""
        try:
            self._database.probe()
        except LedgerError:
            return False
        return True

    def lock(self, cluster: str, *, wait: float = 0.0) -> contextlib.AbstractContextManager[None]:
        """Lock *cluster* for this process, under its identity; raises Locked after *wait* seconds."""
        name = "\n".join(filter(None, (cluster, self.identities.of(cluster))))
        return state_dir.lock(self._folder, name, wait=wait)

    def lease(self) -> contextlib.AbstractContextManager[None]:
        """Lock the state folder for the one agent that may use it; raises Locked."""
        return state_dir.lock(
            self._folder, " agent", busy="this state folder is in use by another agent,"
        )  # not a cluster name

    def _of(self, cluster: str) -> dict[str, str]:
        """Return the parameters that name *cluster* in a statement."""
        return {"cluster": cluster, "identity": self.identities.of(cluster)}

    def _place(self, address: Address) -> dict[str, str]:
        return {**self._of(address.cluster), "kind": address.kind, "name": address.name}

    def _record(self, record: Record) -> Statement:
        values = {
            "uid": to_json(record.uid),
            "created": record.created,
            "fields": to_json(self._redact(record.fields)),
            "secrets": to_json(record.secrets),
            "made": int(record.made),
        }
        return _RECORD, {**values, **self._place(record.address)}

    def _forget(self, address: Address) -> Statement:
        statement = (
            "DELETE FROM owned WHERE cluster = :cluster AND identity IN (:identity, '') "
            "AND kind = :kind AND name = :name"
        )
        return statement, self._place(address)


def _intent(row: Row) -> Intent:
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


def _run(row: Row) -> Run:
    return Run(
        id=row["id"],
        started=row["started"],
        finished=row["finished"],
        revision=row["revision"],
        digest=row["digest"],
        counts=json.loads(row["counts"]),
        outcomes=tuple(json.loads(row["outcomes"])),
        who=row["who"] or "",
    )
