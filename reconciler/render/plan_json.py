"""A plan as JSON for readers and plan files: the plan's own document, with its reasons in words."""

from __future__ import annotations

from reconciler.plan import Plan
from reconciler.plan.plan_file import document, dumped
from reconciler.render.reasons import note_text, why


def plan_json(plan: Plan) -> bytes:
    """Return *plan* as JSON (plain ASCII); the texts are neither part of its digest nor read back."""
    plain = document(plan)
    for change, shown in zip(plan.changes, plain["changes"], strict=True):
        shown["why"] = why(change)
    for note, shown in zip(plan.notes, plain["notes"], strict=True):
        shown["message"] = note_text(note)
    return dumped(plain)
