"""What a pass is given and what it gives back: values that the loop, the roster and the passes share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import telemetry
from reconciler.agent import company
from reconciler.agent.status import Board
from reconciler.errors import ReconcilerError
from reconciler.manifests import Resource
from reconciler.model import Address

if TYPE_CHECKING:
    from reconciler.client import Client
    from reconciler.ledger import Ledger
    from reconciler.settings import Settings, Target

_WRITES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Office:
    """What all passes work with."""

    settings: Settings
    ledger: Ledger
    board: Board
    stop: threading.Event
    connect: Callable[..., Client] | None = None
    means: Mapping[str, Any] = field(default_factory=dict)  # time and chance for the engine
    now: Callable[[], float] = time.time  # for people
    clock: Callable[[], float] = time.monotonic
    observe: telemetry.Observer = telemetry.ignore
    writers: company.Writers = field(default_factory=company.Writers)
    doors: company.Doors = field(default_factory=company.Doors)
    parallelism: int = _WRITES_AT_ONCE


class Job(NamedTuple):
    """What one pass is about."""

    target: Target
    revision: str
    resources: tuple[Resource, ...]
    neighbours: tuple[Target, ...] = ()  # clusters that the resources refer to, or stand in as well
    absent: Mapping[str, str] = MappingProxyType({})  # by such cluster that cannot take part: why
    elsewhere: frozenset[Address] = frozenset()  # what spans clusters and is declared for others


class Ended(NamedTuple):
    """How a pass ended."""

    failure: ReconcilerError | None = None
    again_at: float | None = None  # seconds since the epoch: there will be something to do then
    changes: int = 0  # that were applied
    differences: int = 0  # that are left
    waiting: bool = False  # for an approval
    seconds: float = 0.0  # how long it took
    missed: Mapping[str, ReconcilerError] = MappingProxyType({})  # by neighbour that could not be met: why
    beside: frozenset[str] | None = None  # clusters that what is declared stands in by now; None: nobody looked
