"""The texts of reasons: of changes, held objects, warnings and drift. All renderers call this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.model import Note, Reason
from reconciler.plan import Change
from reconciler.plan.drift import Drift

_RESEND = "not sent unless `reconciler apply --resend-secret {1}`"
_BEFORE = "declared at the previous revision and no longer"

_TEXTS: Mapping[Reason, str | Callable[[Sequence[str]], str]] = {
    Reason.NONE: "",
    # changes
    Reason.ABSENT: "declared absent",
    Reason.ABSENT_GONE: "declared absent, and already deleted",
    Reason.ABSENT_UNSET: "declared absent, and not set",
    Reason.CANNOT_DELETE: "the API cannot delete a {0}",
    Reason.ESSENTIAL: "the cluster requires it",
    Reason.MOVED: "now declared as {0}",
    Reason.NAME_REUSED: "no longer declared, and another object has its name",
    Reason.ALREADY_GONE: "no longer declared, and already deleted",
    Reason.NOW_CALLED: "no longer declared, and renamed to {0} outside this tool, which is left unchanged",
    Reason.UNDECLARED: "owned and no longer declared",
    Reason.UNDECLARED_BUILTIN: "no longer declared, and built into the cluster",
    Reason.UNDECLARED_MANAGED: "no longer declared, and managed by {0}",
    Reason.UNDECLARED_SETTINGS: "no longer declared; its settings are kept",
    Reason.UNDECLARED_CANNOT_DELETE: "no longer declared, and the API cannot delete a {0}",
    Reason.UNDECLARED_ESSENTIAL: "no longer declared, and the cluster requires it",
    Reason.IMMUTABLE: "{0} cannot be changed",
    Reason.REPLACE_REQUESTED: "--replace",
    Reason.REPLACE_FAILED: "--replace: the cluster reports {0}, and it holds no data",
    Reason.REFERENCE_REPLACED: lambda details: (
        f"refers to {details[0]}, which is replaced" + (f"; new address: {details[1]}" if details[1] else "")
    ),
    Reason.REFERENCE_CREATED: "refers to {0}, which is created; new address: {1}",
    Reason.SECOND_STEP: "second step: it and {0} refer to each other",
    Reason.RECREATED: "an earlier apply deleted it and did not create its replacement",
    Reason.LEAVES_CLUSTER: lambda details: (
        f"removed from {details[0]}{', by force' if details[1] else ''}, with its data there"
    ),
    # held
    Reason.DUPLICATE: "declared {0} times; not changed",
    Reason.CLUSTER_NOT_READ: "its cluster was not read",
    Reason.KIND_UNREADABLE: "an object of this kind could not be read and may be this one",
    Reason.SUSPENDED: "suspended in its manifest; remove metadata.suspend to resume",
    Reason.FROZEN: "{0}, until {1}",
    Reason.AFTER_FROZEN: "comes after {0}, which is held",
    Reason.AMBIGUOUS_NAME: "{0} live objects have this name (uid {1}); rename or delete all but one",
    Reason.BUILTIN: "built into the cluster; never changed",
    Reason.MANAGED: "managed by {0}; never changed",
    Reason.FAILED: "the cluster reports {0}; repair it, or delete and create it again: reconciler apply --replace {1}",
    Reason.IN_PROGRESS: "in progress: the cluster reports {0}; compared once that is done",
    Reason.ENDS_ACCESS: (
        "{1}: it would end the {0} by which this tool has access, and this tool could not take it back; "
        "give it another login first, or make this change by other means"
    ),
    Reason.BEING_DELETED: "in progress: the cluster reports {0}; created once it is gone",
    Reason.RENAMED_OUTSIDE: (
        "uid {0} is now called {1}, renamed outside this tool; to rename it back, declare metadata.renamedFrom: {1}; "
        "to keep {1}, declare metadata.name: {1} with renamedFrom: {2}"
    ),
    Reason.RECREATED_OUTSIDE: (
        "has uid {0} now, and uid {1}, which is owned, no longer exists: deleted and created again outside this tool; "
        "to take it over, use reconciler apply --adopt {2}"
    ),
    Reason.NAME_TAKEN_OUTSIDE: (
        "uid {0}, which is owned, is now called {1}, and uid {3} has its name; to keep {1}, declare metadata.name: {1} "
        "with renamedFrom: {2}; to rename it back, rename or delete uid {3} first"
    ),
    Reason.ADOPT_ONLY: "does not exist; {0} is adopt-only",
    Reason.READ_ONLY_KIND: "differs, and the API cannot update a {0}",
    Reason.CANNOT_REPLACE: "{0} cannot be changed, and a {1} cannot be replaced",
    Reason.NO_FREE_PORT: "no port from {0} to {1} is free",
    Reason.PORT_RESERVED: "port {0} is taken: the cluster reserves it",
    Reason.NO_MEMORY: (
        "the databases that this plan creates need {0}, others have {1}, and all nodes together have {2} of memory"
    ),
    Reason.NO_SHARDS: "it needs {0} shards, and the licence has {1} left",
    Reason.VALUE_TAKEN: "{0} {1} is taken by {2}",
    Reason.VALUE_FREED_LATER: (
        "needs {0} {1}, which is free only once this change is done; use another value first, in an apply of its own"
    ),
    Reason.NEEDS_ABSENT_CLUSTER: lambda details: f"refers to {details[0]}, and {_absence(*details[1:])}",
    Reason.SPANS_ABSENT_CLUSTER: lambda details: f"spans several clusters; {_absence(*details)}",
    Reason.AMBIGUOUS_REFERENCE: "refers to {1}, and {0} live objects have that name",
    Reason.NEEDS_MISSING: "refers to {0}, which neither exists nor is in this plan",
    Reason.NEEDS_HELD: "refers to {0}, which is held",
    Reason.REFERRERS_UNREADABLE: "not changed: this account cannot read every {0}, which may refer to it",
    Reason.STILL_REFERENCED: "not deleted: still referenced by {0}",
    Reason.REFERENCED_UNMANAGED: "not replaced: {0} would lose its reference; declare it here too, or change it first",
    Reason.NAMELESS: "{0} has no {1} that can be read; no object of this kind is created until it has one",
    Reason.SECRET_UNKNOWN: f"{{0}} cannot be compared (no recorded digest); {_RESEND}",
    Reason.WRITE_ONLY_UNKNOWN: f"{{0}} cannot be read back and was never applied; {_RESEND}",
    # warnings
    Reason.RENAME_SOURCE_EXISTS: "{0} exists too, so renamedFrom is ignored",
    Reason.MAYBE_RENAMED: (
        "a new object; {0}, which is owned and no longer declared, has the same {1}: to rename that one instead, "
        "declare metadata.renamedFrom: {0}"
    ),
    Reason.ABSENT_CANNOT_DELETE: "declared absent, but the API cannot delete a {0}",
    Reason.ABSENT_ESSENTIAL: "declared absent, but the cluster requires it",
    Reason.WOULD_PRUNE: "owned and no longer declared; `reconciler apply --prune` would {0} it",
    Reason.IMMUTABLE_UNKNOWN: "{0} cannot be changed, and the cluster does not report its value; not compared",
    Reason.SECRET_MISSING: "{0} cannot be compared ({1})",
    Reason.UNUSUALLY_SMALL: "{0} is only {1}, less than {2}; check the unit",
    Reason.DEPRECATED: "{0}: {1}",
    Reason.UNDOCUMENTED: "{0}: {1}, according to its documentation; its own schema has it",
    Reason.SCHEMA_DISAGREES: "{0}: the cluster's own schema {1}; it may reject or ignore this",
    Reason.DATA_GIVEN_UP: "the data on {0} is abandoned and stays there; when that cluster is back, purge it: {1}",
    Reason.WAITS_FOR_CLUSTER: lambda details: (
        f"{details[0]} more declared object{' waits' if details[0] == '1' else 's wait'} until the cluster exists"
    ),
    Reason.PREVIOUS_AMBIGUOUS: f"{_BEFORE}, but {{0}} live objects have this name (uid {{1}}); none is deleted",
    Reason.PREVIOUS_BUILTIN: f"{_BEFORE}, but built into the cluster; never changed",
    Reason.PREVIOUS_MANAGED: f"{_BEFORE}, but managed by {{0}}; never changed",
    Reason.CAPACITY_UNKNOWN: (
        "the cluster validates the new object before the old one is deleted; "
        "whether its nodes then have room for it cannot be checked before"
    ),
    Reason.NOT_VALIDATED: (
        "this version cannot validate a {0} before the old one is deleted; if it rejects the new one, neither exists"
    ),
    Reason.NOT_IN_LEDGER: "this would {0} it, and it is not in the ledger: this tool never managed it",
    Reason.REJECTED: "the cluster would reject this: {0}",
    # drift
    Reason.NOT_APPLIED: "declared, not applied yet",
    Reason.REMOVED_OUTSIDE: "applied before, and no longer on the cluster",
    Reason.NEVER_APPLIED: "declared, never applied",
    Reason.DECLARED_NEW: "declared since the last apply",
    Reason.DECLARED_CHANGED: "declared value changed since the last apply",
    Reason.CHANGED_BOTH: "changed on both sides since the last apply",
    Reason.CHANGED_OUTSIDE: "changed on the cluster since the last apply",
    Reason.SENT_ALONG: "sent along with the other changes; the cluster does not show it",
}


def reason_text(reason: Reason, details: Sequence[str] = ()) -> str:
    """Return *reason* in words, "" for `Reason.NONE`. The details may hold anything: `escape.clean` comes after."""
    text = _TEXTS[reason]
    return text.format(*details) if isinstance(text, str) else text(details)


def why(subject: Change | Drift) -> str:
    """Return why a change is planned, or how a field has drifted."""
    return reason_text(subject.reason, subject.details)


def note_text(note: Note) -> str:
    """Return what a note says."""
    return reason_text(note.reason, note.details)


def _absence(names: str, why: str) -> str:
    verb = "are" if "," in names else "is"
    if why:
        return f"{names} {verb} not part of this run: {why}"
    way = "see the project file" if "#" in names else "omit --cluster"
    return f"{names} {verb} not part of this run; {way}"
