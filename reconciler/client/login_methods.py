"""Login methods: a password with each request, a token (JWT) that the password gives, a client certificate.

`attempt` asks them before each request. A password is only sent to get a token, and only that is limited by the login
guard: rejected tokens and certificates lock no account.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from reconciler.api.protocol import Body, Call
from reconciler.client.retry import RequestOutcome
from reconciler.client.tls import httpx
from reconciler.errors import Unauthorized

if TYPE_CHECKING:
    from reconciler.client.attempt import AttemptResult

_AUTHORIZE: Final = "/v1/users/authorize"
_REFRESH: Final = "/v1/users/refresh_jwt"
_SECONDS: Final = 900  # for which a token is requested
_EARLY: Final = 0.5  # share of that time after which it is refreshed
_ABOUT_THE_NODE: Final = frozenset(
    {
        RequestOutcome.UNTRUSTED,
        RequestOutcome.NOT_MEMBER,
        RequestOutcome.REDIRECTED,
        RequestOutcome.THROTTLED,
        RequestOutcome.UNAUTHORIZED,
        RequestOutcome.FORBIDDEN,
        RequestOutcome.NOT_FOUND,
        RequestOutcome.REJECTED,
    }
)
CERTIFICATE_ADVICE: Final = (
    "login with a client certificate needs version 7.8.4 or newer, mtls_certificate_authentication in the settings of "
    "the cluster, and a user whose certificate_subject_line is the subject of the certificate"
)

Send = Callable[[Call, type | None, httpx.Auth], "AttemptResult"]


class SecretValue(Protocol):
    """A secret that returns its value on request; `secrets.Secret` fits."""

    def reveal(self) -> str: ...


class LoginGuard(Protocol):
    """What decides whether credentials may be sent, and remembers rejections; `ledger.LoginRecord` fits."""

    def verifying(self) -> AbstractContextManager[None]: ...
    def in_flight(self) -> AbstractContextManager[Any]: ...
    def blocked(self, *, worked: bool = False) -> str: ...
    def rejected(self) -> str: ...
    def unanswered(self) -> None: ...
    def accepted(self) -> None: ...


class Unguarded(NamedTuple):
    """The guard of credentials that may be rejected any number of times."""

    advice: Callable[[], str]

    def verifying(self) -> AbstractContextManager[None]:
        return nullcontext()

    def in_flight(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def blocked(self, *, worked: bool = False) -> str:
        return ""

    def rejected(self) -> str:
        return self.advice()

    def unanswered(self) -> None:
        """Do nothing."""

    def accepted(self) -> None:
        """Do nothing."""


class CertificateAuth(httpx.Auth):
    """Adds nothing: the client certificate is part of the TLS handshake."""

    def redact(self, text: str) -> str:
        return text


class BasicAuth(httpx.Auth):
    """Adds the credentials to a request just before it is sent, so that they are not stored in plain text."""

    def __init__(self, user: str, secret: SecretValue) -> None:
        self._user = user
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = "Basic " + self._encoded()
        yield request

    def redact(self, text: str) -> str:
        """Return *text* with the password redacted, in case a server repeats it."""
        for part in (self._secret.reveal(), self._encoded()):
            text = text.replace(part, "(secret)") if part else text
        return text

    def _encoded(self) -> str:
        return base64.b64encode(f"{self._user}:{self._secret.reveal()}".encode()).decode("ascii")


class JwtAuth(httpx.Auth):
    """A token that the password gives, refreshed before it expires. Safe to use from several threads."""

    def __init__(self, basic: BasicAuth, guard: LoginGuard, clock: Callable[[], float], label: str) -> None:
        self._basic, self._guard, self._clock, self._label = basic, guard, clock, label
        self._lock = threading.Lock()
        self._token, self._refresh_at, self._expires = "", 0.0, 0.0
        self._schemes = ["Bearer", "JWT"]  # builds differ; the first is the one that works
        self._scheme_known = False
        self.advice = ""  # what follows from the last rejection

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"{self._schemes[0]} {self._token}"
        yield request

    def redact(self, text: str) -> str:
        """Return *text* with the password and the token redacted."""
        text = self._basic.redact(text)
        return text.replace(self._token, "(secret)") if self._token else text

    def attempt(self, call: Call, shape: type | None, send: Send) -> AttemptResult:
        """Send *call* with a valid token; after a 401 once more, with another scheme or a new token."""
        token, failure = self._current(send)
        if failure is not None:
            return failure
        result = send(call, shape, self)
        if result.outcome is RequestOutcome.UNAUTHORIZED and not self._scheme_known:
            self._schemes.reverse()
            result = send(call, shape, self)
        if result.outcome is RequestOutcome.UNAUTHORIZED:
            with self._lock:
                self._token = "" if self._token == token else self._token
            _, failure = self._current(send)
            result = failure or send(call, shape, self)
        if result.outcome is RequestOutcome.SUCCESS:
            self._scheme_known = True
        elif result.outcome is RequestOutcome.UNAUTHORIZED and not self.advice:
            self.advice = "a new token was rejected as well"
        return result

    def _current(self, send: Send) -> tuple[str, AttemptResult | None]:
        """Return a valid token, or why there is none."""
        with self._lock:
            failure = None
            if self._token and self._refresh_at <= self._clock() < self._expires:
                self._store(
                    send(Call("POST", _REFRESH, Body(ttl=_SECONDS)), dict, self)
                )  # else the old one still works
            if not self._token or self._clock() >= self._expires:
                failure = self._log_in(send)
            return self._token, failure

    def _log_in(self, send: Send) -> AttemptResult | None:
        """Get a token with the password; return why there is none."""
        with self._guard.verifying():
            if why := self._guard.blocked():
                raise Unauthorized(f"{self._label}{why}")
            result = send(Call("POST", _AUTHORIZE, Body(ttl=_SECONDS)), dict, self._basic)
            if result.outcome is RequestOutcome.UNAUTHORIZED:
                self.advice = self._guard.rejected()
            elif result.outcome is RequestOutcome.NO_RESPONSE:
                self._guard.unanswered()
            elif self._store(result):
                self._guard.accepted()
                return None
        outcome = result.outcome if result.outcome in _ABOUT_THE_NODE else RequestOutcome.NOT_SENT
        return result._replace(outcome=outcome, why=f"no token: {result.why or 'the response has none'}")

    def _store(self, result: AttemptResult) -> bool:
        token = result.body.get("access_token") if result.outcome is RequestOutcome.SUCCESS else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            return False
        now = self._clock()
        self._token, self._refresh_at, self._expires = token, now + _SECONDS * _EARLY, now + _SECONDS
        return True


def authentication(
    method: str, credentials: tuple[str, SecretValue], guard: LoginGuard, clock: Callable[[], float], label: str
) -> tuple[BasicAuth | JwtAuth | CertificateAuth, LoginGuard]:
    """Return how requests are authenticated, and what limits them; *guard* limits those with the password."""
    basic = BasicAuth(*credentials)
    if method == "certificate":
        return CertificateAuth(), Unguarded(lambda: CERTIFICATE_ADVICE)
    if method == "jwt":
        tokens = JwtAuth(basic, guard, clock, label)
        return tokens, Unguarded(lambda: tokens.advice)
    return basic, guard
