"""A process that can die at any write to cluster or ledger: for tests of what the next run makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.api.driver import Connection
from reconciler.api.protocol import Call, Login, OwnClusterInfo, Response
from reconciler.ledger import Ledger


class Killed(BaseException):
    """The process is gone; nothing of ours may catch it."""


class Fuse:
    """Counts the places where the process can die, and dies at one of them."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.passed = 0

    def here(self) -> None:
        if self.passed == self.at:
            raise Killed
        self.passed += 1


class KillableClient:
    def __init__(self, client: Connection, fuse: Fuse) -> None:
        self._client = client
        self._fuse = fuse

    def get(self, path: str, **options: Any) -> Response:
        return self._client.get(path, **options)

    def accepts(self, login: Login) -> bool:
        return self._client.accepts(login)

    def reconnect(self, port: int = 0) -> None:
        self._client.reconnect(port)

    def at(self, url: str) -> Any:
        return KillableClient(self._client.at(url), self._fuse)

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        return self._client.home(reveal=reveal)

    def close(self) -> None:
        self._client.close()  # type: ignore[attr-defined]

    def send(self, call: Call) -> Response:
        self._fuse.here()
        answer = self._client.send(call)
        self._fuse.here()
        return answer


class KillableLedger:
    """A ledger whose every write can be the last thing that the process did, or the first that it did not."""

    def __init__(self, ledger: Ledger, fuse: Fuse) -> None:
        self._ledger = ledger
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)
        return self._killable(method) if name in ("intend", "close", "start_run", "finish_run") else method

    def _killable(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self._fuse.here()
            result = method(*args, **options)
            self._fuse.here()
            return result

        return call
