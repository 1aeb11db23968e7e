"""The way of a request to one node: TLS, certificate pin, and one deadline over connect, write and read together.

Used by `client` alone. httpx limits each single read, so an answer that drips in can last for ever; the network
backend here holds every socket operation to the deadline of the attempt. It also looks at the peer's certificate
right after the handshake, before a byte of the request (and its password) is sent. Knows nothing of retries.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Protocol

# httpx imports its own command line, with rich, click and pygments, whenever those are installed: 40 ms for nothing.
_unwanted = "httpx._main"
if "httpx" not in sys.modules and _unwanted not in sys.modules:
    sys.modules[_unwanted] = None  # type: ignore[assignment]
import httpx  # noqa: E402

if sys.modules.get(_unwanted, httpx) is None:
    del sys.modules[_unwanted]
import httpcore  # noqa: E402

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_CHUNK: Final = 64 * 1024

__all__ = [
    "PinMismatch",
    "Transport",
    "Trust",
    "attempt_deadline",
    "cause_text",
    "fingerprint",
    "httpx",
    "normal_pin",
    "tls_failure",
    "untrusted_text",
]

# X509_V_ERR_… numbers of OpenSSL, in words that say what is wrong; stable since OpenSSL 1.0.2.
_EXPIRED, _NOT_YET, _NAME, _ADDRESS = 10, 9, 62, 64


class Trust(Protocol):
    """How a target's certificate is judged; `settings.Target` fits."""

    @property
    def ca_cert(self) -> Path | None: ...
    @property
    def pin(self) -> str | None: ...
    @property
    def insecure(self) -> bool: ...


class PinMismatch(httpcore.ConnectError):
    """The peer's certificate is not the pinned one."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__("the certificate is not the pinned one")
        self.fingerprint = fingerprint


def normal_pin(pin: str) -> str:
    """Return *pin* as 64 lower-case hex digits; raises ValueError when it is no SHA-256."""
    digits = re.sub(r"^sha-?256[:=]", "", pin.strip().lower()).replace(":", "").replace(" ", "")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("a pin is the SHA-256 of the certificate: 64 hex digits")
    return digits


def ssl_context(trust: Trust) -> ssl.SSLContext:
    """Return the context for *trust*: the system's authorities, a CA file, a pin, or no check at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.pin or trust.insecure:  # a pin names the very certificate: neither its issuer nor its names matter then
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.ca_cert is not None:
        context.load_verify_locations(cafile=str(trust.ca_cert))
        # The file may hold the node's own certificate instead of its issuer's, as it does for self-signed ones.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


@contextlib.contextmanager
def attempt_deadline(seconds: float) -> Iterator[None]:
    """Hold every socket operation of this thread, taken together, to *seconds* from now."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class Transport(httpx.HTTPTransport):
    """An HTTP transport over our network backend: no proxy, no environment, no retries, HTTP/1.1."""

    def __init__(self, trust: Trust, connections: int) -> None:
        context = ssl_context(trust)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            # Shorter than what servers use, so that they hardly ever close a connection that a write just took.
            keepalive_expiry=4.0,
            network_backend=_Backend(normal_pin(trust.pin) if trust.pin else None),
        )


class _Backend(httpcore.NetworkBackend):
    def __init__(self, pin: str | None) -> None:
        self._pin = pin

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that answers; *timeout* holds for all of them together."""
        end = time.monotonic() + _left(timeout, httpcore.ConnectTimeout)
        failure: OSError | None = None
        try:
            # The resolver has limits of its own and cannot be interrupted.
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
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
                return _Stream(sock, self._pin)
        if failure is None or isinstance(failure, TimeoutError):
            raise httpcore.ConnectTimeout("no answer to the connection attempt")
        failed = httpcore.ConnectError("the connection failed")
        failed.__context__ = failure  # the pool raises it again "from None", which would cut a cause off
        raise failed


