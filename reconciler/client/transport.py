"""The way of a request to one node: an HTTP/1.1 transport for httpx over our own sockets.

Used by `exchange` alone. httpx limits each single read, so an answer that drips in can last for ever; here every
connect, write and read of an attempt is held to one deadline. The peer's certificate is looked at right after the
handshake, before a byte of the request (and its password) is sent. The standard library reads the answers, which takes
half of the time that httpcore and h11 do. Knows nothing of retries, proxies or the environment.
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
from typing import IO, Any, Final

from reconciler.client.tls import HTTPS, PinMismatch, Trust, fingerprint, httpx, normal_pin, ssl_context

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_SEND: Final = 64 * 1024
_RECEIVE: Final = 256 * 1024
# Shorter than what servers use, so that they hardly ever close a connection that a write has just taken.
_IDLE: Final = 4.0


@contextlib.contextmanager
def attempt_deadline(seconds: float) -> Iterator[None]:
    """Hold every socket operation of this thread, taken together, to *seconds* from now."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _left(timeout: float | None, expired: type[httpx.TimeoutException]) -> float:
    """Return the seconds that an operation may take; raises *expired* when there are none."""
    end = _deadline.get()
    limits = [value for value in (timeout, None if end is None else end - time.monotonic()) if value is not None]
    left = min(limits, default=60.0)
    if left <= 0:
        raise expired("the deadline of the attempt has passed")
    return left


class Transport(httpx.BaseTransport):
    """Connections to the nodes of one cluster, kept for the next request; each serves one request at a time."""

    def __init__(self, trust: Trust) -> None:
        """Raises OSError for a CA file that cannot be used and ValueError for such a pin."""
        self._context = ssl_context(trust)
        self._pin = normal_pin(trust.pin) if trust.pin else None
        self._idle: dict[tuple[str, int], list[tuple[float, _Connection]]] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the answer with its body still to be read."""
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        node = (request.url.host, request.url.port or HTTPS)
        connection = self._waiting(node) or self._opened(node, timeouts.get("connect"))
        connection.patience = timeouts.get("read")
        try:
            connection.send(_serialised(request), timeouts.get("write"))
            answer = http.client.HTTPResponse(connection, method=request.method)  # type: ignore[arg-type]
            answer.begin()
        except BaseException as error:
            connection.close()
            if isinstance(error, http.client.HTTPException):
                raise httpx.RemoteProtocolError("the answer is not HTTP") from error
            raise
        headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.getheaders()]
        extensions = {"reason_phrase": answer.reason.encode("latin-1", "replace")}
        body = _Body(self, node, connection, answer)
        return httpx.Response(answer.status, headers=headers, stream=body, extensions=extensions)

    def keep(self, node: tuple[str, int], connection: _Connection) -> None:
        """Take back a connection that is ready for another request."""
        with self._lock:
            self._idle.setdefault(node, []).append((time.monotonic(), connection))

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for kept in idle.values():
            for _, connection in kept:
                connection.close()

    def _waiting(self, node: tuple[str, int]) -> _Connection | None:
        """Return an idle connection that the peer has not closed; drops those that it has, or that are old."""
        while True:
            with self._lock:
                kept = self._idle.get(node)
                if not kept:
                    return None
                since, connection = kept.pop()
            if time.monotonic() - since < _IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _opened(self, node: tuple[str, int], timeout: float | None) -> _Connection:
        sock = _connected(node, timeout)
        try:
            sock.settimeout(_left(timeout, httpx.ConnectTimeout))
            secured = self._context.wrap_socket(sock, server_hostname=node[0])
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no answer to the TLS handshake") from error
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
    """A TLS connection that never outlives the attempt's deadline; looks like a socket to `http.client`."""

    patience: float | None = None  # of the single read

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__()
        self._sock = sock
        self._reader: io.BufferedReader[Any] = io.BufferedReader(self, _RECEIVE)

    def makefile(self, mode: str) -> IO[bytes]:
        """Give `HTTPResponse` what it reads from; it closes that at the end of a body, which must not close us."""
        return _UnownedReader(self._reader)  # type: ignore[return-value]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            self._sock.settimeout(_left(self.patience, httpx.ReadTimeout))
            return self._sock.recv_into(buffer)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time") from error
        except OSError as error:
            raise httpx.ReadError("the connection broke") from error

    def send(self, data: bytes, timeout: float | None) -> None:
        """Send all of *data*."""
        rest = memoryview(data)
        try:
            while rest:
                self._sock.settimeout(_left(timeout, httpx.WriteTimeout))
                rest = rest[self._sock.send(rest[:_SEND]) :]
        except TimeoutError as error:
            raise httpx.WriteTimeout("the node takes nothing") from error
        except OSError as error:
            raise httpx.WriteError("the connection broke") from error

    def is_quiet(self) -> bool:
        """Tell whether nothing has come: what comes unasked is the end of the connection, or nothing good."""
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
        return not poll.poll(0)

    def close(self) -> None:
        """Close without waiting for the peer."""
        with contextlib.suppress(OSError):
            self._sock.close()
        super().close()


class _UnownedReader:
    """A reader whose `close` leaves the real one open."""

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
    """The body of an answer; gives the connection back when it was read to its end."""

    def __init__(
        self, transport: Transport, node: tuple[str, int], connection: _Connection, answer: http.client.HTTPResponse
    ) -> None:
        self._transport, self._node, self._connection, self._answer = transport, node, connection, answer
        self._complete = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while data := self._answer.read(_RECEIVE):
                yield data
        except http.client.HTTPException as error:
            raise httpx.RemoteProtocolError("the answer broke off") from error
        if self._answer.length:
            raise httpx.RemoteProtocolError("the answer broke off")
        self._complete = True

    def close(self) -> None:
        if self._complete and not self._answer.will_close:
            self._transport.keep(self._node, self._connection)
        else:
            self._connection.close()


def _serialised(request: httpx.Request) -> bytes:
    """Return the bytes of *request*."""
    lines = [f"{request.method} ".encode("ascii") + request.url.raw_path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers.raw]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise httpx.LocalProtocolError("a line break where none may be")
    return b"\r\n".join([*lines, b"", request.read()])


def _connected(node: tuple[str, int], timeout: float | None) -> socket.socket:
    """Connect to the first of the host's addresses that answers; *timeout* holds for all of them together."""
    end = time.monotonic() + _left(timeout, httpx.ConnectTimeout)
    failure: OSError | None = None
    try:
        # The resolver has limits of its own and cannot be interrupted.
        found = socket.getaddrinfo(*node, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError("the name cannot be resolved") from error
    for family, kind, protocol, _, address in found:
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
        raise httpx.ConnectTimeout("no answer to the connection attempt") from failure
    raise httpx.ConnectError("the connection failed") from failure
