"""What the agent has to know again after a restart: small facts by cluster, topic and name, each with its time.

Since when something differs, how often it was put right, which plans are approved, when a login was refused. `agent`
says what the topics are; here is only where they are kept. Losing them costs comfort and never a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.ledger.database import Database
from reconciler.ledger.records import to_json


class Fact(NamedTuple):
    """Something remembered: since when, and what."""

    at: float  # seconds since the epoch
    content: Any


class AgentState:
    """The table of facts; safe to use from several threads."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def facts(self, cluster: str, topic: str) -> Mapping[str, Fact]:
        """Return what is remembered of *cluster* under *topic*, by name."""
        if self._database.read_only and not self._database.read("SELECT name FROM sqlite_master WHERE name = 'memory'"):
            return {}
        query = "SELECT name, at, content FROM memory WHERE cluster = ? AND topic = ? ORDER BY name"
        rows = self._database.read(query, cluster, topic)
        return {row["name"]: Fact(row["at"], json.loads(row["content"])) for row in rows}

    def everywhere(self, topic: str) -> Mapping[tuple[str, str], Fact]:
        """Return what is remembered under *topic* of all clusters, by cluster and name."""
        if not self._there():
            return {}
        query = "SELECT cluster, name, at, content FROM memory WHERE topic = ? ORDER BY cluster, name"
        rows = self._database.read(query, topic)
        return {(row["cluster"], row["name"]): Fact(row["at"], json.loads(row["content"])) for row in rows}

    def _there(self) -> bool:
        """Say whether there is a table: a record that an older version wrote has none until somebody writes."""
        if not self._database.read_only:
            return True
        return bool(self._database.read("SELECT name FROM sqlite_master WHERE name = 'memory'"))

    def keep(self, cluster: str, topic: str, facts: Mapping[str, Fact]) -> None:
        """Make *facts* all that is remembered of *cluster* under *topic*; writes only where that is a difference."""
        known = self.facts(cluster, topic)
        gone = [name for name in known if name not in facts]
        new = {name: fact for name, fact in facts.items() if known.get(name) != fact}
        if gone or new:
            self._database.write(
                *(_forgetting(cluster, topic, name) for name in gone),
                *(_remembering(cluster, topic, name, fact) for name, fact in new.items()),
            )

    def remember(self, cluster: str, topic: str, name: str, content: Any = None) -> None:
        """Remember one fact, from now on."""
        self._database.write(_remembering(cluster, topic, name, Fact(self._now(), content)))

    def forget(self, cluster: str, topic: str, names: Iterable[str]) -> None:
        """Remember these no longer."""
        statements = [_forgetting(cluster, topic, name) for name in names]
        if statements:
            self._database.write(*statements)


def _remembering(cluster: str, topic: str, name: str, fact: Fact) -> tuple[str, dict[str, Any]]:
    statement = (
        "INSERT INTO memory VALUES (:cluster, :topic, :name, :at, :content) "
        "ON CONFLICT DO UPDATE SET at = excluded.at, content = excluded.content"
    )
    values = {"cluster": cluster, "topic": topic, "name": name, "at": fact.at, "content": to_json(fact.content)}
    return statement, values


def _forgetting(cluster: str, topic: str, name: str) -> tuple[str, dict[str, Any]]:
    statement = "DELETE FROM memory WHERE cluster = :cluster AND topic = :topic AND name = :name"
    return statement, {"cluster": cluster, "topic": topic, "name": name}
