"""Webhooks of forges: whoever knows the secret may say "fetch now", and nothing else.

`site` has a route for each provider with a secret. What is sent is never parsed: it is bounded while it is read, its
signature is checked over the raw bytes in constant time, and then it is thrown away. A replay is answered and ignored,
and whatever comes, there is at most one fetch in ten seconds; what comes in between is one fetch at their end.
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

LARGEST: Final = 256 * 1024
EVERY: Final = 10.0  # seconds
SHORTEST_SECRET: Final = 16  # characters
AGE: Final = 300.0  # seconds that a signed time may be off

_REMEMBERED = 4096
_HEX = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Verdict(enum.Enum):
    """What became of a delivery; the value is its word in metrics."""

    FETCH = "fetch"
    REPLAY = "replay"
    FORGED = "forged"


class Provider(NamedTuple):
    """How a forge proves that it sent something: the headers to look at."""

    signature: str  # with the HMAC-SHA256 of the body in hexadecimal, or the secret itself
    prefix: str = ""
    delivery: str = ""  # header with an id of the delivery; not signed, so that it proves nothing
    plain: bool = False  # the header holds the secret itself
    timestamp: str = ""  # header with the time, which is signed together with the body


PROVIDERS: Final[Mapping[str, Provider]] = {
    "github": Provider("x-hub-signature-256", "sha256=", "x-github-delivery"),
    "gitea": Provider("x-gitea-signature", "", "x-gitea-delivery"),
    "gitlab": Provider("x-gitlab-token", "", "x-gitlab-event-uuid", plain=True),
    "generic": Provider("x-reconciler-signature", "sha256=", timestamp="x-reconciler-timestamp"),
}


def genuine(provider: Provider, secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Say whether whoever sent *body* knows *secret*; takes the same time however wrong a signature is."""
    given = headers.get(provider.signature, "")
    key = secret.reveal().encode()
    if provider.plain:
        digests = (hashlib.sha256(text).digest() for text in (given.encode("utf-8", "surrogateescape"), key))
        return hmac.compare_digest(*digests)
    signed = body
    if provider.timestamp:
        when = headers.get(provider.timestamp, "")
        if not _SECONDS.fullmatch(when) or abs(now - int(when)) > AGE:
            return False
        signed = when.encode() + b"." + body
    given = given.removeprefix(provider.prefix).lower() if given.startswith(provider.prefix) else ""
    expected = hmac.new(key, signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, given if _HEX.fullmatch(given) else "0" * 64)


class Deliveries:
    """Remembers what was delivered, so that it counts once; bounded, and safe to use from several threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def judge(self, name: str, secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """Say what becomes of a delivery of provider *name*; the body counts too, since ids are not signed."""
        provider = PROVIDERS[name]
        if not genuine(provider, secret, headers, body, now):
            return Verdict.FORGED
        marks = [f"{name} body {headers.get(provider.timestamp, '')} ".encode() + hashlib.sha256(body).digest()]
        if delivery := headers.get(provider.delivery, ""):
            marks.append(hashlib.sha256(f"{name} id {delivery}".encode("utf-8", "surrogateescape")).digest())
        with self._lock:
            known = any(mark in self._seen for mark in marks)
            for mark in marks:
                self._seen[mark] = None
                self._seen.move_to_end(mark)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return Verdict.REPLAY if known else Verdict.FETCH


class Throttle:
    """At most one fetch in ten seconds, and none forgotten."""

    def __init__(self, clock: Callable[[], float], every: float = EVERY) -> None:
        self._clock = clock
        self._every = every
        self._next = clock()  # when the next fetch may be, or is
        self._lock = threading.Lock()

    def ask(self) -> float | None:
        """Return in how many seconds to fetch; None where a fetch is due that will cover this, too."""
        with self._lock:
            now = self._clock()
            if self._next > now + self._every:  # one is due already
                return None
            start = max(now, self._next)
            self._next = start + self._every
            return start - now
