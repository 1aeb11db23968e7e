"""The errors that users see, and the exit code of each.

ReconcilerError            1   any error that is not listed below
├── InputError             3   manifests, project file or flags are wrong; has every problem
│   └── SecretMissing      3   a `valueFrom` without a value
├── ClusterError           4   the cluster is unreachable or refuses
│   ├── Unreachable        4   no node answered
│   ├── Untrusted          4   TLS: unknown CA, wrong name, expired, pin differs
│   ├── Unauthorized       4   401; tried once, since five failures lock the account
│   ├── Forbidden          4   403, a lapsed licence included
│   ├── VersionUnsupported 4   505
│   ├── ReadIncomplete     4   a list could not be read completely: no plan is made from it
│   ├── Rejected           4   400, 404, 406, 409 …: the server rejected a request
│   │   └── Busy           4   409 while another change runs; can be retried
│   ├── Ambiguous          4   a write whose outcome is unknown
│   ├── ControlLost        4   a change locked out the management account
│   ├── ActionFailed       4   the server accepted a change and failed to complete it
│   │   └── CreationFailed 4   it accepted a create and failed: the object has to be replaced
│   └── Conflict           4   the object to create exists already and is unmanaged
├── ClustersFailed         4   none of several clusters can be used; the code of the failures where they agree
├── LedgerError            1   the ledger cannot be used
│   ├── LedgerUnwritable   1   disk full, read-only …: no write is sent to a cluster
│   └── LedgerCorrupt      1   the ledger is corrupt
├── SourceError            4   the source gives nothing usable: the last good revision stays
│   ├── SourceStale        4   the source could not be fetched: network, login, timeout
│   ├── SourceRewound      5   the new revision does not descend from the last one
│   ├── SourceEmpty        5   it has no manifests; does not mean "delete everything"
│   ├── SourceUnverified   5   a commit has no valid signature
│   └── SourceUnsafe       5   it has content that is not read: links, submodules, unusual names, too much
├── Refused                5   refused by this tool: unsafe, stale, protected, locked
│   ├── PlanStale          5
│   ├── ClusterIncarnationChanged 5   another cluster, or a rebuilt one, is behind a known name
│   ├── ChangedUnderneath  5   an object changed between the plan and its write
│   ├── PlanTooLarge       5
│   ├── ImpactRefused      5
│   └── Locked             5
├── AppliedInPart          6   partially applied
└── Interrupted          130   Ctrl-C or SIGTERM, at a safe boundary
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong with the input: where, what, and how to fix it."""

    file: str
    line: int  # counted from 1; 0 for the whole file
    column: int  # counted from 1; 0 for the whole file
    path: str  # place in the document, such as "spec.memory_size"; "" where it has none
    message: str
    hint: str = ""
    cluster: str = ""  # where it is a problem of one cluster only

    def __str__(self) -> str:
        file = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in self.file)  # a name may hold anything
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        path = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}:{path} {self.message}{hint}"


class ReconcilerError(Exception):
    """The base of all errors that are raised on purpose."""

    exit_code = 1


class InputError(ReconcilerError):
    """The input is invalid; *problems* lists all problems, in reading order."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class SecretMissing(InputError):
    """A `valueFrom` names a source without a value."""


class ClusterError(ReconcilerError):
    """The cluster is unreachable, or does not execute a request."""

    exit_code = 4
    cluster = ""  # its name in the project, where a call to it failed


class Unreachable(ClusterError):
    """No configured node gave a usable answer; nothing was sent or nothing took effect."""


class Untrusted(ClusterError):
    """The TLS handshake failed; no credential was sent."""


class Unauthorized(ClusterError):
    """401. Never retried: by default five failed logins in 15 minutes lock the account."""


class Forbidden(ClusterError):
    """403: the account lacks the permission, or the licence has lapsed."""


class VersionUnsupported(ClusterError):
    """505: the server does not support the requested version."""


class ReadIncomplete(ClusterError):
    """The response of a read was malformed or incomplete, after all retries."""


class Rejected(ClusterError):
    """The server rejected the request."""

    def __init__(self, message: str, *, status: int = 0, error_code: str = "", description: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.description = description


class Busy(Rejected):
    """409 because another change of the same object is in progress."""


class Ambiguous(ClusterError):
    """A write was sent without a clear response: it may have taken effect."""


class ControlLost(ClusterError):
    """A change that may lock out the management account was sent, and the cluster is unreachable or refuses since."""


class ActionFailed(ClusterError):
    """The server accepted a change and later reported that it failed."""


class CreationFailed(ActionFailed):
    """The server accepted a create and could not complete it: what it left has to be replaced."""


class Conflict(ClusterError):
    """The object to create exists already, and nothing shows that this tool created it."""


class ClustersFailed(ReconcilerError):
    """None of several clusters can be used; *failures* has the error of each."""

    def __init__(self, failures: Mapping[str, ReconcilerError]) -> None:
        super().__init__(f"none of the {len(failures)} clusters can be used; the error of each is above")
        codes = {error.exit_code for error in failures.values()}
        self.failures = dict(failures)
        self.exit_code = codes.pop() if len(codes) == 1 else ClusterError.exit_code


class LedgerError(ReconcilerError):
    """The ledger cannot be used."""


class LedgerUnwritable(LedgerError):
    """An intent cannot be stored, so its write is not sent."""


class LedgerCorrupt(LedgerError):
    """The ledger is corrupt, or was written by a later version."""


class SourceError(ReconcilerError):
    """The source gives nothing usable; the last good revision stays in force."""

    exit_code = 4


class SourceStale(SourceError):
    """The source could not be fetched: network, certificate, login or timeout."""


class SourceRewound(SourceError):
    """The new revision does not descend from the last accepted one: history was rewritten, or a tag moved."""

    exit_code = 5

    def __init__(self, message: str, *, old: str = "", new: str = "") -> None:
        super().__init__(message)
        self.old = old
        self.new = new


class SourceEmpty(SourceError):
    """The revision has no manifests, or lacks their folder."""

    exit_code = 5


class SourceUnverified(SourceError):
    """A commit between the last accepted revision and the new one has no valid signature."""

    exit_code = 5


class SourceUnsafe(SourceError):
    """The revision has content that is not read: links, submodules, unusual names, or more than the limits allow."""

    exit_code = 5


class Refused(ReconcilerError):
    """This tool refuses to continue, because that could do harm."""

    exit_code = 5


class PlanStale(Refused):
    """The cluster changed after the plan was made."""


class ClusterIncarnationChanged(Refused):
    """Another cluster than before is behind a name or URL: it was rebuilt, or the address leads elsewhere."""


class ChangedUnderneath(Refused):
    """An object changed after its change was planned; nothing was sent for it."""


class PlanTooLarge(Refused):
    """The plan is over a safety limit."""


class ImpactRefused(Refused):
    """A change has an impact that needs consent, and there is none."""


class Locked(Refused):
    """Another process is applying to the same cluster."""


class AppliedInPart(ReconcilerError):
    """Some changes are done and some are not; the report lists them."""

    exit_code = 6


class Interrupted(ReconcilerError):
    """Stopped on request; the next run continues."""

    exit_code = 130
