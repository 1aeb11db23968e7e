"""The impacts of a plan as text. The plan renderers call this."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from reconciler.kinds.vocabulary import CONSENT
from reconciler.plan import Change, Plan, missing_consent
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


def impact_line(plan: Plan) -> str:
    """Return how many changes do what, "" without any: `Impact: 1 may lose data, 2 drop clients.`"""
    parts = [f"{number} {_WORDS[name][number != 1]}" for name, number in plan.impact.items()]
    return f"Impact: {', '.join(parts)}." if parts else ""


def impact_lines(change: Change) -> Iterator[tuple[str, bool]]:
    """Yield (text, whether it needs consent) for each impact, the consent to it, and the freeze windows."""
    for window in change.freeze:
        yield f"{'waits in' if window.deny else 'only in'} freeze window {clean(window.name)}", False
    for impact, found in groupby(change.impacts, key=lambda one: one.impact):
        effects = list(found)
        reasons: dict[str, list[str]] = {}  # fields that do the same for the same reason share a line
        for one in effects:
            reasons.setdefault(one.why, []).append(one.field)
        for why, fields in reasons.items():
            where = ", ".join(clean(name) for name in fields if name)
            text = _WORDS[impact][0] + (f": {where}" if where else "") + (f" ({clean(why)})" if why else "")
            yield text, impact in CONSENT
        if effects[-1].field and impact in CONSENT:
            if impact in change.unconsented:
                yield f"needs --allow-impact {clean(consent_flag(change.address, impact))}", True
            elif not missing_consent(effects[-1:], change.allowed):
                yield f"consented to: {impact}", False
