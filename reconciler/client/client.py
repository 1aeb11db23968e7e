"""The client of one cluster: what `live` reads with and `apply` writes with. Safe to use from several threads.

Retries and failover are in `retry_loop`, a single request is in `attempt`. Raises only classes of `errors`.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.api.protocol import Call, Login, OwnClusterInfo, Response
from reconciler.client.attempt import (
    AttemptResult,
    HttpSession,
    RequestOptions,
    origin_of,
    with_port,
)
from reconciler.client.login_methods import BasicAuth, SecretValue, authentication
from reconciler.client.node_pool import NodePool
from reconciler.client.options import DEFAULTS, ClientOptions, ClientTarget
from reconciler.client.retry import RequestOutcome
from reconciler.client.retry_loop import AUTHENTICATED, PROBE, RetryLoop
from reconciler.client.tls import unusable
from reconciler.client.transport import Transport
from reconciler.errors import ClusterError, Conflict, InputError, Interrupted, ReadIncomplete, Unreachable, Untrusted
from reconciler.ledger.logins import Logins
from reconciler.runtime import Runtime


class Client:
    """One cluster, reached through any of its nodes."""

    def __init__(
        self,
        target: ClientTarget,
        credentials: tuple[str, SecretValue],
        runtime: Runtime | None = None,
        options: ClientOptions = DEFAULTS,
    ) -> None:
        """*credentials* are the user name and the password. Nothing is sent yet.

        Raises InputError when the CA file or the pin cannot be used, ClusterError for a node URL that is not https.
        """
        self._target, self._credentials = target, credentials
        self._runtime = runtime or Runtime()
        self._label = f"{target.name}: " if target.name else ""
        self._whole, self._has_written = self, False  # of a client of one node: the client of the cluster
        origins = [origin_of(url) for url in options.urls or target.urls]
        if not origins or not all(origins):
            raise ClusterError(f"{self._label}a node URL must be https://host:port, without credentials")
        try:
            identity = (target.client_cert, target.client_key) if target.client_cert and target.client_key else None
            transport = options.transport or Transport(target, identity if target.login == "certificate" else None)
        except (OSError, ValueError) as error:
            raise InputError([unusable(target, self._label, error)]) from None
        login = options.login or Logins(now=self._runtime.now).of(target.urls, *credentials)
        self._options = replace(options, login=login)
        auth, guard = authentication(target.login, credentials, login, self._runtime.clock, self._label)
        self._session = HttpSession(transport, auth, target, options.policy, options.redact, guard)
        nodes = NodePool(origins, options.policy, self._runtime.random)
        self._loop = RetryLoop(target.name, self._session, nodes, options.policy, self._runtime, options.state_id)

    @property
    def user(self) -> str:
        """The user name of the management account."""
        return self._credentials[0]

    @property
    def login_method(self) -> str:
        """How it logs in, as `x-impact.login` calls it: a token needs the password too."""
        return "certificate" if self._target.login == "certificate" else "password"

    @property
    def state_id(self) -> int:
        """The highest cluster-state-id seen."""
        return self._loop.state_id

    def require_state_id(self, state_id: int) -> None:
        """Reject responses with a lower cluster-state-id than *state_id*, which an earlier run has seen."""
        self._loop.state_id = max(self._loop.state_id, state_id)

    def open(self) -> Response:
        """Verify the credentials with one GET of the nodes before any parallel requests, and return the response.

        Raises what `get` does.
        """
        if self._target.insecure and not self._target.pin:
            text = f"{self._label}TLS verification is disabled; traffic can be intercepted"
            self._loop.emit("tls.unverified", message=text)
        self._loop.recheck_credentials()
        return self.get(PROBE, shape=list, tolerant=True)

    def get(
        self,
        path: str,
        *,
        missing_ok: bool = False,
        shape: type | None = None,
        tolerant: bool = False,
        fail_fast: bool = False,
    ) -> Response:
        """Read *path*; with *missing_ok* a 404 is a response too.

        A body of another *shape* (list or dict) counts as malformed; *tolerant* is that of `parse_json`; *fail_fast*:
        no backoff and no waiting, only failover. Raises Unreachable, Untrusted, Unauthorized, Forbidden,
        ReadIncomplete, Rejected, VersionUnsupported, Interrupted.
        """
        return self._loop.perform(Call("GET", path), RequestOptions(missing_ok, shape, tolerant, fail_fast))

    def send(self, call: Call, *, fail_fast: bool = False) -> Response:
        """Send a write; retries it only while it is known that nothing took effect.

        A DELETE of an object that does not exist returns 404. Raises what `get` does, Busy after ten minutes of 409
        (at once with *fail_fast*), and Ambiguous where the write may have taken effect: read first, then decide.
        """
        if call.method == "GET":
            return self.get(call.path)
        self._whole._has_written = True
        options = RequestOptions(missing_ok=call.method == "DELETE", shape=dict, fail_fast=fail_fast)
        return self._loop.perform(call, options)

    def at(self, url: str) -> Client:
        """Return a client of the one node at *url*, without a recorded cluster-state-id: the node may join a cluster.

        After a write, its services may be restarting. Raises ClusterError for a URL that is not https.
        """
        options = replace(self._options, urls=(url,), state_id=0)
        client = Client(self._target, self._credentials, self._runtime, options)
        client._whole, client._loop.restarting = self._whole, self._whole._has_written
        return client

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        """Return the node URLs and the user name; with *reveal* also the password."""
        user, secret = self._credentials
        if reveal and self._target.login == "certificate":
            raise Conflict(f"{self._label}needs a login with a password, and this tool has a client certificate")
        return OwnClusterInfo(self._loop.nodes.urls(), user, secret.reveal() if reveal else "")

    def accepts(self, login: Login) -> bool:
        """Try once whether another account can log in; its permissions do not matter.

        Raises Unreachable where no node gives a definite response.
        """
        session, target, options = self._session, self._target, self._options
        if target.login == "certificate" and options.transport is None:
            # Beside a client certificate, it is unknown which of the two accounts would log in.
            own = BasicAuth(*self._credentials)
            session = HttpSession(Transport(target), own, target, options.policy, options.redact, session.login)
        try:
            return self._accepts(session, login)
        finally:
            if session is not self._session:
                session.close()

    def _accepts(self, session: HttpSession, login: Login) -> bool:
        call = Call("GET", PROBE)
        seconds = self._options.policy.attempt(call.method)
        for node in self._loop.nodes.trusted():
            result = session.attempt(node.url, call, RequestOptions(), seconds, login)
            if result.outcome is RequestOutcome.UNAUTHORIZED or result.outcome in AUTHENTICATED:
                return result.outcome is not RequestOutcome.UNAUTHORIZED
        raise self._loop.exhausted(call, AttemptResult(RequestOutcome.NO_RESPONSE))

    def reconnect(self, port: int = 0) -> None:
        """Re-establish the connection after a change to the port, the certificate or the account that it uses.

        *port* is where the API should be now; it may not have moved after all, so both ports are tried. Services
        restart during such a change: a node that does not respond, or shows another certificate, is retried until
        the policy's `reconnect_timeout`. Rejected credentials are not retried. Raises what `open` does.
        """
        policy, clock = self._options.policy, self._runtime.clock
        limit = clock() + policy.reconnect_timeout
        attempt = 0
        before = self._loop.nodes.urls()
        urls = [*dict.fromkeys([*(with_port(url, port) for url in before if port), *before])]
        while True:
            self._session.close_idle()
            self._loop.nodes = NodePool(urls, policy, self._runtime.random)
            try:
                self.open()
            except (ReadIncomplete, Unreachable, Untrusted) as error:
                delay = policy.backoff(attempt, self._runtime.random)
                attempt += 1
                if clock() + delay >= limit:
                    raise
                self._loop.emit("call.retried", request="reconnect", why=str(error), delay=round(delay, 3))
                if self._runtime.sleep(delay) is True:
                    raise Interrupted(f"{self._label}stopped before the connection was re-established") from error
            else:
                return

    def close(self) -> None:
        """Close all connections."""
        self._session.close()
