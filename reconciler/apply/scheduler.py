"""Decides which change is executed next: those that are ready, with a limit for each cluster.

`executor` runs it. It also decides what a failure means for the remaining changes.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from graphlib import TopologicalSorter

from reconciler.apply.execute_change import ChangeProgress, execute_change
from reconciler.apply.execution import ClusterContext, ExecutionContext
from reconciler.apply.replacement import replace_object
from reconciler.apply.report import ChangeStatus, Outcome, Report
from reconciler.errors import (
    Ambiguous,
    ControlLost,
    Forbidden,
    Interrupted,
    LedgerError,
    ReconcilerError,
    Unauthorized,
    Unreachable,
    Untrusted,
    VersionUnsupported,
)
from reconciler.plan import Action, Change, Plan, spanned_clusters

_STOPS_CLUSTER = (ControlLost, Unauthorized, VersionUnsupported, Untrusted, Unreachable)
_MAX_LENGTH = 2000


def clean(text: str) -> str:
    """Return *text* fit for display: one line, no control characters, not too long."""
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return words if len(words) <= _MAX_LENGTH else f"{words[: _MAX_LENGTH - 1]}…"


def _loss(change: Change, error: ReconcilerError | None) -> str:
    """Return the beginning of the reason where a replacement ended between its delete and its create."""
    address = change.address._replace(cluster="")
    if isinstance(error, Ambiguous | Interrupted):
        return f"{address} was deleted, and it is not known whether it was created again; the next apply finds out: "
    port = f" on port {change.body['port']}" if "port" in change.body else ""
    return f"{address} was deleted and not created again: it no longer exists; the next apply creates it{port}: "


class Scheduler:
    """One walk through the changes of a plan. Only the thread that calls `walk` uses it."""

    def __init__(
        self, plan: Plan, clusters: Mapping[str, ClusterContext], context: ExecutionContext, parallelism: int
    ) -> None:
        self._changes = {change.number: change for change in plan.changes}
        self._clusters = clusters
        self._runtime = context.runtime
        self._kinds = context.kinds
        self._several = plan.several
        self._multicluster = threading.Lock()  # changes that span clusters are executed one at a time
        self._parallelism = max(1, parallelism)
        self._outcomes: dict[int, Outcome] = {}
        self._stopped = dict(context.absent)  # cluster → why
        self._stopped_all = ""
        self._running: dict[Future[Outcome], Change] = {}
        self._ready: dict[str, list[int]] = {name: [] for name in clusters}  # heaps of numbers
        needs = {change.number: [n for n in change.after if n in self._changes] for change in plan.changes}
        self._sorter = TopologicalSorter(dict(sorted(needs.items())))
        self._sorter.prepare()
        self._cutting_off = [change for change in plan.changes if change.may_lock_out]

    def walk(self, run: str) -> Report:
        """Execute everything that can be executed."""
        with ExitStack() as stack:
            pool = None
            if self._parallelism > 1 and len(self._changes) > 1:
                threads = min(len(self._changes), self._parallelism * len(self._clusters))
                pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="apply"))
            while self._sorter.is_active():
                self._enqueue(sorted(self._sorter.get_ready()))
                if self._start(pool) or not self._running:
                    continue
                finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in sorted(finished, key=lambda one: self._running[one].number):
                    self._running.pop(future)
                    self._record(future.result())
        outcomes = tuple(self._outcomes[number] for number in sorted(self._outcomes))
        cut_short = any(isinstance(outcome.error, Interrupted) for outcome in outcomes)
        left = any(outcome.status is ChangeStatus.NOT_ATTEMPTED for outcome in outcomes)
        interrupted = cut_short or (self._runtime.stop.is_set() and left)
        stopped = dict(sorted(self._stopped.items()))
        return Report(outcomes, run, interrupted, stopped, several=self._several)

    def _enqueue(self, numbers: Iterable[int]) -> None:
        """Queue what has become ready, or record its outcome at once where it must not be attempted."""
        for number in numbers:
            change = self._changes[number]
            because = self._failed_needs(change)
            if because:
                roots = ", ".join(str(self._changes[root].address) for root in because)
                self._record(Outcome(change, ChangeStatus.SKIPPED, f"needs {roots}", because=because))
            else:
                heapq.heappush(self._ready[change.address.cluster], number)

    def _failed_needs(self, change: Change) -> tuple[int, ...]:
        """Return the failed changes that *change* needs, directly or not; none if all of them are done."""
        roots: set[int] = set()
        for number in change.after:
            outcome = self._outcomes.get(number)
            if outcome is not None and outcome.status is ChangeStatus.FAILED:
                roots.add(number)
            elif outcome is not None and outcome.status is ChangeStatus.SKIPPED:
                roots.update(outcome.because)
        return tuple(sorted(roots))

    def _start(self, pool: ThreadPoolExecutor | None) -> bool:
        """Start what the limits allow, lowest number first; return whether an outcome was recorded here."""
        recorded = False
        for name in sorted((name for name in self._ready if self._ready[name]), key=lambda name: self._ready[name][0]):
            queue = self._ready[name]
            while queue:
                change = self._changes[queue[0]]
                reason = self._blocked(change)
                if reason:
                    self._record(Outcome(change, ChangeStatus.NOT_ATTEMPTED, reason))
                    recorded = True
                elif self._must_wait(change):
                    break
                elif pool is None:
                    heapq.heappop(queue)
                    self._record(self._attempt(change))
                    return True
                elif sum(one.address.cluster == name for one in self._running.values()) < self._parallelism:
                    self._running[pool.submit(self._attempt, change)] = change
                else:
                    break
                heapq.heappop(queue)
        return recorded

    def _blocked(self, change: Change) -> str:
        """Return why *change* must not be started; "" if it may."""
        if self._stopped_all:
            return self._stopped_all
        if self._runtime.stop.is_set():
            return "stopped on request"
        waiting_for = [
            n for n in change.after if n in self._outcomes and self._outcomes[n].status is not ChangeStatus.DONE
        ]
        return self._stopped_at(change) or (
            f"needs {self._changes[waiting_for[0]].address}, which was not attempted" if waiting_for else ""
        )

    def _stopped_at(self, change: Change) -> str:
        """Return why no work is done on a cluster that *change* concerns; "" if there is none such."""
        kind, values = self._kinds[change.address.kind], {**(change.rests_on or {}), **change.body}
        lost = values.get(kind.traits.multi_cluster.lost, ()) if kind.traits.multi_cluster else ()
        others = [name for name in spanned_clusters(kind, values) if name in self._stopped and name not in lost]
        if change.address.cluster in self._stopped:
            return self._stopped[change.address.cluster]
        return f"{others[0]} is left out: {self._stopped[others[0]]}" if others else ""

    def _must_wait(self, change: Change) -> bool:
        """Return whether *change* must wait: one that may lock us out runs last on its cluster, and alone.

        The numbers are an order in which everything can be executed, so the lowest one that is left never waits.
        """
        others = self._changes.values() if change.may_lock_out else self._cutting_off
        return any(
            other.number < change.number
            and other.number not in self._outcomes
            and other.address.cluster == change.address.cluster
            for other in others
        )

    def _attempt(self, change: Change) -> Outcome:
        """Execute one change, and return its outcome; runs in a thread of the pool."""
        cluster, progress = self._clusters[change.address.cluster], ChangeProgress()
        began = self._runtime.clock()
        attributes = {"number": change.number, "address": str(change.address), "action": change.action.name.lower()}
        self._runtime.emit("change.started", attributes)
        error: ReconcilerError | None = None
        try:
            with self._multicluster if cluster.kind_of(change.address).traits.multi_cluster else nullcontext():
                execute = replace_object if change.action is Action.REPLACE else execute_change
                execute(cluster, change, progress)
        except ReconcilerError as refusal:
            error = refusal
        except Exception as bug:  # one change must not affect the others
            error = ReconcilerError(f"internal error: {type(bug).__name__}; please report it")
            error.__cause__ = bug
        seconds = self._runtime.clock() - began
        destroyed = change.action is Action.REPLACE and progress.destroyed
        why = clean(f"{_loss(change, error) if destroyed else ''}{error}") if error is not None else ""
        status = ChangeStatus.DONE if error is None else ChangeStatus.FAILED
        self._runtime.emit(
            "change.done" if error is None else "change.failed", {**attributes, "why": why, "seconds": seconds}
        )
        return Outcome(
            change=change,
            status=status,
            why=why,
            error=error,
            uid=progress.uid,
            operation=progress.operation,
            seconds=seconds,
            destroyed=destroyed and error is not None,
        )

    def _record(self, outcome: Outcome) -> None:
        """Record an outcome and what follows from it."""
        change, error = outcome.change, outcome.error
        self._outcomes[change.number] = outcome
        self._sorter.done(change.number)
        if isinstance(error, LedgerError):
            self._stopped_all = self._stopped_all or outcome.why
        elif isinstance(error, _STOPS_CLUSTER) or (isinstance(error, Forbidden) and "licen" in str(error).lower()):
            self._stopped.setdefault(change.address.cluster, outcome.why)
        if outcome.status in (ChangeStatus.SKIPPED, ChangeStatus.NOT_ATTEMPTED):
            attributes = {"number": change.number, "address": str(change.address), "action": change.action.name.lower()}
            self._runtime.emit("change.skipped", {**attributes, "why": outcome.why, "status": outcome.status.value})
