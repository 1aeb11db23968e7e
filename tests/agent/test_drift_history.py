"""Since when something differs, who did it, and who keeps undoing it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent import audit, drift_history
from reconciler.agent.drift_history import MAX_CORRECTIONS, WINDOW, AuditRecord
from reconciler.ledger import Fact
from reconciler.model import Address, Reason
from reconciler.plan.drift import Ahead, Drift

SESSIONS = Address("dc1", "Database", "sessions")
MEMORY = Drift(SESSIONS, "memory_size", Ahead.CLUSTER, Reason.CHANGED_OUTSIDE)
GONE = Drift(SESSIONS, "", Ahead.CLUSTER, Reason.REMOVED_OUTSIDE)
TO_ONE = {"Database/sessions memory_size": "one"}


def test_the_first_time_counts_and_stays() -> None:
    (told,), facts = drift_history.with_history([MEMORY], {}, 100.0, {})
    assert (told.since, told.who) == (100.0, "")
    (told,), facts = drift_history.with_history(
        [MEMORY], facts, 500.0, {"Database/sessions memory_size": AuditRecord(400.0, "eve")}
    )
    assert (told.since, told.who) == (100.0, "")
    assert drift_history.with_history([], facts, 600.0, {}) == ((), {})


def test_what_the_log_saw_goes_before_our_own_look() -> None:
    (told,), facts = drift_history.with_history(
        [MEMORY], {}, 100.0, {"Database/sessions memory_size": AuditRecord(40.0, "eve")}
    )
    assert (told.since, told.who) == (40.0, "eve")
    assert facts == {"Database/sessions memory_size": Fact(40.0, {"who": "eve"})}


def test_a_log_from_the_future_is_not_believed() -> None:
    (told,), _ = drift_history.with_history([MEMORY], {}, 100.0, {"Database/sessions memory_size": AuditRecord(4000.0)})
    assert told.since == 100.0


def test_three_corrections_within_the_hour_are_a_fight() -> None:
    facts: dict[str, Fact] = {}
    for number in range(MAX_CORRECTIONS):
        assert drift_history.contested(facts, number * 60.0, TO_ONE) == frozenset()
        facts = drift_history.with_corrections(TO_ONE, facts, number * 60.0)
    assert drift_history.contested(facts, 200.0, TO_ONE) == set(TO_ONE)
    assert drift_history.contested(facts, WINDOW + 60.0, TO_ONE) == frozenset()


def test_another_declared_value_ends_a_fight() -> None:
    facts: dict[str, Fact] = {}
    for number in range(MAX_CORRECTIONS):
        facts = drift_history.with_corrections(TO_ONE, facts, number * 60.0)
    other = dict.fromkeys(TO_ONE, "two")
    assert drift_history.contested(facts, 200.0, other) == frozenset()
    assert drift_history.contested(drift_history.with_corrections(other, facts, 200.0), 201.0, other) == frozenset()


@given(st.lists(st.floats(0, 10 * WINDOW), max_size=60))
def test_never_more_corrections_in_an_hour_than_flips(moments: list[float]) -> None:
    facts: dict[str, Fact] = {}
    done: list[float] = []
    for now in sorted(moments):
        if not drift_history.contested(facts, now, TO_ONE):
            facts = drift_history.with_corrections(TO_ONE, facts, now)
            done.append(now)
    assert all(sum(0 <= now - at < WINDOW for at in done) <= MAX_CORRECTIONS for now in done)
    assert all(len(fact.content["times"]) <= MAX_CORRECTIONS for fact in facts.values())


# --- the log of the cluster ------------------------------------------------------------------------------------------

EVENTS = [
    {"time": "2026-01-15T10:00:00Z", "type": "bdb_port_updated", "bdb_uid": "1", "originator_username": "bob"},
    {"time": "2026-01-15T09:30:00Z", "type": "bdb_memory_size_updated", "bdb_uid": "2"},
    {"time": "2026-01-15T09:00:00Z", "type": "bdb_memory_size_updated", "bdb_uid": "1", "username": "eve\x1b[31m"},
    {"time": "2026-01-15T08:00:00Z", "type": "bdb_memory_size_updated", "bdb_uid": "1", "username": "ann"},
]


def test_the_newest_event_of_the_field_tells_when_and_who() -> None:
    found = audit.match_events(EVENTS, [MEMORY], {SESSIONS: 1})
    assert found == {"Database/sessions memory_size": AuditRecord(1768467600.0, "eve [31m")}


def test_a_deleted_object_is_found_by_its_name() -> None:
    deleted = {"time": "2026-01-15T09:00:00Z", "type": "cluster_bdb_deleted", "bdb_name": "sessions", "bdb_uid": "1"}
    assert audit.match_events([deleted], [GONE], {}) == {"Database/sessions ": AuditRecord(1768467600.0)}


def test_a_log_of_nonsense_tells_nothing() -> None:
    odd = [None, 5, {}, {"type": 7}, {"type": "bdb_memory_size_updated", "bdb_uid": "1", "time": "soon"}]
    assert audit.match_events(odd, [MEMORY], {SESSIONS: 1}) == {}