class _Stream(httpcore.NetworkStream):
    """A socket, plain at first and TLS after `start_tls`, that never outlives the attempt's deadline."""

    def __init__(self, sock: socket.socket, pin: str | None) -> None:
        self._sock = sock
        self._pin = pin

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Shake hands and check the pin; nothing of the request is on the wire before this returns."""
        try:
            self._sock.settimeout(_left(timeout, httpcore.ConnectTimeout))
            secured = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout("no answer to the TLS handshake") from error
        except (OSError, ValueError) as error:
            self.close()
            raise httpcore.ConnectError("the TLS handshake failed") from error
        if self._pin is not None:
            found = fingerprint(secured)
            if not hmac.compare_digest(found, self._pin):
                secured.close()
                raise PinMismatch(found)
        self._sock = secured
        return self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, at most *max_bytes*."""
        try:
            self._sock.settimeout(_left(timeout, httpcore.ReadTimeout))
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("no answer in time") from error
        except OSError as error:
            raise httpcore.ReadError("the connection broke") from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of *buffer*."""
        rest = memoryview(buffer)
        try:
            while rest:
                self._sock.settimeout(_left(timeout, httpcore.WriteTimeout))
                rest = rest[self._sock.send(rest[:_CHUNK]) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout("the node takes nothing") from error
        except OSError as error:
            raise httpcore.WriteError("the connection broke") from error

    def close(self) -> None:
        """Close without waiting for the peer."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """Tell the pool what it asks for: whether an idle connection was closed by the peer."""
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        if info == "is_readable":
            return _readable(self._sock)
        return None


def _left(timeout: float | None, expired: type[Exception]) -> float:
    """Return the seconds that an operation may take; raises *expired* when there are none."""
    end = _deadline.get()
    limits = [value for value in (timeout, None if end is None else end - time.monotonic()) if value is not None]
    left = min(limits, default=60.0)
    if left <= 0:
        raise expired("the deadline of the attempt has passed")
    return left


def _readable(sock: socket.socket) -> bool:
    import select

    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))


def fingerprint(secured: ssl.SSLSocket) -> str:
    """Return the SHA-256 of the peer's certificate in hex."""
    return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()


def peer_fingerprint(host: str, port: int, seconds: float = 5.0) -> str | None:
    """Return the fingerprint that *host* shows, or None; shakes hands without any check and sends nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=seconds) as sock,
            context.wrap_socket(sock, server_hostname=host) as secured,
        ):
            return fingerprint(secured)
    except (OSError, ValueError):
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what caused it; httpcore cuts causes off (`from None`), the context is still there."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def tls_failure(error: BaseException) -> ssl.SSLCertVerificationError | PinMismatch | None:
    """Return the reason inside *error* for which a certificate was not trusted, if that is what it is."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError | PinMismatch):
            return link
    return None


def untrusted_text(url: str, error: ssl.SSLCertVerificationError | PinMismatch, trust: Trust) -> str:
    """Say why the certificate of *url* is not trusted and what helps; asks the node for its fingerprint."""
    if isinstance(error, PinMismatch):
        return (
            f"the certificate of {url} is not the pinned one; its SHA-256 is {error.fingerprint}; "
            "if it was replaced on purpose, pin the new one"
        )
    address = httpx.URL(url)
    shown = peer_fingerprint(address.host, address.port or 443)
    digest = f"its SHA-256 is {shown}" if shown else "it could not be read a second time"
    if error.verify_code == _EXPIRED:
        return f"the certificate of {url} has expired; {digest}; renew it on the cluster"
    if error.verify_code == _NOT_YET:
        return f"the certificate of {url} is not valid yet; {digest}; compare the clocks of both sides"
    if error.verify_code in (_NAME, _ADDRESS):
        return (
            f"the certificate of {url} is for another name than {address.host}; {digest}; "
            "use the name that it was made for, or --pin with that SHA-256"
        )
    signer = f"an authority in {trust.ca_cert}" if trust.ca_cert else "an authority that this system trusts"
    return (
        f"the certificate of {url} is not signed by {signer}; {digest}; "
        "use --ca-cert with the right file, or --pin with that SHA-256 once you have checked it"
    )


def cause_text(error: BaseException) -> str:
    """Say in a few words what went wrong with a connection: the innermost reason, never a byte of the traffic."""
    if isinstance(error, httpx.TimeoutException):
        return str(error) or "no free connection in time"
    *_, innermost = _chain(error)
    if isinstance(innermost, socket.gaierror):
        return "the name cannot be resolved"
    if isinstance(innermost, ConnectionRefusedError):
        return "connection refused"
    if isinstance(innermost, ssl.SSLError):
        return f"TLS handshake failed ({(innermost.reason or 'unknown reason').replace('_', ' ').lower()})"
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror.lower()
    return str(innermost) or type(innermost).__name__
