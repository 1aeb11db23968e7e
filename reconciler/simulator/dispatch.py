"""From a request to a handler: API version, route, login, permission, redirect, body. It knows no faults."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from reconciler.simulator.access import authentication
from reconciler.simulator.api.json_body import parse
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import Endpoint, Routes, at_least, has_mixed_versions
from reconciler.simulator.faults.rules import NOT_MEMBER
from reconciler.simulator.nodes import placement
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.model import ClusterSite, ClusterState, Machine

_BOOTSTRAP = "/v1/bootstrap"
_API_VERSIONS = frozenset({"1", "2", "v1", "v2", "1.0", "2.0"})


class Dispatcher:
    """Calls the handler of a request, on the cluster that the addressed machine is in."""

    def __init__(self, settings: SimulatorSettings, site: ClusterSite, routes: Routes) -> None:
        self.settings = settings
        self.site = site
        self.routes = routes

    def dispatch(self, state: ClusterState, request: Request, past: ClusterState | None = None) -> Response:
        """Return the response of the cluster *state*; a stale read gets *past* instead."""
        machine = self.site.machines[request.node]
        member = machine.state is not None
        if not member and not request.path.startswith(_BOOTSTRAP):
            raise ApiError(int(self.settings.switches["no_cluster_status"]), "no_cluster", NOT_MEMBER)
        version = request.headers.get("x-api-version")
        if version is not None and version not in _API_VERSIONS:
            raise ApiError(505, "unsupported_api_version", f"API version {version[:20]} is not supported")
        operations, values = self.routes.find(request.path, self.settings)
        if not operations:
            raise ApiError(404, "not_found", "no such path")
        allow = {"allow": ", ".join(sorted({*operations, "OPTIONS"}))}
        endpoint = operations.get(request.method)
        forbidden = bool(state.cluster.fields.get("options_method_forbidden"))
        if endpoint is None and (request.method != "OPTIONS" or forbidden):
            raise ApiError(405, "method_not_allowed", f"{request.method} is not allowed here", allow)
        if member:
            _check_connectivity(state, machine, request, endpoint)
            _authenticate(state, request, endpoint, values)
        if endpoint is None:
            return json_response(None, 200, allow)
        redirect = self._redirect(state, machine, request, endpoint)
        return redirect or self.run(state, endpoint, request, values, past)

    def run(
        self,
        state: ClusterState,
        endpoint: Endpoint,
        request: Request,
        values: list[str],
        past: ClusterState | None = None,
    ) -> Response:
        """Call the handler of *endpoint* with the parameters *values* of the path."""
        row = endpoint.row
        if "mixed" in row and has_mixed_versions(state):
            status, code = row["mixed"]
            raise ApiError(status, code, "a node of the cluster is too old for this")
        if "body" in row:
            return endpoint.handler(state, request, *values, self._body(request, row))
        if "content" in row:
            self._check_content(request, row["content"])
            return endpoint.handler(state, request, *values, request.body)
        return endpoint.handler(past or state, request, *values)

    def _redirect(self, state: ClusterState, machine: Machine, request: Request, endpoint: Endpoint) -> Response | None:
        """Return the redirect to the primary, where a secondary does not proxy calls."""
        if state.settings.handle_redirects or machine.state is None or machine.uid == state.primary:
            return None
        if endpoint.row.get("local") or (request.method == "GET" and state.settings.on("redirect_reads", "no")):
            return None
        primary = self.site.node(state, state.primary)
        url = self.site.urls[primary.number] if primary else f"https://{state.nodes[state.primary].fields['addr']}:9443"
        return json_response(None, 307, {"location": url + _target(request)})

    def _body(self, request: Request, row: Mapping[str, Json]) -> Json:
        if not request.body and "bare" in row:
            if not at_least(self.settings.server_version, row["bare"]):
                raise ApiError(400, "invalid_json", "this version requires a body here, if only an empty object")
            return None
        self._check_content(request, "application/json")
        return parse(request.body)

    def _check_content(self, request: Request, expected: str) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "DELETE" and not kind:
            return
        if kind != expected and (kind or self.settings.on("content_type", "require")):
            raise ApiError(400, "invalid_content_type", f"Content-Type must be {expected}")


def _authenticate(state: ClusterState, request: Request, endpoint: Endpoint | None, values: list[str]) -> None:
    """Identify the caller and check the permission; users may read and change their own account."""
    if endpoint is not None and authentication.is_open(state, endpoint.row) and "authorization" not in request.headers:
        return
    user = state.caller = authentication.login(state, request)
    own = endpoint is not None and endpoint.path == "/v1/users/{uid}" and values == [str(user.fields["uid"])]
    authentication.require_permission(
        state, user, endpoint.permission if endpoint else None, own and request.method != "DELETE"
    )


def _check_connectivity(state: ClusterState, machine: Machine, request: Request, endpoint: Endpoint | None) -> None:
    """Refuse what a partitioned node, or a cluster without a quorum, cannot do."""
    if endpoint is None or endpoint.row.get("local"):
        return
    if machine.partitioned:
        raise ApiError(503, "service_unavailable", "the node cannot reach the cluster")
    enforced = state.settings.on("quorum", "enforced") and request.method != "GET"
    if enforced and not placement.has_quorum(state):
        raise ApiError(503, "no_quorum", "the cluster has no quorum")


def _target(request: Request) -> str:
    return request.path + (f"?{urlencode(request.query)}" if request.query else "")
