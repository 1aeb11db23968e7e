"""Shared value types: addresses, live objects, live and observed state, notes and their reasons.

Values only. `live` makes `LiveState`, the planner compares it, the ledger stores `Owned`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.errors import Problem
from reconciler.kinds.server_schema import ServerSchema
from reconciler.kinds.versions import ServerVersion


class Address(NamedTuple):
    """Names one resource: `Database/sessions`, with a cluster `dc1:Database/sessions`."""

    cluster: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}:{self.kind}/{self.name}" if self.cluster else f"{self.kind}/{self.name}"


class ClusterIdentity(NamedTuple):
    """What distinguishes a cluster from all others, as it reports it: names and URLs may lead to another one later."""

    name: str  # its FQDN, set once
    created: str  # its created_time

    def __str__(self) -> str:
        return f"{self.name} (created {self.created})"


@dataclass(frozen=True, slots=True)
class LiveObject:
    """One object read from a cluster, in the form of a manifest's spec."""

    kind: str
    uid: int | str
    name: str
    spec: Mapping[str, Any]  # canonical; names instead of uids; secrets left out; only the fields that were read
    status: str = ""  # the kind's wait field, as "active"; "" for kinds without one
    builtin: bool = False
    owner: str = ""  # who else manages it, such as "a Kubernetes operator"; "" = unknown
    ourselves: bool = False  # this tool logs in as it
    operation: str = ""  # op id that our create put on it, "" = none
    created: str = ""  # the server's created_time; part of its identity
    addresses: tuple[str, ...] = ()  # HOST:PORT under which clients reach it
    unset: frozenset[str] = frozenset()  # secrets that read back as empty, where a set one reads back as a mask

    @property
    def is_being_deleted(self) -> bool:
        return "delete" in self.status


