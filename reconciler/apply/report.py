"""The result of an execution: one outcome for each change, as a value. Renderers and commands read it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import ReconcilerError
from reconciler.plan import Action, Change, ClusterFailure


class ChangeStatus(enum.Enum):
    """How one change ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # something that it needs failed
    NOT_ATTEMPTED = "not attempted"  # the run ended, or work on its cluster stopped, before it


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one change ended, and why where it did not succeed."""

    change: Change
    status: ChangeStatus
    why: str = ""  # for display: no secret, cleaned and truncated
    error: ReconcilerError | None = None
    because: tuple[int, ...] = ()  # numbers of the failed changes for which this one was skipped
    uid: int | str | None = None  # of the object afterwards, where it is known
    operation: str = ""  # id in the ledger, "" where nothing had to be sent
    seconds: float = 0.0
    destroyed: bool = False  # of a failed replacement: the old object is deleted, and there is no new one


@dataclass(frozen=True, slots=True)
class Report:
    """How an apply ended: its outcomes in the order of the plan."""

    outcomes: tuple[Outcome, ...]
    run: str = ""  # its id in the ledger
    interrupted: bool = False  # stopped on request
    stopped: Mapping[str, str] = field(default_factory=dict)  # cluster → why work on it stopped
    several: bool = False  # the run covers several clusters: output names the cluster of each object
    failures: tuple[ClusterFailure, ...] = ()  # clusters of the run that were left out

    def with_status(self, status: ChangeStatus) -> tuple[Outcome, ...]:
        """Return the outcomes of one status, in the order of the plan."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is status)

    @property
    def done(self) -> tuple[Outcome, ...]:
        return self.with_status(ChangeStatus.DONE)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return self.with_status(ChangeStatus.FAILED)

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        return self.with_status(ChangeStatus.SKIPPED)

    @property
    def not_attempted(self) -> tuple[Outcome, ...]:
        return self.with_status(ChangeStatus.NOT_ATTEMPTED)

    @property
    def complete(self) -> bool:
        """Whether every change is done."""
        return len(self.done) == len(self.outcomes)

    @property
    def destroyed(self) -> tuple[Outcome, ...]:
        """Return the failed replacements whose old object is deleted."""
        return tuple(outcome for outcome in self.outcomes if outcome.destroyed)

    @property
    def totals(self) -> Mapping[Action, int]:
        """Return how many changes of each action are done; half a replacement is a delete.

        The second step of a create does not count.
        """
        counts = dict.fromkeys(Action, 0)
        for change in (outcome.change for outcome in self.done):
            counts[change.action] += not change.is_second_step
        counts[Action.DELETE] += len(self.destroyed)
        return counts

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many changes ended how, as {"done": 3, "failed": 1, …}."""
        return {status.value: len(self.with_status(status)) for status in ChangeStatus}

    def to_json(self) -> list[dict[str, Any]]:
        """Return the outcomes as plain values, for the ledger and for `-o json`."""
        return [
            {
                "number": outcome.change.number,
                "action": outcome.change.action.name.lower(),
                "address": str(outcome.change.address),
                "fields": [field.path for field in outcome.change.fields],
                "status": outcome.status.value,
                "why": outcome.why,
                "because": list(outcome.because),
                "uid": outcome.uid,
                "operation": outcome.operation,
                "destroyed": outcome.destroyed,
            }
            for outcome in self.outcomes
        ]
