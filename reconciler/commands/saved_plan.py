"""Saved plans: on disk, and decided again before they are applied. For `plan` and `apply`.

`private_file` writes them. They are read never through a link, and nothing in them is trusted.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import reconcile
from reconciler.errors import ClusterIncarnationChanged, InputError, PlanStale, Problem, Refused

if TYPE_CHECKING:
    from reconciler.plan import Options, Plan, SavedPlan
    from reconciler.reconcile import Planned
    from reconciler.session import Session

LARGEST = 64 * 1024 * 1024
_LONGEST = 200  # characters of a value in a message
MOST_CONTAINERS = 4_000_000  # lists and objects, whose size in memory is many times that in the file


def refuse_secrets(content: bytes, redact: Callable[[Any], Any]) -> None:
    """Raise Refused where a plan has the value of a secret: a manifest or the cluster has it in plain text."""
    plain = json.loads(content)
    where = [change["address"] for change in plain.get("changes", ()) if redact(change) != change]
    if where or redact(plain) != plain:
        names = ", ".join(_named(address) for address in where) or "its notes or its manifests"
        raise Refused(
            f"the plan has the value of a secret in plain text and cannot be saved: {names}; change the secret, "
            "or take its value out of the manifest or the object"
        )


def _named(address: Any) -> str:
    return "/".join(map(str, address.values() if isinstance(address, dict) else [address]))


def read(path: Path) -> bytes:
    """Return the bytes of a saved plan."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise InputError([Problem(str(path), 0, 0, "", f"cannot be read: {_reason(error)}")]) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError([Problem(str(path), 0, 0, "", "is not a regular file", "use a file that `plan --out` wrote")])
    with os.fdopen(handle, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST or content.count(b"[") + content.count(b"{") > MOST_CONTAINERS:
        raise InputError([Problem(str(path), 0, 0, "", "is too large for a plan")])
    return content


def _reason(error: OSError) -> str:
    return (error.strerror or "error").lower()


# --- before it is applied --------------------------------------------------------------------------------------------


def require_digest(plan: Plan, reviewed: str) -> None:
    """Raise PlanStale unless *reviewed* is the digest of *plan*, or its beginning."""
    from reconciler.plan import digest

    actual = digest(plan)
    if not actual.startswith(reviewed):
        raise PlanStale(f"the plan file has the digest {actual}, not {reviewed}; nothing was read; review this plan")


def require_clusters(session: Session, saved: SavedPlan) -> None:
    """Raise ClusterIncarnationChanged unless the clusters of *saved* are those that it was made for."""
    session.identify(saved.desired.resources)
    for error in session.failures.values():
        if isinstance(error, ClusterIncarnationChanged):
            raise error
    for name in sorted(session.names):
        planned, found = saved.plan.identities.get(name), session.identities.get(name)
        if planned != found:
            where, before = name or "the cluster", planned or "one that did not exist yet"
            text = f"the plan was made for {before}, and {found or 'one without identity'} responds"
            raise ClusterIncarnationChanged(f"{where}: {text}; nothing else was read; plan again")


def decide_again(session: Session, saved: SavedPlan, options: Options) -> Planned:
    """Decide *saved* again from the clusters and the ledger of now, and return its changes as they are decided now.

    Only these are executed, never those of the file; of *options* it takes the limits of the operator. Clusters that
    fail are left out. Raises PlanStale with what is not as it was saved.
    """
    from reconciler.plan import decide, decided_again

    require_clusters(session, saved)
    own = replace(saved.options, limits=options.limits, allowed_impacts=options.allowed_impacts)
    observed = reconcile.observe(session, saved.desired, own)
    shown = [change for change in saved.plan.changes if change.address.cluster in session.names]
    approved = replace(saved.plan, changes=tuple(shown))
    reconcile.refuse_if_stale(approved, observed.live)
    desired = saved.desired.only(session.names)
    now = decide(session.kinds, desired, observed, reconcile.same_ports(own, approved))
    plan, found = decided_again(approved, now)
    if found:
        why = "what is decided now is not what the plan file shows: it was edited, or something changed meanwhile"
        lines = [f"  {one.address} {one.field}: is {_shown(one.planned)}, should be {_shown(one.now)}" for one in found]
        raise PlanStale("\n".join([f"{why}; nothing was written; plan again", *lines]))
    failed = [change for change in saved.plan.changes if change not in shown]  # reported as not attempted
    rest = [replace(change, number=number, after=()) for number, change in enumerate(failed, len(plan.changes) + 1)]
    failures = (*saved.plan.failures, *reconcile.failures(session))
    whole = replace(plan, changes=(*plan.changes, *rest), failures=failures)
    return reconcile.Planned(whole, observed, desired, partial=True)


def _shown(value: Any) -> str:
    from reconciler.kinds import MISSING

    text = "nothing" if value is MISSING else value if isinstance(value, str) and value else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
