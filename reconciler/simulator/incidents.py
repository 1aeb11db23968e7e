"""Faults that befall the cluster itself, not one answer: another person's edit, a restore, the loss of the primary.

The core calls `before` and `after` around each call that a rule of this kind hits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import history
from .faults import Rule
from .messages import Request, encode

if TYPE_CHECKING:
    from .core import Core


def human_edit(core: Core, rule: Rule, request: Request, index: int) -> None:
    """Make the calls `edits` (or the one `edit`), each {method, path, body}, as the operator."""
    edits = rule.options.get("edits") or [rule.options["edit"]]
    caller = core.state.caller
    for edit in edits:
        effects = core.state.effects
        method, path, body = edit.get("method", "PUT"), edit["path"], edit.get("body")
        response = core.call(method, path, body)
        data = encode(body).encode() if body is not None else b""
        made = Request(method, path, {}, {}, data, request.node)
        core.note(made, response, index, (core.state.effects != effects, rule.action))
    core.state.caller = caller


def restore(core: Core, rule: Rule, request: Request, index: int) -> None:
    """Put back what the cluster held `depth` effects ago, or when the first such rule was met."""
    depth = rule.options.get("depth")
    backup = core.history.first if depth is None else core.history.ago(int(depth))
    if backup is not None:
        history.restore(core.state, backup)


def failover(core: Core, rule: Rule, request: Request, index: int) -> None:
    """Let the primary die for `seconds` (for ever without), so that another member becomes primary."""
    node = int(rule.options.get("victim", core.state.primary))
    core.set_node(node, up=False)
    if "seconds" in rule.options:
        seconds = core.settings.scaled(float(rule.options["seconds"]))
        core.state.time.later(seconds, lambda: core.set_node(node, up=True))


Incident = Callable[["Core", Rule, Request, int], None]
INCIDENTS: Mapping[str, Incident] = {"human_edit": human_edit, "restore": restore, "failover": failover}


def _when(rule: Rule) -> str:
    if rule.action == "failover":  # the call that finds the primary dying is cut by it: see `faults.instead`
        return "after"
    chosen: Any = rule.options.get("when", "before")
    return str(chosen)


def befall(core: Core, rule: Rule | None, request: Request, index: int, moment: str) -> None:
    """Let happen what *rule* says for this *moment*, "before" or "after" the call."""
    if rule is not None and rule.action in INCIDENTS and _when(rule) == moment:
        INCIDENTS[rule.action](core, rule, request, index)
