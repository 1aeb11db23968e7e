"""Which node gets the next request: rotation, breakers and what is known of each node of one cluster.

Held by one `client.Client` and shared by its threads. Knows no HTTP; the policy's numbers come from `retry`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random

from reconciler.client.retry import CircuitBreaker, RequestOutcome, RetryBudget, RetryPolicy


@dataclass(slots=True)
class NodeState:
    """One configured address of the cluster."""

    url: str
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    untrusted: str = ""  # why its certificate is not trusted; never asked again then
    outside_until: float = 0.0  # "not a member of the cluster": out of rotation
    last_failure: str = ""


class NodePool:
    """The configured nodes; sticky to the last one that served."""

    def __init__(self, urls: Sequence[str], policy: RetryPolicy, random: Random) -> None:
        self._nodes = tuple(NodeState(url) for url in urls)
        self._policy = policy
        self._random = random
        self._lock = threading.Lock()
        self._sticky = 0
        self._budget = RetryBudget()
        self._held_until = 0.0

    def choose(self, tried: Collection[str], now: float) -> tuple[NodeState, bool] | None:
        """Return the node to ask and whether it is on trial; None when there is none beside *tried*.

        A node on trial has an open breaker whose time is up: one GET may find out, a write may not.
        """
        with self._lock:
            order = [*self._nodes[self._sticky :], *self._nodes[: self._sticky]]
            usable = [node for node in order if not node.untrusted and node.url not in tried]
            inside = [node for node in usable if node.outside_until <= now]
            # When all others are gone, a node that was outside a while ago is still worth a question.
            for group in (inside, [node for node in usable if node not in inside]):
                for wanted in ("closed", "half-open"):
                    for node in group:
                        if node.breaker.state(now) == wanted:
                            node.breaker.trial = wanted == "half-open"
                            return node, node.breaker.trial
            return None

    def any_beside(self, tried: Collection[str], now: float) -> bool:
        """Tell whether a node in rotation, other than *tried*, could be asked at once."""
        with self._lock:
            rest = [node for node in self._nodes if node.url not in tried and not node.untrusted]
            return any(node.outside_until <= now and node.breaker.state(now) != "open" for node in rest)

    def named(self, url: str) -> NodeState | None:
        """Return the node at *url*, if it is a configured one."""
        return next((node for node in self._nodes if node.url == url), None)

    def record(self, node: NodeState, outcome: RequestOutcome, now: float, why: str) -> bool:
        """Remember what came of asking *node*; True when its breaker opened by this."""
        with self._lock:
            if outcome is RequestOutcome.SUCCESS:
                self._sticky = self._nodes.index(node)
                self._budget.earn()
                node.outside_until = 0.0
            else:
                node.last_failure = why
            if outcome is RequestOutcome.UNTRUSTED:
                node.untrusted = why
            if outcome is RequestOutcome.NOT_MEMBER:
                node.outside_until = now + self._policy.not_member_seconds
            return node.breaker.record(outcome, now, self._policy.breaker_seconds * self._random.uniform(1.0, 1.2))

    def spend(self, outcome: RequestOutcome) -> bool:
        """Take the price of one retry from the cluster's budget; False when it is used up."""
        with self._lock:
            return self._budget.spend(outcome)

    def hold(self, until: float) -> None:
        """Send nothing to any node before *until*: what a 429 asks for."""
        with self._lock:
            self._held_until = max(self._held_until, until)

    def held_until(self) -> float:
        """Return the time before which nothing may be sent."""
        with self._lock:
            return self._held_until

    def all_untrusted(self) -> bool:
        """Tell whether no node at all may be asked, for its certificate."""
        return all(node.untrusted for node in self._nodes)

    def untrusted_reasons(self) -> list[str]:
        """Return why certificates were refused, one text a node."""
        return [node.untrusted for node in self._nodes if node.untrusted]

    def failures(self) -> str:
        """Return the last failure of each node, for an error message."""
        return "; ".join(f"{node.url}: {node.last_failure or 'not asked'}" for node in self._nodes)

    def urls(self) -> tuple[str, ...]:
        """Return the configured addresses."""
        return tuple(node.url for node in self._nodes)
