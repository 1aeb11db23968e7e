"""What a reconciliation is given and what it returns: values that the loop and the reconciliations share."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import telemetry
from reconciler.agent.crosscluster import Coordination
from reconciler.agent.status import StatusStore
from reconciler.errors import ReconcilerError
from reconciler.manifests import Resource
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.client import Client
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings, Target


def _wait(event: threading.Event, seconds: float) -> object:
    return event.wait(seconds)


@dataclass(frozen=True, slots=True)
class AgentRuntime:
    """Clock, randomness, stop signal and observer of the agent; tests replace them."""

    stop: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], float] = time.time  # seconds since the epoch
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], object] = _wait
    random: Callable[[], float] = random.random  # from 0 to 1
    observe: telemetry.Observer = telemetry.ignore
    engine: Mapping[str, Any] = field(default_factory=dict)  # clock, sleep and random, as `apply` takes them


@dataclass(frozen=True, slots=True)
class AgentContext:
    """What all reconciliations of one agent work with."""

    settings: Settings
    ledger: Ledger
    status_store: StatusStore
    runtime: AgentRuntime = field(default_factory=AgentRuntime)
    connect: Callable[..., Client] | None = None  # makes a client as its class does
    coordination: Coordination = field(default_factory=Coordination)

    def emit(self, name: str, **attributes: object) -> None:
        """Report an event to the observer."""
        self.runtime.observe(telemetry.Event(name, attributes))

    def redact(self, error: BaseException) -> str:
        """Return the text of *error* without secrets."""
        return self.settings.redactor.redact(str(error))


class ReconcileRequest(NamedTuple):
    """What one reconciliation covers."""

    target: Target
    revision: str
    resources: tuple[Resource, ...]
    related: tuple[Target, ...] = ()  # other clusters that the resources refer to, or are members of
    unavailable: Mapping[str, str] = MappingProxyType({})  # by related cluster that cannot take part: the reason
    declared_elsewhere: frozenset[Address] = frozenset()  # multi-cluster resources declared for other clusters


class ReconcileResult(NamedTuple):
    """How a reconciliation ended."""

    failure: ReconcilerError | None = None
    requeue_at: float | None = None  # seconds since the epoch: reconcile again no later than then
    changes: int = 0  # that were applied
    drift: int = 0  # differences that remain
    duration: float = 0.0  # seconds
    probe_failures: Mapping[str, ReconcilerError] = MappingProxyType({})  # by related cluster
    members: frozenset[str] | None = None  # other clusters that the declared objects have members on; None: unknown
