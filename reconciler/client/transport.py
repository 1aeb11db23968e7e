"""An HTTP/1.1 transport for httpx: one deadline for all socket operations of an attempt, and certificate pinning.

Used by `client` and `webhook`. httpx limits each single read, so that a response in tiny pieces can last forever; here
all connects, writes and reads of an attempt share one deadline. A pin is checked right after the handshake, before any
byte of the request (and the password in it) is sent. Responses are parsed by the standard library, which takes half of
the time of httpcore and h11. Must not know retries, proxies or environment variables.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Final

from reconciler.client.tls import (
    HTTPS,
    PinMismatch,
    Trust,
    fingerprint,
    httpx,
    load_identity,
    normal_pin,
    ssl_context,
)

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_SEND: Final = 64 * 1024
_RECEIVE: Final = 256 * 1024
# Shorter than the usual keep-alive of servers, which then rarely close a connection that a write is about to use.
_IDLE: Final = 4.0


@contextlib.contextmanager
def attempt_deadline(seconds: float) -> Iterator[None]:
    """Limit all socket operations of this thread together to *seconds* from now."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _left(timeout: float | None, expired: type[httpx.TimeoutException]) -> float:
    """Return the seconds that are left for an operation; raises *expired* when there are none."""
    end = _deadline.get()
    limits = [value for value in (timeout, None if end is None else end - time.monotonic()) if value is not None]
    left = min(limits, default=60.0)
    if left <= 0:
        raise expired("the deadline of the attempt was exceeded")
    return left


