"""One call to a cluster and all its attempts: the client that everybody else uses.

`live` reads through it and `apply` writes; it is safe to use from several threads. What may be sent again is decided
in `retry`, which node is asked in `nodes`, how one request goes in `exchange`. Raises only classes of `errors`.
"""

from __future__ import annotations

import random as random_module
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import Any, Final, Protocol

from reconciler import telemetry
from reconciler.api.protocol import Account, Answer, Call, Home
from reconciler.client.attempt import (
    AttemptResult,
    BasicAuth,
    HttpSession,
    RequestOptions,
    SecretValue,
    moved,
    origin_of,
)
from reconciler.client.messages import given_up, refusal, request_text, unauthorized
from reconciler.client.node_pool import NodePool, NodeState
from reconciler.client.retry import (
    CredentialState,
    RequestOutcome,
    RetryDecision,
    RetryPolicy,
    retry_after,
    retry_decision,
)
from reconciler.client.tls import Trust, httpx, unusable
from reconciler.client.transport import Transport
from reconciler.errors import (
    ClusterError,
    InputError,
    Interrupted,
    ReadIncomplete,
    Unauthorized,
    Unreachable,
    Untrusted,
)

PROBE: Final = "/v1/nodes"  # cheap, and every management role may read it
STATE_ID: Final = "cluster-state-id"
_LOGGED_IN: Final = frozenset(
    {
        RequestOutcome.SUCCESS,
        RequestOutcome.NOT_FOUND,
        RequestOutcome.REJECTED,
        RequestOutcome.FORBIDDEN,
        RequestOutcome.BUSY,
        RequestOutcome.STALE,
    }
)


