"""What a client is given: the cluster, and how the client behaves. Values and protocols only.

Used by `client`; `settings.Target` fits the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.client.retry import RetryPolicy
from reconciler.client.tls import Trust, httpx


class ClientTarget(Trust, Protocol):
    """The cluster to connect to; `settings.Target` fits."""

    @property
    def name(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client behaves; the defaults are those of a command at a terminal."""

    transport: httpx.BaseTransport | None = None  # None: TLS as the target says
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    redact: Callable[[str], str] = str  # removes secrets from what a server says
    state_id: int = 0  # the highest cluster-state-id that an earlier run has seen; older responses are rejected
    urls: tuple[str, ...] = ()  # the only nodes to use; () = all nodes of the target
