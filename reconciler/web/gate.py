"""What every request passes before anything looks at it, and the headers that every answer gets.

The outermost ASGI application. Nothing here changes anything, and nothing behind it does but the route of webhooks,
which browsers are kept from. No cookie and no form: a token comes in the Authorization header, as browsers send it
too once they have asked for it (any user, the token as password); a token in an address would end up in histories
and in the logs of proxies.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

from reconciler.telemetry import Event, Observer
from reconciler.web.guard import Answer, Hosts, Tokens, host_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOOKS: Final = "/hooks/"
PROBES: Final = frozenset({"/healthz", "/readyz"})  # kubelet asks the address of a pod and has no token

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


class Refusal(Exception):
    """An answer that ends a request here."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


class Gate:
    """Wraps the site."""

    def __init__(self, site: App, hosts: Hosts, tokens: Tokens, observe: Observer) -> None:
        self._site, self._hosts, self._tokens, self._observe = site, hosts, tokens, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                ours = {name for name, _ in HEADERS}
                own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in ours]
                message = {**message, "headers": [*own, *HEADERS]}
            await send(message)

        try:
            scope.setdefault("state", {})["known"] = self._admit(scope)
            await self._site(scope, receive, answer)
        except Refusal as refusal:
            await _say(refusal, scope, answer)
        except Exception as bug:
            if not started:  # else it was told by whoever answered, or the server closes what was begun and not ended
                self._observe(failed(scope["path"], bug))
                await _say(Refusal(500, "internal error; the log of the agent says more"), scope, answer)

    def _admit(self, scope: Scope) -> bool:
        """Return whether the asker may see everything; raises Refusal where it may see nothing."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        host = host_of(headers.get(b"host", [b""])[0])
        if host is None or len(headers.get(b"host", ())) != 1:
            raise Refusal(400, "the Host header names no host")
        ours = self._hosts.allow(host)
        path = scope["path"]
        if path in PROBES:
            _only_reads(scope, headers)
            return ours and self._token(scope, headers) is Answer.RIGHT
        if not ours:
            raise Refusal(421, "this agent is not called by that name: add it to agent.listen.hosts")
        if path.startswith(HOOKS):
            if b"origin" in headers or b"sec-fetch-site" in headers:
                raise Refusal(403, "a browser has nothing to do here")
            if scope["method"] != "POST":
                raise Refusal(405, "webhooks are sent by POST", allow="POST")
            return False
        _only_reads(scope, headers)
        answer = self._token(scope, headers)
        if answer is Answer.TOO_OFTEN:
            raise Refusal(429, "too many wrong tokens; try again in a minute", **{"retry-after": "60"})
        if answer is not Answer.RIGHT:
            raise Refusal(
                401,
                "this page needs its token: as password of any user, or as Authorization: Bearer TOKEN",
                **{"www-authenticate": 'Basic realm="reconciler", charset="UTF-8"'},
            )
        return True

    def _token(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> Answer:
        given = headers.get(b"authorization", [b""])
        peer = scope["client"][0] if scope.get("client") else ""
        return self._tokens.check(given[0].decode("latin-1") if len(given) == 1 else "", peer)


def failed(path: str, bug: Exception) -> Event:
    """Tell of a bug of ours: what it is and where; not what it says, since that may hold anything."""
    frames = traceback.extract_tb(bug.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Event("web.failed", {"path": path[:200], "why": f"{type(bug).__name__}{place}"})


def _only_reads(scope: Scope, headers: dict[bytes, list[bytes]]) -> None:
    """Refuse what is no read, and what another site makes a browser read other than by following a link."""
    foreign = headers.get(b"sec-fetch-site", [b"none"])[0] not in (b"none", b"same-origin")
    if scope["method"] not in ("GET", "HEAD"):
        if foreign or b"origin" in headers:
            raise Refusal(403, "another site cannot ask for this")
        raise Refusal(405, "this page can only be read", allow="GET, HEAD")
    if foreign and headers.get(b"sec-fetch-mode", [b""])[0] != b"navigate":
        raise Refusal(403, "another site cannot ask for this")


async def _say(refusal: Refusal, scope: Scope, send: Send) -> None:
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
