"""Desired against observed state: a `Plan` is a value, made by pure code; the same input gives the same bytes."""

from reconciler.plan.changes import (
    Action,
    Change,
    Consent,
    Limits,
    Options,
    Plan,
    UsualLimits,
)
from reconciler.plan.impacts import (
    Impacted,
    missing_consent,
    undecided,
)
from reconciler.plan.limits import (
    check,
    check_windows,
    cold,
    quoted,
    with_consent,
)
from reconciler.plan.multicluster import (
    places,
    touched,
)
from reconciler.plan.plan_file import (
    FORMAT,
    digest,
    from_json,
    moved,
    to_json,
    worsened,
)
from reconciler.plan.planner import (
    make_plan,
)

__all__ = [
    "FORMAT",
    "Action",
    "Change",
    "Consent",
    "Impacted",
    "Limits",
    "Options",
    "Plan",
    "UsualLimits",
    "check",
    "check_windows",
    "cold",
    "digest",
    "from_json",
    "make_plan",
    "missing_consent",
    "moved",
    "places",
    "quoted",
    "to_json",
    "touched",
    "undecided",
    "with_consent",
    "worsened",
]
