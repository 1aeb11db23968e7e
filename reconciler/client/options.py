"""What a client is given: the cluster, the environment that it runs in, and how it behaves. Values and protocols only.

Used by `client` and `retry_loop`; `settings.Target` and `secrets.Secret` fit the protocols, so nothing of them is
imported here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from reconciler import telemetry
from reconciler.client.retry import RetryPolicy
from reconciler.client.tls import Trust, httpx


class ClientTarget(Trust, Protocol):
    """The cluster to connect to; `settings.Target` fits."""

    @property
    def name(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class ClientRuntime:
    """Time, randomness and the observer of events."""

    clock: Callable[[], float] = time.monotonic  # seconds
    sleep: Callable[[float], object] = time.sleep  # seconds; may return True to report that the run is to stop
    random: Random = field(default_factory=Random)
    observe: telemetry.Observer = telemetry.ignore


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client behaves; the defaults are those of a command at a terminal."""

    transport: httpx.BaseTransport | None = None  # None: TLS as the target says
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    redact: Callable[[str], str] = str  # removes secrets from what a server says
    state_id: int = 0  # the highest cluster-state-id that an earlier run has seen; older responses are rejected
    urls: tuple[str, ...] = ()  # the only nodes to use; () = all nodes of the target
