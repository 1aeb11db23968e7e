"""Serves a `Core` over TLS: a listener for each node, all in one event loop in a separate thread.

It also applies the faults of connections: dropped and reset connections, slow and truncated responses.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from reconciler.simulator.access.client_certificates import client_authority
from reconciler.simulator.api.json_body import MAX_BYTES
from reconciler.simulator.api.messages import ApiError, ApiResponse, Request, Wire
from reconciler.simulator.core import Core
from reconciler.simulator.http.control import ControlApp
from reconciler.simulator.http.tls import ServerContext

_LINGER = struct.pack("ii", 1, 0)
_PIECES = 20
_BEAT = 0.02  # seconds
_SERVER_HEADERS = [(b"server", b"envoy")]

log = logging.getLogger("reconciler.simulator")


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which gives the application access to the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class NodeApp:
    """The ASGI application of one node."""

    def __init__(self, core: Core, uid: int, latency: float) -> None:
        self.core = core
        self.uid = uid
        self.latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            request = Request(
                scope["method"],
                scope["path"],
                dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
                {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
                await self._body(scope, receive),
                self.uid,
                _client_certificate(scope),
            )
        except ClientDisconnect:
            return
        except ApiError as error:
            refusal = error.response()
            headers = {**refusal.headers, "connection": "close"}
            await HttpResponse(refusal.body, refusal.status, headers)(scope, receive, send)
            return
        if self.latency:
            await asyncio.sleep(self.latency)
        response = self._exchange(request)
        log.info("node %d %s %s %d", self.uid, request.method, request.path, response.status)
        await _deliver(response, scope, receive, send)

    def _exchange(self, request: Request) -> ApiResponse:
        try:
            return self.core.exchange(request)
        except Exception:  # a bug of the simulator must not stop the server
            log.exception("node %d %s %s", self.uid, request.method, request.path)
            return ApiError(500, "internal_error", "a bug in the simulator; see its log").response()

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        parts, size = [], 0
        async for part in HttpRequest(scope, receive).stream():
            size += len(part)
            if size > MAX_BYTES:
                raise ApiError(413, "body_too_large", "the body is larger than 64 MiB")
            parts.append(part)
        return b"".join(parts)


def _client_certificate(scope: Scope) -> bytes:
    """Return the client certificate of a connection in DER, b"" without one."""
    tls = scope["state"]["transport"].get_extra_info("ssl_object")
    return (tls.getpeercert(binary_form=True) if tls is not None else None) or b""


async def _deliver(response: ApiResponse, scope: Scope, receive: Receive, send: Send) -> None:
    wire = response.wire
    if wire.delay:
        await asyncio.sleep(wire.delay)
    if wire.cut in ("refuse", "drop", "reset"):
        await _cut(scope, receive, reset=wire.cut != "drop")
        return
    http = HttpResponse(response.body, response.status, dict(response.headers))
    if not wire.cut and not wire.drip:
        await http(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": http.status_code, "headers": http.raw_headers})
    await _piecewise(response.body, wire, send)
    if wire.cut:
        await _cut(scope, receive, reset=False)
    else:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _piecewise(body: bytes, wire: Wire, send: Send) -> None:
    if wire.cut == "truncate":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        return
    step = max(1, len(body) // _PIECES)
    for start in range(0, len(body), step):
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await asyncio.sleep(wire.drip)


async def _cut(scope: Scope, receive: Receive, *, reset: bool) -> None:
    transport: asyncio.Transport = scope["state"]["transport"]
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        transport.abort()
    else:
        transport.close()  # what was sent before is still delivered
    while (await receive())["type"] != "http.disconnect":
        pass


class _Listener:
    """The socket of one node, or of the control endpoint. It can be closed and reopened on the same port."""

    def __init__(self, app: ASGIApp, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self.address = address
        self._tls = tls
        self._config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = _SERVER_HEADERS
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            return _Protocol(config=self._config, server_state=self._state, app_state={})

        self._server = await loop.create_server(protocol, *self.address, ssl=self._tls, backlog=2048)
        self.address = (self.address[0], self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Refuse new connections and abort the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()


class Server:
    """The nodes of a core on their sockets. `start` returns when they accept connections, `stop` when closed."""

    def __init__(
        self, core: Core, tls: ssl.SSLContext, *, host: str = "127.0.0.1", port: int = 0, latency: float = 0
    ) -> None:
        self.core = core
        self._loop = asyncio.new_event_loop()
        ports = {uid: port + place if port else 0 for place, uid in enumerate(core.node_uids)}
        self._listeners = {
            uid: _Listener(NodeApp(core, uid, latency), (host, ports[uid]), tls) for uid in core.node_uids
        }
        self._control: _Listener | None = None
        if isinstance(tls, ServerContext):
            core.site.shown, core.site.show = tls.pair, tls.present
            tls.authority = lambda: client_authority(core.state)
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)

    @property
    def urls(self) -> tuple[str, ...]:
        """The URL of each node, members first."""
        return tuple(self.core.urls[uid] for uid in self.core.node_uids)

    def _run(self, work: Callable[[], Any]) -> None:
        """Run *work* in the loop and wait for it; called from the loop itself, do not wait for a coroutine."""
        if threading.current_thread() is self._thread:
            result = work()
            if asyncio.iscoroutine(result):
                self._tasks.add(task := self._loop.create_task(result))
                task.add_done_callback(self._tasks.discard)
            return

        async def call() -> None:
            result = work()
            if asyncio.iscoroutine(result):
                await result

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(30)

    def start(self) -> None:
        """Listen; raise `OSError` if a port is not available."""
        self._thread.start()
        try:
            for uid, listener in self._listeners.items():
                self._run(listener.open)
                host, port = listener.address
                self.core.urls[uid] = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        except OSError:
            self.stop()
            raise
        self.core.watchers.append(self._node)

    def control(self, cores: Sequence[Core], port: int = 0) -> str:
        """Open the control endpoint of *cores* on loopback and return its URL; raise `OSError` if it cannot listen."""
        self._control = _Listener(ControlApp(cores), ("127.0.0.1", port), None)
        self._run(self._control.open)
        return "http://{}:{}".format(*self._control.address)

    def _node(self, uid: int, up: bool) -> None:
        listener = self._listeners[uid]
        self._run(listener.open if up else listener.close)
        if not up:
            self._run(lambda: self._loop.call_later(_BEAT, self._beat))

    def _beat(self) -> None:
        """Advance the core while a node is down: with no node up, no call would do so."""
        with self.core.state.lock:
            self.core.state.advance()
        if self.core.down:
            self._loop.call_later(_BEAT, self._beat)

    def stop(self) -> None:
        """Close all sockets and end the thread."""
        if self._loop.is_closed():
            return
        for listener in (*self._listeners.values(), *([self._control] if self._control else [])):
            self._run(listener.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        _finish(self._loop)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
