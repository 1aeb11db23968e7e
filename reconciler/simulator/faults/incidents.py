"""Faults that change the cluster itself, not one response: a concurrent edit, a restore, the loss of the primary.

The core calls `apply_incident` before and after each call that a rule of this kind matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from reconciler.simulator.api.messages import Json, Request, Response, encode
from reconciler.simulator.faults.rules import Rule
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.history import History, restore_state
from reconciler.simulator.state.model import ClusterState


class IncidentTarget(Protocol):
    """What an incident needs of the core."""

    settings: SimulatorSettings
    state: ClusterState
    history: History

    def call(self, method: str, path: str, body: Json = None) -> Response:
        """Make a call as the operator."""

    def note(self, request: Request, response: Response, index: int, effect: tuple[bool, str]) -> None:
        """Write a call to the request log."""

    def set_node(self, uid: int, *, up: bool) -> None:
        """Take a node down or bring it up."""


def human_edit(target: IncidentTarget, rule: Rule, request: Request, index: int) -> None:
    """Make the calls `edits` (or the one `edit`), each {method, path, body}, as the operator."""
    edits = rule.options.get("edits") or [rule.options["edit"]]
    caller = target.state.caller
    for edit in edits:
        effects = target.state.effects
        method, path, body = edit.get("method", "PUT"), edit["path"], edit.get("body")
        response = target.call(method, path, body)
        data = encode(body).encode() if body is not None else b""
        made = Request(method, path, {}, {}, data, request.node)
        target.note(made, response, index, (target.state.effects != effects, rule.action))
    target.state.caller = caller


def restore(target: IncidentTarget, rule: Rule, request: Request, index: int) -> None:
    """Restore the content of the cluster of `depth` effects ago, or of when recording began."""
    depth = rule.options.get("depth")
    backup = target.history.first if depth is None else target.history.ago(int(depth))
    if backup is not None:
        restore_state(target.state, backup)


def failover(target: IncidentTarget, rule: Rule, request: Request, index: int) -> None:
    """Take the primary down for `seconds` (for good without), so that another member becomes primary."""
    node = int(rule.options.get("victim", target.state.primary))
    target.set_node(node, up=False)
    if "seconds" in rule.options:
        seconds = target.settings.scaled(float(rule.options["seconds"]))
        target.state.time.later(seconds, lambda: target.set_node(node, up=True))


Incident = Callable[[IncidentTarget, Rule, Request, int], None]
INCIDENTS: Mapping[str, Incident] = {"human_edit": human_edit, "restore": restore, "failover": failover}


def _moment(rule: Rule) -> str:
    if rule.action == "failover":  # the call gets no response: see `rules.replacement`
        return "after"
    chosen: Any = rule.options.get("when", "before")
    return str(chosen)


def apply_incident(target: IncidentTarget, rule: Rule | None, request: Request, index: int, moment: str) -> None:
    """Apply the incident of *rule* if it is due at this *moment*, "before" or "after" the call."""
    if rule is not None and rule.action in INCIDENTS and _moment(rule) == moment:
        INCIDENTS[rule.action](target, rule, request, index)
