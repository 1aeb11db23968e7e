"""One attempt: a request to one node and its answer, or the reason why there is none.

Used by `calls`, which decides what follows. Every exception of httpx ends here, as an `RequestOutcome` with a few words.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from reconciler import __version__
from reconciler.api.protocol import Account, Call, Upload
from reconciler.client.json_parser import MAX_BYTES, MalformedJson, parse_json
from reconciler.client.retry import ErrorDetails, RequestOutcome, RetryPolicy, error_details, outcome_of
from reconciler.client.tls import Trust, cause_text, httpx, tls_failure, untrusted_text
from reconciler.client.transport import attempt_deadline

# Its log holds whole addresses; what is worth telling goes to `observe`.
logging.getLogger("httpx").setLevel(logging.CRITICAL + 1)

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a packed answer could unpack to any size
    "User-Agent": f"reconciler/{__version__}",
    "Connection": "keep-alive",
}
_HEADERS_OF_JSON: Final = {**_HEADERS, "Content-Type": "application/json"}


class SecretValue(Protocol):
    """A secret that gives its value when asked; `secrets.Secret` fits."""

    def reveal(self) -> str: ...


class _PlaintextSecret(NamedTuple):
    """A secret that is in the clear already, and shows nothing of itself."""

    value: str

    def reveal(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return "(secret)"


class AttemptResult(NamedTuple):
    """What one attempt brought."""

    outcome: RequestOutcome
    why: str = ""
    status: int = 0
    body: Any = None
    headers: Mapping[str, str] = {}
    details: ErrorDetails = ErrorDetails("", "")


class RequestOptions(NamedTuple):
    """What the caller takes for an answer."""

    missing_ok: bool = False
    shape: type | None = None
    tolerant: bool = False
    brief: bool = False  # not worth a pause: no second round, no waiting for what is busy


class BasicAuth(httpx.Auth):
    """Writes the login into a request at the last moment, so that it is kept nowhere in clear."""

    def __init__(self, user: str, secret: SecretValue) -> None:
        self._user = user
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = "Basic " + self._encoded()
        yield request

    def hide(self, text: str) -> str:
        """Return *text* without the password, should a server repeat it."""
        for part in (self._secret.reveal(), self._encoded()):
            text = text.replace(part, "(secret)") if part else text
        return text

    def _encoded(self) -> str:
        return base64.b64encode(f"{self._user}:{self._secret.reveal()}".encode()).decode("ascii")


class _NoCookies(httpx.Cookies):
    """Forgets what servers set: no request may depend on an earlier one."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES: Final = _NoCookies()


class _StatelessClient(httpx.Client):
    """An httpx client without a memory."""

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        pass


class HttpSession:
    """Sends single requests over one pool of connections."""

    def __init__(
        self,
        transport: httpx.BaseTransport,
        auth: BasicAuth,
        trust: Trust,
        policy: RetryPolicy,
        redact: Callable[[str], str],
    ) -> None:
        self._auth, self._trust, self._policy, self._redact = auth, trust, policy, redact
        self._transport = transport
        self._http = _StatelessClient(transport=transport, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def drop(self) -> None:
        """Close what is idle; the next request opens a connection of its own."""
        self._transport.close()

    def attempt(
        self, origin: str, call: Call, options: RequestOptions, seconds: float, login: Account | None = None
    ) -> AttemptResult:
        """Send *call* to the node at *origin* once; takes no longer than *seconds*. *login* is somebody else's."""
        auth = self._auth if login is None else BasicAuth(login.user, _PlaintextSecret(login.password))
        content, headers = _content(call)
        read = seconds if call.method == "POST" else min(self._policy.read_timeout, seconds)
        timeout = httpx.Timeout(read, connect=min(self._policy.connect_timeout, seconds), pool=seconds)
        request = httpx.Request(  # made here, since the client would parse each address twice
            call.method,
            origin + call.path,
            content=content,
            headers=headers,
            extensions={"timeout": timeout.as_dict()},
        )
        begun = False
        try:
            with attempt_deadline(seconds):
                response = self._http.send(request, auth=auth, stream=True)
                begun = True
                try:
                    data = _bounded(response)
                finally:
                    response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            distrust = tls_failure(error)
            if distrust is not None:
                return AttemptResult(RequestOutcome.UNTRUSTED, untrusted_text(origin, distrust, self._trust))
            return AttemptResult(RequestOutcome.NOT_SENT, cause_text(error))
        except httpx.TransportError as error:
            if begun and not isinstance(error, httpx.TimeoutException):
                return AttemptResult(RequestOutcome.MALFORMED, "the answer broke off")
            not_http = isinstance(error, httpx.RemoteProtocolError)
            return AttemptResult(
                RequestOutcome.NO_RESPONSE, "no answer, or none in HTTP" if not_http else cause_text(error)
            )
        return self._understood(response, data, call, options)

    def _understood(
        self, response: httpx.Response, data: bytes | None, call: Call, options: RequestOptions
    ) -> AttemptResult:
        status, headers = response.status_code, dict(response.headers)
        if not 200 <= status < 300:
            details = self._said(data)
            words = ": ".join(filter(None, details)) or response.reason_phrase
            outcome = outcome_of(status, details.error_code, details.text)
            return AttemptResult(outcome, f"{status} {words}".strip(), status, None, headers, details)
        if data is None or headers.get("content-encoding", "identity") != "identity":
            return AttemptResult(
                RequestOutcome.MALFORMED, f"{status}, but larger than {MAX_BYTES >> 20} MiB or packed", status
            )
        if not data.strip() and call.method != "GET":
            return AttemptResult(RequestOutcome.SUCCESS, "", status, None, headers)
        try:
            body = parse_json(data, tolerant=options.tolerant)
        except MalformedJson as error:
            return AttemptResult(RequestOutcome.MALFORMED, f"{status}, but the body is unusable: {error}", status)
        if options.shape is not None and not isinstance(body, options.shape):
            return AttemptResult(
                RequestOutcome.MALFORMED, f"{status}, but the body is not a JSON {_SHAPES[options.shape]}", status
            )
        return AttemptResult(RequestOutcome.SUCCESS, "", status, body, headers)

    def _said(self, data: bytes | None) -> ErrorDetails:
        try:
            details = error_details(parse_json(data or b"null"))
        except MalformedJson:
            return ErrorDetails("", "")
        return ErrorDetails(*(self._redact(self._auth.hide(part)) for part in details))


def _content(call: Call) -> tuple[bytes | None, Mapping[str, str]]:
    """Return the bytes of a request and its headers."""
    if call.body is None:
        return None, _HEADERS
    if isinstance(call.body, Upload):
        one = call.body
        files = {one.field: (one.name, one.data, "application/octet-stream")}
        packed = httpx.Request("POST", "https://unused.invalid", files=files)
        return packed.read(), {**_HEADERS, "Content-Type": packed.headers["content-type"]}
    return json.dumps(call.body, separators=(",", ":")).encode(), _HEADERS_OF_JSON


_SHAPES: Final[Mapping[type, str]] = {dict: "object", list: "array"}


def _bounded(response: httpx.Response) -> bytes | None:
    """Read the body; None as soon as it is larger than we take."""
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > MAX_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def origin_of(url: str) -> str:
    """Return `https://host:port` of *url*, or "" when it is not an https address or carries a login."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return ""
    if parsed.scheme != "https" or not parsed.host or parsed.userinfo:
        return ""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"https://{host}:{parsed.port or 443}"


def moved(origin: str, port: int) -> str:
    """Return *origin* with another port."""
    return f"{origin.rpartition(':')[0]}:{port}"
