"""What to tell, decided from how things are and what was told before. Pure: the time comes in as a number.

It looks at states, not at events: `Memory` holds what recipients believe, `conditions` what is so, and a difference
that lasts is told. So nothing is lost when much happens, and nothing is told twice; what comes and goes within
`settle` is not told at all, whatever flaps is told to be there once in `quiet`, and that it is over right away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from reconciler.agent.status import ClusterStatus, Phase, Status
from reconciler.plan.drift import Ahead
from reconciler.render.escape import clean, shorten

_AT_ONCE: Final = frozenset({"Unauthorized", "Untrusted"})  # waiting mends neither
_LONGEST: Final = 400  # characters
_NAMED: Final = 5  # objects in one text


class Subject(NamedTuple):
    """What something is about: one cluster, or the source with no cluster."""

    cluster: str
    topic: str  # failure, drift, approval, source


class Condition(NamedTuple):
    """Something that is not as it should be."""

    mark: str  # what makes it another one: told again when it changes
    text: str
    urgent: bool = False  # told without waiting whether it passes


class News(NamedTuple):
    """One thing to tell."""

    subject: Subject
    state: str  # began, changed, ended
    text: str


class CommitState(NamedTuple):
    """How a revision fares, in the words of a forge."""

    revision: str
    state: str  # pending, success, failure
    text: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to tell; `settings.Notify` says it."""

    settle: float = 60.0
    every: float = 60.0
    quiet: float = 900.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What recipients were told, and what waits to be: a value."""

    told: Mapping[Subject, str] = field(default_factory=lambda: MappingProxyType({}))  # the mark they know of
    at: Mapping[Subject, float] = field(
        default_factory=lambda: MappingProxyType({})
    )  # when it was last told to be there
    differs: Mapping[Subject, tuple[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    last: float = float("-inf")  # the latest message
    commit: CommitState | None = None
    commit_at: float = float("-inf")


def conditions(status: Status) -> dict[Subject, Condition]:
    """Return everything that is not as it should be."""
    found = {}
    source = status.source
    if source.failure is not None:
        what = f"revision {_short(source.rejected)} is refused" if source.rejected else "cannot be fetched"
        text = _line(f"the source {what}: {source.failure.text}")
        found[Subject("", "source")] = Condition(
            f"{source.failure.kind} {source.rejected}", text, bool(source.rejected)
        )
    for cluster in status.clusters.values():
        found.update(_of(cluster))
    return found


def _of(cluster: ClusterStatus) -> Iterable[tuple[Subject, Condition]]:
    name = _name(cluster)
    if cluster.phase is Phase.SUSPENDED:
        return
    if cluster.failure is not None:
        kind = cluster.failure.kind
        text = _line(f"{name}: {kind}: {cluster.failure.text}")
        yield Subject(cluster.name, "failure"), Condition(kind, text, kind in _AT_ONCE)
    theirs = sorted({str(one.drift.address) for one in cluster.drift if one.drift.ahead is not Ahead.OURS})
    if theirs:
        more = f" and {len(theirs) - _NAMED} more" if len(theirs) > _NAMED else ""
        who = sorted({one.who for one in cluster.drift if one.who and one.drift.ahead is not Ahead.OURS})
        by = f", by {', '.join(who[:_NAMED])}" if who else ""
        text = f"{name}: changed on the cluster: {', '.join(theirs[:_NAMED])}{more}{by}"
        yield Subject(cluster.name, "drift"), Condition("\n".join(theirs), _line(text))
    if cluster.phase is Phase.APPROVAL:
        digest = cluster.plan_digest
        yield (
            Subject(cluster.name, "approval"),
            Condition(digest, _line(f"{name}: a plan waits for approval: {digest}")),
        )


def step(memory: Memory, status: Status, now: float, pace: Pace) -> tuple[Memory, tuple[News, ...]]:
    """Return what is believed after telling what is due, and what that is: all of it belongs into one message."""
    present = conditions(status)
    differs = _differing(memory, present, now)
    memory = replace(memory, differs=MappingProxyType(differs))
    if now - memory.last < pace.every:
        return memory, ()
    due = sorted(
        subject
        for subject, (_, since) in differs.items()
        if (_urgent(present.get(subject)) or now - since >= pace.settle)
        and (subject not in present or now - memory.at.get(subject, float("-inf")) >= pace.quiet)
    )
    if not due:
        return memory, ()
    told, at = dict(memory.told), dict(memory.at)
    news = []
    for subject in due:
        condition = present.get(subject)
        news.append(_news(subject, condition, known=subject in told))
        if condition is None:
            del told[subject]
        else:
            told[subject], at[subject] = condition.mark, now
        del differs[subject]
    kept = {subject: when for subject, when in at.items() if subject in told or now - when < pace.quiet}
    memory = replace(
        memory,
        told=MappingProxyType(told),
        at=MappingProxyType(kept),
        differs=MappingProxyType(differs),
        last=now,
    )
    return memory, tuple(news)


def _differing(memory: Memory, present: Mapping[Subject, Condition], now: float) -> dict[Subject, tuple[str, float]]:
    """Return where belief and fact differ, with whether the fact is there and since when they differ that way."""
    found = {}
    for subject in {*memory.told, *present}:
        mark = present[subject].mark if subject in present else None
        if memory.told.get(subject) == mark:
            continue
        # A fact that only changes its kind is as old as before; one that goes, or comes, begins anew.
        shape = "there" if subject in present else "gone"
        before = memory.differs.get(subject)
        found[subject] = before if before is not None and before[0] == shape else (shape, now)
    return found


def _urgent(condition: Condition | None) -> bool:
    return condition is not None and condition.urgent


def _news(subject: Subject, condition: Condition | None, *, known: bool) -> News:
    if condition is not None:
        return News(subject, "changed" if known else "began", condition.text)
    who = shorten(clean(subject.cluster), _LONGEST) or "default"
    texts = {
        "failure": f"{who}: recovered",
        "drift": f"{who}: as declared again",
        "approval": f"{who}: no plan waits any more",
        "source": "the source is fetched again",
    }
    return News(subject, "ended", texts[subject.topic])


def commit(status: Status) -> CommitState | None:
    """Return how the newest revision fares; None while there is none."""
    source = status.source
    if source.rejected:
        why = _line(source.failure.text) if source.failure else "it is refused"
        return CommitState(source.rejected, "failure", f"refused: {why}")
    if not source.revision:
        return None
    clusters = [one for one in status.clusters.values() if one.phase is not Phase.SUSPENDED]
    failing = sorted(_name(one) for one in clusters if one.failure is not None)
    waiting = [one for one in clusters if one.revision != source.revision or one.phase in _UNDER_WAY]
    if failing:
        return CommitState(source.revision, "failure", _line(f"failing: {', '.join(failing[:_NAMED])}"))
    if waiting:
        done = len(clusters) - len(waiting)
        return CommitState(source.revision, "pending", f"{done} of {len(clusters)} clusters")
    differing = [one for one in clusters if one.plan is not None and one.plan.changes]
    if differing:
        return CommitState(source.revision, "success", f"planned; {len(differing)} of {len(clusters)} clusters differ")
    return CommitState(source.revision, "success", f"{len(clusters)} of {len(clusters)} clusters are as declared")


_UNDER_WAY: Final = frozenset({Phase.APPLYING, Phase.APPROVAL})


def step_commit(memory: Memory, status: Status, now: float, pace: Pace) -> tuple[Memory, CommitState | None]:
    """Return the state to write at a commit, where it is another than what stands there."""
    found = commit(status)
    if found is None or found == memory.commit or now - memory.commit_at < pace.every:
        return memory, None
    same = memory.commit is not None and memory.commit[:2] == found[:2]
    if same and (found.state == "pending" or now - memory.commit_at < pace.quiet):
        return memory, None  # progress alone is no news
    return replace(memory, commit=found, commit_at=now), found


def _name(cluster: ClusterStatus) -> str:
    return clean(cluster.name) or "default"


def _short(revision: str) -> str:
    return clean(revision)[:10]


def _line(text: str) -> str:
    return shorten(clean(text.replace("\n", " · ")), _LONGEST)
