"""Sockets, and uvicorn in a thread of its own. `commands.run` enters `serve` around the loop.

The socket is bound before anything starts, so that an address in use is told at once. Slow and silent clients are
ended by a time limit on each request and a bound on their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler import telemetry
from reconciler.agent.status import Board
from reconciler.errors import InputError, Problem
from reconciler.secrets import Secret
from reconciler.settings.listen import Listen
from reconciler.web.gate import Gate
from reconciler.web.guard import SHORTEST_TOKEN, Hosts, Tokens
from reconciler.web.health import Means
from reconciler.web.hooks import SHORTEST_SECRET
from reconciler.web.metrics import Metrics
from reconciler.web.site import Site

_CONNECTIONS: Final = 100
_PATIENCE: Final = 30.0  # seconds from a connection, or the answer before, to the end of the next answer
_LARGEST_HEAD: Final = 16 * 1024
_START: Final = 20.0  # seconds

Reveal = Callable[[Mapping[str, Any], str], Secret]


def _no_secrets(reference: Mapping[str, Any], where: str) -> Secret:
    raise LookupError(where)


@dataclass(frozen=True, slots=True)
class Serving:
    """A page that is being served."""

    host: str
    port: int
    secured: bool

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secured else ''}://{host}:{self.port}/"


@contextlib.contextmanager
def serve(
    board: Board,
    settings: Listen,
    fetch_now: Callable[[], object],
    *,
    reveal: Reveal = _no_secrets,
    means: Means | None = None,
    metrics: Metrics | None = None,
    observe: telemetry.Observer = telemetry.ignore,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    patience: float = _PATIENCE,
) -> Iterator[Serving]:
    """Serve what *board* shows until the block ends. *fetch_now* is called when a webhook asks, and returns at once.

    *reveal* gives the secrets that *settings* refers to, as `Settings.reveal` does; *metrics* is what the loop's
    events go to. Raises InputError where the address, a secret or a certificate cannot be used.
    """
    metrics = metrics or Metrics(board)
    token = _secret(settings.token, "agent.listen.token", SHORTEST_TOKEN, reveal) if settings.token else None
    hooks = {
        name: _secret(reference, f"agent.webhook.{name}.secret", SHORTEST_SECRET, reveal)
        for name, reference in settings.hooks.items()
    }

    def tell(event: telemetry.Event) -> None:
        metrics.observe(event)
        observe(event)

    site = Site(board, metrics, means or Means(), hooks, fetch_now, now=now, clock=clock, observe=tell)
    gate = Gate(site.app(), Hosts(settings), Tokens(token, clock), tell)
    secured = _context(settings)
    with contextlib.closing(_bound(settings)) as sock, _running(gate, sock, secured, patience):
        yield Serving(settings.host, sock.getsockname()[1], secured is not None)


@contextlib.contextmanager
def _running(app: Any, sock: socket.socket, secured: ssl.SSLContext | None, patience: float) -> Iterator[None]:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # requests that make no sense are no news
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=type("_Protocol", (_Patient,), {"patience": patience}),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        backlog=128,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )
    config.load()
    config.ssl = secured
    server = uvicorn.Server(config)
    started, failures = threading.Event(), []

    def main() -> None:
        async def all_of_it() -> None:
            asyncio.get_running_loop().call_soon(started.set)
            await server.serve(sockets=[sock])

        try:
            asyncio.run(all_of_it())
        except BaseException as error:
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=main, name="web", daemon=True)
    thread.start()
    try:
        if not started.wait(_START) or failures:
            raise RuntimeError("the page does not start") from (failures[0] if failures else None)
        yield
    finally:
        server.should_exit = True
        thread.join(_START)


class _Patient(H11Protocol):
    """HTTP for clients that may be slow, but not for ever: each request has to be over in time."""

    patience = _PATIENCE
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._again()

    def on_response_complete(self) -> None:
        self._again()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(exc)

    def _again(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.loop.call_later(self.patience, self.transport.abort)


def _bound(settings: Listen) -> socket.socket:
    """Return a socket that listens; raises InputError where it cannot."""
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


def _secret(reference: Mapping[str, Any], where: str, shortest: int, reveal: Reveal) -> Secret:
    secret = reveal(reference, where)
    if len(secret.reveal()) < shortest:
        message = f"has fewer than {shortest} characters"
        raise InputError([Problem(where, 0, 0, "", message, "make one with: openssl rand -hex 32")])
    return secret


def _context(settings: Listen) -> ssl.SSLContext | None:
    if settings.certificate is None or settings.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        reason = (getattr(error, "reason", None) or error.strerror or "cannot be used").lower().replace("_", " ")
        message = f"{settings.certificate} and {settings.key}: {reason}"
        raise InputError([Problem("agent.listen", 0, 0, "", message, "give a PEM chain and its key")]) from error
    return context
