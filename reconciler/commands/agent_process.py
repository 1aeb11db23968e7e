"""The process of `reconciler run`: wires settings, ledger, source, loop, web server and notifier, and handles signals.

The loop ticks in a thread of its own, and the main thread waits for signals: a handler interrupts whatever the main
thread does, and must not need a lock that it holds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import say
from reconciler.commands.agent_settings import reloaded
from reconciler.commands.signal_pipe import SIGNALS, next_signal, signal_pipe
from reconciler.runtime import Runtime
from reconciler.telemetry import Event, Observer

if TYPE_CHECKING:
    from reconciler.agent.loop import Loop
    from reconciler.agent.status import StatusStore
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings
    from reconciler.source import Source

_LEASE_RETRY = 5.0  # seconds between two attempts to acquire the lease of a state directory


class AgentProcess:
    """The loop and what belongs to it, while the process lives."""

    def __init__(self, loop: Loop, status_store: StatusStore, ledger: Ledger, observers: list[Observer]) -> None:
        self.loop = loop
        self.status_store = status_store
        self.ledger = ledger
        self.observers = observers  # the first is the log
        self.error: BaseException | None = None

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, flags: Mapping[str, Any], log: Observer) -> Iterator[AgentProcess]:
        """Open everything that the agent works with."""
        from reconciler import __version__
        from reconciler.agent.context import AgentContext
        from reconciler.agent.loop import Loop, Workers
        from reconciler.agent.source_watch import SourceWatch, describe
        from reconciler.agent.status import AgentStatus, StatusStore
        from reconciler.kinds import load_kinds
        from reconciler.ledger import Ledger

        observers: list[Observer] = [log]

        def observe(event: Event) -> None:
            for observer in observers:
                observer(event)

        with ExitStack() as stack:
            ledger = stack.enter_context(Ledger.open(settings.state_dir, redact=settings.redactor.redact_all))
            if flags["restored"]:
                for target in settings.selected:
                    ledger.forget_state_id(target.name)
            if flags["retry_login"]:
                ledger.logins.retry()
            status_store = StatusStore(AgentStatus(time.time(), __version__, leader=False))
            observers += stack.enter_context(_tracing(settings))
            agent, runtime = settings.agent, Runtime(observe=observe)
            reconciliations = ThreadPoolExecutor(agent.parallelism + agent.max_failing, "reconciliation")
            fetches = ThreadPoolExecutor(1, "fetch")
            for pool in (reconciliations, fetches):
                stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            context = AgentContext(settings, ledger, status_store, runtime, connect=_connect)
            source = _open_source(settings)
            assert settings.source is not None  # noqa: S101 - `completed` set one
            status_store.update(source=replace(status_store.status.source, **describe(settings.source)))
            source_watch = SourceWatch(source, settings, load_kinds(), status_store, runtime, reopen=_open_source)
            workers = Workers(reconciliations.submit, fetches.submit)
            loop = Loop(context, source_watch, workers, reload=lambda: reloaded(settings, flags, observe))
            yield cls(loop, status_store, ledger, observers)

    def observe(self, event: Event) -> None:
        """Report *event* to all observers."""
        for observer in self.observers:
            observer(event)

    def emit(self, name: str, **about: Any) -> None:
        """Report an event to all observers."""
        self.observe(Event(name, about))

    @contextmanager
    def web_server(self) -> Iterator[None]:
        """Serve the page, metrics and health checks, where that is configured."""
        settings = self.loop.context.settings
        if not settings.listen.enabled:
            yield
            return
        try:
            from reconciler.web import AgentHandle, serve
        except ImportError as error:
            text = f"the web server needs more libraries ({error.name}): pip install '.[agent]' in a checkout"
            raise click.ClickException(f"{text}, or set agent.listen.enabled: false") from error
        handle = AgentHandle(
            since_tick=self.loop.since_tick,
            interval=self.loop.source_watch.interval,
            writable=self.ledger.writable,
            runs=self.ledger.runs,
            run=self.ledger.run,
            fetch_now=self.loop.fetch_now,
        )
        runtime = Runtime(observe=self.observers[0], redact=settings.redactor.redact)
        server = serve(self.status_store, settings.listen, handle, reveal=settings.reveal, runtime=runtime)
        with server as running:
            self.observers.append(running.metrics.observe)
            self.emit("web.started", url=running.url)
            yield

    @contextmanager
    def notifier(self) -> Iterator[None]:
        """Send notifications, where recipients are configured."""
        settings = self.loop.context.settings
        if not settings.notify.to:
            yield
            return
        from reconciler.notify import notifying

        with notifying(
            self.status_store,
            settings.notify,
            reveal=settings.reveal,
            runtime=Runtime(observe=self.observe, redact=settings.redactor.redact),
        ):
            yield

    def run(self, *, once: bool) -> int:
        """Run the loop until a signal, or with *once* until its end; return the exit code."""
        with signal_pipe() as (pipe, end):
            thread = threading.Thread(target=self._run_loop, args=(once, end), name="loop")
            thread.start()
            while number := next_signal(pipe):
                if number == signal.SIGHUP:
                    self.emit("settings.reloading")
                    self.loop.reload()
                elif number in SIGNALS:
                    self.emit("agent.stopping", signal=signal.Signals(number).name)
                    self.loop.stop()
            thread.join()
        if self.error is not None:
            raise self.error
        if self.loop.abandoned:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)  # threads still wait for clusters: their intents are in the ledger, and nothing more is sent
        return self.loop.code if once else 0

    def _run_loop(self, once: bool, end: Callable[[], None]) -> None:
        try:
            with self._lease(once=once):
                self.emit("agent.started", clusters=len(self.status_store.status.clusters))
                self.loop.run(once=once)
                self.emit("agent.stopped")
        except BaseException as error:
            self.error = error
        finally:
            end()

    @contextmanager
    def _lease(self, *, once: bool) -> Iterator[None]:
        """Hold the lease of the state directory; wait for it where another agent holds it, and report that."""
        from reconciler.errors import Locked

        stop, reported = self.loop.context.runtime.stop, False
        with ExitStack() as stack:
            while not stop.is_set():
                try:
                    stack.enter_context(self.ledger.lease())
                    break
                except Locked as error:
                    if once:
                        raise
                    if not reported:
                        self.emit("lease.waiting", why=str(error))
                    reported = True
                self.loop.last_tick = time.monotonic()
                stop.wait(_LEASE_RETRY)
            self.status_store.update(leader=not stop.is_set())
            yield


@contextmanager
def _tracing(settings: Settings) -> Iterator[list[Observer]]:
    """Yield the observer that exports spans, where an endpoint is configured."""
    from reconciler import __version__
    from reconciler.agent.tracing import open_tracing

    tracing = open_tracing(settings.login_sources.environ, __version__, lambda text: say(f"warning: {text}"))
    try:
        yield [tracing.observe] if tracing is not None else []
    finally:
        if tracing is not None:
            tracing.close()


def _connect(target: Any, credentials: Any, runtime: Any, options: Any) -> Any:
    """Return a client with shorter time limits than a command uses: a dead cluster must not occupy a slot for long."""
    from reconciler.client import Client, RetryPolicy

    policy = RetryPolicy(call_timeout=45.0, max_attempts=2)
    return Client(target, credentials, runtime, replace(options, policy=policy))


def _open_source(settings: Settings) -> Source:
    """Return the source in *settings*."""
    from reconciler.source import open_source

    assert settings.source is not None  # noqa: S101 - `completed` set one
    return open_source(settings.source, settings)
