"""Which notifications are due, decided from the status and what was sent before. Pure: time is an argument.

It compares states, not events: `NotificationState` has what was sent, `active_conditions` what is true now, and a
difference that lasts is sent. So nothing is lost in a burst, and nothing is sent twice. A condition that comes and goes
within `settle` is not sent; one that flaps is sent once per `quiet`, and its end right away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from reconciler.agent.status import AgentStatus, ClusterStatus, Phase
from reconciler.plan.drift import Ahead
from reconciler.render.escape import clean, shorten

_URGENT: Final = frozenset({"Unauthorized", "Untrusted"})  # retrying fixes neither
_LONGEST: Final = 400  # characters
_MAX_NAMES: Final = 5  # objects in one text


class Subject(NamedTuple):
    """What a condition is about: one cluster, or the source, without a cluster."""

    cluster: str
    topic: str  # failure, drift, approval, source


class ActiveCondition(NamedTuple):
    """A condition that people should know about."""

    key: str  # a condition with another key is sent again
    text: str
    urgent: bool = False  # sent without waiting for `settle`


class Transition(NamedTuple):
    """The start, change or end of a condition."""

    subject: Subject
    state: str  # began, changed, ended
    text: str


class CommitState(NamedTuple):
    """The state of a revision, in the terms of a forge."""

    revision: str
    state: str  # pending, success, failure
    text: str


@dataclass(frozen=True, slots=True)
class NotifyPolicy:
    """How often to notify; `settings.Notify` has the values."""

    settle: float = 60.0
    every: float = 60.0
    quiet: float = 900.0


@dataclass(frozen=True, slots=True)
class NotificationState:
    """What was sent to recipients, and which differences are waiting: a value."""

    sent: Mapping[Subject, str] = field(default_factory=lambda: MappingProxyType({}))  # key of the condition
    sent_at: Mapping[Subject, float] = field(default_factory=lambda: MappingProxyType({}))  # when it was sent last
    pending: Mapping[Subject, tuple[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    last: float = float("-inf")  # when the latest message was sent
    commit: CommitState | None = None
    commit_at: float = float("-inf")


def active_conditions(status: AgentStatus) -> dict[Subject, ActiveCondition]:
    """Return all conditions that people should know about."""
    found = {}
    source = status.source
    if source.failure is not None:
        what = f"revision {_short(source.rejected)} is rejected" if source.rejected else "cannot be fetched"
        text = _line(f"the source {what}: {source.failure.text}")
        found[Subject("", "source")] = ActiveCondition(
            f"{source.failure.kind} {source.rejected}", text, bool(source.rejected)
        )
    for cluster in status.clusters.values():
        found.update(_of(cluster))
    return found


def _of(cluster: ClusterStatus) -> Iterable[tuple[Subject, ActiveCondition]]:
    name = _name(cluster)
    if cluster.phase is Phase.SUSPENDED:
        return
    if cluster.failure is not None:
        kind = cluster.failure.kind
        text = _line(f"{name}: {kind}: {cluster.failure.text}")
        yield Subject(cluster.name, "failure"), ActiveCondition(kind, text, kind in _URGENT)
    changed = sorted({str(one.drift.address) for one in cluster.drift if one.drift.ahead is not Ahead.MANIFESTS})
    if changed:
        more = f" and {len(changed) - _MAX_NAMES} more" if len(changed) > _MAX_NAMES else ""
        who = sorted({one.who for one in cluster.drift if one.who and one.drift.ahead is not Ahead.MANIFESTS})
        by = f", by {', '.join(who[:_MAX_NAMES])}" if who else ""
        text = f"{name}: changed on the cluster: {', '.join(changed[:_MAX_NAMES])}{more}{by}"
        yield Subject(cluster.name, "drift"), ActiveCondition("\n".join(changed), _line(text))
    if cluster.phase is Phase.AWAITING_APPROVAL:
        digest = cluster.plan_digest
        yield (
            Subject(cluster.name, "approval"),
            ActiveCondition(digest, _line(f"{name}: a plan is awaiting approval: {digest}")),
        )


def advance(
    state: NotificationState, status: AgentStatus, now: float, policy: NotifyPolicy
) -> tuple[NotificationState, tuple[Transition, ...]]:
    """Return the state after sending what is due, and the transitions to send, all in one message."""
    present = active_conditions(status)
    pending = _pending(state, present, now)
    state = replace(state, pending=MappingProxyType(pending))
    if now - state.last < policy.every:
        return state, ()
    due = sorted(
        subject
        for subject, (_, since) in pending.items()
        if (_urgent(present.get(subject)) or now - since >= policy.settle)
        and (subject not in present or now - state.sent_at.get(subject, float("-inf")) >= policy.quiet)
    )
    if not due:
        return state, ()
    sent, sent_at = dict(state.sent), dict(state.sent_at)
    transitions = []
    for subject in due:
        condition = present.get(subject)
        transitions.append(_transition(subject, condition, known=subject in sent))
        if condition is None:
            del sent[subject]
        else:
            sent[subject], sent_at[subject] = condition.key, now
        del pending[subject]
    kept = {subject: at for subject, at in sent_at.items() if subject in sent or now - at < policy.quiet}
    state = replace(
        state,
        sent=MappingProxyType(sent),
        sent_at=MappingProxyType(kept),
        pending=MappingProxyType(pending),
        last=now,
    )
    return state, tuple(transitions)


def _pending(
    state: NotificationState, present: Mapping[Subject, ActiveCondition], now: float
) -> dict[Subject, tuple[str, float]]:
    """Return where sent and present conditions differ: whether the condition is active, and since when they differ."""
    found = {}
    for subject in {*state.sent, *present}:
        key = present[subject].key if subject in present else None
        if state.sent.get(subject) == key:
            continue
        # A condition that only changes its key keeps its age; one that starts or ends is new.
        presence = "active" if subject in present else "ended"
        before = state.pending.get(subject)
        found[subject] = before if before is not None and before[0] == presence else (presence, now)
    return found


def _urgent(condition: ActiveCondition | None) -> bool:
    return condition is not None and condition.urgent


def _transition(subject: Subject, condition: ActiveCondition | None, *, known: bool) -> Transition:
    if condition is not None:
        return Transition(subject, "changed" if known else "began", condition.text)
    who = shorten(clean(subject.cluster), _LONGEST) or "default"
    texts = {
        "failure": f"{who}: recovered",
        "drift": f"{who}: in sync again",
        "approval": f"{who}: no plan is awaiting approval any more",
        "source": "the source can be fetched again",
    }
    return Transition(subject, "ended", texts[subject.topic])


def commit_status(status: AgentStatus) -> CommitState | None:
    """Return the state of the newest revision; None while there is none."""
    source = status.source
    if source.rejected:
        why = _line(source.failure.text) if source.failure else "it is rejected"
        return CommitState(source.rejected, "failure", f"rejected: {why}")
    if not source.revision:
        return None
    clusters = [one for one in status.clusters.values() if one.phase is not Phase.SUSPENDED]
    failing = sorted(_name(one) for one in clusters if one.failure is not None)
    waiting = [one for one in clusters if one.revision != source.revision or one.phase in _IN_PROGRESS]
    if failing:
        return CommitState(source.revision, "failure", _line(f"failing: {', '.join(failing[:_MAX_NAMES])}"))
    if waiting:
        done = len(clusters) - len(waiting)
        return CommitState(source.revision, "pending", f"{done} of {len(clusters)} clusters")
    differing = [one for one in clusters if one.plan is not None and one.plan.changes]
    if differing:
        return CommitState(
            source.revision, "success", f"planned; {len(differing)} of {len(clusters)} clusters are out of sync"
        )
    return CommitState(source.revision, "success", f"{len(clusters)} of {len(clusters)} clusters are in sync")


_IN_PROGRESS: Final = frozenset({Phase.APPLYING, Phase.AWAITING_APPROVAL})


def advance_commit_status(
    state: NotificationState, status: AgentStatus, now: float, policy: NotifyPolicy
) -> tuple[NotificationState, CommitState | None]:
    """Return the status to write to a commit, where it differs from the one written before."""
    found = commit_status(status)
    if found is None or found == state.commit or now - state.commit_at < policy.every:
        return state, None
    same = state.commit is not None and state.commit[:2] == found[:2]
    if same and (found.state == "pending" or now - state.commit_at < policy.quiet):
        return state, None  # progress alone is not sent
    return replace(state, commit=found, commit_at=now), found


def _name(cluster: ClusterStatus) -> str:
    return clean(cluster.name) or "default"


def _short(revision: str) -> str:
    return clean(revision)[:10]


def _line(text: str) -> str:
    return shorten(clean(text.replace("\n", " · ")), _LONGEST)
