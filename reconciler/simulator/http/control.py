"""The control endpoint: faults, request log, time, nodes and content of the clusters, for tests in any language.

It is not part of the API: it has a separate port, plain HTTP, always on loopback, and is off by default (`--control
PORT`, `testing.running(control=True)`). There is no login, so it accepts only calls with a loopback host name that do
not come from a web page. With several clusters `?cluster=NAME` selects one; the default is the first. Bodies and
responses are JSON; an invalid call is a 400 with {"error": text}.

    GET /                    clusters, node URLs and operations of this endpoint
    GET|POST|DELETE /faults  the rules with their counts; add a rule or a list of rules; remove all
    GET|DELETE /log          calls, oldest first: ?since=NUMBER, ?effect=true, ?path=REGEX, ?bodies=true; clear it
    GET /snapshot            the content of the cluster, as --snapshot reads it
    POST /call               {method, path, body}: a call as another person, past faults and log; {status, body}
    PUT /nodes/{uid}         {up: false}: the node refuses connections
    POST /clock              {advance: seconds} of simulated time
    GET|PUT /switches        choices for open questions, {name: choice}
    GET /openapi.json        the API of this server version; ?version= for another
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from reconciler.simulator.api import openapi
from reconciler.simulator.api.fields import VERSIONS
from reconciler.simulator.api.messages import Json, encode
from reconciler.simulator.core import Core, LogEntry
from reconciler.simulator.faults.rules import Rule
from reconciler.simulator.settings import SWITCHES

_LOOPBACK = re.compile(r"^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$")
_MAX_BYTES = 1 << 20
_SETTLE = 0.001  # seconds in which the socket of a node opens, before the response is sent

Query = Mapping[str, str]
Action = Callable[[Core, Query, Json], Json]


class ControlError(ValueError):
    """An invalid call of the control endpoint; the text gives the reason."""


def _rule(rule: Rule) -> Json:
    matched = {name: getattr(rule, name) for name in ("method", "path", "node", "nth", "call", "probability", "times")}
    given = {name: value for name, value in matched.items() if value is not None}
    return {"action": rule.action, **given, **rule.options, "seen": rule.seen, "fired": rule.fired}


def list_faults(core: Core, query: Query, body: Json) -> Json:
    """Return the rules with the numbers of matched and affected calls."""
    return [_rule(rule) for rule in core.faults.rules]


def add_faults(core: Core, query: Query, body: Json) -> Json:
    """Add one rule or a list of them: all or none."""
    rows = body if isinstance(body, list) else [body]
    if not all(isinstance(row, dict) and isinstance(row.get("action"), str) for row in rows):
        raise ControlError("a rule must be an object with an action")
    before = list(core.faults.rules)
    try:
        core.faults.load(rows)
    except (TypeError, ValueError, re.error) as error:
        core.faults.rules[:] = before
        raise ControlError(str(error)) from None
    return [_rule(rule) for rule in core.faults.rules[len(before) :]]


def clear_faults(core: Core, query: Query, body: Json) -> Json:
    """Remove all rules."""
    core.faults.clear()
    return []


def _entry(entry: LogEntry, *, body: bool) -> Json:
    row = entry._asdict()
    text = row.pop("body").decode("utf-8", "replace")
    return {**row, "body": text} if body else row


def read_log(core: Core, query: Query, body: Json) -> Json:
    """Return the calls selected by the query."""
    since, path = int(query.get("since", 0)), re.compile(query.get("path", ""))
    entries = [entry for entry in core.log if entry.number > since and path.search(entry.path)]
    if "effect" in query:
        entries = [entry for entry in entries if entry.effect == (query["effect"] == "true")]
    return [_entry(entry, body=query.get("bodies") == "true") for entry in entries]


def clear_log(core: Core, query: Query, body: Json) -> Json:
    """Clear the log; numbering continues."""
    core.log.clear()
    return []


def call(core: Core, query: Query, body: Json) -> Json:
    """Make one call as another person."""
    if not isinstance(body, dict) or not isinstance(body.get("path"), str):
        raise ControlError("expected an object with method, path and body")
    response = core.call(str(body.get("method", "GET")), body["path"], body.get("body"))
    kind = response.headers.get("content-type", "")
    return {"status": response.status, "body": response.json() if "json" in kind else response.body.decode("latin-1")}


def set_node(core: Core, query: Query, body: Json) -> Json:
    """Take a node down or bring it up."""
    uid = int(query["uid"])
    if uid not in core.node_uids or not isinstance(body, dict) or not isinstance(body.get("up"), bool):
        raise ControlError("expected the uid of a node, and {up: true or false}")
    core.set_node(uid, up=body["up"])
    return {"uid": uid, "up": uid not in core.down}


def advance(core: Core, query: Query, body: Json) -> Json:
    """Advance the clock."""
    seconds = body.get("advance") if isinstance(body, dict) else None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
        raise ControlError("expected {advance: seconds}")
    core.state.time.skip(core.settings.scaled(seconds))
    core.state.advance()
    return {"now": core.state.now}


def switches(core: Core, query: Query, body: Json) -> Json:
    """Set the switches in the body and return all of them."""
    for name, choice in (body or {}).items():
        if name not in SWITCHES or choice not in SWITCHES[name].choices:
            raise ControlError(f"unknown switch or choice: {name}={choice}")
    core.settings.switches.update(body or {})
    return core.settings.switches


def about(core: Core, query: Query, body: Json) -> Json:
    """Return the URLs of the nodes and the operations of this endpoint."""
    return {
        "cluster": core.settings.cluster_name,
        "nodes": core.urls,
        "server_version": core.settings.server_version,
        "operations": sorted(f"{method} {path}" for method, path in ACTIONS),
    }


def describe(core: Core, query: Query, body: Json) -> Json:
    """Return the OpenAPI description of a server version."""
    version = query.get("version", core.settings.server_version)
    if version not in VERSIONS:
        raise LookupError(f"no server version {version}")
    return openapi.describe(version)


def snapshot(core: Core, query: Query, body: Json) -> Json:
    """Return the content of the cluster."""
    return core.snapshot()


ACTIONS: Mapping[tuple[str, str], Action] = {
    ("GET", "/"): about,
    ("GET", "/faults"): list_faults,
    ("POST", "/faults"): add_faults,
    ("DELETE", "/faults"): clear_faults,
    ("GET", "/log"): read_log,
    ("DELETE", "/log"): clear_log,
    ("GET", "/snapshot"): snapshot,
    ("POST", "/call"): call,
    ("PUT", "/nodes/{uid}"): set_node,
    ("POST", "/clock"): advance,
    ("GET", "/switches"): switches,
    ("PUT", "/switches"): switches,
    ("GET", "/openapi.json"): describe,
}


class ControlApp:
    """The ASGI application of the control endpoint of *cores*."""

    def __init__(self, cores: Sequence[Core]) -> None:
        self.cores = {core.settings.cluster_name: core for core in cores}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = HttpRequest(scope, receive)
        try:
            status, value = 200, self._do(request, await _body(request))
            await asyncio.sleep(_SETTLE)
        except PermissionError as error:
            status, value = 403, {"error": str(error)}
        except LookupError as error:
            status, value = 404, {"error": str(error.args[0])}
        except (ValueError, re.error) as error:
            status, value = 400, {"error": str(error)}
        headers = {"content-type": "application/json"}
        await HttpResponse(encode(value).encode(), status, headers)(scope, receive, send)

    def _do(self, request: HttpRequest, body: bytes) -> Json:
        if not _LOOPBACK.match(request.headers.get("host", "")) or "origin" in request.headers:
            raise PermissionError("only local programs may call the control endpoint")
        query: dict[str, Any] = dict(parse_qsl(request.url.query, keep_blank_values=True))
        path = request.url.path
        if node := re.fullmatch(r"/nodes/(\d+)", path):
            path, query["uid"] = "/nodes/{uid}", node.group(1)
        action = ACTIONS.get((request.method, path))
        if action is None:
            raise LookupError(f"no operation {request.method} {path}")
        name = query.pop("cluster", next(iter(self.cores)))
        if name not in self.cores:
            raise LookupError(f"no cluster {name}")
        core = self.cores[name]
        with core.state.lock:
            return action(core, query, json.loads(body) if body else None)


async def _body(request: HttpRequest) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MAX_BYTES:
            raise ControlError("the body is larger than 1 MiB")
        parts.append(part)
    return b"".join(parts)
