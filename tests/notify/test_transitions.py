"""What is told, when, and how often: laws over random histories first, then the cases that people meet."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.agent.status import AgentStatus, ClusterStatus, DriftEntry, Failure, Phase
from reconciler.model import Address, Reason
from reconciler.notify.transitions import (
    NotificationState,
    NotifyPolicy,
    Subject,
    Transition,
    active_conditions,
    advance,
    advance_commit_status,
    commit_status,
)
from reconciler.plan.drift import Ahead, Drift
from tests.web.fake_status import HOSTILE, NOW, OLDER, REVISION, cluster, drifted, failure, fleet, hostile, refused

POLICY = NotifyPolicy(settle=60, every=60, quiet=900)
BASE = fleet()
PLAIN = cluster("a")


def agent(*clusters: ClusterStatus, **more: Any) -> AgentStatus:
    return replace(BASE, clusters=MappingProxyType({one.name: one for one in clusters}), **more)


def changed(name: str, *paths: str, ahead: Ahead = Ahead.CLUSTER) -> ClusterStatus:
    found = tuple(
        DriftEntry(Drift(Address(name, "Database", path), "port", ahead, Reason.CHANGED_OUTSIDE), NOW) for path in paths
    )
    return replace(PLAIN, name=name, drift=found)


STATES = st.sampled_from(
    [
        lambda name: replace(PLAIN, name=name),
        lambda name: replace(PLAIN, name=name, failure=failure("Unreachable", 1), phase=Phase.FAILING),
        lambda name: replace(PLAIN, name=name, failure=failure("Unauthorized", 1), phase=Phase.FAILING),
        lambda name: changed(name, "a"),
        lambda name: changed(name, "a", "b"),
        lambda name: changed(name, "a", ahead=Ahead.MANIFESTS),
        lambda name: replace(PLAIN, name=name, phase=Phase.AWAITING_APPROVAL, plan_digest="one"),
        lambda name: replace(PLAIN, name=name, phase=Phase.SUSPENDED, failure=failure()),
    ]
)
HISTORIES = st.lists(
    st.tuples(st.floats(0.5, 400), st.sampled_from(["a", "b", "c"]), STATES, st.booleans()), min_size=1, max_size=80
)


def play(
    history: list[Any], policy: NotifyPolicy = POLICY
) -> list[tuple[float, tuple[Transition, ...], NotificationState, AgentStatus]]:
    """Let a history happen, and look at it every now and then as the notifier does."""
    status, state, now, seen = agent(cluster("a"), cluster("b"), cluster("c")), NotificationState(), 0.0, []
    for pause, name, make, broken in history:
        source = replace(status.source, failure=Failure("SourceStale", "no route", NOW) if broken else None)
        clusters = MappingProxyType({**status.clusters, name: make(name)})
        status = replace(status, clusters=clusters, source=source)
        end = now + pause
        while now < end:
            now += 7.0
            state, transitions = advance(state, status, now, policy)
            seen.append((now, transitions, state, status))
    return seen


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_messages_stay_apart_and_nothing_is_told_to_be_there_twice_in_the_quiet_time(history: list[Any]) -> None:
    times = [now for now, transitions, _, _ in play(history) if transitions]
    assert all(later - earlier >= POLICY.every for earlier, later in pairwise(times))
    last: dict[Subject, float] = {}
    for now, transitions, _, _ in play(history):
        assert max(Counter(one.subject for one in transitions).values(), default=1) == 1
        for one in transitions:
            if one.state != "ended":
                assert now - last.get(one.subject, float("-inf")) >= POLICY.quiet
                last[one.subject] = now


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_beginnings_and_ends_take_turns(history: list[Any]) -> None:
    there: set[Subject] = set()
    for _, transitions, _, _ in play(history):
        for one in transitions:
            assert (one.subject in there) == (one.state != "began")
            (there.discard if one.state == "ended" else there.add)(one.subject)


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_in_the_end_everybody_knows_how_things_are_and_nothing_more_is_told(history: list[Any]) -> None:
    now, _, state, status = play(history)[-1]
    for _ in range(400):
        now += 7.0
        state, _ = advance(state, status, now, POLICY)
    assert dict(state.sent) == {subject: one.key for subject, one in active_conditions(status).items()}
    for _ in range(50):
        now += 7.0
        state, transitions = advance(state, status, now, POLICY)
        assert transitions == ()


@given(HISTORIES)
@settings(max_examples=30, deadline=None)
def test_what_is_remembered_stays_as_small_as_the_fleet(history: list[Any]) -> None:
    _, _, state, _ = play(history)[-1]
    most = 4 * 4
    assert max(len(state.sent), len(state.sent_at), len(state.pending)) <= most


def told(*statuses: tuple[float, AgentStatus]) -> list[tuple[float, list[str]]]:
    """Return what is told where each status holds for so many seconds."""
    state, now, found = NotificationState(), 0.0, []
    for seconds, status in statuses:
        end = now + seconds
        while now < end:
            state, transitions = advance(state, status, now, POLICY)
            if transitions:
                found.append((now, [f"{one.state} {one.subject.topic} {one.subject.cluster}" for one in transitions]))
            now += 10.0
    return found


FINE, DOWN = agent(cluster("a")), agent(cluster("a", failure=failure()))


def test_a_failure_that_lasts_is_told_and_so_is_its_end() -> None:
    assert told((100, FINE), (200, DOWN), (200, FINE)) == [
        (160.0, ["began failure a"]),
        (360.0, ["ended failure a"]),
    ]


def test_what_is_over_at_once_is_not_told() -> None:
    assert told((100, FINE), (50, DOWN), (1000, FINE)) == []


def test_a_refused_login_is_told_at_once() -> None:
    assert told((100, FINE), (30, agent(cluster("a", failure=failure("Unauthorized", 1))))) == [
        (100.0, ["began failure a"])
    ]


def test_a_cluster_that_flaps_all_day_is_told_of_a_few_times_an_hour() -> None:
    flapping = [(70.0, status) for _ in range(300) for status in (DOWN, FINE)]
    found = told(*flapping)
    assert len(found) <= 2 * (300 * 140 / POLICY.quiet + 1)


def test_many_clusters_that_fail_together_are_one_message() -> None:
    names = [f"cluster-{number:03}" for number in range(500)]
    all_down = agent(*(replace(PLAIN, name=name, failure=failure()) for name in names))
    ((_, message),) = told((1000, all_down))
    assert len(message) == 500


def test_drift_is_told_where_the_cluster_moved_and_not_where_git_did() -> None:
    assert told((500, agent(changed("a", "x", ahead=Ahead.MANIFESTS)))) == []
    assert told((500, agent(changed("a", "x")))) == [(60.0, ["began drift a"])]
    grows = told((500, agent(changed("a", "x"))), (900, agent(changed("a", "x", "y"))))
    assert grows == [(60.0, ["began drift a"]), (960.0, ["changed drift a"])]


def test_texts_name_what_it_is_about_and_who() -> None:
    found = active_conditions(agent(cluster("staging", drift=drifted("staging"))))
    assert found[Subject("staging", "drift")].text == (
        "staging: changed on the cluster: staging:Database/orders, staging:Role/app, staging:User/anna, "
        "by bob@shop.example, carol"
    )
    text = active_conditions(refused(fleet()))[Subject("", "source")].text
    assert text.startswith(f"the source revision {OLDER[:10]} is rejected: base/databases.yaml:14:3: spec.memory_sise")


def test_a_suspended_cluster_is_no_news() -> None:
    assert active_conditions(agent(cluster("a", phase=Phase.SUSPENDED, failure=failure(), drift=drifted("a")))) == {}


def test_hostile_names_are_harmless_and_texts_are_short() -> None:
    for one in active_conditions(hostile()).values():
        assert len(one.text) <= 400
        assert one.text.isprintable()
    assert len(active_conditions(hostile())) > len(HOSTILE)


# --- commit statuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        (agent(cluster("a"), cluster("b")), "success", "2 of 2 clusters are in sync"),
        (agent(cluster("a"), cluster("b", revision=OLDER)), "pending", "1 of 2 clusters"),
        (agent(cluster("a", phase=Phase.APPLYING)), "pending", "0 of 1 clusters"),
        (agent(cluster("a"), cluster("b", failure=failure())), "failure", "failing: b"),
        (
            agent(cluster("a"), cluster("b", failure=failure(), phase=Phase.SUSPENDED)),
            "success",
            "1 of 1 clusters are in sync",
        ),
        (agent(replace(fleet().clusters["staging"], name="a")), "success", "planned; 1 of 1 clusters are out of sync"),
    ],
)
def test_a_commit_fares_as_its_clusters_do(status: AgentStatus, state: str, text: str) -> None:
    assert commit_status(status) == (REVISION, state, text)


def test_a_refused_commit_fails_and_the_one_before_is_left_alone() -> None:
    found = commit_status(refused(fleet()))
    assert found is not None
    assert (found.revision, found.state) == (OLDER, "failure")
    assert commit_status(AgentStatus(NOW, "1")) is None


def test_a_commit_status_is_written_when_it_changes_and_not_for_each_step() -> None:
    state, now, written = NotificationState(), 0.0, []
    names = [f"c{number}" for number in range(30)]
    for done in range(31):
        revisions = [REVISION if number < done else OLDER for number in range(30)]
        status = agent(*(replace(PLAIN, name=n, revision=r) for n, r in zip(names, revisions, strict=True)))
        for _ in range(20):
            state, commit = advance_commit_status(state, status, now, POLICY)
            written += [commit.state] if commit else []
            now += 10.0
    assert written == ["pending", "success"]
