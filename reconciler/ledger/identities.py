"""Which cluster is behind a name: what `Ledger` keys its rows, state ids and locks by, and what a run expects.

A name may lead to another cluster one day: the machine was rebuilt, an address was reused, or one state folder serves
several clusters through environment variables. `session` binds each name of a run to the identity that its cluster
reports. Rows without identity are of an older version, or of a cluster before its bootstrap; they belong to the cluster
that is bound first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from reconciler.ledger.sqlite import Database

_BOUND_TABLES = {"owned": "cluster", "intents": "cluster", "clusters": "name"}


class IdentityRecord(NamedTuple):
    """The cluster that was accepted behind a place (the name of a cluster, or the URL of one without a name)."""

    place: str
    identity: str
    since: float  # seconds since the epoch


class ClusterIdentities:
    """The identities of the clusters of a ledger; safe to use from several threads."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._bound: dict[str, str] = {}

    def of(self, cluster: str) -> str:
        """Return the identity that *cluster* is bound to in this process, "" for none."""
        return self._bound.get(cluster, "")

    def expected(self, places: Iterable[str]) -> str:
        """Return the identity last accepted behind any of *places*, "" where none of them is known."""
        latest = [found[-1] for place in places if (found := self.history(place))]
        return max(latest, key=lambda one: one.since).identity if latest else ""

    def history(self, place: str = "") -> tuple[IdentityRecord, ...]:
        """Return what was accepted behind *place*, or behind all places, oldest first."""
        query = "SELECT place, identity, since FROM identities WHERE :place IN ('', place) ORDER BY since, place"
        return tuple(IdentityRecord(**row) for row in self._database.read(query, {"place": place}))

    def bind(self, cluster: str, identity: str, places: Iterable[str]) -> None:
        """Use *identity* for *cluster* from now on, and expect it behind *places*.

        A ledger that cannot be written remembers it for this process only.
        """
        self._bound[cluster] = identity
        new = [place for place in places if self.expected([place]) != identity]
        if not new or not identity or self._database.read_only:
            return
        accept = (
            "INSERT INTO identities VALUES (:place, :identity, :since) ON CONFLICT DO UPDATE SET since = excluded.since"
        )
        claims = (
            f"UPDATE OR REPLACE {table} SET identity = :identity WHERE {column} = :cluster AND identity = ''"  # noqa: S608
            for table, column in _BOUND_TABLES.items()
        )
        self._database.write(
            *((accept, {"place": place, "identity": identity, "since": self._now()}) for place in new),
            *((claim, {"identity": identity, "cluster": cluster}) for claim in claims),
        )
