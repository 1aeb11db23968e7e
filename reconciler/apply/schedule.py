"""What is done next: the ready changes of a plan, so many at a time, and what a failure means for the rest."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from graphlib import TopologicalSorter

from reconciler.apply.driver import Means
from reconciler.apply.perform import Done, Site, perform
from reconciler.apply.report import Outcome, Report, Status
from reconciler.errors import (
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
from reconciler.plan import Change, Plan

_ENDS_CLUSTER = (ControlLost, Unauthorized, VersionUnsupported, Untrusted, Unreachable)
_LONGEST = 500


def clean(text: str) -> str:
    """Return *text* fit for people: one line, no control characters, not too long."""
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


class Schedule:
    """One walk through the changes of a plan. Only the thread that calls `walk` touches it."""

    def __init__(self, plan: Plan, sites: Mapping[str, Site], means: Means, parallelism: int) -> None:
        self._changes = {change.number: change for change in plan.changes}
        self._sites = sites
        self._means = means
        self._parallelism = max(1, parallelism)
        self._outcomes: dict[int, Outcome] = {}
        self._stopped: dict[str, str] = {}  # cluster → why
        self._stopped_all = ""
        self._running: dict[Future[Outcome], Change] = {}
        self._ready: dict[str, list[int]] = {name: [] for name in sites}  # heaps of numbers
        needs = {change.number: [n for n in change.after if n in self._changes] for change in plan.changes}
        self._sorter = TopologicalSorter(dict(sorted(needs.items())))
        self._sorter.prepare()
        self._cuts = [change for change in plan.changes if change.cuts_off]

    def walk(self, run: str) -> Report:
        """Do everything that can be done."""
        with ExitStack() as stack:
            pool = None
            if self._parallelism > 1 and len(self._changes) > 1:
                threads = min(len(self._changes), self._parallelism * len(self._sites))
                pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="apply"))
            while self._sorter.is_active():
                self._take(sorted(self._sorter.get_ready()))
                if self._start(pool) or not self._running:
                    continue
                finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in sorted(finished, key=lambda one: self._running[one].number):
                    self._running.pop(future)
                    self._ended(future.result())
        outcomes = tuple(self._outcomes[number] for number in sorted(self._outcomes))
        cut_short = any(isinstance(outcome.error, Interrupted) for outcome in outcomes)
        left = any(outcome.status is Status.NOT_ATTEMPTED for outcome in outcomes)
        interrupted = cut_short or (self._means.stop.is_set() and left)
        return Report(outcomes, run=run, interrupted=interrupted, stopped=dict(sorted(self._stopped.items())))

    def _take(self, numbers: Iterable[int]) -> None:
        """Queue what has become ready, or settle it at once where it must not be tried."""
        for number in numbers:
            change = self._changes[number]
            because = self._because(change)
            if because:
                roots = ", ".join(str(self._changes[root].address) for root in because)
                self._ended(Outcome(change, Status.SKIPPED, f"needs {roots}", because=because))
            else:
                heapq.heappush(self._ready[change.address.cluster], number)

    def _because(self, change: Change) -> tuple[int, ...]:
        """Return the failed changes at the root of what *change* needs; none if all of it is done."""
        roots: set[int] = set()
        for number in change.after:
            outcome = self._outcomes.get(number)
            if outcome is not None and outcome.status is Status.FAILED:
                roots.add(number)
            elif outcome is not None and outcome.status is Status.SKIPPED:
                roots.update(outcome.because)
        return tuple(sorted(roots))

    def _start(self, pool: ThreadPoolExecutor | None) -> bool:
        """Begin what there is room for, lowest number first; return whether something was settled right here."""
        settled = False
        for name in sorted((name for name in self._ready if self._ready[name]), key=lambda name: self._ready[name][0]):
            queue = self._ready[name]
            while queue:
                change = self._changes[queue[0]]
                reason = self._held(change)
                if reason:
                    self._ended(Outcome(change, Status.NOT_ATTEMPTED, reason))
                    settled = True
                elif self._waits(change):
                    break
                elif pool is None:
                    heapq.heappop(queue)
                    self._ended(self._attempt(change))
                    return True
                elif sum(one.address.cluster == name for one in self._running.values()) < self._parallelism:
                    self._running[pool.submit(self._attempt, change)] = change
                else:
                    break
                heapq.heappop(queue)
        return settled

    def _held(self, change: Change) -> str:
        """Return why *change* must not begin; "" if it may."""
        if self._stopped_all:
            return self._stopped_all
        if self._means.stop.is_set():
            return "stopped on request"
        waiting_for = [n for n in change.after if n in self._outcomes and self._outcomes[n].status is not Status.DONE]
        return self._stopped.get(change.address.cluster, "") or (
            f"needs {self._changes[waiting_for[0]].address}, which was not attempted" if waiting_for else ""
        )

    def _waits(self, change: Change) -> bool:
        """Tell whether *change* must wait: what may cut us off from its cluster comes last there, and alone.

        Numbers are an order in which everything can be done, so the lowest one that is left never waits.
        """
        others = self._changes.values() if change.cuts_off else self._cuts
        return any(
            other.number < change.number
            and other.number not in self._outcomes
            and other.address.cluster == change.address.cluster
            for other in others
        )

    def _attempt(self, change: Change) -> Outcome:
        """Do one change and say how it ended; runs in a thread of the pool."""
        site, done, began = self._sites[change.address.cluster], Done(), self._means.clock()
        about = {"number": change.number, "address": str(change.address), "action": change.action.name.lower()}
        self._means.tell("change.started", about)
        error: ReconcilerError | None = None
        try:
            with self._means.alone if site.kinds[change.address.kind].traits.multi_cluster else nullcontext():
                perform(site, change, done)
        except ReconcilerError as refusal:
            error = refusal
        except Exception as bug:  # one change must not take the others down
            error = ReconcilerError(f"internal error: {type(bug).__name__}; please report it")
            error.__cause__ = bug
        seconds = self._means.clock() - began
        why = clean(str(error)) if error is not None else ""
        status = Status.DONE if error is None else Status.FAILED
        self._means.tell("change.done" if error is None else "change.failed", {**about, "why": why, "seconds": seconds})
        return Outcome(change, status, why, error, uid=done.uid, operation=done.operation, seconds=seconds)

    def _ended(self, outcome: Outcome) -> None:
        """Note an outcome and what follows from it."""
        change, error = outcome.change, outcome.error
        self._outcomes[change.number] = outcome
        self._sorter.done(change.number)
        if isinstance(error, LedgerError):
            self._stopped_all = self._stopped_all or outcome.why
        elif isinstance(error, _ENDS_CLUSTER) or (isinstance(error, Forbidden) and "licen" in str(error).lower()):
            self._stopped.setdefault(change.address.cluster, outcome.why)
        if outcome.status in (Status.SKIPPED, Status.NOT_ATTEMPTED):
            about = {"number": change.number, "address": str(change.address), "action": change.action.name.lower()}
            self._means.tell("change.skipped", {**about, "why": outcome.why, "status": outcome.status.value})
