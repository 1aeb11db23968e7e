"""The progress of an apply: a live display on a terminal, plain lines elsewhere.

`apply` creates one and passes it to the engine as its observer. It must not know what the events lead to.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import click

from reconciler.commands.console import retry_text
from reconciler.render.escape import clean, shorten
from reconciler.telemetry import Event

if TYPE_CHECKING:
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
_SILENCE = 30.0  # seconds; CI systems end jobs without output
_REFRESH = 0.5  # seconds between two updates of the elapsed time
_SPINNER = "|/-\\"
_ERASE_LINE = "\r\x1b[2K"


class Display(Protocol):
    """One of the two ways to show progress."""

    def started(self, number: int, text: str) -> None: ...

    def waiting(self, number: int, text: str) -> None: ...

    def ended(self, number: int, text: str, status: str) -> None: ...

    def line(self, text: str) -> None: ...

    def close(self) -> None: ...


class Progress:
    """An observer of the engine; a context manager. Nothing is shown before the first change starts."""

    def __init__(self, stream: TextIO, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._live = live
        self._total = 0
        self._ended = 0
        self._prefix = ""  # of every address, where there is one cluster only
        self._display: Display | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._display is not None:
            self._display.close()

    def expect(self, plan: Plan) -> None:
        """Take the number of changes, and the name of a single cluster, from *plan*."""
        self._total = len(plan.changes)
        self._prefix = f"{plan.clusters[0]}:" if not plan.several and any(plan.clusters) else ""

    def __call__(self, event: Event) -> None:
        """Show *event*; ignore unknown ones."""
        about = dict(event.attributes)
        if "address" in about:
            about["address"] = about["address"].removeprefix(self._prefix)
        with self._lock:
            self._show(event.name, about)

    def _show(self, name: str, about: Mapping[str, Any]) -> None:
        if name == "call.retried":
            self._shown().line(retry_text(about))
        elif name == "change.started":
            self._shown().started(about["number"], f"{_DOING[about['action']]} {about['address']}")
        elif name == "change.waiting":
            self._shown().waiting(about["number"], f"waiting for {about['address']}: {about['status']}")
        elif name in ("change.done", "change.failed", "change.skipped"):
            self._ended += 1
            text = f"{self._count()} {_outcome(name, about)}"
            self._shown().ended(about["number"], text, name.removeprefix("change."))

    def _count(self) -> str:
        return f"[{self._ended:>{len(str(self._total))}}/{self._total}]"

    def _shown(self) -> Display:
        if self._display is None:
            make = _Bar if self._live else _Lines
            self._display = make(self._stream, self._total, self._clock)
        return self._display


def _outcome(name: str, about: Mapping[str, Any]) -> str:
    if name == "change.done":
        return f"{about['address']} {_DONE[about['action']]} ({about['seconds']:.1f} s)"
    word = "failed" if name == "change.failed" else about.get("status", "skipped")
    return f"{about['address']} {word}: {about['why']}"


def _line(text: str, width: int = _LONGEST) -> str:
    return shorten(clean(text), width)


class _Lines:
    """A line for each change that ended and for each retry, and one every 30 s for a change that takes long."""

    def __init__(self, stream: TextIO, total: int, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._reported: dict[int, float] = {}  # by change: time of its last line

    def started(self, number: int, text: str) -> None:
        self._reported[number] = self._clock()

    def waiting(self, number: int, text: str) -> None:
        now = self._clock()
        if now - self._reported.get(number, now) >= _SILENCE:
            self._reported[number] = now
            self.line(text)

    def ended(self, number: int, text: str, status: str) -> None:
        self.line(text)

    def line(self, text: str) -> None:
        self._stream.write(f"{_line(text)}\n")
        self._stream.flush()

    def close(self) -> None: ...


class _Bar:
    """A bar: changes done, elapsed time, changes in progress. Failures and retries stay above it as lines."""

    def __init__(self, stream: TextIO, total: int, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._start = clock()
        self._frame = 0
        self._active: dict[int, str] = {}  # by change: what it does now
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._bar = click.progressbar(
            range(total),
            label="applying",
            bar_template="%(label)s [%(bar)s] %(info)s",
            show_eta=False,
            show_percent=False,
            show_pos=True,
            item_show_func=lambda _: self._details(),
            width=min(20, self._columns() // 5),
            file=stream,
        )
        self._used = len(f"applying [{' ' * self._bar.width}] {total}/{total}    ")  # columns before the details
        self._bar.__enter__()
        self._refresher = threading.Thread(target=self._refresh, name="progress", daemon=True)
        self._refresher.start()

    def started(self, number: int, text: str) -> None:
        self._set(number, text)

    def waiting(self, number: int, text: str) -> None:
        self._set(number, text)

    def ended(self, number: int, text: str, status: str) -> None:
        if status == "failed":
            self.line(text)
        with self._lock:
            self._active.pop(number, None)
            self._bar.update(int(status == "done"))  # also draws it

    def line(self, text: str) -> None:
        with self._lock:
            self._stream.write(f"{_ERASE_LINE}{_line(text)}\n")
            self._bar.render_progress()

    def close(self) -> None:
        self._closing.set()
        self._refresher.join()
        with self._lock, suppress(OSError, ValueError):  # the terminal may be gone
            self._active.clear()
            self._bar.render_progress()
            self._bar.__exit__(None, None, None)

    def _set(self, number: int, text: str) -> None:
        with self._lock:
            self._active.pop(number, None)
            self._active[number] = text  # the last one is shown
            self._bar.render_progress()

    def _refresh(self) -> None:
        with suppress(OSError, ValueError):
            while not self._closing.wait(_REFRESH):
                with self._lock:
                    self._bar.render_progress()

    def _details(self) -> str:
        """Return the elapsed time and the changes in progress, with a spinner: the bar is drawn only if it differs."""
        minutes, seconds = divmod(int(self._clock() - self._start), 60)
        elapsed = f"{minutes}:{seconds:02}"
        if self._closing.is_set():
            return elapsed
        self._frame += 1
        lead = f"{elapsed} {_SPINNER[self._frame % len(_SPINNER)]} "
        texts = list(self._active.values())
        others = f" (+{len(texts) - 1} more)" if len(texts) > 1 else ""
        room = self._columns() - 1 - self._used - len(lead) - len(others)
        return f"{lead}{_line(texts[-1], room)}{others}" if texts and room > 0 else lead.rstrip()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            return 80
