"""The texts of refusals: why a plan is refused, and how to consent. `reconcile.check` raises them."""

from __future__ import annotations

import shlex

from reconciler.kinds.freeze import Frozen
from reconciler.model import Address
from reconciler.plan import Action, Consent
from reconciler.plan.limits import MissingConsent, OverLimit
from reconciler.render.reasons import why


def consent_text(missing: MissingConsent) -> str:
    """Return what a change would do, and the flag that consents to it."""
    change, impact = missing
    verb = change.action.name.lower()
    if impact:
        what = "; ".join(str(one) for one in change.impacts if one.field and one.impact == impact)
        return (
            f"the plan would {verb} {change.address}, which {what}; to consent, use "
            f"--allow-impact {consent_flag(change.address, impact)}, or metadata.allow: [{impact}] in its manifest"
        )
    if change.consent is Consent.CONTRADICTION:
        return f"{change.address} is declared absent and protected; remove one of the two from its manifest"
    reason = f" ({why(change)})" if why(change) else ""
    way = f"--allow-destroy {change.address}"
    if change.action is Action.DELETE:
        way += " or a manifest with state: absent"
    return f"the plan would {verb} {change.address}{reason}, which is protected; to consent, use {way}"


def limit_text(over: OverLimit) -> str:
    """Return by how much a plan is over the limit of one cluster."""
    where = f" on {over.cluster}" if over.cluster else ""
    return (
        f"the plan changes {over.changed} of {over.present} declared objects{where}: over the limit of "
        f"{over.percent} %; apply it in parts with --target, or allow more with --max-update-percent"
    )


def freeze_text(address: Address, frozen: Frozen) -> str:
    """Return that *address* must not be changed now, and the ways around it."""
    name = shlex.quote(str(address))
    return f"{address} is frozen: {frozen}; wait, leave it out with --exclude {name}, or use --ignore-freeze {name}"


def consent_flag(address: Address, impact: str) -> str:
    """Return the consent to *impact* of *address* as one word of a shell."""
    return shlex.quote(f"{address}={impact}")
