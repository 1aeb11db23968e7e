"""One attempt: a single request to one node, and its result. No retries.

Used by `client` and `retry_loop`, which decide what follows. Every exception of httpx is translated here, to a
`RequestOutcome` with a reason.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from reconciler import __version__
from reconciler.api.protocol import Call, Login, Upload
from reconciler.client.error_texts import WRONG_PORT, ErrorDetails, error_details
from reconciler.client.json_parser import MAX_BYTES, MalformedJson, parse_json
from reconciler.client.login_methods import BasicAuth, CertificateAuth, JwtAuth, LoginGuard
from reconciler.client.retry import RequestOutcome, RetryPolicy, outcome_of
from reconciler.client.tls import Trust, cause_text, httpx, tls_failure, untrusted_text
from reconciler.client.transport import attempt_deadline

# Its log contains full URLs; what is worth reporting goes to the observer.
logging.getLogger("httpx").setLevel(logging.CRITICAL + 1)

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a compressed response could expand to any size
    "User-Agent": f"reconciler/{__version__}",
    "Connection": "keep-alive",
}
_JSON_HEADERS: Final = {**_HEADERS, "Content-Type": "application/json"}


class _PlaintextSecret(NamedTuple):
    """A secret that is known in plain text; its repr is redacted."""

    value: str

    def reveal(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return "(secret)"


class AttemptResult(NamedTuple):
    """The result of one attempt."""

    outcome: RequestOutcome
    why: str = ""  # the reason for anything but success, for an error message
    status: int = 0  # of HTTP; 0 without a response
    body: Any = None  # parsed JSON
    headers: Mapping[str, str] = {}  # names in lower case
    details: ErrorDetails = ErrorDetails()


class RequestOptions(NamedTuple):
    """What the caller accepts as a response."""

    missing_ok: bool = False  # 404 is a response
    shape: type | None = None  # list or dict: any other body is malformed
    tolerant: bool = False  # as in `parse_json`
    fail_fast: bool = False  # no backoff, no waiting for a busy object; only failover


class _NoCookies(httpx.Cookies):
    """Ignores what servers set: no request may depend on an earlier one."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES: Final = _NoCookies()


class _StatelessClient(httpx.Client):
    """An httpx client without cookies, which does not look at the locations of redirects."""

    def _build_redirect_request(self, request: httpx.Request, response: httpx.Response) -> httpx.Request:
        return request  # not followed; the location may be anything

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        pass


