"""What the engine tells while it works, shown: a live display on a terminal, plain lines elsewhere. Home of rich.

`apply` makes one and hands it to the engine as its observer. It must not know what the events lead to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from reconciler.render.escape import clean, shorten
from reconciler.telemetry import Event

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from reconciler.plan import Plan

_DONE = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "forget": "forgotten"}
_DOING = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "forget": "forgetting",
}
_LONGEST = 160
_SILENCE = 30.0  # seconds; CI systems end what says nothing for long


class Screen(Protocol):
    """One of the two ways to show."""

    def started(self, number: int, text: str) -> None: ...

    def moved(self, number: int, text: str) -> None: ...

    def ended(self, number: int, text: str) -> None: ...

    def said(self, text: str) -> None: ...

    def close(self) -> None: ...


class Progress:
    """Listens to the engine; a context manager. Nothing is drawn before the first change starts."""

    def __init__(self, stream: TextIO, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._live = live
        self._total = 0
        self._ended = 0
        self._known = ""  # the start of every address, when there is one cluster only
        self._screen: Screen | None = None
        self._gate = threading.Lock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._screen is not None:
            self._screen.close()

    def expect(self, plan: Plan) -> None:
        """Say what is coming."""
        self._total = len(plan.changes)
        self._known = f"{plan.clusters[0]}:" if len(plan.clusters) == 1 and plan.clusters[0] else ""

    def __call__(self, event: Event) -> None:
        """Show *event*, or not."""
        about = dict(event.attributes)
        if "address" in about:
            about["address"] = about["address"].removeprefix(self._known)
        with self._gate:
            self._show(event.name, about)

    def _show(self, name: str, about: Mapping[str, Any]) -> None:
        if name == "call.retried":
            self._shown().said(_retry(about))
        elif name == "change.started":
            self._shown().started(about["number"], f"{_DOING[about['action']]} {about['address']}")
        elif name == "change.waiting":
            self._shown().moved(about["number"], f"waiting for {about['address']}: {about['status']}")
        elif name in ("change.done", "change.failed", "change.skipped"):
            self._ended += 1
            self._shown().ended(about["number"], f"{self._place()} {_outcome(name, about)}")

    def _place(self) -> str:
        return f"[{self._ended:>{len(str(self._total))}}/{self._total}]"

    def _shown(self) -> Screen:
        if self._screen is None:
            self._screen = _Drawn(self._stream, self._total) if self._live else _Plain(self._stream, self._clock)
        return self._screen


def _outcome(name: str, about: Mapping[str, Any]) -> str:
    if name == "change.done":
        return f"{about['address']} {_DONE[about['action']]} ({about['seconds']:.1f} s)"
    word = "failed" if name == "change.failed" else about.get("status", "skipped")
    return f"{about['address']} {word}: {about['why']}"


def _retry(about: Mapping[str, Any]) -> str:
    return f"trying again in {about['delay']:.1f} s: {about['request']}: {about['why']}"


def _line(text: str) -> str:
    return shorten(clean(text), _LONGEST)


class _Plain:
    """A line for everything that ended or went wrong, and now and then one for what takes long."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._told: dict[int, float] = {}  # when each change was last heard of

    def started(self, number: int, text: str) -> None:
        self._told[number] = self._clock()

    def moved(self, number: int, text: str) -> None:
        now = self._clock()
        if now - self._told.get(number, now) >= _SILENCE:
            self._told[number] = now
            self.said(text)

    def ended(self, number: int, text: str) -> None:
        self.said(text)

    def said(self, text: str) -> None:
        self._stream.write(f"{_line(text)}\n")
        self._stream.flush()

    def close(self) -> None: ...


class _Drawn:
    """A bar for the whole and a moving line for each change under way; what went wrong stays above."""

    def __init__(self, stream: TextIO, total: int) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        words = TextColumn("{task.description}", markup=False)
        bar = (BarColumn(bar_width=40), MofNCompleteColumn(), TimeElapsedColumn())
        self._whole: Bars = Progress(words, *bar, console=self._console)
        self._each: Bars = Progress(SpinnerColumn(), words, TimeElapsedColumn(), console=self._console)
        self._whole_task = self._whole.add_task("applying", total=total)
        self._tasks: dict[int, TaskID] = {}
        group = Group(self._whole, self._each)
        self._live = Live(group, console=self._console, transient=True, redirect_stdout=False, refresh_per_second=10)
        self._live.start()

    def started(self, number: int, text: str) -> None:
        self._tasks[number] = self._each.add_task(_line(text), total=None)

    def moved(self, number: int, text: str) -> None:
        if number in self._tasks:
            self._each.update(self._tasks[number], description=_line(text))

    def ended(self, number: int, text: str) -> None:
        if number in self._tasks:
            self._each.remove_task(self._tasks.pop(number))
        self._whole.advance(self._whole_task)

    def said(self, text: str) -> None:
        self._console.print(_line(text), markup=False)

    def close(self) -> None:
        self._live.stop()
