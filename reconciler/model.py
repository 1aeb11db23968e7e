"""Value types that the whole program shares: what a resource is called, and what a cluster holds.

Values only. `live` makes `LiveState`, the planner compares it, the ledger keeps `Owned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.kinds.server_schema import ServerSchema
from reconciler.kinds.versions import ServerVersion


class Address(NamedTuple):
    """Names one resource: `Database/sessions`, with a cluster `dc1:Database/sessions`."""

    cluster: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}:{self.kind}/{self.name}" if self.cluster else f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class LiveObject:
    """One object read from a cluster, in the form of a manifest's spec."""

    kind: str
    uid: int | str
    name: str
    spec: Mapping[str, Any]  # canonical; names instead of uids; secrets left out; only the fields that were read
    status: str = ""  # the kind's wait field, as "active"; "" for kinds without one
    builtin: bool = False
    owner: str = ""  # who else manages it, such as "a Kubernetes operator"; "" = nobody that we know of
    ourselves: bool = False  # this tool logs in as it
    operation: str = ""  # op id that our create put on it, "" = none
    created: str = ""  # the server's created_time; part of its identity
    addresses: tuple[str, ...] = ()  # HOST:PORT under which clients reach it
    unset: frozenset[str] = frozenset()  # secrets that read back as empty, where a set one reads back as a mask


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a plan must know; *level* is "held" (never touched, with the reason) or "warning"."""

    level: str
    address: Address
    message: str


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything that one plan needs of one cluster."""

    cluster: str
    objects: Mapping[str, tuple[LiveObject, ...]]  # by kind name, ordered by uid
    taken_ports: frozenset[int] = frozenset()  # only where ports had to be read: used and reserved ones
    state_id: int = 0  # highest cluster-state-id seen
    unborn: bool = False  # its machines are idle: there is no cluster yet, and nothing in it can be read
    notes: tuple[Note, ...] = ()  # of the reading: an object that made no sense is held, by name, or "" if unknown
    version: ServerVersion | None = None  # what it runs; None where it does not say
    schemas: Mapping[str, ServerSchema] = field(default_factory=dict)  # by kind: what it says of such objects itself
    measured: Mapping[tuple[str, int | str], Mapping[str, float]] = field(default_factory=dict)  # by kind, uid; figure

    def figures(self, kind: str, uid: int | str) -> Mapping[str, float]:
        """Return what was measured of one object, by name."""
        return self.measured.get((kind, uid), {})


class Owned(NamedTuple):
    """What the ledger knows of an object that we created or adopted."""

    uid: int | str
    created: str  # the server's created_time, "" where it gives none
    fields: Mapping[str, Any]  # last applied spec, canonical, without secrets
