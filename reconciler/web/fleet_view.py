"""What the page of all clusters shows, as plain values. No I/O; `pages` puts them into templates, which escape them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from reconciler.agent.status import AgentStatus, ApplyProgress, ClusterStatus, Phase
from reconciler.plan import Plan
from reconciler.render.escape import shorten
from reconciler.render.text import counts
from reconciler.web.formatting import Moment, cluster_title, moment, short_revision


class Badge(NamedTuple):
    """The state of a cluster in a word; *tone* is its class in the style sheet."""

    tone: str  # good, busy, wait, warn, bad, idle
    word: str


class ClusterRow(NamedTuple):
    """One cluster in the table."""

    name: str
    title: str
    badge: Badge
    mode: str
    revision: str
    success: Moment | None
    drifted: int  # objects
    changes: str  # "+2 ~1"
    held: int
    failure: str
    progress: ApplyProgress | None


class Tile(NamedTuple):
    """A number at the top of the page."""

    number: int
    word: str
    tone: str


_BADGES: Final[Mapping[Phase, Badge]] = {
    Phase.APPLYING: Badge("busy", "applying"),
    Phase.AWAITING_APPROVAL: Badge("wait", "awaiting approval"),
    Phase.FROZEN: Badge("idle", "frozen"),
    Phase.SUSPENDED: Badge("idle", "suspended"),
    Phase.FAILING: Badge("bad", "failing"),
}
_TILES: Final = (
    ("good", "in sync"),
    ("warn", "out of sync"),
    ("bad", "failing"),
    ("busy", "in progress"),
    ("wait", "awaiting approval"),
    ("idle", "paused"),
)
_ALWAYS_SHOWN: Final = frozenset({"good", "warn", "bad"})
_SEVERITY: Final = {"bad": 0, "busy": 1, "wait": 2, "warn": 3, "idle": 4, "good": 5}


def badge(cluster: ClusterStatus) -> Badge:
    """Return the most important state of *cluster*."""
    known = _BADGES.get(cluster.phase)
    if cluster.failure is not None and cluster.phase not in (Phase.APPLYING, Phase.SUSPENDED):
        return Badge("bad", "failing")
    if known is not None:
        return known
    if cluster.last_reconciliation is None:
        return Badge("busy" if cluster.phase is Phase.PLANNING else "idle", "not reconciled yet")
    if cluster.drift or (cluster.plan is not None and cluster.plan.changes):
        return Badge("warn", "out of sync")
    return Badge("warn", "held") if cluster.plan is not None and cluster.plan.held else Badge("good", "in sync")


def fleet(status: AgentStatus, now: float) -> tuple[tuple[Tile, ...], tuple[ClusterRow, ...]]:
    """Return the numbers of the whole fleet, and a row for each cluster, the most severe first."""
    rows = [_row(cluster, now) for cluster in status.clusters.values()]
    tones = Counter(row.badge.tone for row in rows)
    tiles = [Tile(len(rows), "clusters" if len(rows) != 1 else "cluster", "plain")]
    for tone, word in _TILES:
        if tones[tone] or tone in _ALWAYS_SHOWN:
            tiles.append(Tile(tones[tone], word, tone if tones[tone] else "none"))
    return tuple(tiles), tuple(sorted(rows, key=lambda row: (_SEVERITY[row.badge.tone], row.name)))


def _row(cluster: ClusterStatus, now: float) -> ClusterRow:
    return ClusterRow(
        name=cluster.name,
        title=cluster_title(cluster.name),
        badge=badge(cluster),
        mode=shorten(cluster.mode, 40),
        revision=short_revision(cluster.revision),
        success=moment(cluster.last_success, now),
        drifted=len({entry.drift.address for entry in cluster.drift}),
        changes=_marks(cluster.plan),
        held=cluster.plan.held if cluster.plan is not None else 0,
        failure=shorten(" · ".join(cluster.failure.text.split("\n")), 300) if cluster.failure is not None else "",
        progress=cluster.progress,
    )


def _marks(plan: Plan | None) -> str:
    if plan is None:
        return ""
    return " ".join(f"{action.value}{number}" for action, number in counts(plan.changes).items() if number)
