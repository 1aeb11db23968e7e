"""The values of a plan. The planner makes them; apply, the ledger and all renderers read them."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from reconciler.diff import FieldChange
from reconciler.kinds.freeze import Window
from reconciler.model import Address, ClusterIdentity, Level, Note, Reason
from reconciler.plan.consent import FREEZE, Consent, ConsentSource, missing
from reconciler.plan.impacts import LOCKS_OUT, Impacted, count


class Action(enum.Enum):
    """What a change does; the value is the mark shown to the user."""

    CREATE = "+"
    UPDATE = "~"
    REPLACE = "-/+"
    DELETE = "-"
    FORGET = "."


class Limits(Protocol):
    """How much one plan may change."""

    @property
    def update_percent(self) -> int: ...

    @property
    def update_floor(self) -> int: ...


class UsualLimits(NamedTuple):
    """At most 30 % of the declared objects of a cluster, where there are at least 10 of them."""

    update_percent: int = 30
    update_floor: int = 10


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a plan, besides the manifests."""

    prune: bool = False  # delete owned objects that are no longer declared
    allow_destroy: frozenset[str] = frozenset()  # addresses whose delete or replacement is consented to
    allow_impact: frozenset[tuple[str, str]] = frozenset()  # (address, class of impact) that is consented to
    allowed_impacts: Mapping[str, Collection[str]] = field(default_factory=dict)  # by cluster, of its operator: what
    # manifests may consent to by themselves; a cluster that is not listed has no limit
    ignore_freeze: frozenset[str] = frozenset()  # addresses that may be changed in windows of their manifests
    ignored_freezes: frozenset[str] = frozenset()  # clusters that may be changed in their own freeze windows
    targets: tuple[str, ...] = ()  # only these and what they need; names may hold * and ?
    excludes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=UsualLimits)
    adopt: frozenset[str] = frozenset()  # addresses whose object is taken over although another uid is owned
    replace: frozenset[str] = frozenset()  # addresses whose object is deleted and created again
    resend_secrets: frozenset[str] = frozenset()  # addresses whose secrets are sent although they seem unchanged
    previous: frozenset[Address] = frozenset()  # declared by an earlier revision: owned, if `prune` finds no manifest
    pinned_ports: Mapping[Address, int] = field(default_factory=dict)  # chosen by an earlier plan of the same run


class SourceLocation(NamedTuple):
    """Where a resource is declared."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan."""

    action: Action
    address: Address
    number: int = 0  # 1, 2, … in the order of execution; 0 until the planner has ordered the changes
    fields: tuple[FieldChange, ...] = ()  # what the user is shown
    body: Mapping[str, Any] = field(default_factory=dict)  # what is sent, in spec form: names, valueFrom
    after: tuple[int, ...] = ()  # numbers of the changes that must be done first
    uid: int | str | None = None  # of the live object; None for a create, and for an update of what the plan creates
    rests_on: Mapping[str, Any] | None = None  # the live values (canonical, secrets left out) it was decided from
    fingerprint: str = ""  # of uid, created_time and rests_on
    reason: Reason = Reason.NONE  # where the fields alone do not say it
    details: tuple[str, ...] = ()  # of the reason
    other_clusters: tuple[str, ...] = ()  # that it also writes to: its object has, or gets, members there
    renamed_from: str = ""  # the live name; the body has no name, the address has the new one
    created: str = ""  # the live object's created_time; with its uid, its identity
    impacts: tuple[Impacted, ...] = ()  # effects on traffic, data and the access of this tool; the worst first
    protected: bool = False  # destroys what its manifest protects: only a flag consents to it
    consents: tuple[Consent, ...] = ()  # that were given to it, by a manifest or by flags
    freeze: tuple[Window, ...] = ()  # when its manifest forbids it
    source: SourceLocation | None = None  # where it is declared; no part of the digest

    @property
    def impact(self) -> str:
        """The worst impact: a class of `vocabulary.IMPACTS`."""
        return self.impacts[0].impact if self.impacts else "none"

    @property
    def may_lock_out(self) -> bool:
        """Whether it may lock out the management account: it runs last, and alone on its cluster."""
        return any(one.impact == LOCKS_OUT for one in self.impacts)

    @property
    def unconsented(self) -> tuple[str, ...]:
        """What still needs consent: classes of impact, and `consent.DESTROY` for a protected object."""
        given = (one.to for one in self.consents if one.source is not ConsentSource.BEYOND_LIMIT)
        return missing(self.impacts, given, protected=self.protected)

    @property
    def consented_beyond_limit(self) -> bool:
        """Whether what it lacks is consented to by its manifest, beyond what the operator lets manifests consent to."""
        given = (one.to for one in self.consents)
        return bool(self.unconsented) and not missing(self.impacts, given, protected=self.protected)

    @property
    def ignores_freeze(self) -> bool:
        """Whether it may be made in a freeze window of its manifest."""
        return any(one.to == FREEZE for one in self.consents)

    @property
    def creates(self) -> bool:
        """Whether a new object is created."""
        return self.action in (Action.CREATE, Action.REPLACE)

    @property
    def introduces(self) -> bool:
        """Whether the name of *address* leads to its object only once this is done."""
        return self.creates or bool(self.renamed_from)

    @property
    def writes(self) -> bool:
        """Whether a body is sent."""
        return self.creates or self.action is Action.UPDATE

    @property
    def is_second_step(self) -> bool:
        """Whether it sets the fields of an object that the same plan creates before."""
        return self.action is Action.UPDATE and self.uid is None

    @property
    def identity(self) -> tuple[str, str, int | str | None]:
        """What distinguishes the live object from all others; its name does not."""
        return self.address.cluster, self.address.kind, self.uid

    @property
    def live_address(self) -> Address:
        """The address with the name that the object has now."""
        return self.address._replace(name=self.renamed_from) if self.renamed_from else self.address


