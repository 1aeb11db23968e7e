"""Checks every request before it is routed, and sets the headers of every response.

The outermost ASGI application. Only the webhook route behind it changes anything, and browsers cannot use that. There
are no cookies and no forms: a token comes in the Authorization header, which browsers send too after asking for it (any
user, the token as password); a token in a URL would end up in histories and in the logs of proxies.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

from reconciler.telemetry import Event, Observer
from reconciler.web.auth import AllowedHosts, TokenAuth, TokenResult, host_of

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WEBHOOKS: Final = "/hooks/"
PROBES: Final = frozenset({"/healthz", "/readyz"})  # kubelet uses the address of a pod and has no token

HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        b"form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class HttpError(Exception):
    """A response that ends the request here."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


class RequestGuard:
    """ASGI middleware around the application."""

    def __init__(
        self,
        app: App,
        hosts: AllowedHosts,
        tokens: TokenAuth,
        observe: Observer,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._app, self._hosts, self._tokens, self._observe, self._redact = app, hosts, tokens, observe, redact

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False
        masked = MaskedResponse(send, self._redact)

        async def respond(message: AsgiMessage) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                fixed = {name for name, _ in HEADERS}
                own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in fixed]
                message = {**message, "headers": [*own, *HEADERS]}
            await masked.send(message)

        try:
            scope.setdefault("state", {})["authenticated"] = self._admit(scope)
            await self._app(scope, receive, respond)
        except HttpError as refusal:
            await _respond(refusal, scope, respond)
        except Exception as bug:
            if not started:  # else the application reported it, or the server closes the incomplete response
                self._observe(failure_event(scope["path"], bug))
                await _respond(HttpError(500, "internal error; see the log of the agent"), scope, respond)

    def _admit(self, scope: Scope) -> bool:
        """Return whether the asker may see everything; raises Refusal where it may see nothing."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        host = host_of(headers.get(b"host", [b""])[0])
        if host is None or len(headers.get(b"host", ())) != 1:
            raise HttpError(400, "the Host header names no host")
        known_host = self._hosts.allow(host)
        path = scope["path"]
        if path in PROBES:
            _only_reads(scope, headers)
            return known_host and self._token(scope, headers) is TokenResult.VALID
        if not known_host:
            raise HttpError(421, "unknown host name: add it to agent.listen.hosts")
        if path.startswith(WEBHOOKS):
            if b"origin" in headers or b"sec-fetch-site" in headers:
                raise HttpError(403, "webhooks cannot be sent by a browser")
            if scope["method"] != "POST":
                raise HttpError(405, "webhooks use POST", allow="POST")
            return False
        _only_reads(scope, headers)
        result = self._token(scope, headers)
        if result is TokenResult.RATE_LIMITED:
            raise HttpError(429, "too many wrong tokens; try again in a minute", **{"retry-after": "60"})
        if result is not TokenResult.VALID:
            raise HttpError(
                401,
                "token required: as the password of any user, or as Authorization: Bearer TOKEN",
                **{"www-authenticate": 'Basic realm="reconciler", charset="UTF-8"'},
            )
        return True

    def _token(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> TokenResult:
        given = headers.get(b"authorization", [b""])
        peer = scope["client"][0] if scope.get("client") else ""
        return self._tokens.check(given[0].decode("latin-1") if len(given) == 1 else "", peer)


class MaskedResponse:
    """One response whose text is masked before it is sent: it is held back until it is complete."""

    def __init__(self, send: Send, redact: Callable[[str], str]) -> None:
        self._send, self._redact = send, redact
        self._start: AsgiMessage | None = None
        self._body = bytearray()

    async def send(self, message: AsgiMessage) -> None:
        """Send *message*, or keep it."""
        if message["type"] == "http.response.start" and _is_text(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: AsgiMessage) -> None:
        before = self._body.decode("utf-8", "surrogateescape")
        body = self._redact(before)
        if body != before:
            kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            length = str(len(body.encode("utf-8", "surrogateescape"))).encode()
            start = {**start, "headers": [*kept, (b"content-length", length)]}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body.encode("utf-8", "surrogateescape")})


def _is_text(start: AsgiMessage) -> bool:
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    return any(kind.startswith((b"text/", b"application/json", b"application/openmetrics")) for kind in kinds)


def failure_event(path: str, bug: Exception) -> Event:
    """Return the event of an internal error: its class and place, not its text, which may contain anything."""
    frames = traceback.extract_tb(bug.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Event("web.failed", {"path": path[:200], "why": f"{type(bug).__name__}{place}"})


def _only_reads(scope: Scope, headers: dict[bytes, list[bytes]]) -> None:
    """Reject requests other than reads, and reads from other sites other than by following a link."""
    foreign = headers.get(b"sec-fetch-site", [b"none"])[0] not in (b"none", b"same-origin")
    if scope["method"] not in ("GET", "HEAD"):
        if foreign or b"origin" in headers:
            raise HttpError(403, "cross-site requests are not allowed")
        raise HttpError(405, "the page is read-only", allow="GET, HEAD")
    if foreign and headers.get(b"sec-fetch-mode", [b""])[0] != b"navigate":
        raise HttpError(403, "cross-site requests are not allowed")


async def _respond(refusal: HttpError, scope: Scope, send: Send) -> None:
    body = f"{refusal.text}\n".encode()
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "connection": "close",
        **refusal.headers,
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
