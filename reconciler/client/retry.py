"""What may be sent again, when, and how often: the whole retry policy, as pure code and small counters.

`client` asks; nobody else retries, since layers of retries multiply. No clock, no socket, no HTTP library in here:
times are arguments, so that tests run the policy in virtual time.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Final, NamedTuple


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The numbers, in seconds where they are times."""

    connect_timeout: float = 5.0
    read_timeout: float = 15.0  # for the first byte of an answer; a POST may think until its total is up
    attempt_timeout: float = 30.0  # of one attempt
    post_timeout: float = 60.0
    call_timeout: float = 120.0  # of one call with all its attempts
    fail_fast_timeout: float = 15.0  # of a call that is not worth waiting for
    busy_timeout: float = 600.0  # as long as a 409 is waited for
    max_attempts: int = 4
    backoff_base: float = 0.5
    backoff_max: float = 20.0
    retry_after_max: float = 300.0
    not_member_seconds: float = 300.0  # out of rotation after "not a member of the cluster"
    breaker_seconds: float = 30.0  # open for about so long
    reconnect_timeout: float = 180.0  # for a way back in after a change to it
    credential_cooldown: float = 1200.0  # between two logins with a password that was refused
    max_stale_reads: int = 3

    def attempt(self, method: str) -> float:
        """Return how long one attempt may take in all."""
        return self.post_timeout if method == "POST" else self.attempt_timeout

    def backoff(self, attempt: int, random: Random) -> float:
        """Return the pause after failed *attempt* (0, 1, …): full jitter, so that clients do not come back at once."""
        return random.uniform(0.0, min(self.backoff_max, self.backoff_base * 2.0**attempt))

    def busy_pause(self, previous: float, random: Random) -> float:
        """Return the next pause between questions to a busy object: decorrelated jitter."""
        return min(15.0, random.uniform(self.backoff_base, max(self.backoff_base, 3.0 * previous)))


class RequestOutcome(enum.Enum):
    """What one attempt came to."""

    SUCCESS = "done"
    NOT_SENT = "not sent"  # refused, no route, no such name, no free connection: the node never saw it
    UNTRUSTED = "untrusted"  # the certificate; nothing was sent either
    NO_RESPONSE = "no answer"  # timeout or reset after something may have been sent
    MALFORMED = "bad answer"  # 2xx, but truncated, too large, not JSON or of the wrong shape
    STALE = "stale"  # read from a node that lags behind what we have already seen
    REDIRECTED = "redirected"  # 307, 308
    MOVED = "moved"  # 301, 302, 303: nobody can say what the server did
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "missing"
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    NOT_MEMBER = "not a member"
    SERVER_ERROR = "server error"  # 500, 502, 503, 504
    VERSION_UNSUPPORTED = "version"


class RetryDecision(enum.Enum):
    """What to do after an attempt."""

    RETURN = "return"
    FAILOVER = "failover"  # another node at once: this one cannot, and did nothing
    RETRY = "retry"  # after a pause
    WAIT = "wait"  # until the object is free
    AMBIGUOUS = "ambiguous"  # never send again: it may have taken effect
    FAIL = "fail"


_SAFE: Final = {  # nothing took effect, whatever the method
    RequestOutcome.SUCCESS: RetryDecision.RETURN,
    RequestOutcome.NOT_SENT: RetryDecision.FAILOVER,
    RequestOutcome.UNTRUSTED: RetryDecision.FAILOVER,
    RequestOutcome.REDIRECTED: RetryDecision.FAILOVER,
    RequestOutcome.NOT_MEMBER: RetryDecision.FAILOVER,
    RequestOutcome.THROTTLED: RetryDecision.RETRY,
    RequestOutcome.BUSY: RetryDecision.WAIT,
    RequestOutcome.UNAUTHORIZED: RetryDecision.FAIL,
    RequestOutcome.FORBIDDEN: RetryDecision.FAIL,
    RequestOutcome.NOT_FOUND: RetryDecision.FAIL,
    RequestOutcome.REJECTED: RetryDecision.FAIL,
    RequestOutcome.VERSION_UNSUPPORTED: RetryDecision.FAIL,
}
_UNCLEAR: Final = (
    RequestOutcome.NO_RESPONSE,
    RequestOutcome.MALFORMED,
    RequestOutcome.SERVER_ERROR,
    RequestOutcome.MOVED,
)
READS: Final[Mapping[RequestOutcome, RetryDecision]] = {
    **_SAFE,
    **dict.fromkeys(_UNCLEAR, RetryDecision.RETRY),
    RequestOutcome.STALE: RetryDecision.FAILOVER,
    RequestOutcome.MOVED: RetryDecision.FAILOVER,
}
WRITES: Final[Mapping[RequestOutcome, RetryDecision]] = {**_SAFE, **dict.fromkeys(_UNCLEAR, RetryDecision.AMBIGUOUS)}