class Reason(enum.Enum):
    """Why a change is planned, an object is held, or a person is warned. The text of each is in `render.reasons`.

    The values are written to plan files and JSON output, and do not change. A comment names the details that go with
    a reason.
    """

    # of a change
    NONE = ""  # the fields say it
    ABSENT = "declared-absent"
    ABSENT_GONE = "declared-absent-already-gone"
    ABSENT_UNSET = "declared-absent-not-set"
    CANNOT_DELETE = "cannot-delete"  # kind
    ESSENTIAL = "essential"
    MOVED = "moved"  # new address
    NAME_REUSED = "name-reused"
    ALREADY_GONE = "already-gone"
    NOW_CALLED = "now-called"  # name
    UNDECLARED = "no-longer-declared"
    UNDECLARED_BUILTIN = "no-longer-declared-builtin"
    UNDECLARED_MANAGED = "no-longer-declared-managed-elsewhere"  # owner
    UNDECLARED_SETTINGS = "no-longer-declared-settings-kept"
    UNDECLARED_CANNOT_DELETE = "no-longer-declared-cannot-delete"  # kind
    UNDECLARED_ESSENTIAL = "no-longer-declared-essential"
    IMMUTABLE = "immutable-field"  # fields
    REPLACE_REQUESTED = "replace-requested"
    REPLACE_FAILED = "replace-failed"  # status
    REFERENCE_REPLACED = "reference-replaced"  # what is replaced; its new address, or ""
    REFERENCE_CREATED = "reference-created"  # what is created; its address
    SECOND_STEP = "second-step"  # what it refers to
    RECREATED = "replacement-unfinished"
    LEAVES_CLUSTER = "leaves-cluster"  # clusters; "forced" or ""

    # of an object that is held
    DUPLICATE = "declared-more-than-once"  # count
    CLUSTER_NOT_READ = "cluster-not-read"
    KIND_UNREADABLE = "kind-unreadable"
    SUSPENDED = "suspended"
    FROZEN = "frozen"  # window, end
    AFTER_FROZEN = "after-frozen"  # what is held
    AMBIGUOUS_NAME = "ambiguous-name"  # count, uids
    BUILTIN = "builtin"
    MANAGED = "managed-elsewhere"  # owner
    FAILED = "failed-state"  # status, address
    IN_PROGRESS = "in-progress"  # status
    ENDS_ACCESS = "ends-access-of-this-tool"  # what its access rests on, field
    BEING_DELETED = "being-deleted"  # status
    RENAMED_OUTSIDE = "renamed-outside"  # uid, its name now, its owned name
    RECREATED_OUTSIDE = "recreated-outside"  # uid now, owned uid, address
    NAME_TAKEN_OUTSIDE = "name-taken-outside"  # owned uid, its name now, its owned name, uid that has that name now
    ADOPT_ONLY = "adopt-only"  # kind
    READ_ONLY_KIND = "kind-cannot-be-updated"  # kind
    CANNOT_REPLACE = "cannot-be-replaced"  # fields, kind
    NO_FREE_PORT = "no-free-port"  # first, last
    PORT_RESERVED = "port-reserved"  # port
    NO_MEMORY = "no-memory"  # needed by all creates, used by what stays, of all nodes
    NO_SHARDS = "no-shards"  # needed, left
    VALUE_TAKEN = "value-taken"  # what, value, holder
    VALUE_FREED_LATER = "value-freed-later"  # what, value
    NEEDS_ABSENT_CLUSTER = "needs-absent-cluster"  # reference, clusters, why
    SPANS_ABSENT_CLUSTER = "spans-absent-cluster"  # clusters, why
    AMBIGUOUS_REFERENCE = "ambiguous-reference"  # count, reference
    NEEDS_MISSING = "needs-missing"  # reference
    NEEDS_HELD = "needs-held"  # reference
    REFERRERS_UNREADABLE = "referrers-unreadable"
    STILL_REFERENCED = "still-referenced"  # who refers to it
    REFERENCED_UNMANAGED = "referenced-by-unmanaged"  # who refers to it
    NAMELESS = "nameless"  # id, key fields

    # of an object that is held until --resend-secret names it: nothing else of it differs
    SECRET_UNKNOWN = "secret-not-comparable"  # path, address  # noqa: S105
    WRITE_ONLY_UNKNOWN = "write-only-not-comparable"  # path, address

    # of a warning
    RENAME_SOURCE_EXISTS = "rename-source-exists"  # old name
    MAYBE_RENAMED = "maybe-renamed"  # name of the other object, fields that both have
    ABSENT_CANNOT_DELETE = "declared-absent-cannot-delete"  # kind
    ABSENT_ESSENTIAL = "declared-absent-essential"
    WOULD_PRUNE = "would-prune"  # delete or forget
    IMMUTABLE_UNKNOWN = "immutable-field-unknown"  # field
    SECRET_MISSING = "secret-not-available"  # path, why  # noqa: S105
    UNUSUALLY_SMALL = "unusually-small"  # field, value with its unit, usual minimum
    DEPRECATED = "deprecated"  # path, what the version table says
    UNDOCUMENTED = "undocumented"  # path, what the version table says
    SCHEMA_DISAGREES = "server-schema-disagrees"  # path, what it says
    DATA_GIVEN_UP = "data-given-up"  # cluster, request
    WAITS_FOR_CLUSTER = "waits-for-cluster"  # count
    PREVIOUS_AMBIGUOUS = "previous-ambiguous-name"  # count, uids
    PREVIOUS_BUILTIN = "previous-builtin"
    PREVIOUS_MANAGED = "previous-managed-elsewhere"  # owner
    NOT_IN_LEDGER = "not-in-ledger"  # delete, replace or update
    REJECTED = "rejected-by-dry-run"  # the server's words
    CAPACITY_UNKNOWN = "replacement-capacity-unknown"
    NOT_VALIDATED = "replacement-not-validated"  # kind

    # of drift
    NOT_APPLIED = "not-applied"
    REMOVED_OUTSIDE = "removed-outside"
    NEVER_APPLIED = "never-applied"
    DECLARED_NEW = "declared-since-last-apply"
    DECLARED_CHANGED = "declared-value-changed"
    CHANGED_BOTH = "changed-on-both-sides"
    CHANGED_OUTSIDE = "changed-outside"
    SENT_ALONG = "sent-along"


