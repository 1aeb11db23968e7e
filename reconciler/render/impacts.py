"""The impacts of a plan as text. The plan renderers call this."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from reconciler.kinds.freeze import Window
from reconciler.kinds.vocabulary import CONSENT
from reconciler.plan import Change, ConsentSource, Plan
from reconciler.plan.consent import DESTROY
from reconciler.render.escape import clean
from reconciler.render.refusals import consent_flag

_WORDS = {  # of one change, of several
    "new-connections": ("changes new connections", "change new connections"),
    "drops-clients": ("drops clients", "drop clients"),
    "restart": ("restarts", "restart"),
    "resharding": ("reshards", "reshard"),
    "failover": ("fails over", "fail over"),
    "may-lose-data": ("may lose data", "may lose data"),
    "loses-data": ("loses data", "lose data"),
    "irreversible": ("cannot be undone", "cannot be undone"),
    "may-cut-off": ("may lock out the management account", "may lock out the management account"),
}

_SOURCES = {
    ConsentSource.FLAG: "consented to by flag: {0}",
    ConsentSource.MANIFEST: "consented to by its manifest: {0}",
    ConsentSource.BEYOND_LIMIT: "its manifest consents to {0}, but allowedImpacts in the project file lacks it",
}


def impact_line(plan: Plan) -> str:
    """Return how many changes do what, "" without any: `Impact: 1 may lose data, 2 drop clients.`"""
    parts = [f"{number} {_WORDS[name][number != 1]}" for name, number in plan.impact.items()]
    return f"Impact: {', '.join(parts)}." if parts else ""


def ignored_freeze_lines(plan: Plan) -> Iterator[str]:
    """Yield a line for the clusters whose freeze windows do not hold *plan*."""
    if plan.ignored_freezes:
        names = ", ".join(map(clean, plan.ignored_freezes))
        yield f"! ignores (by --ignore-freeze) the freeze windows of the project for cluster {names}"


def impact_lines(change: Change) -> Iterator[tuple[str, bool]]:
    """Yield (text, whether it needs consent) for each impact, for the consents, and for the freeze windows."""
    for window in change.freeze:
        yield f"{_window_verb(change, window)} freeze window {clean(window.name)}", False
    for impact, found in groupby(change.impacts, key=lambda one: one.impact):
        reasons: dict[str, list[str]] = {}  # fields that do the same for the same reason share a line
        for one in found:
            reasons.setdefault(one.why, []).append(one.field)
        for why, fields in reasons.items():
            where = ", ".join(clean(name) for name in fields if name)
            text = _WORDS[impact][0] + (f": {where}" if where else "") + (f" ({clean(why)})" if why else "")
            yield text, impact in CONSENT
        yield from _consent_lines(change, impact)
    yield from _consent_lines(change, DESTROY)


def _window_verb(change: Change, window: Window) -> str:
    if change.ignores_freeze:
        return "ignores (by --ignore-freeze)"
    return "waits in" if window.deny else "only in"


def _consent_lines(change: Change, to: str) -> Iterator[tuple[str, bool]]:
    """Yield the consents to one class of impact, or to the destruction of the object, and whether one is missing."""
    for one in change.consents:
        if one.to == to:
            yield _SOURCES[one.source].format(clean(to)), one.source is ConsentSource.BEYOND_LIMIT
    if to in change.unconsented:
        yield f"needs {clean(consent_flag(change, to))}", True
