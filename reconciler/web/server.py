"""The socket, and uvicorn in a thread of its own. `commands.run` enters `serve` around the loop.

The socket is bound before anything starts, so that an address in use is reported at once. Slow and silent clients are
disconnected by a time limit on each request, and their number is limited.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler import telemetry
from reconciler.agent.status import StatusStore
from reconciler.errors import InputError, Problem
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.settings.listen import Listen
from reconciler.web.app import WebApp
from reconciler.web.auth import MIN_TOKEN_LENGTH, AllowedHosts, TokenAuth
from reconciler.web.health import AgentHandle
from reconciler.web.metrics import Metrics
from reconciler.web.middleware import RequestGuard
from reconciler.web.webhooks import MIN_SECRET_LENGTH

_CONNECTIONS: Final = 100
_MAX_HEAD: Final = 16 * 1024
_REQUEST_TIMEOUT: Final = 30.0  # seconds
_START_TIMEOUT: Final = 20.0  # seconds

Reveal = Callable[[Mapping[str, Any], str], Secret]


def _no_secrets(reference: Mapping[str, Any], where: str) -> Secret:
    raise LookupError(where)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A running server, and the metrics it serves."""

    host: str
    port: int
    tls: bool
    metrics: Metrics

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}/"


@contextlib.contextmanager
def serve(
    status_store: StatusStore,
    settings: Listen,
    agent: AgentHandle,
    *,
    reveal: Reveal = _no_secrets,
    runtime: Runtime,
    request_timeout: float = _REQUEST_TIMEOUT,
) -> Iterator[RunningServer]:
    """Serve *status_store* until the block ends.

    *reveal* resolves the secrets that *settings* refers to, as `Settings.reveal` does; *request_timeout* is in
    seconds, from the connection, or the previous response, to the end of the next one. Raises InputError where the
    address, a secret or a certificate cannot be used.
    """
    metrics = Metrics(status_store)
    token = _secret(settings.token, "agent.listen.token", MIN_TOKEN_LENGTH, reveal) if settings.token else None
    webhooks = {
        name: _secret(reference, f"agent.webhook.{name}.secret", MIN_SECRET_LENGTH, reveal)
        for name, reference in settings.hooks.items()
    }

    observers = (metrics.observe, runtime.observe)

    def emit(event: telemetry.Event) -> None:
        for observe in observers:
            observe(event)

    runtime = replace(runtime, observe=emit)
    app = WebApp(status_store, metrics, agent, webhooks, runtime)
    guarded = RequestGuard(app.asgi(), AllowedHosts(settings), TokenAuth(token, runtime.clock), emit, runtime.redact)
    tls = _tls_context(settings)
    with contextlib.closing(_listening_socket(settings)) as sock, _running(guarded, sock, tls, request_timeout):
        yield RunningServer(settings.host, sock.getsockname()[1], tls is not None, metrics)


@contextlib.contextmanager
def _running(app: Any, sock: socket.socket, tls: ssl.SSLContext | None, request_timeout: float) -> Iterator[None]:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # malformed requests are not worth a line
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=type("_Protocol", (_TimeLimitedProtocol,), {"request_timeout": request_timeout}),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=128,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=_MAX_HEAD,
    )
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    started, failures = threading.Event(), []

    def main() -> None:
        async def run() -> None:
            asyncio.get_running_loop().call_soon(started.set)
            await server.serve(sockets=[sock])

        try:
            asyncio.run(run())
        except BaseException as error:
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=main, name="web", daemon=True)
    thread.start()
    try:
        if not started.wait(_START_TIMEOUT) or failures:
            raise RuntimeError("the web server did not start") from (failures[0] if failures else None)
        yield
    finally:
        server.should_exit = True
        thread.join(_START_TIMEOUT)


class _TimeLimitedProtocol(H11Protocol):
    """HTTP/1.1 with a time limit for each request, so that slow clients are disconnected.

    A connection over the limit closes the oldest one, first of those without a request: health checks are served
    however many clients are connected and silent.
    """

    request_timeout = _REQUEST_TIMEOUT
    _limit: asyncio.TimerHandle | None = None
    _since = 0.0  # of the connection, or of the end of its last response

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._restart_limit()
        if len(self.connections) > _CONNECTIONS:
            others = [one for one in self.connections if isinstance(one, _TimeLimitedProtocol) and one is not self]
            oldest = min(others, key=lambda one: (one.has_request, one._since))
            oldest.transport.abort()
            self.connections.discard(oldest)

    @property
    def has_request(self) -> bool:
        """Whether a request is being read or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def on_response_complete(self) -> None:
        self._restart_limit()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(exc)

    def _restart_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._since = self.loop.time()
        self._limit = self.loop.call_later(self.request_timeout, self.transport.abort)


def _listening_socket(settings: Listen) -> socket.socket:
    """Return a listening socket; raises InputError where the address cannot be used."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(settings, error) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _unusable(settings, error) from error
    return sock


def _unusable(settings: Listen, error: OSError) -> InputError:
    reason = (error.strerror or "cannot be used").lower()
    where = f"{settings.host}:{settings.port}"
    return InputError([Problem("agent.listen", 0, 0, "", f"{where}: {reason}", "choose another host or port")])


def _secret(reference: Mapping[str, Any], where: str, min_length: int, reveal: Reveal) -> Secret:
    secret = reveal(reference, where)
    if len(secret.reveal()) < min_length:
        message = f"has fewer than {min_length} characters"
        raise InputError([Problem(where, 0, 0, "", message, "generate one with: openssl rand -hex 32")])
    return secret


def _tls_context(settings: Listen) -> ssl.SSLContext | None:
    if settings.certificate is None or settings.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        reason = (getattr(error, "reason", None) or error.strerror or "cannot be used").lower().replace("_", " ")
        message = f"{settings.certificate} and {settings.key}: {reason}"
        raise InputError([Problem("agent.listen", 0, 0, "", message, "configure a PEM chain and its key")]) from error
    return context
