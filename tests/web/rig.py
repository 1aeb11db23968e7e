"""Serves a board on a real socket, and asks as browsers, forges and attackers do: bytes in, bytes out."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from reconciler.agent.status import StatusStore
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.settings.listen import Listen
from reconciler.telemetry import Event
from reconciler.web import AgentHandle, Metrics, serve
from tests.web.fake_status import NOW, runs, status_store

TOKEN = "a-token-that-is-long-enough"
SECRET = "the secret of the webhook, long enough"
SECRETS = {"TOKEN": TOKEN, "HOOK": SECRET}
TOKEN_FROM = {"valueFrom": {"env": "TOKEN"}}
HOOK_FROM = {"valueFrom": {"env": "HOOK"}}


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Rig:
    """A page that is being served."""

    port: int
    status_store: StatusStore
    metrics: Metrics = field(init=False)
    fetches: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    time: list[float] = field(default_factory=lambda: [0.0])

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body or None, named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, found, answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Send *data* and return all that comes until the other side closes."""
        with self.connection() as sock:
            sock.sendall(data)
            return everything(sock)

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


def everything(sock: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def reveal(reference: Mapping[str, Any], where: str) -> Secret:
    return Secret(SECRETS[reference["valueFrom"]["env"]])


@contextlib.contextmanager
def serving(
    of: StatusStore | None = None,
    listen: Listen | None = None,
    agent: AgentHandle | None = None,
    reveal: Callable[[Mapping[str, Any], str], Secret] = reveal,
    request_timeout: float = 30.0,
    **clocks: Any,
) -> Iterator[Rig]:
    shown = of or status_store()
    history = {run.id: run for run in runs()}
    usual = AgentHandle(runs=lambda limit: runs()[:limit], run=history.get)
    rig = Rig(0, shown)
    runtime = Runtime(observe=rig.events.append, now=lambda: NOW, clock=lambda: rig.time[0])
    with serve(
        shown,
        listen or Listen(port=0),
        replace(agent or usual, fetch_now=lambda: rig.fetches.append(1)),
        reveal=reveal,
        runtime=replace(runtime, **clocks),
        request_timeout=request_timeout,
    ) as found:
        rig.port, rig.metrics = found.port, found.metrics
        yield rig
