"""The nodes of one cluster: rotation, circuit breakers, retry budget, throttling and the state of each node.

Used by `retry_loop`, whose threads share one pool. Must not know HTTP; the numbers come from `retry.RetryPolicy`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from reconciler.client.retry import RequestOutcome, RetryPolicy


@dataclass(slots=True)
class RetryBudget:
    """A token bucket for retries, so that they do not overload a failing cluster: when empty, calls fail at once."""

    capacity: float = 50.0
    tokens: float = 50.0

    def spend(self, outcome: RequestOutcome) -> bool:
        """Take the tokens of one retry after *outcome*; False when too few are left."""
        cost = 10.0 if outcome is RequestOutcome.NO_RESPONSE else 5.0
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def earn(self) -> None:
        """Return one token after a success."""
        self.tokens = min(self.capacity, self.tokens + 1.0)


_NODE_FAILURES: Final = frozenset(
    {RequestOutcome.NOT_SENT, RequestOutcome.NO_RESPONSE, RequestOutcome.MALFORMED, RequestOutcome.SERVER_ERROR}
)


@dataclass(slots=True)
class CircuitBreaker:
    """The circuit breaker of one node: opens after 5 consecutive failures, or 10 of the last 20 requests."""

    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=20))  # True: failed
    consecutive_failures: int = 0
    open_until: float = 0.0  # 0 = closed
    probing: bool = False  # the one request of the half-open state is in flight

    def record(self, outcome: RequestOutcome, now: float, pause: float) -> bool:
        """Count *outcome* at *now*; True when this opened the breaker, for *pause* seconds."""
        failed = outcome in _NODE_FAILURES
        self.recent.append(failed)
        self.consecutive_failures = self.consecutive_failures + 1 if failed else 0
        if not failed:
            if self.open_until:
                self.recent.clear()
            self.open_until, self.probing = 0.0, False
            return False
        broken = self.probing or self.consecutive_failures >= 5 or (len(self.recent) == 20 and sum(self.recent) >= 10)
        opened = broken and (self.probing or not self.open_until)
        if broken:
            self.open_until, self.probing = now + pause, False
        return opened

    def state(self, now: float) -> str:
        """Return "closed", "open", or "half-open": the time has elapsed, and one GET may probe the node."""
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until or self.probing else "half-open"


@dataclass(slots=True)
class NodeState:
    """One configured node URL and what is known of it."""

    url: str
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    untrusted: str = ""  # why its certificate is not trusted; the node is not used again
    not_member_until: float = 0.0  # "not a member of the cluster": out of rotation until then
    last_failure: str = ""


class NodePool:
    """The configured nodes; requests stay with the last one that succeeded."""

    def __init__(self, urls: Sequence[str], policy: RetryPolicy, random: Random) -> None:
        self._nodes = tuple(NodeState(url) for url in urls)
        self._policy = policy
        self._random = random
        self._lock = threading.Lock()
        self._sticky = 0
        self._budget = RetryBudget()
        self._throttled_until = 0.0

    def choose(self, tried: Collection[str], now: float) -> tuple[NodeState, bool] | None:
        """Return a node and whether its circuit breaker is half-open; None when there is none other than *tried*.

        A half-open node gets one request as a probe, which must be a GET.
        """
        with self._lock:
            order = [*self._nodes[self._sticky :], *self._nodes[: self._sticky]]
            usable = [node for node in order if not node.untrusted and node.url not in tried]
            members = [node for node in usable if node.not_member_until <= now]
            # A node that was not a member a while ago is the last resort.
            for group in (members, [node for node in usable if node not in members]):
                for state in ("closed", "half-open"):
                    for node in group:
                        if node.breaker.state(now) == state:
                            node.breaker.probing = state == "half-open"
                            return node, node.breaker.probing
            return None

    def any_beside(self, tried: Collection[str], now: float) -> bool:
        """Return whether a node in rotation, other than *tried*, is available now."""
        with self._lock:
            rest = [node for node in self._nodes if node.url not in tried and not node.untrusted]
            return any(node.not_member_until <= now and node.breaker.state(now) != "open" for node in rest)

    def named(self, url: str) -> NodeState | None:
        """Return the node at *url*, if it is a configured one."""
        return next((node for node in self._nodes if node.url == url), None)

    def record(self, node: NodeState, outcome: RequestOutcome, now: float, why: str) -> bool:
        """Record the outcome of a request to *node* and why it failed; True when this opened its circuit breaker."""
        with self._lock:
            if outcome is RequestOutcome.SUCCESS:
                self._sticky = self._nodes.index(node)
                self._budget.earn()
                node.not_member_until = 0.0
            else:
                node.last_failure = why
            if outcome is RequestOutcome.UNTRUSTED:
                node.untrusted = why
            if outcome is RequestOutcome.NOT_MEMBER:
                node.not_member_until = now + self._policy.not_member_seconds
            return node.breaker.record(outcome, now, self._policy.breaker_seconds * self._random.uniform(1.0, 1.2))

    def spend(self, outcome: RequestOutcome) -> bool:
        """Take one retry after *outcome* from the budget of the cluster; False when it is exhausted."""
        with self._lock:
            return self._budget.spend(outcome)

    def throttle(self, until: float) -> None:
        """Send nothing to any node before *until* (clock time), as a 429 requests."""
        with self._lock:
            self._throttled_until = max(self._throttled_until, until)

    def throttled_until(self) -> float:
        """Return the clock time before which nothing may be sent."""
        with self._lock:
            return self._throttled_until

    def all_untrusted(self) -> bool:
        """Return whether the certificates of all nodes are untrusted."""
        return all(node.untrusted for node in self._nodes)

    def untrusted_reasons(self) -> list[str]:
        """Return why certificates are not trusted, one text per node."""
        return [node.untrusted for node in self._nodes if node.untrusted]

    def failures(self) -> str:
        """Return the last failure of each node, for an error message."""
        return "; ".join(f"{node.url}: {node.last_failure or 'not tried'}" for node in self._nodes)

    def trusted(self) -> tuple[NodeState, ...]:
        """Return the nodes whose certificates are not known to be untrusted."""
        return tuple(node for node in self._nodes if not node.untrusted)

    def urls(self) -> tuple[str, ...]:
        """Return the configured URLs."""
        return tuple(node.url for node in self._nodes)
