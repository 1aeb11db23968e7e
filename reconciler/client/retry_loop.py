"""One call and all its attempts: node selection, failover, backoff, and the error when they are exhausted.

Used by `client`, whose threads share one loop. What may be retried is decided in `retry`, which node is next in
`node_pool`; one request is sent by `attempt`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from reconciler import telemetry
from reconciler.api.protocol import Call, Response
from reconciler.client.attempt import AttemptResult, HttpSession, RequestOptions, origin_of
from reconciler.client.error_texts import exhausted, rejected, request_text, unauthorized
from reconciler.client.node_pool import NodePool, NodeState
from reconciler.client.retry import RequestOutcome, RetryDecision, RetryPolicy, retry_after, retry_decision
from reconciler.errors import ClusterError, Interrupted, Unauthorized, Untrusted
from reconciler.runtime import Runtime

PROBE: Final = "/v1/nodes"  # cheap, and every management role may read it
STATE_ID: Final = "cluster-state-id"
AUTHENTICATED: Final = frozenset(
    {
        RequestOutcome.SUCCESS,
        RequestOutcome.NOT_FOUND,
        RequestOutcome.REJECTED,
        RequestOutcome.FORBIDDEN,
        RequestOutcome.BUSY,
        RequestOutcome.STALE,
    }
)


class RetryLoop:
    """Performs calls on one cluster; safe to use from several threads."""

    def __init__(
        self,
        cluster: str,
        session: HttpSession,
        nodes: NodePool,
        policy: RetryPolicy,
        runtime: Runtime,
        state_id: int,
    ) -> None:
        """*cluster* is its name in the project, "" for the only one; *state_id* the highest one seen so far."""
        self.nodes = nodes  # replaced when the connection is re-established
        self.state_id = state_id
        self._cluster = cluster
        self._label = f"{cluster}: " if cluster else ""
        self._session, self._policy = session, policy
        self._random, self._clock = runtime.random, runtime.clock
        self._sleep, self._observe = runtime.sleep, runtime.observe
        self._login = session.login
        self._verified = False  # the credentials worked with the last request that verified them
        self._worked = False  # they did before, so a single rejection may be an incident
        self.restarting = False  # the services of the node may be, so the same holds
        self._rejection = ""  # why they are not sent again
        self._state_lock = threading.Lock()

    def emit(self, event: str, **attributes: Any) -> None:
        """Report *event* of this cluster to the observer."""
        self._observe(telemetry.Event(event, {"cluster": self._cluster, **attributes}))

    def recheck_credentials(self) -> None:
        """Verify the credentials again with the next request."""
        self._verified = self._worked = False

    def perform(self, call: Call, options: RequestOptions) -> Response:
        """Send *call* until a decision ends it. Raises ClusterError, with the cluster's name in it, and Interrupted."""
        try:
            return self._retry(call, options)
        except ClusterError as error:
            error.cluster = self._cluster
            raise

    def exhausted(self, call: Call, result: AttemptResult) -> ClusterError:
        """Return the error for *call* after its last attempt ended with *result*."""
        if self.nodes.all_untrusted():
            return Untrusted("\n".join(f"{self._label}{reason}" for reason in self.nodes.untrusted_reasons()))
        return exhausted(f"{self._label}{request_text(call)}", result.outcome, self.nodes.failures())

    # --- attempts --------------------------------------------------------------------------------------------------

    def _retry(self, call: Call, options: RequestOptions) -> Response:
        start = self._clock()
        limit = start + (self._policy.fail_fast_timeout if options.fail_fast else self._policy.call_timeout)
        tried: set[str] = set()
        attempt, stale, pause, verifications = 0, 0, self._policy.backoff_base, 0
        while True:
            self._wait_while_throttled(call, limit)
            node = self._select_node(call, tried, limit)
            result = self._request(node, call, options, limit)
            decision = retry_decision(call.method, result.outcome)
            if decision is RetryDecision.RETURN or (result.outcome is RequestOutcome.NOT_FOUND and options.missing_ok):
                return Response(result.status, result.body, result.headers)
            if result.outcome is RequestOutcome.UNAUTHORIZED and verifications == 0 and self._may_verify():
                verifications = 1
                continue
            final = decision in (RetryDecision.FAIL, RetryDecision.AMBIGUOUS)
            if final or (decision is RetryDecision.WAIT and options.fail_fast):
                raise self._rejected(call, node, result)
            if decision is RetryDecision.WAIT:
                pause = self._policy.busy_pause(pause, self._random)
                limit = start + self._policy.busy_timeout
                if self._clock() + pause >= limit:
                    raise self._rejected(call, node, result)
                attempt, tried = 0, set()
                self._pause(call, result, pause, limit)
                continue
            tried.add(node.url)
            stale += result.outcome is RequestOutcome.STALE
            if stale >= self._policy.max_stale_reads or self.nodes.all_untrusted():
                raise self.exhausted(call, result)
            another = self.nodes.any_beside(tried, self._clock())
            if decision is RetryDecision.FAILOVER and another:
                continue
            if options.fail_fast:
                raise self.exhausted(call, result)
            delay = self._policy.backoff(attempt, self._random)
            attempt += 1
            if attempt >= self._policy.max_attempts or not self.nodes.spend(result.outcome):
                raise self.exhausted(call, result)
            if not another:  # every node was tried: start over
                tried.clear()
            self._pause(call, result, self._delay(result, delay), limit)

    def _select_node(self, call: Call, tried: set[str], limit: float) -> NodeState:
        """Choose a node. A half-open circuit breaker is probed with a GET first: a write never serves as the probe."""
        while True:
            chosen = self.nodes.choose(tried, self._clock())
            if chosen is None and tried:
                tried.clear()
                chosen = self.nodes.choose(tried, self._clock())
            if chosen is None:
                raise self.exhausted(call, AttemptResult(RequestOutcome.NOT_SENT))
            node, half_open = chosen
            if not half_open or call.method == "GET":
                return node
            self._request(node, Call("GET", PROBE), RequestOptions(shape=list), limit)

    def _delay(self, result: AttemptResult, delay: float) -> float:
        """Return the seconds before the next attempt; the Retry-After of a 429 applies to every thread."""
        asked = retry_after(result.headers, self._policy.retry_after_max)
        if asked:
            delay = max(delay, asked * self._random.uniform(1.0, 1.1))
            if result.outcome is RequestOutcome.THROTTLED:
                self.nodes.throttle(self._clock() + delay)
        return delay

    def _wait_while_throttled(self, call: Call, limit: float) -> None:
        delay = self.nodes.throttled_until() - self._clock()
        if delay > 0:
            self._pause(call, AttemptResult(RequestOutcome.THROTTLED, "rate limited by the cluster"), delay, limit)

    def _pause(self, call: Call, result: AttemptResult, delay: float, limit: float) -> None:
        """Sleep before the next attempt; raises at once if there would be no time for one."""
        if self._clock() + delay >= limit:
            raise self.exhausted(call, result)
        self.emit("call.retried", request=request_text(call), why=result.why, delay=round(delay, 3))
        if self._sleep(delay) is True:
            raise Interrupted(f"{self._label}stopped before {request_text(call)} was retried")

    # --- one attempt -----------------------------------------------------------------------------------------------

    def _request(self, node: NodeState, call: Call, options: RequestOptions, limit: float) -> AttemptResult:
        """Send to *node* once and record the outcome. Until the credentials are verified, one request at a time."""
        now = self._clock()
        result = AttemptResult(RequestOutcome.NO_RESPONSE, "interrupted")
        try:
            with self._permission() as verifying:
                now = self._clock()
                result = self._attempt(node, call, options, limit)
                if result.outcome is RequestOutcome.UNAUTHORIZED:
                    self._verified = False
                    where = f"{self._label}{node.url}"
                    self._rejection = unauthorized(where, result.details, self._login.rejected())
                elif verifying and result.outcome in AUTHENTICATED:
                    self._verified = self._worked = True
                    self._login.accepted()
                elif verifying and result.outcome is RequestOutcome.NO_RESPONSE:
                    self._login.unanswered()
        except Unauthorized:
            result = AttemptResult(RequestOutcome.UNAUTHORIZED)
            raise
        finally:
            opened = self.nodes.record(node, result.outcome, self._clock(), result.why)
        self.emit(
            "call.done",
            request=request_text(call),
            node=node.url,
            outcome=result.outcome.value,
            status=result.status,
            seconds=round(self._clock() - now, 4),
        )
        if opened:
            self.emit("breaker.opened", node=node.url, why=result.why)
        return result

    @contextmanager
    def _permission(self) -> Iterator[bool]:
        """Yield whether the request verifies the credentials; then it is the only one. Raises Unauthorized."""
        while True:
            if self._verified:
                with self._login.in_flight():
                    if self._verified and not self._login.blocked():
                        yield False
                        return
                self._verified = False  # rejected meanwhile, perhaps in another process
            with self._login.verifying():
                if self._verified:
                    continue
                if why := self._login.blocked(worked=self._worked or self.restarting):
                    raise Unauthorized(self._rejection or f"{self._label}{why}")
                yield True
                return

    def _may_verify(self) -> bool:
        """Return whether credentials that worked before may be sent once more: a rejection may be an incident."""
        return self._worked and not self._login.blocked(worked=True)

    def _attempt(self, node: NodeState, call: Call, options: RequestOptions, limit: float) -> AttemptResult:
        """Send once; 307 and 308 are followed for one hop, to a configured node only, and the path is kept."""
        known = self.state_id
        result = self._session.attempt(node.url, call, options, self._seconds(call, limit))
        if result.outcome is RequestOutcome.REDIRECTED:
            place = origin_of(result.headers.get("location", ""))
            to = self.nodes.named(place)
            if to is None or to is node:
                why = f"{result.status}: redirects to {place or 'an unusable location'}, which is not a configured node"
                return result._replace(why=why)
            result = self._session.attempt(to.url, call, options, self._seconds(call, limit))
        return self._check_state_id(call, result, known)

    def _seconds(self, call: Call, limit: float) -> float:
        return min(self._policy.attempt(call.method), max(limit - self._clock(), 0.1))

    def _check_state_id(self, call: Call, result: AttemptResult, known: int) -> AttemptResult:
        """Reject a read that is older than the *known* cluster-state-id at the time when it was sent."""
        found = result.headers.get(STATE_ID, "")
        numeric = found.isascii() and found.isdecimal() and len(found) <= 18
        if result.outcome is not RequestOutcome.SUCCESS or not numeric:
            return result
        if call.method == "GET" and int(found) < known:
            why = f"its {STATE_ID} {found} is older than {known}, seen earlier (restored cluster? --restored)"
            return AttemptResult(RequestOutcome.STALE, why)
        with self._state_lock:
            self.state_id = max(self.state_id, int(found))
        return result

    def _rejected(self, call: Call, node: NodeState, result: AttemptResult) -> ClusterError:
        if result.outcome is RequestOutcome.UNAUTHORIZED:
            return Unauthorized(self._rejection)
        return rejected(f"{self._label}{request_text(call)} at {node.url}", result)