class HttpSession:
    """Sends single requests over one connection pool; safe to use from several threads."""

    def __init__(
        self,
        transport: httpx.BaseTransport,
        auth: BasicAuth | JwtAuth | CertificateAuth,
        trust: Trust,
        policy: RetryPolicy,
        redact: Callable[[str], str],
        login: LoginGuard,
    ) -> None:
        self.login = login
        self._auth, self._trust, self._policy, self._redact = auth, trust, policy, redact
        self._transport = transport
        self._client = _StatelessClient(transport=transport, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def close_idle(self) -> None:
        """Close idle connections; the next request opens a new one."""
        self._transport.close()

    def attempt(
        self, origin: str, call: Call, options: RequestOptions, seconds: float, login: Login | None = None
    ) -> AttemptResult:
        """Send *call* to the node at *origin* once, within *seconds*; *login* replaces the client's own account."""
        if login is None and isinstance(self._auth, JwtAuth):
            return self._auth.attempt(
                call,
                options.shape,
                lambda one, shape, auth: self._send(
                    origin, one, options if one is call else RequestOptions(shape=shape), seconds, auth
                ),
            )
        auth = self._auth if login is None else BasicAuth(login.user, _PlaintextSecret(login.password))
        return self._send(origin, call, options, seconds, auth)

    def _send(
        self, origin: str, call: Call, options: RequestOptions, seconds: float, auth: httpx.Auth
    ) -> AttemptResult:
        content, headers = _content(call)
        read = seconds if call.method == "POST" else min(self._policy.read_timeout, seconds)
        timeout = httpx.Timeout(read, connect=min(self._policy.connect_timeout, seconds), pool=seconds)
        request = httpx.Request(  # built here, because the client would parse each URL twice
            call.method,
            origin + call.path,
            content=content,
            headers=headers,
            extensions={"timeout": timeout.as_dict()},
        )
        response_started = False
        try:
            with attempt_deadline(seconds):
                response = self._client.send(request, auth=auth, stream=True)
                response_started = True
                try:
                    data = _read_body(response)
                finally:
                    response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            untrusted = tls_failure(error)
            if untrusted is not None:
                return AttemptResult(RequestOutcome.UNTRUSTED, untrusted_text(origin, untrusted, self._trust))
            return AttemptResult(RequestOutcome.NOT_SENT, cause_text(error))
        except httpx.TransportError as error:
            if response_started and not isinstance(error, httpx.TimeoutException):
                return AttemptResult(RequestOutcome.MALFORMED, "the response was cut off")
            not_http = isinstance(error, httpx.RemoteProtocolError)
            why = f"no response, or not an HTTP response ({error})" if not_http else cause_text(error)
            if isinstance(auth, CertificateAuth) and not response_started:
                why += "; the server may not accept the client certificate (another authority, or expired)"
            return AttemptResult(RequestOutcome.NO_RESPONSE, why)
        return self._classify(response, data, call, options)

    def _classify(
        self, response: httpx.Response, data: bytes | None, call: Call, options: RequestOptions
    ) -> AttemptResult:
        malformed = RequestOutcome.MALFORMED
        status, headers = response.status_code, dict(response.headers)
        if not 200 <= status < 300:
            details = self._error_details(data)
            outcome = outcome_of(status, details.error_code, details.description)
            why = f"{status} {details.text or response.reason_phrase}".strip() + _if_web_page(data)
            return AttemptResult(outcome, why, status, None, headers, details)
        if data is None or headers.get("content-encoding", "identity") != "identity":
            why = f"{status}, but the body is compressed or larger than {MAX_BYTES >> 20} MiB"
            return AttemptResult(malformed, why, status)
        if not data.strip() and call.method != "GET":
            return AttemptResult(RequestOutcome.SUCCESS, "", status, None, headers)
        try:
            body = parse_json(data, tolerant=options.tolerant)
        except MalformedJson as error:
            return AttemptResult(malformed, f"{status}, but the body is invalid: {error}{_if_web_page(data)}", status)
        if options.shape is not None and not isinstance(body, options.shape):
            return AttemptResult(malformed, f"{status}, but the body is not a JSON {_SHAPES[options.shape]}", status)
        return AttemptResult(RequestOutcome.SUCCESS, "", status, body, headers)

    def _error_details(self, data: bytes | None) -> ErrorDetails:
        try:
            return error_details(parse_json(data or b"null"), lambda text: self._redact(self._auth.redact(text)))
        except MalformedJson:
            return ErrorDetails()


def _content(call: Call) -> tuple[bytes | None, Mapping[str, str]]:
    """Return the bytes of a request and its headers."""
    if call.body is None:
        return None, _HEADERS
    if isinstance(call.body, Upload):
        upload = call.body
        files = {upload.field: (upload.name, upload.data, "application/octet-stream")}
        form = httpx.Request("POST", "https://unused.invalid", files=files)
        return form.read(), {**_HEADERS, "Content-Type": form.headers["content-type"]}
    return json.dumps(call.body, separators=(",", ":")).encode(), _JSON_HEADERS


_SHAPES: Final[Mapping[type, str]] = {dict: "object", list: "array"}


def _read_body(response: httpx.Response) -> bytes | None:
    """Read the body; None as soon as it is larger than `MAX_BYTES`."""
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > MAX_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _if_web_page(data: bytes | None) -> str:
    """Return a hint where a web server answers instead of the REST API."""
    start = (data or b"")[:256].lstrip().lower()
    return f"; it is a web page, {WRONG_PORT}" if start.startswith((b"<!doctype html", b"<html", b"<head")) else ""


_LONGEST_HOST: Final = 253  # characters


def origin_of(url: str) -> str:
    """Return `https://host:port` of *url*, or "" when it is not an https URL or contains credentials."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):  # UnicodeError of a host name too
        return ""
    port, valid = parsed.port or 443, parsed.host.isascii() and 0 < len(parsed.host) <= _LONGEST_HOST
    if parsed.scheme != "https" or not valid or parsed.userinfo or not port <= 65535:
        return ""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"https://{host}:{port}"


def with_port(origin: str, port: int) -> str:
    """Return *origin* with another port."""
    return f"{origin.rpartition(':')[0]}:{port}"
