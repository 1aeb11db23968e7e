"""The server without HTTP: one request in, one response out.

`http.server` calls it, and so do tests in one process, with a virtual clock. A request passes through the fault
schedule and then through `dispatch`; afterwards it is written to the request log.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler.simulator.api import responses
from reconciler.simulator.api.messages import ApiError, ApiResponse, Json, Request, encode
from reconciler.simulator.api.routes import routes
from reconciler.simulator.cluster.initial import create_cluster
from reconciler.simulator.dispatch import Dispatcher
from reconciler.simulator.faults.incidents import apply_incident
from reconciler.simulator.faults.rules import Faults, Rule, distorted, refused_connection, replacement
from reconciler.simulator.nodes import placement
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state import snapshots
from reconciler.simulator.state.clock import Clock
from reconciler.simulator.state.history import History
from reconciler.simulator.state.model import ClusterState, Machine, World


class LogEntry(NamedTuple):
    """One call in the request log."""

    number: int  # from 1
    time: float
    node: int
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    sha256: str
    status: int  # 0 where no response was sent
    effect: bool  # whether it changed the content of the cluster
    fault: str  # the fault that was injected, "" for none
    user: str  # who called, "" without a login


class Core:
    """One simulated cluster with its nodes, faults and request log."""

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        *,
        clock: Clock = time.time,
        seed: int | None = None,
        snapshot: Mapping[str, Json] | None = None,
        world: World | None = None,
    ) -> None:
        self.settings = settings or SimulatorSettings()
        self._routes = routes(self.settings.server_version)
        self.world = world or World(clock)
        self.site = self.world.site(self.settings)
        self.dispatcher = Dispatcher(self.settings, self.site, self._routes)
        self.state = self._addressed = ClusterState(self.settings, seed=seed, timeline=self.world.time)
        self.state.site = self.site
        if self.settings.nodes:
            create_cluster(self.state)
            snapshots.ensure_operator(self.state)
        if snapshot:
            snapshots.load(self.state, snapshot)
        members = sorted(self.state.nodes)
        last = members[-1] if members else 0
        self.node_uids = [*members, *range(last + 1, last + 1 + self.settings.outside)]
        for uid in self.node_uids:
            self.site.add(uid, self.state if uid in self.state.nodes else None)
        self.urls = self.site.urls
        self.faults = Faults(self._documents)
        self.log: deque[LogEntry] = deque(maxlen=self.settings.log_limit)
        self.calls = 0
        self.down: set[int] = set()
        self.watchers: list[Callable[[int, bool], None]] = []  # called when a node goes down or comes up
        self._delayed: list[tuple[int, Request]] = []  # (number of the call after which it takes effect, request)
        self.history = History()
        self._past: ClusterState | None = None  # what a stale read shows in place of the addressed cluster

    # Requests

    def handle(self, request: Request) -> ApiResponse:
        """Return the response to *request*; a fault of the connection is raised as the error that a client sees."""
        response = self.exchange(request)
        if response.wire.cut == "refuse":
            raise ConnectionRefusedError(f"node {request.node} refused the connection")
        if response.wire.cut in ("drop", "reset"):
            raise ConnectionResetError(f"node {request.node} closed the connection without a response")
        if response.wire.cut == "truncate":
            return response._replace(body=response.body[: len(response.body) // 2])
        return response

    def exchange(self, request: Request) -> ApiResponse:
        """Return the response to *request*; `ApiResponse.wire` says how the transport distorts it."""
        with self.state.lock:
            self.state.advance()
            self.calls += 1
            self._apply_delayed()
            if self.faults.remember:
                self.history.keep(self.state)
            index = self.calls
            rule = self.faults.on(request, index)
            apply_incident(self, rule, request, index, "before")
            state = self._addressed = self._cluster_of(request.node)
            before = state.effects
            state.caller = None
            response = self._with_fault(request, rule, index)
            self.note(request, response, index, (state.effects != before, rule.action if rule else ""))
            apply_incident(self, rule, request, index, "after")
            return response

    def note(self, request: Request, response: ApiResponse, index: int, effect: tuple[bool, str]) -> None:
        """Write a call to the request log; *effect* says whether it changed anything, and which fault was injected."""
        caller = self._addressed.caller
        user = (caller.fields.get("email") or caller.fields.get("name", "")) if caller else ""
        sha256 = hashlib.sha256(request.body).hexdigest() if request.body else ""
        head = (index, self.state.now, request.node, request.method, request.path, request.query)
        self.log.append(LogEntry(*head, request.body, sha256, response.status, *effect, user))

    def _with_fault(self, request: Request, rule: Rule | None, index: int) -> ApiResponse:
        if request.node in self.down or request.node not in self.site.machines:
            return refused_connection()
        if rule is None:
            return self._respond(request)
        if rule.action == "late":
            self._delayed.append((index + int(rule.options.get("calls", 1)), request))
        instead = replacement(rule)
        if instead is not None:
            return instead
        state = self._addressed
        state.outcome = rule.action if rule.action in ("fail", "stuck") else ""
        state.outcome_code = str(rule.options.get("error_code", ""))
        if rule.action == "stale" and request.method == "GET":
            self._past = self.history.ago(int(rule.options.get("depth", 1)))
        try:
            return distorted(rule, self._respond(request))
        finally:
            state.outcome, state.outcome_code, self._past = "", "", None

    def _documents(self, request: Request, status: int, code: str) -> bool:
        """Return whether *status* and the error *code* are documented for the operation of *request*."""
        operations, _ = self._routes.find(request.path, self.settings)
        endpoint = operations.get(request.method)
        if endpoint is None or code not in endpoint.row["codes"] or status < 400:
            return False
        return code in responses.documented(endpoint.row).get(status, ())

    def _apply_delayed(self) -> None:
        """Handle the delayed requests that are due now."""
        due = [request for index, request in self._delayed if index <= self.calls]
        self._delayed = [item for item in self._delayed if item[0] > self.calls]
        for request in due:
            self._addressed = self._cluster_of(request.node)
            before = self._addressed.effects
            response = self._respond(request)
            self.note(request, response, self.calls, (self._addressed.effects != before, "landed"))

    def _respond(self, request: Request) -> ApiResponse:
        try:
            response = self.dispatcher.dispatch(self._addressed, request, self._past)
        except ApiError as error:
            response = error.response()
        if self.settings.strict:
            operations, _ = self._routes.find(request.path, self.settings)
            if request.method in operations:
                responses.check(operations[request.method], response)
        return response

    def _cluster_of(self, node: int) -> ClusterState:
        """Return the cluster that machine *node* is in, or that of the core where it is in none."""
        machine = self.site.machines.get(node)
        return machine.state if machine is not None and machine.state is not None else self.state

    # What a test or an operator does

    def set_node(self, uid: int, *, up: bool) -> None:
        """Take a machine down, so that it refuses connections, or bring it up again; another member becomes primary."""
        with self.state.lock:
            (self.down.discard if up else self.down.add)(uid)
            machine = self.site.machines[uid]
            machine.up = up
            _report(machine, up)
        for watcher in self.watchers:
            watcher(uid, up)

    def partition(self, *uids: int) -> None:
        """Partition machines *uids* from all others: they run, and the cluster considers them down."""
        with self.state.lock:
            for number, machine in self.site.machines.items():
                machine.partitioned = number in uids
                _report(machine, machine.up and not machine.partitioned)

    def reinstall(self, uid: int) -> None:
        """Reset a machine that was removed from its cluster, so that it can be bootstrapped again."""
        with self.state.lock:
            self.site.machines[uid].leave(fresh=True)

    def lose_cluster(self, filename: str = "ccs-redis.rdb") -> str:
        """Lose the whole cluster: its machines are reset, and *filename* is what it can be recovered from."""
        with self.state.lock:
            self.site.saved[filename] = self.snapshot()
            for machine in list(self.site.of(self.state)):
                machine.leave(fresh=True)
            self.state.cancel_events()
            self.state = self._addressed = self.site.new_state(self.settings)
        return filename

    def call(self, method: str, path: str, body: Json = None, *, query: Mapping[str, str] | None = None) -> ApiResponse:
        """Make a call with the administrator's account; faults do not apply and it is not logged."""
        with self.state.lock:
            self.state.advance()
            self._addressed = self.state
            self.state.caller = next(user for user in self.state.users.values() if user.hidden.get("operator"))
            operations, values = self._routes.find(path, self.settings)
            data = encode(body).encode() if body is not None else b""
            request = Request(method, path, query or {}, {"content-type": "application/json"}, data)
            try:
                return self.dispatcher.run(self.state, operations[method], request, values)
            except ApiError as error:
                return error.response()

    def snapshot(self) -> dict[str, Json]:
        """Return the content of the cluster as a snapshot."""
        with self.state.lock:
            self.state.advance()
            return snapshots.save(self.state)


def _report(machine: Machine, up: bool) -> None:
    """Report to the cluster that one of its machines went down or came up."""
    if machine.state is not None:
        placement.set_node_status(machine.state, machine.uid, up)


__all__ = ["ApiResponse", "Core", "LogEntry", "Request", "SimulatorSettings"]
