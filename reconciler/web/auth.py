"""Authentication: host names, tokens, and rate limits of wrong tokens. No I/O.

`middleware` calls it for every request. Everything that it stores is bounded.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import ipaddress
import re
import threading
from collections import OrderedDict
from collections.abc import Callable

from reconciler.secrets import Secret
from reconciler.settings.listen import Listen, is_loopback

MIN_TOKEN_LENGTH = 16  # characters; the valid token is always accepted, so that it must be too long to be guessed

_PORT = re.compile(r"(?:[0-9]{1,5})?")
_FAILURES = 10  # wrong tokens from one address in a window
_FAILURES_OF_ALL = 200
_WINDOW = 60.0  # seconds
_ADDRESSES = 1024


def host_of(header: bytes) -> str | None:
    """Return the host in a Host header, without its port and in lower case; None where it is invalid."""
    try:
        text = header.decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return None
        return host if closed and (not rest or (rest[0] == ":" and _PORT.fullmatch(rest[1:]))) else None
    host, _, port = text.partition(":")
    fits = re.fullmatch(r"[a-z0-9_.-]{1,253}", host) is not None and _PORT.fullmatch(port) is not None
    return host.rstrip(".") if fits else None


class AllowedHosts:
    """The host names that requests may use: against DNS rebinding, where another site's name resolves to us."""

    def __init__(self, listen: Listen) -> None:
        self._loopback = listen.loopback
        self._names = {listen.host.lower().rstrip("."), *listen.hosts}

    def allow(self, host: str) -> bool:
        """Say whether requests may use *host*. An IP address cannot be rebound."""
        if host in self._names:
            return True
        if self._loopback:
            return is_loopback(host)
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


class TokenResult(enum.Enum):
    """The result of checking a token."""

    VALID = "valid"
    MISSING = "missing"
    WRONG = "wrong"
    RATE_LIMITED = "rate limited"


class TokenAuth:
    """Compares tokens, in constant time and rate-limited; safe to use from several threads."""

    def __init__(self, token: Secret | None, clock: Callable[[], float]) -> None:
        self._digest = _digest(token.reveal()) if token is not None else None
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._of_all = (0.0, 0)
        self._lock = threading.Lock()

    @property
    def needed(self) -> bool:
        """Whether there is a token at all."""
        return self._digest is not None

    def check(self, authorization: str, peer: str) -> TokenResult:
        """Check an Authorization header: `Bearer TOKEN`, or `Basic` with the token as password."""
        if self._digest is None:
            return TokenResult.VALID
        given = _token_in(authorization)
        if given is None:
            return TokenResult.MISSING
        peer = _network(peer)
        with self._lock:
            now = self._clock()
            since, count = self._failures.get(peer, (now, 0))
            if now - since >= _WINDOW:
                since, count = now, 0
            all_since, all_count = self._of_all if now - self._of_all[0] < _WINDOW else (now, 0)
            # First, since many clients may share the address of a proxy. A token is too long to be guessed.
            if hmac.compare_digest(_digest(given), self._digest):
                return TokenResult.VALID
            if count >= _FAILURES or all_count >= _FAILURES_OF_ALL:
                return TokenResult.RATE_LIMITED
            self._failures[peer] = (since, count + 1)
            self._failures.move_to_end(peer)
            if len(self._failures) > _ADDRESSES:
                self._failures.popitem(last=False)
            self._of_all = (all_since, all_count + 1)
            return TokenResult.WRONG


def _digest(text: str) -> bytes:
    """Return a digest: comparing digests does not leak the length either."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _token_in(authorization: str) -> str | None:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(rest.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def _network(peer: str) -> str:
    """Return what counts as one client: a host, or the /64 network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return peer
