"""What the engine tells, as lines and as a drawing."""

from __future__ import annotations

import io

from reconciler.commands.progress import Progress
from reconciler.plan import Plan
from reconciler.telemetry import Event

ABOUT = {"number": 1, "address": "here:Role/a", "action": "create"}


def told(*events: Event, live: bool = False) -> str:
    stream = io.StringIO()
    with Progress(stream, live=live) as progress:
        progress.expect(Plan(changes=(), clusters=("here",)))
        for event in events:
            progress(event)
    return stream.getvalue()


def test_nothing_happened_nothing_is_said() -> None:
    assert told() == ""
    assert told(live=True) == ""


def test_lines_tell_what_ended_and_what_went_wrong() -> None:
    events = (
        Event("change.started", ABOUT),
        Event("change.waiting", {**ABOUT, "status": "pending"}),
        Event("call.retried", {"request": "GET /v1/bdbs", "why": "503", "delay": 0.5}),
        Event("change.done", {**ABOUT, "seconds": 1.25, "why": ""}),
        Event("change.failed", {**ABOUT, "seconds": 0.1, "why": "no such role"}),
        Event("change.skipped", {**ABOUT, "status": "skipped", "why": "needs Role/b"}),
        Event("something.new", {}),
    )
    assert told(*events).splitlines() == [
        "retrying in 0.5 s: GET /v1/bdbs: 503",
        "[1/0] Role/a created (1.2 s)",
        "[2/0] Role/a failed: no such role",
        "[3/0] Role/a skipped: needs Role/b",
    ]


def test_a_hostile_name_moves_no_cursor() -> None:
    event = Event("change.failed", {**ABOUT, "address": "Role/\x1b[2J\r\n", "why": "\u202e"})
    assert told(event).splitlines() == ["[1/0] Role/\\x1b[2J\\r\\n failed: \\u202e"]


def test_the_drawing_survives_markup_in_names() -> None:
    odd = {**ABOUT, "address": "Role/[bold][/x]"}
    drawn = told(Event("change.started", odd), Event("change.done", {**odd, "seconds": 0.0, "why": ""}), live=True)
    assert "Traceback" not in drawn


def test_lines_tell_now_and_then_of_what_takes_long() -> None:
    stream, seconds = io.StringIO(), iter([0.0, 29.0, 30.0, 59.0, 61.0])
    waiting = Event("change.waiting", {**ABOUT, "status": "pending, 40 %"})
    with Progress(stream, live=False, clock=seconds.__next__) as progress:
        for event in (Event("change.started", ABOUT), *[waiting] * 4):
            progress(event)
    assert stream.getvalue().splitlines() == ["waiting for here:Role/a: pending, 40 %"] * 2