class ClientTarget(Trust, Protocol):
    """The cluster to talk to; `settings.Target` fits."""

    @property
    def name(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...


class Client:
    """One cluster, reached through any of its nodes."""

    def __init__(
        self,
        target: ClientTarget,
        credentials: tuple[str, SecretValue],
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        random: Random | None = None,
        observe: telemetry.Observer = telemetry.ignore,
        policy: RetryPolicy | None = None,
        redact: Callable[[str], str] = str,
        state_id: int = 0,
        urls: tuple[str, ...] = (),
    ) -> None:
        """*sleep* may return True to say that we are asked to stop. *redact* cleans what a server says of secrets.

        *state_id* is the highest that an earlier run has seen: an answer that is older is not believed. *urls* are the
        only nodes to ask, where not all of *target* are meant.
        Raises InputError when the CA file or the pin cannot be used, ClusterError for an address that is not https.
        """
        self._label = f"{target.name}: " if target.name else ""
        self._target = target
        self._user = credentials[0]
        self._policy = policy or RetryPolicy()
        self._random = random or random_module.Random()
        self._clock, self._sleep, self._observe = clock, sleep, observe
        self._credentials, self._transport, self._redact = credentials, transport, redact
        origins = [origin_of(url) for url in urls or target.urls]
        if not origins or not all(origins):
            raise ClusterError(f"{self._label}the address of a node is https://host:port, without a login in it")
        self._nodes = NodePool(origins, self._policy, self._random)
        self._login = CredentialState()
        self._gate = threading.Lock()
        self._state_id = state_id
        self._state_lock = threading.Lock()
        try:
            carrier = transport or Transport(target)
        except (OSError, ValueError) as error:
            raise InputError([unusable(target, self._label, error)]) from None
        self._session = HttpSession(carrier, BasicAuth(*credentials), target, self._policy, redact)

    @property
    def user(self) -> str:
        """The name that we log in with."""
        return self._user

    @property
    def state_id(self) -> int:
        """The highest cluster-state-id seen."""
        return self._state_id

    def open(self) -> Answer:
        """Prove the login with one GET of the nodes before anything goes out in parallel, and return the answer."""
        if self._target.insecure and not self._target.pin:
            text = f"{self._label}certificates are not verified: anyone on the way can read and change everything"
            self._tell("tls.unverified", message=text)
        if self._login.refused_at is None:
            self._login = CredentialState()
        return self.get(PROBE, shape=list)

    def get(
        self,
        path: str,
        *,
        missing_ok: bool = False,
        shape: type | None = None,
        tolerant: bool = False,
        brief: bool = False,
    ) -> Answer:
        """Read *path*; with *missing_ok* a 404 is an answer too.

        A body of another *shape* (list or dict) counts as broken; *tolerant* is that of `parse_json`; *brief*: what
        does not come at once is not waited for. Raises Unreachable, Untrusted, Unauthorized, Forbidden, ReadIncomplete,
        Rejected, VersionUnsupported.
        """
        return self._perform(Call("GET", path), RequestOptions(missing_ok, shape, tolerant, brief))

    def send(self, call: Call, *, brief: bool = False) -> Answer:
        """Send a write; sends it again only while it is known that nothing took effect.

        A DELETE of what is gone answers 404. Raises what `get` does, Busy after ten minutes of 409 (at once where it
        is *brief*), and Ambiguous where the write may have taken effect: read first, then decide.
        """
        if call.method == "GET":
            return self.get(call.path)
        return self._perform(call, RequestOptions(missing_ok=call.method == "DELETE", shape=dict, brief=brief))

    def at(self, url: str) -> Client:
        """Return a client of one node that remembers nothing: a machine changes while it becomes one."""
        return Client(
            self._target,
            self._credentials,
            transport=self._transport,
            clock=self._clock,
            sleep=self._sleep,
            random=self._random,
            observe=self._observe,
            policy=self._policy,
            redact=self._redact,
            urls=(url,),
        )

    def home(self, *, reveal: bool = False) -> Home:
        """Return where our machines are and who we are; with *reveal* also how we log in."""
        user, secret = self._credentials
        return Home(self._nodes.urls(), user, secret.reveal() if reveal else "")

    def accepts(self, login: Account) -> bool:
        """Try once whether somebody else can log in; what the account may do does not matter.

        Raises Unreachable where no node tells.
        """
        call = Call("GET", PROBE)
        for node in [node for node in map(self._nodes.named, self._nodes.urls()) if node is not None]:
            if node.untrusted:
                continue
            result = self._session.attempt(node.url, call, RequestOptions(), self._policy.attempt("GET"), login)
            if result.outcome is RequestOutcome.UNAUTHORIZED or result.outcome in _LOGGED_IN:
                return result.outcome is not RequestOutcome.UNAUTHORIZED
        raise self._given_up(call, AttemptResult(RequestOutcome.NO_RESPONSE))

    def reconnect(self, port: int = 0) -> None:
        """Come in anew, over new connections, after a change to what we come in by.

        *port* is where the API should be now; it may not have moved after all, so both places are asked. Services
        restart then: whoever does not answer, or shows another certificate, is asked again until the policy's time is
        up. A login that is refused is not repeated. Raises what `open` does.
        """
        limit = self._clock() + self._policy.reconnect_timeout
        attempt = 0
        before = self._nodes.urls()
        urls = [*dict.fromkeys([*(moved(url, port) for url in before if port), *before])]
        while True:
            self._session.drop()
            self._nodes = NodePool(urls, self._policy, self._random)
            try:
                self.open()
            except (ReadIncomplete, Unreachable, Untrusted) as error:
                delay = self._policy.backoff(attempt, self._random)
                attempt += 1
                if self._clock() + delay >= limit:
                    raise
                self._tell("call.retried", request="a new connection", why=str(error), delay=round(delay, 3))
                if self._sleep(delay) is True:
                    raise Interrupted(f"{self._label}stopped before the way back in was found") from error
            else:
                return

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    # One call: attempts until a retry_decision ends it.

    def _perform(self, call: Call, options: RequestOptions) -> Answer:
        try:
            return self._rounds(call, options)
        except ClusterError as error:
            error.cluster = self._target.name
            raise

    def _rounds(self, call: Call, options: RequestOptions) -> Answer:
        start = self._clock()
        limit = start + (self._policy.fail_fast_timeout if options.brief else self._policy.call_timeout)
        tried: set[str] = set()
        attempt, stale, pause = 0, 0, self._policy.backoff_base
        while True:
            self._wait_while_held(call, limit)
            node = self._node_for(call, tried, limit)
            result = self._ask(node, call, options, limit)
            decision = retry_decision(call.method, result.outcome)
            if decision is RetryDecision.RETURN or (result.outcome is RequestOutcome.NOT_FOUND and options.missing_ok):
                return Answer(result.status, result.body, result.headers)
            if decision in (RetryDecision.FAIL, RetryDecision.AMBIGUOUS) or (
                decision is RetryDecision.WAIT and options.brief
            ):
                raise self._refusal(call, node, result)
            if decision is RetryDecision.WAIT:
                pause = self._policy.busy_pause(pause, self._random)
                limit = start + self._policy.busy_timeout
                if self._clock() + pause >= limit:
                    raise self._refusal(call, node, result)
                attempt, tried = 0, set()
                self._rest(call, result, pause, limit)
                continue
            tried.add(node.url)
            stale += result.outcome is RequestOutcome.STALE
            if stale >= self._policy.max_stale_reads or self._nodes.all_untrusted():
                raise self._given_up(call, result)
            another = self._nodes.any_beside(tried, self._clock())
            if decision is RetryDecision.FAILOVER and another:
                continue
            if options.brief:
                raise self._given_up(call, result)
            delay = self._policy.backoff(attempt, self._random)
            attempt += 1
            if attempt >= self._policy.max_attempts or not self._nodes.spend(result.outcome):
                raise self._given_up(call, result)
            if not another:  # every node had its turn: a new round
                tried.clear()
            self._rest(call, result, self._asked_for(result, delay), limit)

    def _node_for(self, call: Call, tried: set[str], limit: float) -> NodeState:
        """Choose a node; a write is never what finds out whether a failed node is back."""
        while True:
            chosen = self._nodes.choose(tried, self._clock())
            if chosen is None and tried:
                tried.clear()
                chosen = self._nodes.choose(tried, self._clock())
            if chosen is None:
                raise self._given_up(call, AttemptResult(RequestOutcome.NOT_SENT))
            node, on_trial = chosen
            if not on_trial or call.method == "GET":
                return node
            self._ask(node, Call("GET", PROBE), RequestOptions(shape=list), limit)

    def _asked_for(self, result: AttemptResult, delay: float) -> float:
        """Return the pause before the next attempt; what a 429 asks for holds for every thread."""
        asked = retry_after(result.headers, self._policy.retry_after_max)
        if asked:
            delay = max(delay, asked * self._random.uniform(1.0, 1.1))
            if result.outcome is RequestOutcome.THROTTLED:
                self._nodes.hold(self._clock() + delay)
        return delay

    def _wait_while_held(self, call: Call, limit: float) -> None:
        delay = self._nodes.held_until() - self._clock()
        if delay > 0:
            self._rest(call, AttemptResult(RequestOutcome.THROTTLED, "asked to wait"), delay, limit)

    def _rest(self, call: Call, result: AttemptResult, delay: float, limit: float) -> None:
        """Sleep before the next attempt, or give up now if there would be no time for one."""
        if self._clock() + delay >= limit:
            raise self._given_up(call, result)
        self._tell("call.retried", request=request_text(call), why=result.why, delay=round(delay, 3))
        if self._sleep(delay) is True:
            raise Interrupted(f"{self._label}stopped before {request_text(call)} was sent again")

    # One attempt.

    def _ask(self, node: NodeState, call: Call, options: RequestOptions, limit: float) -> AttemptResult:
        """Ask *node* once and remember what came of it. Until a login was accepted, one request at a time."""
        with ExitStack() as stack:
            if not self._logged_in():
                stack.enter_context(self._gate)
                if self._logged_in():
                    stack.close()
            now = self._clock()
            result = AttemptResult(RequestOutcome.NO_RESPONSE, "interrupted")
            try:
                if not self._login.may_try(now, self._policy.credential_cooldown):
                    result = AttemptResult(RequestOutcome.UNAUTHORIZED)
                    raise Unauthorized(self._login.reason)
                result = self._attempt(node, call, options, limit)
            finally:
                opened = self._nodes.record(node, result.outcome, self._clock(), result.why)
            if result.outcome is RequestOutcome.UNAUTHORIZED:
                reason = unauthorized(f"{self._label}{node.url}", result.details)
                self._login = CredentialState(refused_at=self._clock(), reason=reason)
            elif result.outcome in _LOGGED_IN:
                self._login = CredentialState(proven=True)
        self._tell(
            "call.done",
            request=request_text(call),
            node=node.url,
            outcome=result.outcome.value,
            status=result.status,
            seconds=round(self._clock() - now, 4),
        )
        if opened:
            self._tell("breaker.opened", node=node.url, why=result.why)
        return result

    def _logged_in(self) -> bool:
        return self._login.proven

    def _attempt(self, node: NodeState, call: Call, options: RequestOptions, limit: float) -> AttemptResult:
        """Send once; 307 and 308 are followed for one hop, to a configured node only, and the path stays ours."""
        known = self._state_id
        result = self._session.attempt(node.url, call, options, self._seconds(call, limit))
        if result.outcome is RequestOutcome.REDIRECTED:
            place = origin_of(result.headers.get("location", ""))
            to = self._nodes.named(place)
            if to is None or to is node:
                return result._replace(
                    why=f"{result.status}: it redirects to {place or 'nowhere'}, not a configured node"
                )
            result = self._session.attempt(to.url, call, options, self._seconds(call, limit))
        return self._checked_state(call, result, known)

    def _seconds(self, call: Call, limit: float) -> float:
        return min(self._policy.attempt(call.method), max(limit - self._clock(), 0.1))

    def _checked_state(self, call: Call, result: AttemptResult, known: int) -> AttemptResult:
        """Refuse a read that is older than what was known when it was sent."""
        found = result.headers.get(STATE_ID, "")
        if (
            result.outcome is not RequestOutcome.SUCCESS
            or not (found.isascii() and found.isdecimal())
            or len(found) > 18
        ):
            return result
        if call.method == "GET" and int(found) < known:
            return AttemptResult(
                RequestOutcome.STALE, f"its state {found} is older than {known}, seen before (restored? --restored)"
            )
        with self._state_lock:
            self._state_id = max(self._state_id, int(found))
        return result

    # What is raised and told.

    def _refusal(self, call: Call, node: NodeState, result: AttemptResult) -> ClusterError:
        if result.outcome is RequestOutcome.UNAUTHORIZED:
            return Unauthorized(self._login.reason)
        where = f"{self._label}{request_text(call)} at {node.url}"
        return refusal(where, result.outcome, result.why, result.status, result.details)

    def _given_up(self, call: Call, result: AttemptResult) -> ClusterError:
        if self._nodes.all_untrusted():
            return Untrusted("\n".join(f"{self._label}{reason}" for reason in self._nodes.untrusted_reasons()))
        return given_up(f"{self._label}{request_text(call)}", result.outcome, self._nodes.failures())

    def _tell(self, name: str, **attributes: Any) -> None:
        self._observe(telemetry.Event(name, {"cluster": self._target.name, **attributes}))