class ClusterFailure(NamedTuple):
    """A cluster of the run that the plan does not cover."""

    cluster: str
    error: str  # the class of the error
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply would do: a value with stable bytes."""

    changes: tuple[Change, ...]
    notes: tuple[Note, ...] = ()
    unchanged: int = 0  # declared objects that are as declared
    clusters: tuple[str, ...] = ()
    identities: Mapping[str, ClusterIdentity] = field(default_factory=dict)  # of clusters that report one
    present: Mapping[str, int] = field(default_factory=dict)  # by cluster: declared objects that exist there
    failures: tuple[ClusterFailure, ...] = ()  # clusters of the run that could not be planned
    ignored_freezes: tuple[str, ...] = ()  # clusters whose freeze windows in the project file do not hold it

    @property
    def addresses(self) -> set[Address]:
        """What it changes or has notes on."""
        return {change.address for change in self.changes} | {note.address for note in self.notes}

    @property
    def several(self) -> bool:
        """Whether the run covers several clusters: output then names the cluster of each object."""
        return len(self.clusters) + len(self.failures) > 1

    @property
    def held(self) -> int:
        """The number of objects that are not changed in this run and may differ from their manifests."""
        return len({note.address for note in self.notes if note.level is Level.HELD})

    @property
    def unexpectedly_held(self) -> frozenset[Address]:
        """What is held, except what was declared to be: suspended, or in a freeze window; and what refers to it."""
        return unexpected(self.notes, ())

    @property
    def in_progress(self) -> tuple[Note, ...]:
        """The notes on objects that a cluster is still working on."""
        return tuple(note for note in self.notes if note.reason in (Reason.IN_PROGRESS, Reason.BEING_DELETED))

    @property
    def impact(self) -> dict[str, int]:
        """How many changes have each class of impact, the worst first; a change with two counts in both."""
        return count(change.impacts for change in self.changes)


_DECLARED = (Reason.SUSPENDED, Reason.FROZEN, Reason.AFTER_FROZEN)
_FOLLOWS = (Reason.NEEDS_HELD, Reason.NEEDS_MISSING)  # their detail is what is referred to


def unexpected(notes: Iterable[Note], declared: Iterable[Address]) -> frozenset[Address]:
    """Return what is held by *notes* and not declared to be: neither suspended nor frozen, nor in *declared*."""
    held = [note for note in notes if note.level is Level.HELD]
    expected = {*declared, *(note.address for note in held if note.reason in _DECLARED)}
    while True:
        names = {f"{address.cluster}:{address.kind}/{address.name}" for address in expected}
        more = {note.address for note in held if note.reason in _FOLLOWS and _needed(note) in names} - expected
        if not more:
            return frozenset(note.address for note in held) - expected
        expected |= more


def _needed(note: Note) -> str:
    """Return what the object of *note* refers to, always with the cluster."""
    name = note.details[0]
    return name if ":" in name.partition("/")[0] else f"{note.address.cluster}:{name}"
