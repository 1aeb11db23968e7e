"""How much and what a plan may change before we decline it. Pure: the commands call `check` before an apply.

A plan over a limit is still a plan: it can be shown, so that the user sees what was refused.
"""

from __future__ import annotations

from collections import Counter

from reconciler.errors import DestroyProtected, PlanTooLarge
from reconciler.plan.changes import Action, Change, Consent, Options, Plan


def check(plan: Plan, options: Options) -> None:
    """Raise DestroyProtected or PlanTooLarge where *plan* does more than *options* allow."""
    refused = [text for change in plan.changes if (text := _needs_consent(plan, change, options))]
    if refused:
        raise DestroyProtected("\n".join(refused))
    limits = options.limits
    changed = Counter(
        change.address.cluster
        for change in plan.changes
        if change.uid is not None and change.action in (Action.UPDATE, Action.REPLACE)
    )
    for cluster, count in sorted(changed.items()):
        present = plan.present.get(cluster, 0)
        if present >= limits.update_floor and count * 100 > limits.update_percent * present:
            where = f" on {cluster}" if cluster else ""
            raise PlanTooLarge(
                f"the plan changes {count} of {present} declared objects{where}: over the limit of "
                f"{limits.update_percent} %; apply it in parts with --target, or allow more with --max-update-percent"
            )


def _needs_consent(plan: Plan, change: Change, options: Options) -> str:
    if change.consent is Consent.NOTHING:
        return ""
    if change.consent is Consent.CONTRADICTION:
        return f"{change.address} is declared absent and protected at once; take one of the two out of its manifest"
    names = {str(change.address)}
    if len(plan.clusters) <= 1:
        names.add(str(change.address._replace(cluster="")))
    if names & options.allow_destroy:
        return ""
    verb = change.action.name.lower()
    reason = f" ({change.why})" if change.why else ""
    way = f"--allow-destroy {change.address}"
    if change.action is Action.DELETE:
        way += " or a manifest with state: absent"
    return f"the plan would {verb} {change.address}{reason}, which is protected; to agree, use {way}"
