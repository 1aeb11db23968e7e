"""What the engine works with: time, chance, someone who listens, a way to be stopped; and how it drives a flow."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reconciler import telemetry
from reconciler.api.protocol import (
    Account,
    Answer,
    Around,
    Call,
    Flow,
    Here,
    Home,
    Load,
    Neighbour,
    Passed,
    Reconnect,
    Wait,
)
from reconciler.errors import Conflict, Interrupted, ReconcilerError

if TYPE_CHECKING:
    from reconciler.client import Client

T = TypeVar("T")

_SLICE = 0.25  # seconds; so soon a pause ends when we are asked to stop


class Connection(Protocol):
    """What the engine needs of a client."""

    def get(
        self, path: str, *, missing_ok: bool = False, shape: type | None = None, tolerant: bool = False
    ) -> Answer: ...

    def send(self, call: Call) -> Answer: ...

    def accepts(self, login: Account) -> bool: ...

    def reconnect(self, port: int = 0) -> None: ...

    def at(self, url: str) -> Client: ...

    def home(self, *, reveal: bool = False) -> Home: ...


def _no_files(path: str) -> bytes:
    raise Conflict(f"{path}: no files can be read here")


@dataclass(slots=True)
class Means:
    """The outside of one apply, all of it replaceable."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    random: Random = field(default_factory=Random)
    observe: telemetry.Observer = telemetry.ignore
    stop: threading.Event = field(default_factory=threading.Event)
    load: Callable[[str], bytes] = _no_files  # a file that goes to a cluster, by its path beside the project file
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)  # every cluster of the project
    alone: threading.Lock = field(default_factory=threading.Lock)  # of changes that span clusters: one at a time
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Tell the observer, one event at a time whatever the number of threads.

        An observer that fails, say on a closed terminal, must not leave changes half done.
        """
        with self._gate, contextlib.suppress(Exception):
            self.observe(telemetry.Event(name, attributes))

    def drive(self, client_of: Callable[[str], Connection], flow: Flow[T], waiting: Callable[[str], None]) -> T:
        """Do what *flow* asks for until it ends, and return what it ends with; *client_of* a cluster, "" for its own.

        Raises what the flow raises, and Interrupted in a pause once we are asked to stop.
        """
        answer: Any = None
        error: ReconcilerError | None = None
        try:
            while True:
                step = flow.throw(error) if error is not None else flow.send(answer)
                answer = error = None
                try:
                    answer = self._pause(step, waiting) if isinstance(step, Wait) else self._answer(client_of, step)
                except ReconcilerError as refusal:
                    error = refusal
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def _answer(self, client_of: Callable[[str], Connection], step: Call | Reconnect | Around | Here | Load) -> Any:
        if isinstance(step, Reconnect):
            return client_of("").reconnect(step.port)
        if isinstance(step, Load):
            return self.load(step.path)
        if isinstance(step, Around):
            return self.neighbours
        if isinstance(step, Here):
            return client_of("").home(reveal=True)
        client = client_of(step.cluster)
        if not step.node:
            return _call(client, step)
        with contextlib.closing(client.at(step.node)) as node:
            return _call(node, step)

    def _pause(self, wait: Wait, waiting: Callable[[str], None]) -> Passed:
        if wait.most <= 0:
            return Passed(self.clock(), 0.0)
        if wait.why:
            waiting(wait.why)
        with self._gate:
            seconds = self.random.uniform(wait.least, wait.most)
        left = seconds
        while left > 0:
            if self.stop.is_set():
                raise Interrupted("stopped while the cluster was still at work; the next run looks at it again")
            self.sleep(min(left, _SLICE))
            left -= _SLICE
        return Passed(self.clock(), seconds)


def _call(client: Connection, call: Call) -> Answer:
    if call.login is not None:
        return Answer(200 if client.accepts(call.login) else 401, None, {})
    return client.get(call.path, missing_ok=call.missing_ok) if call.method == "GET" else client.send(call)
