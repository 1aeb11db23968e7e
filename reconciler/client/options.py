"""The cluster that a client connects to, and how the client behaves. Data only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from reconciler.client.login_methods import LoginGuard
from reconciler.client.retry import RetryPolicy
from reconciler.client.tls import Trust, httpx


class ClientTarget(Trust, Protocol):
    """The cluster to connect to; `settings.Target` fits."""

    @property
    def name(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...
    @property
    def login(self) -> str: ...
    @property
    def client_cert(self) -> Path | None: ...
    @property
    def client_key(self) -> Path | None: ...


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client behaves; the defaults are those of a command at a terminal."""

    transport: httpx.BaseTransport | None = None  # None: TLS as the target says
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    redact: Callable[[str], str] = str  # removes secrets from what a server says
    state_id: int = 0  # the highest cluster-state-id that an earlier run has seen; older responses are rejected
    urls: tuple[str, ...] = ()  # the only nodes to use; () = all nodes of the target
    login: LoginGuard | None = None  # None: rejected credentials are remembered as long as the client lives


DEFAULTS: Final = ClientOptions()