BUSY_CODES: Final = frozenset({"busy", "db_busy", "config_edit_conflict"})
_BY_STATUS: Final = {
    301: RequestOutcome.MOVED,
    302: RequestOutcome.MOVED,
    303: RequestOutcome.MOVED,
    307: RequestOutcome.REDIRECTED,
    308: RequestOutcome.REDIRECTED,
    401: RequestOutcome.UNAUTHORIZED,
    403: RequestOutcome.FORBIDDEN,
    404: RequestOutcome.NOT_FOUND,
    429: RequestOutcome.THROTTLED,
    500: RequestOutcome.SERVER_ERROR,
    502: RequestOutcome.SERVER_ERROR,
    504: RequestOutcome.SERVER_ERROR,
    505: RequestOutcome.VERSION_UNSUPPORTED,
}


def retry_decision(method: str, outcome: RequestOutcome) -> RetryDecision:
    """Return what to do after *outcome* of a request with *method*."""
    return (READS if method == "GET" else WRITES)[outcome]


def outcome_of(status: int, error_code: str = "", text: str = "") -> RequestOutcome:
    """Classify an answer by its status and, where the status alone does not say, by the server's words."""
    if 200 <= status < 300:
        return RequestOutcome.SUCCESS
    if status == 503:
        member = error_code != "no_cluster" and "not a member" not in text.lower()
        return RequestOutcome.SERVER_ERROR if member else RequestOutcome.NOT_MEMBER
    if status == 409:
        return RequestOutcome.BUSY if error_code in BUSY_CODES else RequestOutcome.REJECTED
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500 or status == 501:
        return RequestOutcome.REJECTED
    return RequestOutcome.SERVER_ERROR if status >= 500 else RequestOutcome.MALFORMED


def retry_after(headers: Mapping[str, str], limit: float) -> float:
    """Return the seconds that `Retry-After` asks for, within 0 and *limit*; 0 when it asks nothing that can be read.

    A date is compared with the answer's own `Date`, so that our clock does not matter.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal() and asked.isascii():
        return min(float(asked[:9]), limit)
    try:
        then, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
        return min(max((then - now).total_seconds(), 0.0), limit)
    except (TypeError, ValueError, OverflowError):
        return 0.0


@dataclass(slots=True)
class RetryBudget:
    """Tokens that retries cost, so that a sick cluster is not loaded with them: empty means fail at once."""

    capacity: float = 50.0
    tokens: float = 50.0

    def spend(self, outcome: RequestOutcome) -> bool:
        """Take the price of a retry after *outcome*; False when there is not enough."""
        price = 10.0 if outcome is RequestOutcome.NO_RESPONSE else 5.0
        if self.tokens < price:
            return False
        self.tokens -= price
        return True

    def earn(self) -> None:
        """Count a success."""
        self.tokens = min(self.capacity, self.tokens + 1.0)


_NODE_FAILURES: Final = frozenset(
    {RequestOutcome.NOT_SENT, RequestOutcome.NO_RESPONSE, RequestOutcome.MALFORMED, RequestOutcome.SERVER_ERROR}
)


@dataclass(slots=True)
class CircuitBreaker:
    """Whether one node is worth asking. Opens after 5 failures in a row, or 10 of the last 20."""

    last: deque[bool] = field(default_factory=lambda: deque(maxlen=20))
    row: int = 0
    open_until: float = 0.0  # 0 = closed
    trial: bool = False  # one request is out to find whether the node is back

    def record(self, outcome: RequestOutcome, now: float, pause: float) -> bool:
        """Count *outcome* at *now*; True when this opened the breaker, for *pause* seconds."""
        failed = outcome in _NODE_FAILURES
        self.last.append(failed)
        self.row = self.row + 1 if failed else 0
        if not failed:
            if self.open_until:
                self.last.clear()
            self.open_until, self.trial = 0.0, False
            return False
        broken = self.trial or self.row >= 5 or (len(self.last) == 20 and sum(self.last) >= 10)
        opened = broken and (self.trial or not self.open_until)
        if broken:
            self.open_until, self.trial = now + pause, False
        return opened

    def state(self, now: float) -> str:
        """Return "closed", "open", or "half-open": the time is up and one GET may find out."""
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until or self.trial else "half-open"


@dataclass(slots=True)
class CredentialState:
    """What is known of the credential: five refused logins in 15 minutes lock the account by default."""

    proven: bool = False
    refused_at: float | None = None
    reason: str = ""

    def may_try(self, now: float, pause: float) -> bool:
        """Tell whether a request may carry the credential at *now*."""
        return self.refused_at is None or now - self.refused_at >= pause


class ErrorDetails(NamedTuple):
    """The server's words in an error answer, cleaned for a terminal and cut."""

    error_code: str
    text: str


def error_details(body: Any) -> ErrorDetails:
    """Return what an error *body* says: `description` or `message`, and `error_code`; expects neither."""
    if not isinstance(body, Mapping):
        return ErrorDetails("", "")
    words = body.get("description") or body.get("message") or ""
    code = body.get("error_code")
    return ErrorDetails(
        clean(code, 80) if isinstance(code, str) else "", clean(words, 300) if isinstance(words, str) else ""
    )


def clean(text: str, limit: int) -> str:
    """Return *text* on one line, without control or direction characters, at most *limit* long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
