"""The progress of an apply, as lines and as a live display."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios

import pytest

from reconciler.commands.progress import Progress
from reconciler.model import Address
from reconciler.plan import Action, Change, Plan
from reconciler.telemetry import Event
from tests.cli.rig import plain

ABOUT = {"number": 1, "address": "here:Role/a", "action": "create"}


def shown(*events: Event, live: bool = False) -> str:
    stream = io.StringIO()
    with Progress(stream, live=live) as progress:
        progress.expect(Plan(changes=(), clusters=("here",)))
        for event in events:
            progress(event)
    return stream.getvalue()


def test_without_events_nothing_is_shown() -> None:
    assert shown() == ""
    assert shown(live=True) == ""


def test_lines_report_what_ended_and_what_failed() -> None:
    events = (
        Event("change.started", ABOUT),
        Event("change.waiting", {**ABOUT, "status": "pending"}),
        Event("call.retried", {"request": "GET /v1/bdbs", "why": "503", "delay": 0.5}),
        Event("change.done", {**ABOUT, "seconds": 1.25, "why": ""}),
        Event("change.failed", {**ABOUT, "seconds": 0.1, "why": "no such role"}),
        Event("change.skipped", {**ABOUT, "status": "skipped", "why": "needs Role/b"}),
        Event("something.new", {}),
    )
    assert shown(*events).splitlines() == [
        "retrying in 0.5 s: GET /v1/bdbs: 503",
        "[1/0] Role/a created (1.2 s)",
        "[2/0] Role/a failed: no such role",
        "[3/0] Role/a skipped: needs Role/b",
    ]


def test_a_hostile_name_moves_no_cursor() -> None:
    event = Event("change.failed", {**ABOUT, "address": "Role/\x1b[2J\r\n", "why": "\u202e"})
    assert shown(event).splitlines() == ["[1/0] Role/\\x1b[2J\\r\\n failed: \\u202e"]


def on_a_terminal(*events: Event, columns: int = 80) -> str:
    """Return what a terminal of that width gets."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as stream, Progress(stream, live=True) as progress:
        progress.expect(Plan(changes=(Change(Action.CREATE, Address("here", "Role", "a")),) * 2, clusters=("here",)))
        for event in events:
            progress(event)
    drawn = b""
    while chunk := read(leader):
        drawn += chunk
    os.close(leader)
    return drawn.decode().replace("\r\n", "\n")


def read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux says EIO once the last writer is gone
        return b""


def drawn_lines(text: str) -> list[str]:
    """Return each state of each line."""
    return [plain(part).rstrip() for line in text.split("\n") for part in line.split("\r") if plain(part).strip()]


EVENTS = (
    Event("change.started", ABOUT),
    Event("change.started", {**ABOUT, "number": 2, "address": "here:Role/[bold][/x]"}),
    Event("call.retried", {"request": "GET /v1/bdbs", "why": "503", "delay": 0.5}),
    Event("change.failed", {**ABOUT, "seconds": 0.1, "why": "no such role"}),
    Event("change.done", {**ABOUT, "number": 2, "seconds": 0.0, "why": ""}),
)


def test_a_bar_shows_what_is_done_and_the_change_in_progress() -> None:
    lines = drawn_lines(on_a_terminal(*EVENTS))
    assert any(re.search(r"] 0/2  0:00 . creating Role/a$", line) for line in lines)
    assert any(re.search(r"] 0/2  0:00 . creating Role/\[bold]\[/x] \(\+1 more\)$", line) for line in lines)
    assert re.search(r"^applying \[#+-+] 1/2  0:00$", lines[-1])


def test_retries_and_failures_stay_above_the_bar() -> None:
    text = on_a_terminal(*EVENTS)
    kept = [plain(line.rpartition("\r")[2]).rstrip() for line in text.split("\n")]
    assert kept[:2] == ["retrying in 0.5 s: GET /v1/bdbs: 503", "[1/2] Role/a failed: no such role"]
    assert text.endswith("\x1b[?25h\n")  # the cursor is visible again


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_bar_fits_the_terminal(columns: int) -> None:
    long = {**ABOUT, "address": f"here:Role/{'a' * 300}"}
    lines = drawn_lines(on_a_terminal(Event("change.started", long), columns=columns))
    assert [line for line in lines if len(line) >= columns] == []


def test_a_line_every_30_seconds_for_a_change_that_takes_long() -> None:
    stream, seconds = io.StringIO(), iter([0.0, 29.0, 30.0, 59.0, 61.0])
    waiting = Event("change.waiting", {**ABOUT, "status": "pending, 40 %"})
    with Progress(stream, live=False, clock=seconds.__next__) as progress:
        for event in (Event("change.started", ABOUT), *[waiting] * 4):
            progress(event)
    assert stream.getvalue().splitlines() == ["waiting for here:Role/a: pending, 40 %"] * 2