class Transport(httpx.BaseTransport):
    """A connection pool for the nodes of one cluster; each connection serves one request at a time."""

    def __init__(self, trust: Trust, identity: tuple[Path, Path] | None = None) -> None:
        """*identity*: a client certificate and its key. Raises OSError for an unusable file, ValueError for a pin."""
        self._context = ssl_context(trust)
        if identity is not None:
            load_identity(self._context, *identity)
        self._pin = normal_pin(trust.pin) if trust.pin else None
        self._idle: dict[tuple[str, int], list[tuple[float, _Connection]]] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the response; its body is not read yet."""
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        node = (request.url.host, request.url.port or HTTPS)
        connection = self._idle_connection(node) or self._connect(node, timeouts.get("connect"))
        connection.read_timeout = timeouts.get("read")
        try:
            connection.send(_serialize(request), timeouts.get("write"))
            response = http.client.HTTPResponse(connection, method=request.method)  # type: ignore[arg-type]
            response.begin()
            _check_length(response)
        except BaseException as error:
            connection.close()
            if isinstance(error, http.client.HTTPException):
                raise httpx.RemoteProtocolError("no status line") from error
            raise
        headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.getheaders()
        ]
        extensions = {"reason_phrase": response.reason.encode("latin-1", "replace")}
        body = _Body(self, node, connection, response)
        return httpx.Response(response.status, headers=headers, stream=body, extensions=extensions)

    def keep(self, node: tuple[str, int], connection: _Connection) -> None:
        """Return a connection to the pool for the next request."""
        with self._lock:
            self._idle.setdefault(node, []).append((time.monotonic(), connection))

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for kept in idle.values():
            for _, connection in kept:
                connection.close()

    def _idle_connection(self, node: tuple[str, int]) -> _Connection | None:
        """Return an idle connection that the peer has not closed; closes those that it has, or that are too old."""
        while True:
            with self._lock:
                kept = self._idle.get(node)
                if not kept:
                    return None
                since, connection = kept.pop()
            if time.monotonic() - since < _IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _connect(self, node: tuple[str, int], timeout: float | None) -> _Connection:
        sock = _open_socket(node, timeout)
        try:
            sock.settimeout(_left(timeout, httpx.ConnectTimeout))
            secured = self._context.wrap_socket(sock, server_hostname=node[0])
        except TimeoutError as error:
            raise httpx.ConnectTimeout("the TLS handshake timed out") from error
        except (OSError, ValueError) as error:
            raise httpx.ConnectError("the TLS handshake failed") from error
        finally:
            sock.close()  # what is wrapped has taken the file descriptor away
        if self._pin is not None:
            found = fingerprint(secured)
            if not hmac.compare_digest(found, self._pin):
                secured.close()
                raise PinMismatch(found)
        return _Connection(secured)


class _Connection(io.RawIOBase):
    """A TLS connection that observes the deadline of the attempt; has the interface of a socket for `http.client`."""

    read_timeout: float | None = None  # of a single read

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__()
        self._sock = sock
        self._reader: io.BufferedReader[Any] = io.BufferedReader(self, _RECEIVE)

    def makefile(self, mode: str) -> IO[bytes]:
        """Return the reader for `HTTPResponse`, which closes it after the body; that must not close the connection."""
        return _UnownedReader(self._reader)  # type: ignore[return-value]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            self._sock.settimeout(_left(self.read_timeout, httpx.ReadTimeout))
            return self._sock.recv_into(buffer)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no response in time") from error
        except OSError as error:
            raise httpx.ReadError("the connection was lost") from error

    def send(self, data: bytes, timeout: float | None) -> None:
        """Send all of *data*."""
        rest = memoryview(data)
        try:
            while rest:
                self._sock.settimeout(_left(timeout, httpx.WriteTimeout))
                rest = rest[self._sock.send(rest[:_SEND]) :]
        except TimeoutError as error:
            raise httpx.WriteTimeout("the request could not be sent in time") from error
        except OSError as error:
            raise httpx.WriteError("the connection was lost") from error

    def is_quiet(self) -> bool:
        """Return whether nothing was received: unexpected data means a closed connection or an error."""
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
        return not poll.poll(0)

    def close(self) -> None:
        """Close without waiting for the peer."""
        with contextlib.suppress(OSError):
            self._sock.close()
        super().close()


class _UnownedReader:
    """A reader whose `close` does not close the underlying one."""

    __slots__ = ("read", "readinto", "readline")

    def __init__(self, reader: io.BufferedReader[Any]) -> None:
        self.read = reader.read
        self.readinto = reader.readinto
        self.readline = reader.readline

    def close(self) -> None:
        pass

    def flush(self) -> None:
        pass


class _Body(httpx.SyncByteStream):
    """The body of a response; returns the connection to the pool once it was read completely."""

    def __init__(
        self, transport: Transport, node: tuple[str, int], connection: _Connection, response: http.client.HTTPResponse
    ) -> None:
        self._transport, self._node, self._connection, self._response = transport, node, connection, response
        self._complete = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while data := self._response.read(_RECEIVE):
                yield data
        except (http.client.HTTPException, ValueError) as error:  # the latter for a negative length of a chunk
            raise httpx.RemoteProtocolError("the response was cut off") from error
        if self._response.length:
            raise httpx.RemoteProtocolError("the response was cut off")
        self._complete = True

    def close(self) -> None:
        if self._complete and not self._response.will_close:
            self._transport.keep(self._node, self._connection)
        else:
            self._connection.close()


def _check_length(response: http.client.HTTPResponse) -> None:
    """Raise RemoteProtocolError where the headers do not say clearly where the response ends."""
    lengths = [part.strip() for value in response.headers.get_all("content-length", []) for part in value.split(",")]
    if any(not (one.isascii() and one.isdecimal()) for one in lengths):
        raise httpx.RemoteProtocolError("its Content-Length is not a number")
    if len(set(lengths)) > 1:
        raise httpx.RemoteProtocolError("it has two different Content-Length headers")
    if lengths and "transfer-encoding" in response.headers:
        raise httpx.RemoteProtocolError("it has both Content-Length and Transfer-Encoding")


def _serialize(request: httpx.Request) -> bytes:
    """Return *request* as sent."""
    lines = [f"{request.method} ".encode("ascii") + request.url.raw_path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers.raw]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise httpx.LocalProtocolError("the request contains an invalid line break")
    return b"\r\n".join([*lines, b"", request.read()])


def _open_socket(node: tuple[str, int], timeout: float | None) -> socket.socket:
    """Connect to the first reachable address of the host; *timeout* covers all of them together."""
    end = time.monotonic() + _left(timeout, httpx.ConnectTimeout)
    failure: OSError | None = None
    try:
        # The resolver has its own timeouts and cannot be interrupted.
        addresses = socket.getaddrinfo(*node, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError("the host name cannot be resolved") from error
    for family, kind, protocol, _, address in addresses:
        left = end - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    if failure is None or isinstance(failure, TimeoutError):
        raise httpx.ConnectTimeout("the connection timed out") from failure
    raise httpx.ConnectError("the connection failed") from failure
