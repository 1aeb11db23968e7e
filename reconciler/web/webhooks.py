"""Webhooks of forges: a client that knows the secret may request a fetch, and nothing else.

`app` has a route for each provider with a secret. The body is never parsed: its size is limited while it is read, its
signature is checked over the raw bytes in constant time, and then it is dropped. A duplicate is acknowledged and
ignored. There is at most one fetch in ten seconds; requests in between are combined into one fetch at their end.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from reconciler.secrets import Secret

MAX_BODY: Final = 256 * 1024
MIN_INTERVAL: Final = 10.0  # seconds
MIN_SECRET_LENGTH: Final = 16  # characters
MAX_AGE: Final = 300.0  # seconds that a signed time may be off

_MAX_REMEMBERED = 4096
_HEX = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class DeliveryResult(enum.Enum):
    """The result of a delivery; the value is its label in metrics."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    INVALID_SIGNATURE = "invalid_signature"
    TOO_LARGE = "too_large"


class Provider(NamedTuple):
    """How a forge authenticates a delivery: the headers to check."""

    signature: str  # with the HMAC-SHA256 of the body in hexadecimal, or the secret itself
    prefix: str = ""
    delivery: str = ""  # header with the id of the delivery; not signed
    plain: bool = False  # the header holds the secret itself
    timestamp: str = ""  # header with the time, which is signed with the body


PROVIDERS: Final[Mapping[str, Provider]] = {
    "github": Provider("x-hub-signature-256", "sha256=", "x-github-delivery"),
    "gitea": Provider("x-gitea-signature", "", "x-gitea-delivery"),
    "gitlab": Provider("x-gitlab-token", "", "x-gitlab-event-uuid", plain=True),
    "generic": Provider("x-reconciler-signature", "sha256=", timestamp="x-reconciler-timestamp"),
}


def authentic(provider: Provider, secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Say whether the sender of *body* knows *secret*, in constant time."""
    given = headers.get(provider.signature, "")
    key = secret.reveal().encode()
    if provider.plain:
        digests = (hashlib.sha256(text).digest() for text in (given.encode("utf-8", "surrogateescape"), key))
        return hmac.compare_digest(*digests)
    signed = body
    if provider.timestamp:
        when = headers.get(provider.timestamp, "")
        if not _SECONDS.fullmatch(when) or abs(now - int(when)) > MAX_AGE:
            return False
        signed = when.encode() + b"." + body
    given = given.removeprefix(provider.prefix).lower() if given.startswith(provider.prefix) else ""
    expected = hmac.new(key, signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, given if _HEX.fullmatch(given) else "0" * 64)


class Deliveries:
    """Recognizes duplicates among recent deliveries; bounded, and safe to use from several threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, name: str, secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> DeliveryResult:
        """Check a delivery of provider *name*; its body identifies it too, since ids are not signed."""
        provider = PROVIDERS[name]
        if not authentic(provider, secret, headers, body, now):
            return DeliveryResult.INVALID_SIGNATURE
        marks = [f"{name} body {headers.get(provider.timestamp, '')} ".encode() + hashlib.sha256(body).digest()]
        if delivery := headers.get(provider.delivery, ""):
            marks.append(hashlib.sha256(f"{name} id {delivery}".encode("utf-8", "surrogateescape")).digest())
        with self._lock:
            known = any(mark in self._seen for mark in marks)
            for mark in marks:
                self._seen[mark] = None
                self._seen.move_to_end(mark)
            while len(self._seen) > _MAX_REMEMBERED:
                self._seen.popitem(last=False)
        return DeliveryResult.DUPLICATE if known else DeliveryResult.ACCEPTED


class Throttle:
    """At most one fetch in ten seconds, and no request lost."""

    def __init__(self, clock: Callable[[], float], every: float = MIN_INTERVAL) -> None:
        self._clock = clock
        self._every = every
        self._next = clock()  # when the next fetch may be, or is
        self._lock = threading.Lock()

    def ask(self) -> float | None:
        """Return the seconds until the fetch; None where a pending fetch covers this request too."""
        with self._lock:
            now = self._clock()
            if self._next > now + self._every:  # one is due already
                return None
            start = max(now, self._next)
            self._next = start + self._every
            return start - now
