"""`reconciler run`: the agent. Wires settings, ledger, source, loop and listeners together, and hears signals.

The loop turns in a thread of its own, and the main thread waits for signals: a handler runs in the middle of whatever
the main thread does, and must not want a lock that it holds.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import say
from reconciler.commands.common import REACH, WHERE, console, load_settings, options
from reconciler.errors import Refused

if TYPE_CHECKING:
    from reconciler.agent.loop import Loop
    from reconciler.agent.status import Board
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings
    from reconciler.source import Source
    from reconciler.telemetry import Event, Observer

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_DONE = b"\0"  # no signal has this number
_ASK_AGAIN = 5.0  # seconds between two tries to become the one agent of a state folder


@click.command("run")
@click.option(
    "--mode", type=click.Choice(("observe", "plan", "apply")), help="For every cluster, whatever is configured."
)
@click.option("--once", is_flag=True, help="One pass over each cluster, then end with the usual exit codes.")
@click.option("--path", metavar="DIR", help="Follow this folder instead of the configured source.")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster (repeatable).")
@click.option("--detailed-exitcode", is_flag=True, help="With --once: exit 2 where something differs.")
@click.option("--log-format", type=click.Choice(("text", "json")), default="text", show_default=True)
@options(*REACH, *WHERE)
def command(once: bool, detailed_exitcode: bool, log_format: str, **flags: Any) -> int:
    """Keep every cluster equal to its manifests, or only report: the agent, until it is told to stop."""
    screen = console(flags)
    first = load_settings(flags, screen)
    _check_account(first)
    settings = _completed(first, flags)
    with ExitStack() as stack:
        agent = stack.enter_context(_Agent.open(settings, flags, log_format, verbose=screen.verbose))
        if not once:
            stack.enter_context(agent.seen_from_outside())
            stack.enter_context(agent.heard_outside())
        code = agent.run(once=once)
    if code == 0 and once and detailed_exitcode and any(one.drift for one in agent.board.status.clusters.values()):
        return 2
    return code


def _check_account(settings: Settings) -> None:
    """Refuse to be root where the image or the unit says that it must not be, whatever else was overridden."""
    if os.geteuid() == 0 and settings.login_sources.environ.get("RECONCILER_UNPRIVILEGED") == "true":
        raise Refused("the agent does not run as root here: run it as another user (in the image: 65532)")


def _completed(settings: Settings, flags: Mapping[str, Any]) -> Settings:
    """Return *settings* with what the flags say; raises InputError for a cron expression that makes no sense."""
    from reconciler.kinds.freeze import check
    from reconciler.settings import FolderSource

    settings.reachable()
    where = str(settings.project or "settings")
    check((window for target in settings.targets for window in target.agent_policy.freeze), where)
    if flags.get("path"):
        settings = replace(settings, source=FolderSource(Path(flags["path"])))
    elif settings.source is None:
        settings = replace(settings, source=FolderSource(settings.root))

    def told(target: Any) -> Any:
        mode = flags.get("mode") or target.agent_policy.mode
        layers = target.manifests or (settings.root,)  # of a cluster that the environment names: all of the source
        return replace(target, conduct=target.agent_policy._replace(mode=mode), manifests=layers)

    return replace(settings, targets=tuple(map(told, settings.targets)), selected=tuple(map(told, settings.selected)))


class _Agent:
    """The loop and what belongs to it, while the process lives."""

    def __init__(self, loop: Loop, board: Board, ledger: Ledger, observers: list[Observer]) -> None:
        self.loop = loop
        self.board = board
        self.ledger = ledger
        self.observers = observers
        self.error: BaseException | None = None

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, flags: Mapping[str, Any], form: str, *, verbose: bool) -> Iterator[_Agent]:
        """Open everything that the agent works with."""
        from reconciler import __version__
        from reconciler.agent.follow import Follower, shown
        from reconciler.agent.log import Log
        from reconciler.agent.loop import Loop, Means
        from reconciler.agent.orders import Office
        from reconciler.agent.status import Board, Status
        from reconciler.agent.tracing import open_tracing
        from reconciler.kinds import load_kinds
        from reconciler.ledger import Ledger

        def warn(text: str) -> None:
            say(f"warning: {text}")

        log = Log(say, form=form, verbose=verbose, redact=settings.redactor.redact)
        observers: list[Observer] = [log.observe]

        def observe(event: Event) -> None:
            for observer in observers:
                observer(event)

        with ExitStack() as stack:
            ledger = stack.enter_context(Ledger.open(settings.state_dir))
            if flags["restored"]:
                for target in settings.selected:
                    ledger.forget_state_id(target.name)
            board = Board(Status(time.time(), __version__, leader=False))
            tracing = open_tracing(settings.login_sources.environ, __version__, warn)
            if tracing is not None:
                observers.append(tracing.observe)
                stack.callback(tracing.close)
            agent = settings.agent
            passes = ThreadPoolExecutor(agent.parallelism + agent.max_failing, thread_name_prefix="pass")
            fetches = ThreadPoolExecutor(1, thread_name_prefix="fetch")
            for pool in (passes, fetches):
                stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            office = Office(settings, ledger, board, threading.Event(), connect=_connect, observe=observe)
            assert settings.source is not None  # noqa: S101 - `_completed` gave one
            source = _reopened(settings)
            board.update(source=replace(board.status.source, **shown(settings.source)))
            follower = Follower(source, settings, load_kinds(), board, now=time.time, observe=observe, reopen=_reopened)
            means = Means(passes.submit, fetches.submit, reload=lambda: _reloaded(settings, flags, observe))
            loop = Loop(office, follower, means)
            yield cls(loop, board, ledger, observers)

    def tell(self, name: str, **about: Any) -> None:
        """Tell who listens."""
        from reconciler.telemetry import Event

        self.observe(Event(name, about))

    @contextmanager
    def seen_from_outside(self) -> Iterator[None]:
        """Serve the page, metrics and health checks, where that is wanted."""
        settings = self.loop.office.settings
        if not settings.listen.enabled:
            yield
            return
        try:
            from reconciler.web import Means, Metrics, serve
        except ImportError as error:
            text = f"the page needs more libraries ({error.name}): pip install 'redis-reconciler[agent]'"
            raise click.ClickException(f"{text}, or set agent.listen.enabled: false") from error
        means = Means(
            since_tick=self.loop.since_turn,
            interval=self.loop.follower.interval,
            writable=self.ledger.writable,
            runs=self.ledger.runs,
            run=self.ledger.run,
        )
        metrics, log = Metrics(self.board), self.observers[0]
        page = serve(
            self.board,
            settings.listen,
            self.loop.fetch_now,
            reveal=settings.reveal,
            means=means,
            metrics=metrics,
            observe=log,
        )
        with page as served:
            self.observers.append(metrics.observe)
            self.tell("page.served", url=served.url)
            yield

    @contextmanager
    def heard_outside(self) -> Iterator[None]:
        """Tell people and forges what changes for the better or worse, where somebody is to be told."""
        settings = self.loop.office.settings
        if not settings.notify.to:
            yield
            return
        from reconciler.notify import telling

        with telling(self.board, settings.notify, reveal=settings.reveal, observe=self.observe):
            yield

    def observe(self, event: Event) -> None:
        """Hand *event* to who listens."""
        for observer in self.observers:
            observer(event)

    def run(self, *, once: bool) -> int:
        """Turn until a signal or the end of the one round; return the exit code."""
        with _signals() as (pipe, done):
            thread = threading.Thread(target=self._turn, args=(once, done), name="loop")
            thread.start()
            while number := _heard(pipe):
                if number == signal.SIGHUP:
                    self.tell("settings.reloading")
                    self.loop.reload()
                elif number in _SIGNALS:
                    self.tell("agent.stopping", signal=signal.Signals(number).name)
                    self.loop.stop()
            thread.join()
        if self.error is not None:
            raise self.error
        if self.loop.abandoned:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)  # threads still wait for clusters: their intents are in the ledger, and nothing more is sent
        return self.loop.code if once else 0

    def _turn(self, once: bool, done: Callable[[], None]) -> None:
        try:
            with self._lease(once=once):
                self.tell("agent.started", clusters=len(self.board.status.clusters))
                self.loop.run(once=once)
                self.tell("agent.stopped")
        except BaseException as error:
            self.error = error
        finally:
            done()

    @contextmanager
    def _lease(self, *, once: bool) -> Iterator[None]:
        """Be the one agent of the state folder; wait until another one is gone, and say so."""
        from reconciler.errors import Locked

        stop, said = self.loop.office.stop, False
        with ExitStack() as stack:
            while not stop.is_set():
                try:
                    stack.enter_context(self.ledger.lease())
                    break
                except Locked as error:
                    if once:
                        raise
                    if not said:
                        self.tell("lease.waiting", why=str(error))
                    said = True
                self.loop.last_turn = time.monotonic()
                stop.wait(_ASK_AGAIN)
            self.board.update(leader=not stop.is_set())
            yield


def _connect(*args: Any, **options: Any) -> Any:
    """Return a client with less patience than a command has: a dead cluster must not occupy a place for minutes."""
    from reconciler.client import Client, Policy

    return Client(*args, policy=Policy(operation=45.0, attempts=2), **options)


def _reloaded(settings: Settings, flags: Mapping[str, Any], observe: Observer) -> Settings | None:
    """Return the settings as they are now; None, with a word, where they make no sense: the old ones stay."""
    from reconciler import settings as reading
    from reconciler.errors import ReconcilerError
    from reconciler.telemetry import Event

    try:
        environ = settings.login_sources.environ
        found = reading.load(settings.project, environ, flags, redactor=settings.redactor)
        found = _completed(found, flags)
    except ReconcilerError as error:
        observe(Event("settings.refused", {"why": str(error)}))
        return None
    observe(Event("settings.reloaded", {"clusters": len(found.selected)}))
    fixed = [name for name in ("state_dir", "listen", "notify") if getattr(found, name) != getattr(settings, name)]
    if fixed:
        observe(Event("settings.deferred", {"why": f"{', '.join(fixed)}: taken up at the next start"}))
    return found


def _reopened(settings: Settings) -> Source:
    """Return the source that *settings* name."""
    from reconciler.source import open_source

    assert settings.source is not None  # noqa: S101 - `_completed` gave one
    return open_source(settings.source, settings)


# --- signals --------------------------------------------------------------------------------------------------------


@contextmanager
def _signals() -> Iterator[tuple[int, Callable[[], None]]]:
    """Turn signals into bytes of a pipe; give its reading end, and what ends the reading.

    The system may hand a signal to any thread, and Python's handlers wait until the main thread is back from what it
    waits in: only the wake-up descriptor is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def done() -> None:
        with suppress(OSError):
            os.write(writer, _DONE)

    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    waker = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader, done
    finally:
        signal.set_wakeup_fd(waker)
        for number, old in before.items():
            signal.signal(number, old)
        os.close(reader)
        os.close(writer)


def _heard(pipe: int) -> int:
    """Return the number of the next signal; 0 for the end."""
    select.select([pipe], [], [])
    return os.read(pipe, 1)[0]