NOT_COMPARABLE = frozenset({Reason.SECRET_UNKNOWN, Reason.WRITE_ONLY_UNKNOWN})


class Level(enum.Enum):
    """The level of a note."""

    HELD = "held"  # the object is not changed in this run
    WARNING = "warning"
    OBJECTION = "objection"  # a cluster would reject the change


class Note(NamedTuple):
    """A remark on one object of a plan."""

    level: Level
    address: Address
    reason: Reason
    details: tuple[str, ...] = ()


class Offer(NamedTuple):
    """What a cluster can give new databases; None and empty: not known."""

    memory: int | None = None  # bytes of all nodes, where the limits of databases count
    database_versions: frozenset[str] = frozenset()
    modules: Mapping[str, str] = MappingProxyType({})  # by name: the name that people know
    shards_left: int | None = None  # by the licence


UNKNOWN_OFFER = Offer()


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything that one plan needs of one cluster."""

    cluster: str
    objects: Mapping[str, tuple[LiveObject, ...]]  # by kind name, ordered by uid
    taken_ports: frozenset[int] = frozenset()  # only where ports had to be read: used and reserved ones
    offer: Offer = UNKNOWN_OFFER  # only where databases are to be created
    reserved_ports: frozenset[int] = frozenset()  # those of them that no database may have
    state_id: int = 0  # highest cluster-state-id seen
    bootstrapped: bool = True  # False: the cluster does not exist yet
    identity: ClusterIdentity | None = None  # None where it reports none
    notes: tuple[Note, ...] = ()  # of unreadable objects, which are held; name "" if unknown
    version: ServerVersion | None = None  # None where it is unknown
    schemas: Mapping[str, ServerSchema] = field(default_factory=dict)  # by kind: the JSON schema that it serves
    access: frozenset[str] = frozenset()  # what the access of this tool rests on, where the plan may end it
    measured: Mapping[tuple[str, int | str], Mapping[str, float]] = field(default_factory=dict)  # by kind, uid; figure
    unreadable: Mapping[str, str] = field(default_factory=dict)  # optional kinds that could not be read, and why

    def figures(self, kind: str, uid: int | str) -> Mapping[str, float]:
        """Return what was measured of one object, by name."""
        return self.measured.get((kind, uid), {})


class Owned(NamedTuple):
    """The ledger entry of an object that was created or adopted."""

    uid: int | str
    created: str  # the server's created_time, "" where it gives none
    fields: Mapping[str, Any]  # last applied spec, canonical, without secrets
    made: bool = False  # this tool created it: what it never set there was not set
    inherited: bool = False  # not in the ledger: an earlier revision declared it

    def is_of(self, live: LiveObject) -> bool:
        """Return whether *live* is the object of this entry: names and uids may be reused."""
        return str(self.uid) == str(live.uid) and not (self.created and live.created and self.created != live.created)


class Observed(NamedTuple):
    """The observed state of one plan: clusters, ledger, and whether secrets changed since they were sent."""

    live: Mapping[str, LiveState]  # by cluster
    owned: Mapping[Address, Owned] = MappingProxyType({})
    secrets: Mapping[tuple[Address, str], str] = MappingProxyType(
        {}
    )  # by path: "same", "changed", "unknown", "missing", "gone"
    started_ports: Mapping[Address, int] = MappingProxyType({})  # of creates whose outcome is still unknown
    absent: Mapping[str, str] = MappingProxyType({})  # by cluster of the project that is not part of this run: why
    unavailable: Mapping[tuple[Address, str], Problem] = MappingProxyType({})  # why a secret is "missing", by path
    unfinished_replacements: frozenset[Address] = frozenset()  # deleted by an earlier run, unless they are live

    def objects(self) -> dict[Address, LiveObject]:
        """Return all live objects by address."""
        return {
            Address(state.cluster, kind, one.name): one
            for state in self.live.values()
            for kind, objects in state.objects.items()
            for one in objects
        }
