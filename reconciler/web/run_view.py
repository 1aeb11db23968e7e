"""What the pages of runs show, as plain values. No I/O; `pages` puts them into templates, which escape them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from reconciler.ledger import Run
from reconciler.plan import Action
from reconciler.render.escape import shorten
from reconciler.web.formatting import MAX_TEXT, Moment, duration, known_moment, short_revision

MAX_OUTCOMES: Final = 2000

_MARKS: Final = {action.name.lower(): action.value for action in Action}
_TONES: Final = {"done": "good", "failed": "bad", "skipped": "warn", "not attempted": "idle"}


class RunRow(NamedTuple):
    """One run in the history."""

    id: str
    started: Moment
    took: str
    who: str
    revision: str
    plan: str
    outcome: str
    tone: str


class RunChange(NamedTuple):
    """One change of a run."""

    mark: str
    address: str
    status: str
    tone: str
    why: str


def run_row(run: Run, now: float) -> RunRow:
    """Return a row of the history."""
    if run.finished is None:
        outcome, tone, took = "running, or interrupted: the next reconciliation continues it", "busy", ""
    else:
        counted = [f"{number} {word}" for word, number in sorted(run.counts.items()) if number]
        outcome = ", ".join(counted) or "nothing to do"
        tone = "bad" if run.counts.get("failed") else "warn" if _left(run) else "good"
        seconds = run.finished - run.started
        took = duration(seconds) if seconds >= 10 else f"{seconds:.1f} s"
    return RunRow(
        id=shorten(run.id, 120),
        started=known_moment(run.started, now),
        took=took,
        who=shorten(run.who, 200),
        revision=short_revision(run.revision),
        plan=run.digest.removeprefix("sha256:")[:12],
        outcome=shorten(outcome, 200),
        tone=tone,
    )


def _left(run: Run) -> int:
    return run.counts.get("skipped", 0) + run.counts.get("not attempted", 0)


def run_changes(run: Run) -> Iterator[RunChange]:
    """Yield the changes of a run, in order."""
    for outcome in run.outcomes[:MAX_OUTCOMES]:
        status = str(outcome.get("status", ""))
        yield RunChange(
            mark=_MARKS.get(str(outcome.get("action")), "?"),
            address=shorten(str(outcome.get("address", "")), 600),
            status=shorten(status, 40),
            tone=_TONES.get(status, "idle"),
            why=shorten(str(outcome.get("why") or ""), MAX_TEXT),
        )
