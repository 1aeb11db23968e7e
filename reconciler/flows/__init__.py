"""What is sent for one change, and in which order: generators that yield calls and pauses and are sent answers.

The engine drives them. They hold no clock, socket or random number: a pause is a wish, and comes back with the time.
An error of a call is raised at the `yield` that asked for it, so that a flow reads as the procedure that it is.
"""

from __future__ import annotations

from reconciler.flows.create import create, post
from reconciler.flows.reading import listing, one
from reconciler.flows.regain import regaining
from reconciler.flows.steps import Ended, Found, Task, look
from reconciler.flows.write import Expected, delete, put, update

__all__ = [
    "Ended",
    "Expected",
    "Found",
    "Task",
    "create",
    "delete",
    "listing",
    "look",
    "one",
    "post",
    "put",
    "regaining",
    "update",
]
