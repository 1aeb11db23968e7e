"""What a reconciliation is given and what it returns: values that the loop and the reconciliations share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from reconciler import telemetry
from reconciler.agent.crosscluster import Coordination
from reconciler.agent.status import StatusStore
from reconciler.errors import ReconcilerError
from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.runtime import Runtime

if TYPE_CHECKING:
    from reconciler.client import Client
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings, Target


@dataclass(frozen=True, slots=True)
class AgentContext:
    """What all reconciliations of one agent work with."""

    settings: Settings
    ledger: Ledger
    status_store: StatusStore
    runtime: Runtime = field(default_factory=Runtime)
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
    unexpectedly_held: bool = False  # a change is held that was not declared to be, and mode apply would make it
    duration: float = 0.0  # seconds
    probe_failures: Mapping[str, ReconcilerError] = MappingProxyType({})  # by related cluster
    members: frozenset[str] | None = None  # other clusters that the declared objects have members on; None: unknown
