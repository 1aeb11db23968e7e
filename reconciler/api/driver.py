"""The driver of flows: carries out what a flow yields, over connections that it is given.

`live` drives flows that only read, `apply` those that write, its dry run those that must stop before the first write,
and its explanation those whose calls are recorded. It is the only place that carries out effects, and it must not know
what a flow is for.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from reconciler.api.protocol import (
    Call,
    Effect,
    Elapsed,
    Flow,
    Login,
    OwnCluster,
    OwnClusterInfo,
    ProjectCluster,
    ProjectClusters,
    ReadFile,
    Reconnect,
    Response,
    Wait,
)
from reconciler.errors import Conflict, Interrupted, ReconcilerError

if TYPE_CHECKING:
    from reconciler.runtime import Runtime

T = TypeVar("T")

_SLICE = 0.25  # seconds; a wait notices a request to stop this soon


class Policy(enum.Enum):
    """Which effects a driver carries out."""

    READ_ONLY = "read only"  # anything but a read is a programming error
    DRY_RUN = "dry run"  # reads only; the first other effect ends the flow with `NotSent`
    ALL = "all"


class NotSent(Exception):
    """A dry run reached an effect that is not a read; *call* is the unsent write, None for another effect."""

    def __init__(self, effect: Effect) -> None:
        super().__init__("not sent in a dry run")
        self.call = effect if isinstance(effect, Call) else None


class Reader(Protocol):
    """What a flow that only reads needs of a client."""

    def get(
        self,
        path: str,
        *,
        missing_ok: bool = False,
        shape: type | None = None,
        tolerant: bool = False,
        fail_fast: bool = False,
    ) -> Response: ...

    def at(self, url: str) -> NodeConnection: ...

    def home(self, *, reveal: bool = False) -> OwnClusterInfo: ...


class Connection(Reader, Protocol):
    """What a flow that writes needs of a client."""

    def send(self, call: Call) -> Response: ...

    def accepts(self, login: Login) -> bool: ...

    def reconnect(self, port: int = 0) -> None: ...


class NodeConnection(Connection, Protocol):
    """The same to one node."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Connections:
    """The clusters that a flow can reach: by name, and what the project file says about each."""

    clients: Mapping[str, Reader] = field(default_factory=dict)  # of the clusters of this run, its own included
    project_clusters: Mapping[str, ProjectCluster] = field(default_factory=dict)


ONE_CLUSTER = Connections()  # for flows that stay on their own cluster


def no_files(path: str) -> bytes:
    """Refuse to read the file *path*."""
    raise Conflict(f"{path}: no files can be read here")


def _ignore(reason: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Host:
    """What a flow that writes needs beside connections."""

    runtime: Runtime
    read_file: Callable[[str], bytes] = no_files  # a file that is sent to a cluster, by its path in the project
    on_wait: Callable[[str], None] = _ignore  # gets the reason of each wait


def drive(
    flow: Flow[T],
    client: Reader,
    policy: Policy = Policy.READ_ONLY,
    *,
    connections: Connections = ONE_CLUSTER,
    host: Host | None = None,
) -> T:
    """Carry out what *flow* yields until it ends, and return its result.

    *client* is the connection to its own cluster: a `Reader`, and a `Connection` where *policy* is ALL. Raises what the
    flow raises, NotSent in a dry run, and Interrupted in a wait after a request to stop.
    """
    effects = _Effects(client, policy, connections, host)
    response: Any = None
    error: ReconcilerError | None = None
    try:
        while True:
            effect = flow.throw(error) if error is not None else flow.send(response)
            response = error = None
            try:
                response = effects.carry_out(effect)
            except ReconcilerError as refusal:
                error = refusal
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


@dataclass(frozen=True, slots=True)
class _Effects:
    client: Reader
    policy: Policy
    connections: Connections
    host: Host | None

    def carry_out(self, effect: Effect) -> Any:
        if isinstance(effect, ProjectClusters):
            return self.connections.project_clusters
        if isinstance(effect, OwnCluster):
            return self.client.home(reveal=True) if self.policy is Policy.ALL else self.client.home()
        if isinstance(effect, Call) and effect.method == "GET" and effect.login is None:
            return self._with_client(effect, self._get)
        if self.policy is Policy.DRY_RUN:
            raise NotSent(effect)
        if self.policy is not Policy.ALL or self.host is None:
            raise TypeError(f"a flow that only reads must not yield {type(effect).__name__}")
        if isinstance(effect, Wait):
            return _wait(effect, self.host)
        if isinstance(effect, ReadFile):
            return self.host.read_file(effect.path)
        if isinstance(effect, Reconnect):
            return cast("Connection", self.client).reconnect(effect.port)
        return self._with_client(effect, _try_login if effect.login is not None else _send)

    def _get(self, client: Reader, call: Call) -> Response:
        # A flow that writes must not take a list for complete that lacks an element, so it never tolerates one.
        tolerant = call.tolerant and self.policy is not Policy.ALL
        return client.get(call.path, missing_ok=call.missing_ok, shape=call.shape, tolerant=tolerant)

    def _with_client(self, call: Call, action: Callable[[Any, Call], Response]) -> Response:
        client = self._client_of(call.cluster)
        if not call.node:
            return action(client, call)
        with contextlib.closing(client.at(call.node)) as node:
            return action(node, call)

    def _client_of(self, cluster: str) -> Reader:
        if not cluster:
            return self.client
        found = self.connections.clients.get(cluster)
        if found is None:
            raise Conflict(f"cluster {cluster} is not part of this run; omit --cluster, or add it there")
        return found


def _send(client: Connection, call: Call) -> Response:
    return client.send(call)


def _try_login(client: Connection, call: Call) -> Response:
    accepted = call.login is not None and client.accepts(call.login)
    return Response(200 if accepted else 401, None, {})


def _wait(wait: Wait, host: Host) -> Elapsed:
    runtime = host.runtime
    if wait.most <= 0:
        return Elapsed(runtime.clock(), 0.0)
    if wait.why:
        host.on_wait(wait.why)
    seconds = runtime.random.uniform(wait.least, wait.most)
    left = seconds
    while left > 0:
        if runtime.stop.is_set():
            raise Interrupted("stopped while the cluster was still working; checked again on the next run")
        runtime.sleep(min(left, _SLICE))
        left -= _SLICE
    return Elapsed(runtime.clock(), seconds)
