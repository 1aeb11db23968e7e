"""A plan as JSON for readers and plan files: the document of the plan, with the texts of its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.plan import Plan
from reconciler.plan.plan_file import INPUT, document, dumped
from reconciler.render.calls import plain_calls
from reconciler.render.reasons import note_text, why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.render.calls import Calls


def plan_json(plan: Plan, calls: Calls | None = None, plan_input: Mapping[str, Any] | None = None) -> bytes:
    """Return *plan* as JSON (plain ASCII); texts and *calls* are neither part of its digest nor read back.

    *plan_input* is what it was decided from, for a plan that is saved.
    """
    plain = document(plan)
    if plan_input is not None:
        plain[INPUT] = plan_input
    for change, shown in zip(plan.changes, plain["changes"], strict=True):
        shown["why"] = why(change)
        if calls is not None:
            shown.update(plain_calls(calls[change.number]))
    for note, shown in zip(plan.notes, plain["notes"], strict=True):
        shown["message"] = note_text(note)
    return dumped(plain)
