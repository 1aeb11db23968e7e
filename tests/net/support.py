"""Minimal servers for what the simulator cannot do: malformed responses, no response, a record of connections."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from reconciler.client import Client, ClientOptions, RetryPolicy
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.http.tls import HOSTS, make
from reconciler.simulator.testing import Running
from reconciler.telemetry import Event
from tests.support.cluster import Endpoints

PASSWORD = "canary-Pa55/word+with?odd=signs"
QUICK = RetryPolicy(post_timeout=2.0)  # reads have the usual time, so that a busy machine does not matter


class Trap(NamedTuple):
    """A listening socket and what came to it."""

    port: int
    received: list[bytes]
    ca_file: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextlib.contextmanager
def trap(answer: bytes | None = b"", *, tls: bool = False) -> Iterator[Trap]:
    """Listen on loopback, note the first bytes of each connection, send *answer* and close; None: stay silent."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        files = make(Path(folder), HOSTS, days=1)
        found = Trap(listener.getsockname()[1], [], files.ca)
        context = files.context() if tls else None
        waiting: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                sock.settimeout(60)
                with contextlib.suppress(OSError):
                    if answer is None:
                        waiting.append(sock)
                        found.received.append(b"")
                        continue
                    sock = context.wrap_socket(sock, server_side=True) if context else sock
                    found.received.append(sock.recv(65536))
                    sock.sendall(answer)
                sock.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for sock in waiting:
                sock.close()


def writes(server: Running) -> list[Any]:
    """Return the POSTs in the log of *server*; waits for the first one, as a client may give up before it arrives."""
    for _ in range(6000):
        if found := [entry for entry in server.log if entry.method == "POST"]:
            return found
        threading.Event().wait(0.01)
    raise AssertionError("no POST reached the server")


class RecordingClient:
    """A client that records its events and pauses; closed at the end of the test."""

    made: ClassVar[list[Client]] = []

    def __init__(
        self,
        where: Endpoints,
        user: str,
        password: str,
        *,
        policy: RetryPolicy | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.events: list[Event] = []
        self.sleeps: list[float] = []
        self.client = Client(
            where,
            (user, Secret(password)),
            Runtime(observe=self.events.append, sleep=self.sleeps.append),
            ClientOptions(policy=policy or RetryPolicy(), redact=redact),
        )
        self.made.append(self.client)

    def __enter__(self) -> RecordingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


def connected(
    server: Running, *, password: str | None = None, policy: RetryPolicy | None = None, **where: object
) -> RecordingClient:
    """Return a client of *server*; *where* are fields of `Endpoints`, the CA file by default."""
    fields = {"urls": server.urls, "ca_cert": server.ca_file, **where}
    return RecordingClient(
        Endpoints(**fields), server.username, server.password if password is None else password, policy=policy
    )  # type: ignore[arg-type]
