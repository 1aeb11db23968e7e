"""Every failure that a user can meet, and the exit code that it ends with.

ReconcilerError            1   anything of ours that is not named below
├── InputError             3   manifests, project file or flags are wrong; carries every problem at once
│   └── SecretMissing      3   a `valueFrom` that gives nothing
├── ClusterError           4   the cluster cannot be reached or refuses
│   ├── Unreachable        4   no node answered
│   ├── Untrusted          4   TLS: unknown CA, wrong name, expired, pin differs
│   ├── Unauthorized       4   401; tried once, since five failures lock the account
│   ├── Forbidden          4   403, a lapsed licence included
│   ├── VersionUnsupported 4   505
│   ├── ReadIncomplete     4   a list could not be read whole: no plan is made from it
│   ├── Rejected           4   400, 404, 406, 409 …: well understood and refused
│   │   └── Busy           4   409 while another change runs; worth another try
│   ├── Ambiguous          4   a write whose outcome is unknown
│   ├── ControlLost        4   our own change was sent, and the cluster does not let us in any more
│   ├── ActionFailed       4   the server accepted a change, worked on it, and failed
│   └── Conflict           4   what we were to create is there already, and is not ours
├── LedgerError            1   our local record cannot be used
│   ├── LedgerUnwritable   1   disk full, read-only …: no write is sent to a cluster
│   └── LedgerCorrupt      1   the record is damaged
├── SourceError            4   where manifests come from gives nothing usable: the last good revision stays
│   ├── SourceStale        4   it could not be fetched: network, login, time
│   ├── SourceRewound      5   the new revision does not descend from the last one
│   ├── SourceEmpty        5   it holds no manifests: never taken for "delete everything"
│   ├── SourceUnverified   5   a commit carries no good signature
│   └── SourceUnsafe       5   it holds what is not read: links, submodules, odd names, too much
├── Refused                5   we decline: unsafe, stale, protected, locked
│   ├── PlanStale          5
│   ├── ChangedUnderneath  5   one object moved between the plan and its write
│   ├── PlanTooLarge       5
│   ├── DestroyProtected   5
│   ├── ImpactRefused      5
│   ├── InFreezeWindow     5
│   └── Locked             5
├── AppliedInPart          6   some changes are done, some are not
└── Interrupted          130   Ctrl-C or SIGTERM, at a safe boundary
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong with the input: where it is, what it is, what to do."""

    file: str
    line: int  # counted from 1; 0 where a whole file is meant
    column: int  # counted from 1; 0 where a whole file is meant
    path: str  # place in the document, such as "spec.memory_size"; "" where it has none
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}:{path} {self.message}{hint}"


class ReconcilerError(Exception):
    """The root of everything that we raise on purpose."""

    exit_code = 1


class InputError(ReconcilerError):
    """What the user wrote cannot be used; *problems* has all of it, in reading order."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class SecretMissing(InputError):
    """A `valueFrom` names a source that gives no value."""


class ClusterError(ReconcilerError):
    """The cluster cannot be reached, or does not do what was asked."""

    exit_code = 4
    cluster = ""  # which one, as the project calls it, where a call to it brought this


class Unreachable(ClusterError):
    """No configured node gave a usable answer; nothing was sent or nothing took effect."""


class Untrusted(ClusterError):
    """The TLS handshake failed; no credential was sent."""


class Unauthorized(ClusterError):
    """401. Never retried: by default five failed logins in 15 minutes lock the account."""


class Forbidden(ClusterError):
    """403: the account lacks the permission, or the licence has lapsed."""


class VersionUnsupported(ClusterError):
    """505: the server does not speak the version that was asked for."""


class ReadIncomplete(ClusterError):
    """A read gave garbage or only a part, after every retry."""


class Rejected(ClusterError):
    """The server understood the request and refused it."""

    def __init__(self, message: str, *, status: int = 0, error_code: str = "", description: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.description = description


class Busy(Rejected):
    """409 because another change of the same object is under way."""


class Ambiguous(ClusterError):
    """A write was sent and no clean answer came back: it may have taken effect."""


class ControlLost(ClusterError):
    """A change that may cut us off was sent, and since then the cluster cannot be reached or refuses us."""


class ActionFailed(ClusterError):
    """The server accepted a change and later reported that it failed."""


class Conflict(ClusterError):
    """What a create was to make exists already, and nothing proves that it is ours."""


class LedgerError(ReconcilerError):
    """Our local record cannot be used."""


class LedgerUnwritable(LedgerError):
    """An intent cannot be made durable, so the write that it announces is not sent."""


class LedgerCorrupt(LedgerError):
    """The record is damaged, or written by a later version."""


class SourceError(ReconcilerError):
    """Where manifests come from gives nothing that can be used; what was good last stays in force."""

    exit_code = 4


class SourceStale(SourceError):
    """The source could not be fetched: network, certificate, login or time."""


class SourceRewound(SourceError):
    """The new revision does not descend from the last accepted one: history was rewritten, or a tag moved."""

    exit_code = 5

    def __init__(self, message: str, *, old: str = "", new: str = "") -> None:
        super().__init__(message)
        self.old = old
        self.new = new


class SourceEmpty(SourceError):
    """The revision holds no manifests, or not the folder that they are to be in."""

    exit_code = 5


class SourceUnverified(SourceError):
    """A commit between the last accepted revision and the new one carries no good signature."""

    exit_code = 5


class SourceUnsafe(SourceError):
    """The revision holds what is not read: links, submodules, odd names, or more than the limits allow."""

    exit_code = 5


class Refused(ReconcilerError):
    """We decline to go on, because going on could do harm."""

    exit_code = 5


class PlanStale(Refused):
    """The cluster moved after the plan was made."""


class ChangedUnderneath(Refused):
    """One object differs from what its change was decided from; nothing was sent for it."""


class PlanTooLarge(Refused):
    """The plan is over a safety limit."""


class DestroyProtected(Refused):
    """Something protected would be destroyed without consent."""


class ImpactRefused(Refused):
    """An update would lose data, our own access, or something else for good, and nobody has agreed to that."""


class InFreezeWindow(Refused):
    """A manifest forbids the change at this time."""


class Locked(Refused):
    """Somebody else is applying to the same cluster."""


class AppliedInPart(ReconcilerError):
    """Some changes are done and some are not; the report says which."""

    exit_code = 6


class Interrupted(ReconcilerError):
    """Stopped on request, at a boundary from which the next run goes on."""

    exit_code = 130
