"""A transport of httpx that hands requests to a simulated cluster in this process, in virtual time.

`simulation` builds clients on it. It must not know what the clients are for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx

from reconciler.simulator.api.messages import ApiResponse, Request
from reconciler.simulator.core import Core
from reconciler.simulator.testing import VirtualClock

PIECES = 20  # in how many pieces a dripping answer comes


class _Half(httpx.SyncByteStream):
    """The first half of a body, then the end of the connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.RemoteProtocolError("the peer closed the connection before the end of the body")


class InProcess(httpx.BaseTransport):
    """Hands requests to a core; what a fault does to the connection becomes what httpx raises for it."""

    def __init__(self, core: Core, clock: VirtualClock, seconds: float = 0.01) -> None:
        self._core = core
        self._clock = clock
        self._seconds = seconds
        self._nodes = {url: uid for uid, url in core.urls.items()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        node = self._nodes.get(f"https://{request.url.host}:{request.url.port or 443}")
        if node is None:
            raise httpx.ConnectError("no route", request=request)
        self._clock.sleep(self._seconds)
        answer = self._core.exchange(
            Request(
                request.method,
                request.url.path,
                dict(request.url.params),
                {name.lower(): value for name, value in request.headers.items()},
                request.read(),
                node,
            )
        )
        self._spoil(request, answer)
        stream = _Half(answer.body) if answer.wire.cut == "truncate" else httpx.ByteStream(answer.body)
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=stream)

    def _spoil(self, request: httpx.Request, answer: ApiResponse) -> None:
        wire, timeouts = answer.wire, request.extensions["timeout"]
        if wire.cut == "refuse":
            raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError(111, "Connection refused")
        if wire.cut in ("drop", "reset"):
            raise httpx.ReadError("reset", request=request) from ConnectionResetError(104, "Connection reset by peer")
        if wire.delay > timeouts["read"]:
            self._clock.sleep(timeouts["read"])
            raise httpx.ReadTimeout("no response in time", request=request)
        if wire.drip * PIECES > timeouts["pool"]:  # the pool's time is the total of the attempt
            self._clock.sleep(timeouts["pool"])
            raise httpx.ReadTimeout("the deadline of the attempt was exceeded", request=request)
        self._clock.sleep(wire.delay + wire.drip * PIECES)


class Moving(InProcess):
    """The nodes behind a port that may change: by hand, or by a write of it, whose answer then gets lost."""

    port = 9443

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.port != self.port:
            raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError(111, "Connection refused")
        request.url = request.url.copy_with(port=9443)
        answer = super().handle_request(request)
        if request.method == "PUT" and request.url.path == "/v1/cluster" and answer.status_code == 200:
            self.port = json.loads(request.content)["cnm_https_port"]
            raise httpx.ReadError("reset", request=request) from ConnectionResetError(104, "Connection reset by peer")
        return answer
