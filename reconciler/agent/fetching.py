"""When the source is fetched: one fetch at a time, at its interval, after failures with a back-off. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.agent import backoff
from reconciler.agent.source_watch import SourceUpdate, SourceWatch
from reconciler.errors import InputError
from reconciler.runtime import Runtime

_BASE: Final = 30.0  # seconds before the second attempt
_LONGEST: Final = 600.0  # seconds between two attempts


class FetchSchedule:
    """The schedule of fetches; only `request` may be called from other threads."""

    def __init__(self, source_watch: SourceWatch, runtime: Runtime) -> None:
        self._source_watch = source_watch
        self._runtime = runtime
        self._schedule = backoff.BackoffState(due=runtime.clock())
        self.running = False

    def request(self) -> None:
        """Make a fetch due now."""
        self._schedule = backoff.due_now(self._schedule, self._runtime.clock())

    def start(self) -> bool:
        """Return whether a fetch has to be started now; if so, it counts as running."""
        due = self._schedule.next
        if self.running or due is None or due > self._runtime.clock():
            return False
        self.running = True
        return True

    def finished(self, update: SourceUpdate) -> None:
        """Schedule the next fetch."""
        self.running = False
        now, jitter = self._runtime.clock(), self._runtime.random.random()
        policy = backoff.BackoffPolicy(self._source_watch.interval, _BASE, _LONGEST)
        if update.failure is None or isinstance(update.failure, InputError):  # it could be fetched
            self._schedule = backoff.after_success(self._schedule, now, policy, jitter)
        else:
            kind = backoff.failure_kind(update.failure)
            kind = backoff.FailureKind.FAILED if kind is backoff.FailureKind.UNAUTHORIZED else kind
            self._schedule = backoff.after_failure(self._schedule, now, kind, policy, jitter)

    def wake_times(self) -> Iterator[float]:
        """Yield when a fetch is due."""
        if not self.running and self._schedule.next is not None:
            yield self._schedule.next
