"""What the agent keeps across restarts: small entries by cluster, topic and name, each with its time.

Since when a resource has drifted, how often it was corrected, which plans are approved, when credentials were rejected.
Used through `Ledger.memory`; `agent` defines the topics. Losing the entries never affects a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.ledger.records import to_json
from reconciler.ledger.sqlite import Database


class Fact(NamedTuple):
    """One entry: since when, and its content."""

    at: float  # seconds since the epoch
    content: Any  # plain JSON


class AgentState:
    """The table of entries; safe to use from several threads. Writes raise LedgerUnwritable."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def facts(self, cluster: str, topic: str) -> Mapping[str, Fact]:
        """Return the entries of *cluster* under *topic*, by name."""
        if not self._table_exists():
            return {}
        query = "SELECT name, at, content FROM memory WHERE cluster = ? AND topic = ? ORDER BY name"
        rows = self._database.read(query, cluster, topic)
        return {row["name"]: Fact(row["at"], json.loads(row["content"])) for row in rows}

    def everywhere(self, topic: str) -> Mapping[tuple[str, str], Fact]:
        """Return the entries under *topic* of all clusters, by cluster and name."""
        if not self._table_exists():
            return {}
        query = "SELECT cluster, name, at, content FROM memory WHERE topic = ? ORDER BY cluster, name"
        rows = self._database.read(query, topic)
        return {(row["cluster"], row["name"]): Fact(row["at"], json.loads(row["content"])) for row in rows}

    def _table_exists(self) -> bool:
        """Return whether the table exists: a ledger of an older version has none until it is opened for writing."""
        if not self._database.read_only:
            return True
        return bool(self._database.read("SELECT name FROM sqlite_master WHERE name = 'memory'"))

    def keep(self, cluster: str, topic: str, facts: Mapping[str, Fact]) -> None:
        """Replace the entries of *cluster* under *topic* by *facts*; writes only the differences."""
        known = self.facts(cluster, topic)
        gone = [name for name in known if name not in facts]
        new = {name: fact for name, fact in facts.items() if known.get(name) != fact}
        if gone or new:
            self._database.write(
                *(_delete(cluster, topic, name) for name in gone),
                *(_insert(cluster, topic, name, fact) for name, fact in new.items()),
            )

    def remember(self, cluster: str, topic: str, name: str, content: Any = None) -> None:
        """Store one entry with the current time."""
        self._database.write(_insert(cluster, topic, name, Fact(self._now(), content)))

    def forget(self, cluster: str, topic: str, names: Iterable[str]) -> None:
        """Delete these entries."""
        statements = [_delete(cluster, topic, name) for name in names]
        if statements:
            self._database.write(*statements)


def _insert(cluster: str, topic: str, name: str, fact: Fact) -> tuple[str, dict[str, Any]]:
    statement = (
        "INSERT INTO memory VALUES (:cluster, :topic, :name, :at, :content) "
        "ON CONFLICT DO UPDATE SET at = excluded.at, content = excluded.content"
    )
    values = {"cluster": cluster, "topic": topic, "name": name, "at": fact.at, "content": to_json(fact.content)}
    return statement, values


def _delete(cluster: str, topic: str, name: str) -> tuple[str, dict[str, Any]]:
    statement = "DELETE FROM memory WHERE cluster = :cluster AND topic = :topic AND name = :name"
    return statement, {"cluster": cluster, "topic": topic, "name": name}
