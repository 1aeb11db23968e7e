"""What the pages show, as plain values. No I/O: the board's state and the time of day come in, words come out.

`pages` puts them into templates, which escape them. Every list that foreign input can make long is cut here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final, NamedTuple

from reconciler.agent.status import ClusterStatus, DriftSince, Failure, Phase, Progress, Status
from reconciler.kinds import MISSING
from reconciler.ledger import Run
from reconciler.plan import Action, Plan
from reconciler.plan.drift import Ahead
from reconciler.render.escape import shorten
from reconciler.render.reasons import why
from reconciler.render.text import counts, plan_text, summary
from reconciler.render.values import field_at, quantity

LONGEST_PLAN: Final = 500  # changes
LONGEST_DRIFT: Final = 500  # fields
LONGEST_RUN: Final = 2000  # outcomes
LONGEST_HELD: Final = 100  # objects
LONGEST_TEXT: Final = 1000  # characters of an error
WIDTH: Final = 100  # columns, as in a terminal

_MARKS = {action.name.lower(): action.value for action in Action}


class Moment(NamedTuple):
    """A time for people: how long ago, and exactly."""

    said: str
    exact: str


class Badge(NamedTuple):
    """The state of a cluster in one word; *tone* is its class in the style sheet."""

    tone: str  # good, busy, wait, warn, bad, idle
    word: str


class Row(NamedTuple):
    """One cluster in the table of the fleet."""

    name: str
    title: str
    badge: Badge
    mode: str
    revision: str
    success: Moment | None
    drifting: int
    changes: str  # "+2 ~1"
    held: int
    trouble: str
    progress: Progress | None


class Tile(NamedTuple):
    """A number at the top of the page."""

    number: int
    word: str
    tone: str


class Field(NamedTuple):
    """One difference."""

    path: str
    live: str
    declared: str
    ahead: str  # ours, theirs, both
    direction: str
    why: str
    since: Moment
    who: str


class Step(NamedTuple):
    """One change of a run."""

    mark: str
    address: str
    status: str
    tone: str
    why: str


class RunRow(NamedTuple):
    """One apply in the history."""

    id: str
    started: Moment
    took: str
    who: str
    revision: str
    plan: str
    came: str
    tone: str


def span(seconds: float) -> str:
    """Return a length of time as people say it."""
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.{int(seconds < 10 * size)}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def moment(at: float | None, now: float) -> Moment | None:
    """Return the time *at* for people; None where there is none."""
    if at is None:
        return None
    try:
        exact = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
    except (OverflowError, ValueError, OSError):
        return Moment("at an unknown time", "")
    return Moment(f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}", exact)


_PHASES: Final[Mapping[Phase, Badge]] = {
    Phase.APPLYING: Badge("busy", "applying"),
    Phase.APPROVAL: Badge("wait", "waits for approval"),
    Phase.FROZEN: Badge("idle", "frozen"),
    Phase.SUSPENDED: Badge("idle", "suspended"),
    Phase.FAILING: Badge("bad", "failing"),
}
_GRAVITY = {"bad": 0, "busy": 1, "wait": 2, "warn": 3, "idle": 4, "good": 5}


def badge(cluster: ClusterStatus) -> Badge:
    """Return what to say of *cluster* first."""
    known = _PHASES.get(cluster.phase)
    if cluster.failure is not None and cluster.phase not in (Phase.APPLYING, Phase.SUSPENDED):
        return Badge("bad", "failing")
    if known is not None:
        return known
    if cluster.last_pass is None:
        return Badge("busy" if cluster.phase is Phase.READING else "idle", "not read yet")
    if cluster.drift or (cluster.plan is not None and cluster.plan.changes):
        return Badge("warn", "differs")
    return Badge("warn", "held") if cluster.plan is not None and cluster.plan.held else Badge("good", "as declared")


def title(name: str) -> str:
    """Return how people call a cluster."""
    return name or "default"


def heading(name: str) -> str:
    """Return what stands above the page of a cluster."""
    return shorten(title(name), 120)


def short_revision(revision: str) -> str:
    """Return a commit as people write it; anything else that is not long stays whole."""
    hexadecimal = len(revision) >= 40 and all(char in "0123456789abcdef" for char in revision)
    return revision[:10] if hexadecimal else shorten(revision, 40)


def fleet(status: Status, now: float) -> tuple[tuple[Tile, ...], tuple[Row, ...]]:
    """Return the numbers of the whole fleet, and a row for each cluster, those in trouble first."""
    rows = [_row(cluster, now) for cluster in status.clusters.values()]
    tones = Counter(row.badge.tone for row in rows)
    tiles = [Tile(len(rows), "clusters" if len(rows) != 1 else "cluster", "plain")]
    for tone, word in (
        ("good", "as declared"),
        ("warn", "differ"),
        ("bad", "failing"),
        ("busy", "at work"),
        ("wait", "wait for approval"),
        ("idle", "at rest"),
    ):
        if tones[tone] or tone in ("good", "warn", "bad"):
            tiles.append(Tile(tones[tone], word, tone if tones[tone] else "none"))
    return tuple(tiles), tuple(sorted(rows, key=lambda row: (_GRAVITY[row.badge.tone], row.name)))


def _row(cluster: ClusterStatus, now: float) -> Row:
    return Row(
        name=cluster.name,
        title=heading(cluster.name),
        badge=badge(cluster),
        mode=shorten(cluster.mode, 40),
        revision=short_revision(cluster.revision),
        success=moment(cluster.last_success, now),
        drifting=len({entry.drift.address for entry in cluster.drift}),
        changes=_tally(cluster.plan),
        held=cluster.plan.held if cluster.plan is not None else 0,
        trouble=shorten(" · ".join(cluster.failure.text.split("\n")), 300) if cluster.failure is not None else "",
        progress=cluster.progress,
    )


def _tally(plan: Plan | None) -> str:
    if plan is None:
        return ""
    return " ".join(f"{action.value}{number}" for action, number in counts(plan.changes).items() if number)


def failure(found: Failure | None, now: float) -> Mapping[str, Any] | None:
    """Return what went wrong, for people."""
    if found is None:
        return None
    return {
        "kind": shorten(found.kind, 60),
        "lines": [shorten(line, LONGEST_TEXT) for line in found.text.splitlines()[:50]],
        "when": moment(found.at, now),
        "count": found.count,
    }


class Planned(NamedTuple):
    """A plan as the terminal shows it."""

    text: str  # with escape sequences for colours
    summary: str
    left_out: int


def planned(plan: Plan | None) -> Planned | None:
    """Return *plan* as text of a terminal; of a very long one the start."""
    if plan is None:
        return None
    part = replace(plan, changes=plan.changes[:LONGEST_PLAN], notes=plan.notes[:LONGEST_PLAN])
    body = plan_text(part, width=WIDTH, color=True).rstrip("\n").rpartition("\n\n")[0]
    left_out = max(0, len(plan.changes) - LONGEST_PLAN) + max(0, len(plan.notes) - LONGEST_PLAN)
    return Planned(body, in_a_line(plan), left_out)


def in_a_line(plan: Plan) -> str:
    """Return the counts of a plan, which a terminal has on two lines."""
    return summary(plan).replace("\n", " ")


_DIRECTIONS = {
    Ahead.OURS: "git is ahead",
    Ahead.THEIRS: "the cluster was changed",
    Ahead.BOTH: "both moved",
}


def drifts(entries: Sequence[DriftSince], now: float) -> list[tuple[str, list[Field]]]:
    """Return the differences of each object."""
    shown = entries[:LONGEST_DRIFT]
    return [
        (shorten(f"{address.kind}/{address.name}", 600), [_field(entry, now) for entry in group])
        for address, group in groupby(shown, key=lambda entry: entry.drift.address)
    ]


def _field(entry: DriftSince, now: float) -> Field:
    found = entry.drift
    field = field_at(found.address.kind, found.path) if found.path else None
    unit = field.form.unit if field is not None else None

    def value(what: Any) -> str:
        return "nothing" if what is MISSING else shorten(quantity(what, unit), 400)

    return Field(
        path=shorten(found.path, 400),
        live=value(found.live),
        declared=value(found.declared),
        ahead=found.ahead.value,
        direction=_DIRECTIONS[found.ahead],
        why=shorten(why(found), 400),
        since=moment(entry.since, now) or Moment("", ""),
        who=shorten(entry.who, 200),
    )


def run_row(run: Run, now: float) -> RunRow:
    """Return a line of the history."""
    if run.finished is None:
        came, tone, took = "under way, or cut off: the next pass goes on from there", "busy", ""
    else:
        came = ", ".join(f"{number} {word}" for word, number in sorted(run.counts.items()) if number) or "nothing to do"
        tone = "bad" if run.counts.get("failed") else "warn" if _left(run) else "good"
        took = (
            span(run.finished - run.started)
            if run.finished - run.started >= 10
            else f"{run.finished - run.started:.1f} s"
        )
    return RunRow(
        id=shorten(run.id, 120),
        started=moment(run.started, now) or Moment("", ""),
        took=took,
        who=shorten(run.who, 200),
        revision=short_revision(run.revision),
        plan=run.digest.removeprefix("sha256:")[:12],
        came=shorten(came, 200),
        tone=tone,
    )


def _left(run: Run) -> int:
    return run.counts.get("skipped", 0) + run.counts.get("not attempted", 0)


_TONES = {"done": "good", "failed": "bad", "skipped": "warn", "not attempted": "idle"}


def steps(run: Run) -> Iterator[Step]:
    """Yield what a run did, step by step."""
    for outcome in run.outcomes[:LONGEST_RUN]:
        status = str(outcome.get("status", ""))
        yield Step(
            mark=_MARKS.get(str(outcome.get("action")), "?"),
            address=shorten(str(outcome.get("address", "")), 600),
            status=shorten(status, 40),
            tone=_TONES.get(status, "idle"),
            why=shorten(str(outcome.get("why") or ""), LONGEST_TEXT),
        )
