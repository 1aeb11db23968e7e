"""The loop: fetches the source and starts the reconciliation of each cluster when it is due.

`commands.run` starts it. One thread ticks and decides; fetches and reconciliations run in other threads, so that
nothing slow delays anything else. It decides when, with `backoff` and `slots`; it knows nothing of what a
reconciliation does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.agent import slots
from reconciler.agent.cluster_states import ClusterStates, ScheduledCluster
from reconciler.agent.context import AgentContext, ReconcileRequest, ReconcileResult
from reconciler.agent.fetching import FetchSchedule
from reconciler.agent.periodic import POLL_INTERVAL, PeriodicWork
from reconciler.agent.reconciliation import reconcile_cluster
from reconciler.agent.results import ResultRecorder
from reconciler.agent.source_watch import SourceUpdate, SourceWatch
from reconciler.agent.status import ClusterStatus, Phase
from reconciler.errors import Interrupted, ReconcilerError, Unauthorized
from reconciler.kinds import load_kinds

if TYPE_CHECKING:
    from reconciler.settings import Settings

GRACE_PERIOD: Final = 30.0  # seconds that calls in flight get to complete

Submit = Callable[[Callable[[], None]], object]


def _wait(event: threading.Event, seconds: float) -> object:
    return event.wait(seconds)


class Workers(NamedTuple):
    """What runs work in other threads, and waits for its results."""

    reconciliations: Submit
    fetches: Submit
    wait: Callable[[threading.Event, float], object] = _wait


class _Reconciled(NamedTuple):
    """The result of a reconciliation, from its thread to the loop's."""

    name: str
    result: ReconcileResult
    revision: str


def _settings_unchanged() -> Settings | None:
    return None


