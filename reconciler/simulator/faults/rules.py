"""Faults on purpose: rules that say which calls go wrong, and how. The core asks; nothing here touches a socket.

A rule matches calls by method, path (a regular expression that is searched), node, and by the number of the call:
`call` is its place among all calls that the server ever got, `nth` its place among those that this rule matches; both
count from 1. `probability` (0 to 1, with `seed`) lets it fire at random, the same calls for the same seed. It fires
`times` times: once by default, without end with a probability. The first rule that fires wins. On a socket, `refuse`
resets a connection that was made; only a node that is down (`Core.set_node`) refuses the connection itself. Actions:

    refuse drop reset          nothing happens and no answer comes; reset sends a TCP reset
    lost                       it happens and no answer comes
    late                       no answer comes, and it happens `calls` calls later
    500 502 503 504            refused, nothing happened          503_member  says that the node is no member
    500_after 502_after 503_after 504_after                       it happened, and the answer says error
    429                        with Retry-After: `retry_after`    409 busy     401 once, whatever the credentials
    slow (`seconds`)           answered late                      drip (`seconds`) answered in small pieces
    code (`status`, `error_code`)   refused so, on operations for which the error code is listed; others pass
    truncate                   it happens, half of the answer comes
    not_json wrong_type        it happens, the answer is HTML, or JSON of another type
    redirect (`location`)      307 elsewhere (`status` for another code)
    fail stuck                 accepted, but the work that it starts fails later, or never ends; a bootstrap fails
                               with `error_code`, such as time_not_sync
    stale (`depth`)            a read shows what was there `depth` effects ago
    human_edit (`edit` {method, path, body} or `edits`, `when`)   another person does this, before or after the call
    restore (`depth`, `when`)  the cluster is restored from a backup of `depth` effects ago, or of when keeping began
    failover (`seconds`, `effect`, `victim`)   the primary dies under the call for so long; another becomes primary

`stale` and `restore` know what happened since the first call for which the schedule had such a rule.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.simulator.api.messages import ApiError, Request, Response, Wire, json_response

NOT_MEMBER = "No cluster bootstrapped: this node is not a member of any active cluster"

_ERRORS: Mapping[str, tuple[int, str, str]] = {
    "500": (500, "internal_error", "something went wrong"),
    "502": (502, "bad_gateway", "the gateway got no usable answer"),
    "503": (503, "service_unavailable", "the service is not available now"),
    "504": (504, "gateway_timeout", "the gateway got no answer in time"),
    "503_member": (503, "no_cluster", NOT_MEMBER),
    "429": (429, "too_many_requests", "slow down"),
    "409": (409, "db_busy", "another change is in progress"),
    "401": (401, "invalid_credentials", "login failed"),
}
_BEFORE = frozenset({*_ERRORS, "refuse", "drop", "reset", "redirect", "late", "code"})
_AFTER = frozenset({"500_after", "502_after", "503_after", "504_after", "lost", "slow", "drip", "truncate", "not_json"})
_REMEMBER = frozenset({"stale", "restore"})
ACTIONS = _BEFORE | _AFTER | _REMEMBER | {"wrong_type", "fail", "stuck", "human_edit", "failover"}
_MATCH = ("method", "path", "node", "nth", "call", "probability", "seed")


@dataclass
class Rule:
    """One fault and the calls that it befalls; `fired` and `seen` count."""

    action: str
    method: str | None = None
    path: str | None = None
    node: int | None = None
    nth: int | None = None
    call: int | None = None
    probability: float | None = None
    seed: int = 0
    times: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"no such fault: {self.action}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"a probability lies between 0 and 1: {self.probability}")
        if self.action == "human_edit" and not {"edit", "edits"} & set(self.options):
            raise ValueError("human_edit needs an edit or edits")
        if self.action == "code" and not {"error_code", "status"} <= set(self.options):
            raise ValueError("code needs an error_code and a status")
        re.compile(self.path or "")
        self.limit = (sys.maxsize if self.probability is not None else 1) if self.times is None else self.times
        self._random = random.Random(self.seed)

    def hits(self, request: Request, index: int) -> bool:
        """Say whether the rule fires on *request*, the call number *index*; counts it."""
        if self.fired >= self.limit or (self.method and self.method != request.method):
            return False
        if (self.path and not re.search(self.path, request.path)) or (self.node and self.node != request.node):
            return False
        self.seen += 1
        if self.call is not None and not self.call <= index < self.call + self.limit:
            return False
        if self.nth is not None and not self.nth <= self.seen < self.nth + self.limit:
            return False
        if self.probability is not None and self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The schedule of one server."""

    def __init__(self, listed: Callable[[Request, int, str], bool] = lambda request, status, code: True) -> None:
        self.rules: list[Rule] = []
        self._listed = listed  # whether the operation of a request may answer a status with an error code

    @property
    def remember(self) -> bool:
        """Whether a rule needs earlier contents of the cluster."""
        return any(rule.action in _REMEMBER for rule in self.rules)

    def add(self, action: str, *, times: int | None = None, **when: Any) -> Rule:
        """Add a rule: what it matches (`method`, `path`, `node`, `nth`, `call`, `probability` …), then its options.

        Raises `ValueError` or `re.error` for a rule that cannot be.
        """
        match = {name: when.pop(name) for name in _MATCH if name in when}
        rule = Rule(action, times=times, options=when, **match)
        self.rules.append(rule)
        return rule

    def load(self, schedule: Iterable[Mapping[str, Any]]) -> None:
        """Add the rules of a list of mappings, such as a JSON file gives."""
        for row in schedule:
            self.add(**row)

    def clear(self) -> None:
        """Forget all rules."""
        self.rules.clear()

    def on(self, request: Request, index: int) -> Rule | None:
        """Return the first rule that fires on *request*."""
        return next((rule for rule in self.rules if self._fits(rule, request) and rule.hits(request, index)), None)

    def _fits(self, rule: Rule, request: Request) -> bool:
        said = rule.options
        return rule.action != "code" or self._listed(request, int(said["status"]), str(said["error_code"]))


