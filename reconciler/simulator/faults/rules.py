"""Fault injection: rules that select calls and the fault to inject. Knows nothing about sockets.

A rule matches calls by method, path (a regular expression, searched), node, and number of the call: `call` counts all
calls to the server, `nth` those that this rule matches, both from 1. With `probability` (0 to 1, and `seed`) it fires
at random, for the same calls with the same seed. It fires `times` times: once by default, without limit with a
probability. The first rule that fires is applied. On a socket, `refuse` resets an established connection; only a node
that is down (`Core.set_node`) refuses connections. Actions:

    refuse drop reset          not executed, no response; reset sends a TCP reset
    lost                       executed, no response
    late                       no response, and executed `calls` calls later
    500 502 503 504            not executed                       503_member  the node is not a cluster member
    500_after 502_after 503_after 504_after                       executed, and the response is an error
    429                        with Retry-After: `retry_after`    409 busy     401 once, whatever the credentials
    slow (`seconds`)           delayed response                   drip (`seconds`) response in small pieces
    code (`status`, `error_code`)   this error, for operations that document the error code; not for others
    truncate                   executed, half of the response
    not_json wrong_type        executed, the response is HTML, or JSON of another type
    redirect (`location`)      307 (`status` for another code)
    fail stuck                 accepted, but the started work fails later, or never ends; a bootstrap fails
                               with `error_code`, such as time_not_sync
    stale (`depth`)            a read returns the content of `depth` effects ago
    human_edit (`edit` {method, path, body} or `edits`, `when`)   a concurrent edit, before or after the call
    restore (`depth`, `when`)  the cluster is restored to `depth` effects ago, or to when recording began
    failover (`seconds`, `effect`, `victim`)   the primary goes down during the call; another node becomes primary

`stale` and `restore` need the history, which is recorded from the first call after such a rule was added.
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
    """One fault and the calls that it matches; `fired` and `seen` count."""

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
            raise ValueError(f"unknown fault: {self.action}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"a probability must be between 0 and 1: {self.probability}")
        if self.action == "human_edit" and not {"edit", "edits"} & set(self.options):
            raise ValueError("human_edit needs an edit or edits")
        if self.action == "code" and not {"error_code", "status"} <= set(self.options):
            raise ValueError("code needs an error_code and a status")
        re.compile(self.path or "")
        self.limit = (sys.maxsize if self.probability is not None else 1) if self.times is None else self.times
        self._random = random.Random(self.seed)

    def hits(self, request: Request, index: int) -> bool:
        """Return whether the rule fires on *request*, the call number *index*, and count it."""
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
        self._listed = listed  # whether a status and an error code are documented for a request

    @property
    def remember(self) -> bool:
        """Whether a rule needs the history of the cluster."""
        return any(rule.action in _REMEMBER for rule in self.rules)

    def add(self, action: str, *, times: int | None = None, **when: Any) -> Rule:
        """Add a rule: what it matches (`method`, `path`, `node`, `nth`, `call`, `probability` …), then its options.

        Raise `ValueError` or `re.error` for an invalid rule.
        """
        match = {name: when.pop(name) for name in _MATCH if name in when}
        rule = Rule(action, times=times, options=when, **match)
        self.rules.append(rule)
        return rule

    def load(self, schedule: Iterable[Mapping[str, Any]]) -> None:
        """Add rules from a list of mappings, as in a JSON file."""
        for row in schedule:
            self.add(**row)

    def clear(self) -> None:
        """Remove all rules."""
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
        text = str(rule.options.get("description", "injected fault"))
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
