"""The server without HTTP: one call in, one answer out.

`server` calls it, and tests in process, with a virtual clock. What happens to a call, in this order: faults, node,
version, route, login, permission, body, handler; then it is written to the request log.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from reconciler.simulator.access import authentication
from reconciler.simulator.api import responses
from reconciler.simulator.api.json_body import parse
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, answer, encode
from reconciler.simulator.api.routes import Endpoint, at_least, mixed, routes
from reconciler.simulator.cluster import initial
from reconciler.simulator.faults.incidents import apply_incident
from reconciler.simulator.faults.rules import NOT_MEMBER, Faults, Rule, instead, spoiled
from reconciler.simulator.nodes import placement
from reconciler.simulator.settings import Settings
from reconciler.simulator.state import snapshots
from reconciler.simulator.state.clock import Clock
from reconciler.simulator.state.history import History
from reconciler.simulator.state.model import Machine, State, World


class Entry(NamedTuple):
    """One call in the request log."""

    number: int  # from 1
    time: float
    node: int
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    sha256: str
    status: int  # what was answered; 0 where nothing was
    effect: bool  # whether it changed what the cluster holds
    fault: str  # the fault that befell it
    user: str  # who called, "" where nobody logged in


_BOOTSTRAP = "/v1/bootstrap"
_VERSIONS = frozenset({"1", "2", "v1", "v2", "1.0", "2.0"})


class Core:
    """One simulated cluster with its nodes, faults and request log."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock = time.time,
        seed: int | None = None,
        snapshot: Mapping[str, Json] | None = None,
        world: World | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._routes = routes(self.settings.server_version)
        self.world = world or World(clock)
        self.site = self.world.site(self.settings)
        self.state = self.here = State(self.settings, seed=seed, timeline=self.world.time)
        self.state.site = self.site
        if self.settings.nodes:
            initial.found(self.state)
            snapshots.ensure_operator(self.state)
        if snapshot:
            snapshots.load(self.state, snapshot)
        members = sorted(self.state.nodes)
        last = members[-1] if members else 0
        self.node_uids = [*members, *range(last + 1, last + 1 + self.settings.outside)]
        for uid in self.node_uids:
            self.site.add(uid, self.state if uid in self.state.nodes else None)
        self.urls = self.site.urls
        self.faults = Faults(self._listed)
        self.log: deque[Entry] = deque(maxlen=self.settings.log_limit)
        self.calls = 0
        self.down: set[int] = set()
        self.watchers: list[Callable[[int, bool], None]] = []  # told when a node goes down or comes up
        self._late: list[tuple[int, Request]] = []
        self.history = History()
        self._past: State | None = None  # what the call that is being handled reads, in place of `state`

    # The one way in

    def handle(self, request: Request) -> Response:
        """Answer *request*; a fault that cuts the connection is raised as the error that a client would meet."""
        response = self.exchange(request)
        if response.wire.cut == "refuse":
            raise ConnectionRefusedError(f"node {request.node} refused the connection")
        if response.wire.cut in ("drop", "reset"):
            raise ConnectionResetError(f"node {request.node} closed the connection without an answer")
        if response.wire.cut == "truncate":
            return response._replace(body=response.body[: len(response.body) // 2])
        return response

    def exchange(self, request: Request) -> Response:
        """Answer *request*; `Response.wire` says how the transport must spoil the answer."""
        with self.state.lock:
            self.state.advance()
            self.calls += 1
            self._land()
            if self.faults.remember:
                self.history.keep(self.state)
            index = self.calls
            rule = self.faults.on(request, index)
            apply_incident(self, rule, request, index, "before")
            here = self.here = self._home(request.node)
            before = here.effects
            here.caller = None
            response = self._with_fault(request, rule, index)
            effect = here.effects != before
            self.note(request, response, index, (effect, rule.action if rule else ""))
            apply_incident(self, rule, request, index, "after")
            return response

    def note(self, request: Request, response: Response, index: int, what: tuple[bool, str]) -> None:
        """Write a call to the request log; *what* says whether it had an effect, and which fault befell it."""
        caller = self.here.caller
        user = (caller.fields.get("email") or caller.fields.get("name", "")) if caller else ""
        sha256 = hashlib.sha256(request.body).hexdigest() if request.body else ""
        head = (index, self.state.now, request.node, request.method, request.path, request.query)
        self.log.append(Entry(*head, request.body, sha256, response.status, *what, user))

    def _with_fault(self, request: Request, rule: Rule | None, index: int) -> Response:
        if request.node in self.down or request.node not in self.site.machines:
            return Response(0, {}, b"", instead(Rule("refuse")).wire)  # type: ignore[union-attr]
        if rule is None:
            return self._answer(request)
        if rule.action == "late":
            self._late.append((index + int(rule.options.get("calls", 1)), request))
        replaced = instead(rule)
        if replaced is not None:
            return replaced
        self.here.fate = rule.action if rule.action in ("fail", "stuck") else ""
        self.here.fate_code = str(rule.options.get("error_code", ""))
        if rule.action == "stale" and request.method == "GET":
            self._past = self.history.ago(int(rule.options.get("depth", 1)))
        try:
            return spoiled(rule, self._answer(request))
        finally:
            self.here.fate, self.here.fate_code, self._past = "", "", None

    def _listed(self, request: Request, status: int, code: str) -> bool:
        """Say whether the facts list the error *code* for the operation of *request*, and *status* as an answer."""
        operations, _ = self._routes.find(request.path, self.settings)
        endpoint = operations.get(request.method)
        if endpoint is None or code not in endpoint.row["codes"] or status < 400:
            return False
        return code in responses.answers(endpoint.row).get(status, ())

    def _land(self) -> None:
        """Let the effects of late calls come that are due now."""
        due = [request for index, request in self._late if index <= self.calls]
        self._late = [item for item in self._late if item[0] > self.calls]
        for request in due:
            self.here = self._home(request.node)
            before = self.here.effects
            response = self._answer(request)
            self.note(request, response, self.calls, (self.here.effects != before, "landed"))

    def _answer(self, request: Request) -> Response:
        try:
            response = self._serve(request)
        except ApiError as error:
            response = error.response()
        if self.settings.strict:
            operations, _ = self._routes.find(request.path, self.settings)
            if request.method in operations:
                responses.check(operations[request.method], response)
        return response

    def _home(self, node: int) -> State:
        """Return the cluster that machine *node* is in; a machine of none speaks for itself, with the core's setup."""
        machine = self.site.machines.get(node)
        return machine.state if machine is not None and machine.state is not None else self.state

    def _serve(self, request: Request) -> Response:
        machine = self.site.machines[request.node]
        member = machine.state is not None
        if not member and not request.path.startswith(_BOOTSTRAP):
            raise ApiError(int(self.settings.switches["no_cluster_status"]), "no_cluster", NOT_MEMBER)
        version = request.headers.get("x-api-version")
        if version is not None and version not in _VERSIONS:
            raise ApiError(505, "unsupported_api_version", f"API version {version[:20]} is not supported")
        operations, values = self._routes.find(request.path, self.settings)
        if not operations:
            raise ApiError(404, "not_found", "no such path")
        allow = {"allow": ", ".join(sorted({*operations, "OPTIONS"}))}
        endpoint = operations.get(request.method)
        forbidden = bool(self.here.cluster.fields.get("options_method_forbidden"))
        if endpoint is None and (request.method != "OPTIONS" or forbidden):
            raise ApiError(405, "method_not_allowed", f"{request.method} is not possible here", allow)
        if member:
            self._reached(machine, request, endpoint)
            self._login(request, endpoint, values)
        if endpoint is None:
            return answer(None, 200, allow)
        if (away := self._elsewhere(machine, request, endpoint)) is not None:
            return away
        return self._run(endpoint, request, values)

    def _login(self, request: Request, endpoint: Endpoint | None, values: list[str]) -> None:
        """Find out who calls, and refuse what the caller may not do; people may read and edit themselves."""
        here = self.here
        if (
            endpoint is not None
            and authentication.is_open(here, endpoint.row)
            and "authorization" not in request.headers
        ):
            return
        user = here.caller = authentication.login(here, request)
        own = endpoint is not None and endpoint.path == "/v1/users/{uid}" and values == [str(user.fields["uid"])]
        authentication.permit(here, user, endpoint.permission if endpoint else None, own and request.method != "DELETE")

    def _reached(self, machine: Machine, request: Request, endpoint: Endpoint | None) -> None:
        """Refuse what a machine without the others, or a cluster without a majority, cannot do."""
        if endpoint is None or endpoint.row.get("local"):
            return
        if machine.cut:
            raise ApiError(503, "service_unavailable", "the node cannot reach the cluster")
        enforced = self.here.settings.on("quorum", "enforced") and request.method != "GET"
        if enforced and not placement.has_quorum(self.here):
            raise ApiError(503, "no_quorum", "the cluster has lost its majority")

    def _run(self, endpoint: Endpoint, request: Request, values: list[str]) -> Response:
        row = endpoint.row
        if "mixed" in row and mixed(self.here):
            status, code = row["mixed"]
            raise ApiError(status, code, "a node of the cluster is too old for this")
        if "body" in row:
            return endpoint.handler(self.here, request, *values, self._body(request, row))
        if "content" in row:
            self._check_content(request, row["content"])
            return endpoint.handler(self.here, request, *values, request.body)
        return endpoint.handler(self._past or self.here, request, *values)

    def _elsewhere(self, machine: Machine, request: Request, endpoint: Endpoint) -> Response | None:
        """Return the redirect of a secondary, where it does not pass calls on by itself."""
        here = self.here
        if here.settings.handle_redirects or machine.state is None or machine.uid == here.primary:
            return None
        if endpoint.row.get("local") or (request.method == "GET" and here.settings.on("redirect_reads", "no")):
            return None
        primary = self.site.node(here, here.primary)
        url = self.urls[primary.number] if primary else f"https://{here.nodes[here.primary].fields['addr']}:9443"
        return answer(None, 307, {"location": url + target(request)})

    def _body(self, request: Request, row: Mapping[str, Json]) -> Json:
        if not request.body and "bare" in row:
            if not at_least(self.settings.server_version, row["bare"]):
                raise ApiError(400, "invalid_json", "this version needs a body here, if an empty object")
            return None
        self._check_content(request, "application/json")
        return parse(request.body)

    def _check_content(self, request: Request, wanted: str) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "DELETE" and not kind:
            return
        if kind != wanted and (kind or self.settings.on("content_type", "require")):
            raise ApiError(400, "invalid_content_type", f"Content-Type must be {wanted}")

    # The hands of a test or an operator

    def set_node(self, uid: int, *, up: bool) -> None:
        """Take a machine down, so that it refuses connections, or bring it up again; another member becomes primary."""
        with self.state.lock:
            (self.down.discard if up else self.down.add)(uid)
            machine = self.site.machines[uid]
            machine.up = up
            self._seen(machine, up)
        for watcher in self.watchers:
            watcher(uid, up)

    def partition(self, *uids: int) -> None:
        """Cut machines *uids* off from all others: they run, and the cluster takes them for dead."""
        with self.state.lock:
            for number, machine in self.site.machines.items():
                machine.cut = number in uids
                self._seen(machine, machine.up and not machine.cut)

    def reinstall(self, uid: int) -> None:
        """Make a machine that was removed from its cluster as good as new."""
        with self.state.lock:
            self.site.machines[uid].leave(fresh=True)

    def disaster(self, filename: str = "ccs-redis.rdb") -> str:
        """Lose the whole cluster: its machines are as good as new, and *filename* is what it can be recovered from."""
        with self.state.lock:
            self.site.saved[filename] = self.snapshot()
            for machine in list(self.site.of(self.state)):
                machine.leave(fresh=True)
            self.state.forget_events()
            self.state = self.here = self.site.new_state(self.settings)
        return filename

    def _seen(self, machine: Machine, up: bool) -> None:
        """Let the cluster notice that one of its machines has come or gone."""
        if machine.state is not None:
            placement.node_seen(machine.state, machine.uid, up)

    def call(self, method: str, path: str, body: Json = None, *, query: Mapping[str, str] | None = None) -> Response:
        """Do as another person would, over the API as the operator's account, past the faults and the log."""
        with self.state.lock:
            self.state.advance()
            self.here = self.state
            self.state.caller = next(user for user in self.state.users.values() if user.hidden.get("operator"))
            operations, values = self._routes.find(path, self.settings)
            data = encode(body).encode() if body is not None else b""
            request = Request(method, path, query or {}, {"content-type": "application/json"}, data)
            try:
                return self._run(operations[method], request, values)
            except ApiError as error:
                return error.response()

    def snapshot(self) -> dict[str, Json]:
        """Return the content of the cluster as a snapshot."""
        with self.state.lock:
            self.state.advance()
            return snapshots.save(self.state)


def target(request: Request) -> str:
    """Return path and query of *request*."""
    return request.path + (f"?{urlencode(request.query)}" if request.query else "")


__all__ = ["Core", "Entry", "Request", "Response", "Settings"]