def refused_connection() -> Response:
    """Return the response of a node that refuses the connection."""
    return Response(0, {}, b"", Wire("refuse"))


def replacement(rule: Rule) -> Response | None:
    """Return the response that *rule* gives instead of handling the call, None where the call is handled."""
    if rule.action in ("refuse", "drop", "reset"):
        return Response(0, {}, b"", Wire(rule.action))
    if rule.action == "late" or (rule.action == "failover" and not rule.options.get("effect")):
        return Response(0, {}, b"", Wire("drop"))
    if rule.action == "redirect":
        location = {"location": str(rule.options.get("location", "https://elsewhere.invalid:9443/"))}
        return json_response(None, int(rule.options.get("status", 307)), location)
    if rule.action == "code":
        text = str(rule.options.get("description", "a fault says so"))
        return ApiError(int(rule.options["status"]), str(rule.options["error_code"]), text).response()
    if rule.action in _ERRORS:
        return _error(rule.action, rule.options)
    return None


def _error(action: str, options: Mapping[str, Any]) -> Response:
    status, code, text = _ERRORS[action]
    headers = {"retry-after": str(options.get("retry_after", 1))} if status == 429 or "retry_after" in options else {}
    return ApiError(
        status, str(options.get("error_code", code)), str(options.get("description", text)), headers
    ).response()


def distorted(rule: Rule, response: Response) -> Response:
    """Return *response* as *rule* distorts it."""
    action, seconds = rule.action, float(rule.options.get("seconds", 1.0))
    if action.endswith("_after"):
        return _error(action.removesuffix("_after"), rule.options)
    if action in ("lost", "failover"):
        return Response(0, {}, b"", Wire("drop"))
    if action == "slow":
        return response._replace(wire=Wire(delay=seconds))
    if action == "drip":
        return response._replace(wire=Wire(drip=seconds))
    if action == "truncate":
        return response._replace(wire=Wire("truncate"))
    if action == "not_json":
        return Response(response.status, {"content-type": "text/html"}, b"<html><body>It works!</body></html>")
    if action == "wrong_type":
        return json_response({"result": "ok"} if response.body.startswith(b"[") else ["ok"], response.status)
    return response
