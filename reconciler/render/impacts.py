"""What the changes of a plan do to traffic, data and our own access, in words. The plan renderers use this."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.plan import Change, Plan, missing_consent, quoted
from reconciler.render.escape import clean
from reconciler.vocabulary import CONSENT

_WORDS = {  # of one change, of several
    "new-connections": ("changes new connections", "change new connections"),
    "drops-clients": ("drops clients", "drop clients"),
    "restart": ("restarts", "restart"),
    "resharding": ("reshards", "reshard"),
    "failover": ("fails over", "fail over"),
    "may-lose-data": ("may lose data", "may lose data"),
    "loses-data": ("loses data", "lose data"),
    "irreversible": ("cannot be undone", "cannot be undone"),
    "may-cut-off": ("may cut this tool off", "may cut this tool off"),
}


def impact_line(plan: Plan) -> str:
    """Return how many changes do what, "" where none does anything: `Impact: 1 may lose data, 2 drop clients.`"""
    parts = [f"{number} {_WORDS[name][number != 1]}" for name, number in plan.impact.items()]
    return f"Impact: {', '.join(parts)}." if parts else ""


def impact_lines(change: Change) -> Iterator[tuple[str, bool]]:
    """Yield (text, whether it is lasting harm) of each effect, and how the consent to it stands."""
    for place, one in enumerate(change.impacts):
        where = f": {clean(one.field)}" if one.field else ""
        why = f" ({clean(one.why)})" if one.why else ""
        yield f"{_WORDS[one.impact][0]}{where}{why}", one.impact in CONSENT
        last = place + 1 == len(change.impacts) or change.impacts[place + 1].impact != one.impact
        if last and one.field and one.impact in CONSENT:
            if one.impact in change.unconsented:
                yield f"needs --allow-impact {clean(quoted(change.address, one.impact))}", True
            elif not missing_consent((one,), change.allowed):
                yield f"its manifest agrees to {one.impact}", False
