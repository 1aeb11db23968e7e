"""The procedures by themselves: answers are written by hand, time is a number."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from reconciler.api.create import create
from reconciler.api.delete import delete
from reconciler.api.precondition import Precondition
from reconciler.api.protocol import Body, Call, Elapsed, Flow, Response, Wait
from reconciler.api.task import FlowResult, Task
from reconciler.api.update import update
from reconciler.errors import ActionFailed, Ambiguous, ReadIncomplete, ReconcilerError
from reconciler.kinds import load_kinds
from reconciler.model import Address

KINDS = load_kinds()
WIRE = {
    "uid": 1,
    "name": "orders",
    "memory_size": 5,
    "status": "active",
    "tags": [{"key": "reconciler_op", "value": "op"}],
}
RUNNING = {"name": "SMCreateBDB", "status": "running", "additional_info": {"object_type": "bdb", "object_uid": "9"}}

Server = Callable[[Call, float], Any]  # (call, now) → body, or an error to raise


def task() -> Task:
    body = {"memory_size": 5}
    return Task(KINDS["Database"], Address("dc1", "Database", "orders"), body, Body(body), {}, {}, operation="op")


def drive(flow: Flow[FlowResult], server: Server) -> tuple[FlowResult, list[tuple[float, str, str]]]:
    """Run *flow* against *server*; return what it came to and what it asked, with the time."""
    now, asked = 0.0, []
    answer: Any = None
    error: ReconcilerError | None = None
    try:
        while True:
            step = flow.throw(error) if error is not None else flow.send(answer)
            error = None
            if isinstance(step, Wait):
                now += step.most
                answer = Elapsed(now, step.most)
                continue
            asked.append((now, step.method, step.path))
            body = server(step, now)
            if isinstance(body, ReconcilerError):
                error = body
            else:
                answer = Response(404 if body is None else 200, body, {})
    except StopIteration as end:
        return end.value, asked


def sends(asked: list[tuple[float, str, str]]) -> list[float]:
    return [now for now, method, _ in asked if method != "GET"]


def test_while_a_create_that_may_be_ours_is_running_nothing_is_sent_again() -> None:
    def server(call: Call, now: float) -> Any:
        if call.method == "POST":
            return Ambiguous("lost")
        if call.path == "/v2/actions":
            return [RUNNING] if now < 400 else []
        return WIRE if call.path == "/v1/bdbs/1" else ([WIRE] if now >= 400 else [])

    ended, asked = drive(create(task()), server)
    assert sends(asked) == [0.0]
    assert ended.found is not None


def test_a_running_create_of_something_that_is_listed_is_not_ours() -> None:
    other = {**WIRE, "uid": 9, "name": "other", "tags": []}
    lost = iter([True, False])

    def server(call: Call, now: float) -> Any:
        if call.method == "POST":
            return Ambiguous("lost") if next(lost) else WIRE
        if call.path == "/v2/actions":
            return [RUNNING]
        return WIRE if call.path == "/v1/bdbs/1" else [other]

    _, asked = drive(create(task()), server)
    first, second = sends(asked)
    assert 120.0 <= second - first < 150.0


def test_reads_that_fail_prove_nothing_and_old_servers_may_lack_the_list_of_actions() -> None:
    lost = iter([True, False])

    def server(call: Call, now: float) -> Any:
        if call.method == "POST":
            return Ambiguous("lost") if next(lost) else WIRE
        if call.path == "/v2/actions":
            return None
        if call.path == "/v1/bdbs/1":
            return WIRE
        return ReadIncomplete("garbage") if now < 500 else []

    _, asked = drive(create(task()), server)
    assert sends(asked)[1] >= 500.0


def test_a_look_up_that_never_gets_certain_ends() -> None:
    working = task()

    def server(call: Call, now: float) -> Any:
        return Ambiguous("lost") if call.method == "POST" else ReadIncomplete("garbage")

    with pytest.raises(Ambiguous, match="no read can confirm it"):
        drive(create(working), server)
    assert working.outcome_unknown


def test_an_answer_without_a_uid_is_looked_up() -> None:
    def server(call: Call, now: float) -> Any:
        if call.method == "POST":
            return {}
        return WIRE if call.path == "/v1/bdbs/1" else [WIRE]

    ended, asked = drive(create(task()), server)
    assert ended.problem is None
    assert sends(asked) == [0.0]


@pytest.mark.parametrize(
    "action",
    [
        {"status": "failed", "error": "no memory"},
        {"status": "aborted", "additional_info": {"error": "no memory"}},
        {"status": "cancelled", "additional_info": {"description": "no memory"}},
    ],
)
def test_an_action_that_ends_badly_gives_its_reason(action: dict[str, Any]) -> None:
    def server(call: Call, now: float) -> Any:
        if call.method == "PUT":
            return {**WIRE, "action_uid": "abc-1"}
        return action if call.path == "/v1/actions/abc-1" else WIRE

    ended, _ = drive(update(task(), Precondition(1, "orders")), server)
    assert str(ended.problem) == "the cluster accepted it, then it failed: no memory"


def test_an_action_that_is_gone_means_read_the_object() -> None:
    def server(call: Call, now: float) -> Any:
        if call.method == "POST":
            return {"uid": 1, "action_uid": "abc-1"}
        return None if "actions" in call.path else WIRE

    ended, asked = drive(create(task()), server)
    assert ended.problem is None
    assert [path for _, _, path in asked] == ["/v1/bdbs", "/v1/actions/abc-1", "/v1/bdbs/1"]


def test_active_with_the_old_values_is_a_failure_with_the_words_on_record() -> None:
    failed = {**RUNNING, "name": "SMUpdateBDB", "status": "failed"}
    failed["additional_info"] = {"object_type": "bdb", "object_uid": "1", "error": "not enough memory"}

    def server(call: Call, now: float) -> Any:
        if call.path == "/v2/actions":
            return [failed]
        return {**WIRE, "memory_size": 4}

    ended, _ = drive(update(task(), Precondition(1, "orders")), server)
    assert isinstance(ended.problem, ActionFailed)
    assert str(ended.problem) == "accepted, but memory_size reads back 4 instead of 5 (not enough memory)"


def test_what_reads_back_as_before_right_after_the_write_is_read_once_more() -> None:
    def server(call: Call, now: float) -> Any:
        if call.method == "PUT":
            return {"action_uid": "abc-1"}
        return None if "actions" in call.path else {**WIRE, "memory_size": 5 if now > 0.1 else 4}

    ended, asked = drive(update(task(), Precondition(1, "orders")), server)
    assert ended.problem is None
    (sent,) = sends(asked)
    assert [now > sent for now, _, path in asked if path == "/v1/bdbs/1"][-2:] == [False, True]


def test_a_running_action_is_looked_at_at_once_and_then_less_and_less_often() -> None:
    def server(call: Call, now: float) -> Any:
        if call.method == "POST":
            return {"uid": 1, "action_uid": "abc-1"}
        return {"status": "running" if now < 200 else "completed"} if "actions" in call.path else WIRE

    _, asked = drive(create(task()), server)
    looks = [now for now, _, path in asked if "actions" in path]
    gaps = [round(after - before, 6) for before, after in pairwise(looks)]
    assert looks[0] == 0.0
    assert gaps[0] <= 0.02
    assert gaps == sorted(gaps)
    assert gaps[-1] == 15.0


@pytest.mark.parametrize("uid", ["../cluster", "1?x=y", "", "a b"])
def test_a_uid_that_is_no_uid_goes_into_no_path(uid: str) -> None:
    with pytest.raises(ReadIncomplete):
        drive(delete(task(), Precondition(uid, "orders")), lambda call, now: WIRE)


@pytest.mark.parametrize("action", ["../../v1/bdbs/2", "a b", "x" * 3 + "?"])
def test_an_action_that_is_no_id_goes_into_no_path(action: str) -> None:
    def server(call: Call, now: float) -> Any:
        return {"uid": 1, "action_uid": action} if call.method == "POST" else WIRE

    _, asked = drive(create(task()), server)
    assert [path for _, _, path in asked] == ["/v1/bdbs", "/v1/bdbs/1"]
