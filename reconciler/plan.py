"""Pair desired with live, decide, order, limit: a `Plan` is a value, made by pure code."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.diff import FieldChange
from reconciler.kinds import Address


class Action(enum.Enum):
    """What a change does; the value is the mark shown to the user."""

    CREATE = "+"
    UPDATE = "~"
    REPLACE = "-/+"
    DELETE = "-"
    FORGET = "."


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
    operation: str = ""  # op id that our create put on it, "" = none
    created: str = ""  # the server's created_time; part of its identity


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything that one plan needs of one cluster."""

    cluster: str
    objects: Mapping[str, tuple[LiveObject, ...]]  # by kind name, ordered by uid
    taken_ports: frozenset[int] = frozenset()  # only where ports had to be read: used and reserved ones
    state_id: int = 0  # highest cluster-state-id seen


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a plan must know; *level* is "held" (never touched, with the reason) or "warning"."""

    level: str
    address: Address
    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan."""

    number: int  # 1, 2, … in the order of execution
    action: Action
    address: Address
    fields: tuple[FieldChange, ...]  # what the user is shown
    body: Mapping[str, Any]  # exactly what will be sent, in spec form: names for uids, valueFrom for secrets
    after: tuple[int, ...] = ()  # numbers of the changes that must be done first
    uid: int | str | None = None  # of the live object; None for a create
    rests_on: Mapping[str, Any] | None = None  # the live values (canonical, secrets left out) it was decided from
    fingerprint: str = ""  # of uid and rests_on
    why: str = ""  # where the fields alone do not say: "owned and no longer declared", "type cannot be changed"
    renamed_from: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply would do: a value with stable bytes."""

    changes: tuple[Change, ...]
    notes: tuple[Note, ...] = ()
    unchanged: int = 0  # declared objects that are already right
    clusters: tuple[str, ...] = ()
