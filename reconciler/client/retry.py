"""The retry policy: what may be retried, when, and how often. Pure.

Used by `retry_loop` and `node_pool`; nothing else retries, since layers of retries multiply. No clock, socket or HTTP
library: times are arguments, so that tests run the policy in virtual time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeouts and limits; all times are in seconds."""

    connect_timeout: float = 5.0
    read_timeout: float = 15.0  # to the first byte of a response; a POST has all of its attempt for that
    attempt_timeout: float = 30.0  # one attempt
    post_timeout: float = 60.0  # one attempt of a POST
    call_timeout: float = 120.0  # one call with all its attempts
    fail_fast_timeout: float = 15.0  # one call with `fail_fast`
    busy_timeout: float = 600.0  # how long a 409 is retried
    max_attempts: int = 4
    backoff_base: float = 0.5
    backoff_max: float = 20.0
    retry_after_max: float = 300.0  # a longer Retry-After is cut to this
    not_member_seconds: float = 300.0  # out of rotation after "not a member of the cluster"
    breaker_seconds: float = 30.0  # how long a circuit breaker stays open, plus jitter
    reconnect_timeout: float = 180.0  # until access is re-established after a change to it
    max_stale_reads: int = 3

    def attempt(self, method: str) -> float:
        """Return the timeout of one attempt, in seconds."""
        return self.post_timeout if method == "POST" else self.attempt_timeout

    def backoff(self, attempt: int, random: Random) -> float:
        """Return the seconds to wait after failed *attempt* (0, 1, …): exponential, with full jitter."""
        return random.uniform(0.0, min(self.backoff_max, self.backoff_base * 2.0**attempt))

    def busy_pause(self, previous: float, random: Random) -> float:
        """Return the seconds to wait for a busy object after *previous* seconds: decorrelated jitter."""
        return min(15.0, random.uniform(self.backoff_base, max(self.backoff_base, 3.0 * previous)))


class RequestOutcome(enum.Enum):
    """How one attempt ended; the value is what events report."""

    SUCCESS = "success"
    NOT_SENT = "not sent"  # connection refused, no route, unknown host, no free connection: the node never saw it
    UNTRUSTED = "untrusted"  # the certificate; nothing was sent either
    NO_RESPONSE = "no response"  # timeout or reset after something may have been sent
    MALFORMED = "malformed response"  # 2xx, but truncated, too large, not JSON or of the wrong shape
    STALE = "stale"  # read from a node that lags behind a cluster-state-id seen earlier
    REDIRECTED = "redirected"  # 307, 308
    MOVED = "moved"  # 301, 302, 303: whether the server applied the request is unknown
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not found"
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    NOT_MEMBER = "not a member"
    SERVER_ERROR = "server error"  # 500, 502, 503, 504
    VERSION_UNSUPPORTED = "version unsupported"


class RetryDecision(enum.Enum):
    """What to do after an attempt."""

    RETURN = "return"
    FAILOVER = "failover"  # another node at once: this one did nothing
    RETRY = "retry"  # after a backoff
    WAIT = "wait"  # until the object is no longer busy
    AMBIGUOUS = "ambiguous"  # never retry: it may have taken effect
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
    """Classify a response by its status and, where the status alone is ambiguous, by the error code and the text."""
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
    """Return the seconds that `Retry-After` asks for, from 0 to *limit*; 0 when it is absent or invalid.

    A date is compared with the `Date` of the response, so that the local clock does not matter.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal() and asked.isascii():
        return min(float(asked[:9]), limit)
    try:
        then, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
        return min(max((then - now).total_seconds(), 0.0), limit)
    except (TypeError, ValueError, OverflowError):
        return 0.0