class Loop:
    """The agent. `run` returns when it is stopped, or after one reconciliation of each cluster."""

    def __init__(
        self,
        context: AgentContext,
        source_watch: SourceWatch,
        workers: Workers,
        *,
        reload: Callable[[], Settings | None] = _settings_unchanged,  # None: they are invalid, and that was reported
        reconcile: Callable[[AgentContext, ReconcileRequest], ReconcileResult] = reconcile_cluster,
        poll_interval: float = POLL_INTERVAL,
    ) -> None:
        self.context = context
        self.clock = context.runtime.clock
        self.source_watch = source_watch
        self.workers = workers
        self.wake = threading.Event()
        self.cluster_states = ClusterStates(load_kinds())
        self.revision = ""
        self.abandoned = False  # calls were still in flight when the grace period ended
        self.last_tick = self.clock()
        self._reload, self._reconcile = reload, reconcile
        self._recorder = ResultRecorder(context, self.cluster_states)
        self._results: queue.SimpleQueue[SourceUpdate | _Reconciled] = queue.SimpleQueue()
        self._fetching = FetchSchedule(source_watch, context.runtime)
        self._reload_requested = False
        self._once = False  # reconcile each cluster only once
        self._periodic = PeriodicWork(context, self.cluster_states, poll_interval)
        self._configure(context.settings)

    # --- may be called from any thread --------------------------------------------------------------------------------

    def fetch_now(self) -> None:
        """Fetch the source as soon as possible."""
        self._fetching.request()
        self.wake.set()

    def reload(self) -> None:
        """Read the settings again; safe in a signal handler."""
        self._reload_requested = True
        self.wake.set()

    def stop(self) -> None:
        """Start no new operations; safe in a signal handler."""
        self.context.runtime.stop.set()
        self.wake.set()

    def since_tick(self) -> float:
        """Return the seconds since the last tick."""
        return self.clock() - self.last_tick

    @property
    def code(self) -> int:
        """The exit code of `--once`: 130 if it was stopped, else the highest of all failures, else 0."""
        if self.context.runtime.stop.is_set():
            return Interrupted.exit_code
        source = self.source_watch.failure
        codes = self._recorder.exit_codes | ({source.exit_code} if source is not None else set())
        if any(self.cluster_states.login_blocked(one, self.clock()) for _, one in self.cluster_states):
            codes |= {Unauthorized.exit_code}
        return max(codes, default=0)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def run(self, *, once: bool = False) -> None:
        """Tick until stopped; with *once* until each cluster was reconciled."""
        stop, self._once = self.context.runtime.stop, once
        self.restore()
        while not stop.is_set():
            self.tick()
            if once and self._all_done():
                break
            self.workers.wait(self.wake, self.pause())
        self._shut_down()

    def restore(self) -> None:
        """Continue where a previous agent stopped."""
        self._recorder.restore_refused_logins()

    def tick(self) -> None:
        """Do what is due now."""
        self.wake.clear()
        self.last_tick = self.clock()
        self._collect()
        if self._reload_requested:
            self._reload_requested = False
            settings = self._reload()
            if settings is not None:
                self._configure(settings)
        self._periodic.poll()
        self._start_fetch()
        self._start_reconciliations()
        self._periodic.trim()

    def pause(self) -> float:
        """Return the seconds until something is due."""
        now = self.clock()
        times = [self._periodic.next_poll, *self._fetching.wake_times()]
        if self.revision:
            times += self.cluster_states.wake_times()
        later = [at for at in times if at > now]
        return max(0.0, min(later, default=now + self._periodic.poll_interval) - now)

    def _all_done(self) -> bool:
        if self.source_watch.failure and not self.revision and not self._fetching.running:
            return True
        return bool(self.revision) and self.cluster_states.all_reconciled(self.clock())

    def _configure(self, settings: Settings) -> None:
        """Use *settings* from now on: clusters are added, removed, or treated differently."""
        first = not self.cluster_states.clusters
        self.context = self._recorder.context = self._periodic.context = replace(self.context, settings=settings)
        self.cluster_states.configure(settings.selected, self.clock())
        status_store = self.context.status_store
        before, clusters = status_store.status.clusters, {}
        for name, one in self.cluster_states:
            mode = one.target.agent_policy.mode
            clusters[name] = replace(before.get(name) or ClusterStatus(name, mode), mode=mode)
            if one.schedule.suspended:
                clusters[name] = replace(clusters[name], phase=Phase.SUSPENDED, next_reconciliation=None)
        status_store.update(clusters=MappingProxyType(clusters))
        self.source_watch.configure(settings)
        if not first:
            self.fetch_now()

    # --- work in other threads ----------------------------------------------------------------------------------------

    def _start_fetch(self) -> None:
        if not self._fetching.start():
            return

        def work() -> None:
            self.context.emit("fetch.started")
            update = self.source_watch.check(self.context.runtime.stop)
            error = type(update.failure).__name__ if update.failure else ""
            self.context.emit("fetch.failed" if error else "fetch.done", revision=update.revision, failure=error)
            self._results.put(update)
            self.wake.set()

        self.workers.fetches(work)

    def _start_reconciliations(self) -> None:
        if not self.revision:
            return
        now, agent = self.clock(), self.context.settings.agent
        capacity = slots.Capacity(agent.parallelism, agent.max_failing)
        for name in self.cluster_states.select(capacity, now, once=self._once):
            self._start(name, self.cluster_states.clusters[name], now)

    def _start(self, name: str, one: ScheduledCluster, now: float) -> None:
        one.running = slots.OccupiedSlot(now, one.schedule.failures > 0)
        one.rerun = False
        self.context.coordination.probes.forget(name)
        context, request = self.context, self.cluster_states.request(name, self.revision, now)

        def work() -> None:
            result = ReconcileResult(ReconcilerError("the reconciliation ended without a result; please report it"))
            try:
                result = self._reconcile(context, request)
            finally:
                self._results.put(_Reconciled(name, result, request.revision))
                self.wake.set()

        self.workers.reconciliations(work)

    def _collect(self) -> None:
        """Process the results of other threads."""
        while True:
            try:
                found = self._results.get_nowait()
            except queue.Empty:
                return
            if isinstance(found, SourceUpdate):
                self._fetching.finished(found)
                if found.manifests is not None:
                    self.revision = found.revision
                    self.cluster_states.assign(found.manifests.resources, self.clock())
            else:
                self._recorder.record(found.name, found.result, found.revision)

    def _shut_down(self) -> None:
        """Wait for operations in flight, no longer than the grace period."""
        self.context.status_store.update(stopping=True)
        deadline = self.clock() + GRACE_PERIOD
        while self.cluster_states.busy or self._fetching.running:
            left = deadline - self.clock()
            if left <= 0:
                self.abandoned = True
                why = "calls in flight did not complete in time; the next start recovers them"
                self.context.emit("agent.shutdown_timeout", why=why)
                return
            self.wake.clear()
            self._collect()
            if self.cluster_states.busy or self._fetching.running:
                self.workers.wait(self.wake, min(left, 1.0))
