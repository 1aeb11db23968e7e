"""`reconciler drift`: shows where clusters and manifests differ, and which side changed."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.agent.status import DriftEntry
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, FILES, GLOBAL, format_option, with_flags
from reconciler.commands.inputs import exit_code, load_manifests, open_session
from reconciler.diff import SECRET
from reconciler.kinds import MISSING
from reconciler.plan.drift import Ahead, Drift

if TYPE_CHECKING:
    from reconciler.session import Session


@click.command("drift")
@with_flags(*FILES[:1], *CLUSTERS)
@format_option("text", "json")
@with_flags(*CONNECTION, *GLOBAL)
def command(files: tuple[str, ...], output: str, **flags: Any) -> int:
    """Show where clusters differ from their manifests, and which side changed since the last apply.

    Exits with 2 on drift.
    """
    from reconciler.plan import Options

    console = console_of(flags)
    with open_session(flags, console) as session:
        manifests = load_manifests(session.settings, files, console)
        planned = reconcile.plan(session, manifests, Options(limits=session.settings.limits))
        found = reconcile.find_drift(session, planned)
        history = _history(session, planned, found)
        applied = list(_last_applied(session, {one.address.cluster for one in found}))
    if output == "json":
        failed = [one._asdict() for one in planned.plan.failures]
        console.out(json.dumps([*map(_plain, history), *failed], indent=2))
    else:
        from reconciler.render.drift import drift_text

        since = {(one.drift.address, one.drift.path): (one.since, one.who) for one in history if one.since}
        console.out(drift_text(found, console.color, since, console.width, planned.plan.clusters))
        for text in applied:
            console.note(text)
    return exit_code(session, 2 if found else 0)


def _last_applied(session: Session, clusters: Collection[str]) -> Iterator[str]:
    """Yield for each of *clusters* the run that last changed it: when, by whom, and from which revision."""
    ledger = session.known_ledger()
    runs = ledger.runs(1000) if ledger and clusters else ()
    for cluster in sorted(clusters):
        run = next((one for one in runs if cluster in one.clusters), None)
        if run is not None:
            when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.started))
            revision = f", revision {run.revision}" if run.revision else ""
            name = f" on {cluster}" if cluster else ""
            yield f"Last apply{name}: {when} UTC by {run.who or 'unknown'}{revision} (reconciler history {run.id})"


def _history(session: Session, planned: reconcile.Planned, found: tuple[Drift, ...]) -> tuple[DriftEntry, ...]:
    """Return *found* with time and author of each change: from the ledger, else from the audit logs of the clusters."""
    from reconciler.agent import audit
    from reconciler.agent.drift_history import DRIFT, field_key

    ledger = session.known_ledger()
    uids = {change.address: change.uid for change in planned.plan.changes if change.uid is not None}
    known: dict[tuple[str, str], tuple[float, str]] = {}
    for cluster in planned.plan.clusters:
        facts = ledger.memory.facts(cluster, DRIFT) if ledger else {}
        known |= {(cluster, name): (fact.at, fact.content.get("who", "")) for name, fact in facts.items()}
        mine = [one for one in found if one.address.cluster == cluster and one.ahead is not Ahead.MANIFESTS]
        new = [one for one in mine if field_key(one.address, one.path) not in facts]
        if new:
            records = audit.read_log(session.clients()[cluster], new, uids, None)
            known |= {(cluster, name): (one.at, one.who) for name, one in records.items()}
    return tuple(
        DriftEntry(one, *known.get((one.address.cluster, field_key(one.address, one.path)), (0.0, ""))) for one in found
    )


def _plain(one: DriftEntry) -> dict[str, Any]:
    from reconciler.render.reasons import why

    drift = one.drift
    return {
        "address": str(drift.address),
        "path": drift.path,
        "ahead": drift.ahead.value,
        "why": why(drift),
        "live": _value(drift.live),
        "declared": _value(drift.declared),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.since)) if one.since else None,
        "who": one.who or None,
    }


def _value(value: Any) -> Any:
    return None if value is MISSING else "(secret)" if value is SECRET else value
