"""Sends each GET of a list that several kinds need once, and gives every caller a response of its own.

`reconcile.read` wraps the clients of a run in it for one read of the clusters. It must not be used by flows that write:
they have to see what they wrote.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Final, Protocol

from reconciler.api.driver import NodeConnection, Reader
from reconciler.api.protocol import OwnClusterInfo, Response
from reconciler.client.json_parser import MalformedObject
from reconciler.client.retry_loop import PROBE

_SHARED: Final = (
    PROBE,
    "/v1/bootstrap",
    "/v1/nodes/status",
    "/v1/cluster",
    "/v1/redis_acls",
    "/v1/roles",
    "/v1/users",
)


class ClusterReader(Reader, Protocol):
    """The methods of a client that reading a cluster needs."""

    @property
    def state_id(self) -> int: ...

    @property
    def user(self) -> str: ...

    @property
    def login_method(self) -> str: ...

    def open(self) -> Response: ...


class SharedReads:
    """A client of one cluster whose lists are read once as long as it lives; safe to use from several threads."""

    def __init__(self, client: ClusterReader) -> None:
        self._client = client
        self._locks = {path: threading.Lock() for path in _SHARED}
        self._responses: dict[str, Response] = {}

    @property
    def state_id(self) -> int:
        return self._client.state_id

    @property
    def user(self) -> str:
        return self._client.user

    @property
    def login_method(self) -> str:
        return self._client.login_method

    def open(self) -> Response:
        """Verify the credentials, once, and keep the list of nodes that this gives."""
        with self._locks[PROBE]:
            if PROBE not in self._responses:
                self._responses[PROBE] = self._client.open()
            return self._responses[PROBE]

    def get(self, path: str, *, shape: type | None = None, tolerant: bool = False, **options: bool) -> Response:
        """Return a response to *path*, as the client does. Failures are not kept, nor is what does not exist."""
        get = partial(self._client.get, path, shape=shape, **options)
        if path not in _SHARED:
            return get(tolerant=tolerant)
        with self._locks[path]:
            kept = self._responses.get(path)
            if kept is None:
                kept = get(tolerant=True)
                if kept.status != 404:
                    self._responses[path] = kept
        if not isinstance(kept.body, shape or object) or (_has_malformed(kept.body) and not tolerant):
            return get()
        return kept._replace(body=_copy(kept.body))

    def at(self, url: str) -> NodeConnection:
        return self._client.at(url)

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        return self._client.home(reveal=reveal)


def _has_malformed(body: Any) -> bool:
    return any(isinstance(one, MalformedObject) for one in (body if isinstance(body, list) else [body]))


def _copy(body: Any) -> Any:
    """Copy as deep as callers change a response: they add fields to objects and remove objects from lists."""
    if isinstance(body, list):
        return [dict(one) if type(one) is dict else one for one in body]
    return dict(body) if type(body) is dict else body
