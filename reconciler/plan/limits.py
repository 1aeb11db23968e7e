"""How much and what a plan may change before we decline it. Pure: the commands call `check` before an apply.

A plan over a limit is still a plan: it can be shown, so that the user sees what was refused.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from reconciler.errors import DestroyProtected, ImpactRefused, InFreezeWindow, PlanTooLarge, Refused
from reconciler.kinds.freeze import Frozen, frozen
from reconciler.model import Address
from reconciler.plan.changes import Action, Change, Consent, Options, Plan
from reconciler.plan.impacts import missing_consent


def check(plan: Plan, options: Options) -> None:
    """Raise DestroyProtected, ImpactRefused or PlanTooLarge where *plan* does more than *options* allow."""
    destroys = [text for change in plan.changes if (text := _needs_consent(plan, change, options))]
    harms = [text for change in plan.changes for text in _harms(plan, change, options)]
    if destroys or harms:
        kind: type[Refused] = DestroyProtected if destroys else ImpactRefused
        raise kind("\n".join([*destroys, *harms]))
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


def cold(plan: Plan, now: float) -> dict[Address, Frozen]:
    """Return the changes that their manifests forbid at *now*, in seconds since the epoch."""
    found = {change.address: frozen(change.freeze, now) for change in plan.changes if change.freeze}
    return {address: one for address, one in found.items() if one is not None}


def check_windows(plan: Plan, options: Options, now: float) -> None:
    """Raise InFreezeWindow where *plan* changes at *now* what its manifest forbids, and nobody agreed to that."""
    waiting = cold(plan, now)
    lines = [
        f"{change.address} is not changed now: {waiting[change.address]}; wait, leave it out with "
        f"--exclude {shlex.quote(str(change.address))}, or use --ignore-freeze {shlex.quote(str(change.address))}"
        for change in plan.changes
        if change.address in waiting and not _names(plan, change) & options.ignore_freeze
    ]
    if lines:
        raise InFreezeWindow("\n".join(lines))


def _needs_consent(plan: Plan, change: Change, options: Options) -> str:
    if change.consent is Consent.NOTHING:
        return ""
    if change.consent is Consent.CONTRADICTION:
        return f"{change.address} is declared absent and protected at once; take one of the two out of its manifest"
    if _names(plan, change) & options.allow_destroy:
        return ""
    verb = change.action.name.lower()
    reason = f" ({change.why})" if change.why else ""
    way = f"--allow-destroy {change.address}"
    if change.action is Action.DELETE:
        way += " or a manifest with state: absent"
    return f"the plan would {verb} {change.address}{reason}, which is protected; to agree, use {way}"


def _harms(plan: Plan, change: Change, options: Options) -> Iterator[str]:
    """Yield what a change does that somebody must agree to by name, and how."""
    names = _names(plan, change)
    given = {impact for name, impact in options.allow_impact if name in names}
    fields = [one for one in change.impacts if one.field]
    for impact in missing_consent(fields, given.union(change.allowed)):
        what = "; ".join(str(one) for one in fields if one.impact == impact)
        yield (
            f"the plan would {change.action.name.lower()} {change.address}, which {what}; to agree, use "
            f"--allow-impact {quoted(change.address, impact)}, or metadata.allow: [{impact}] in its manifest"
        )


def quoted(address: Address, impact: str) -> str:
    """Return the consent to *impact* of *address* as one word of a shell."""
    return shlex.quote(f"{address}={impact}")


def with_consent(plan: Plan, options: Options) -> Plan:
    """Return *plan* as it is to be shown to who gave the consents of *options*; it is not the plan to be saved."""
    changes = []
    for change in plan.changes:
        names = _names(plan, change)
        given = {impact for name, impact in options.allow_impact if name in names}
        agreed = change.consent is Consent.ALLOW_DESTROY and names & options.allow_destroy
        consent = Consent.NOTHING if agreed else change.consent
        changes.append(replace(change, allowed=tuple(sorted({*change.allowed, *given})), consent=consent))
    return replace(plan, changes=tuple(changes))


def _names(plan: Plan, change: Change) -> set[str]:
    """Return how people may name what *change* is about; without its cluster where there is one only."""
    names = {str(change.address)}
    return names | {str(change.address._replace(cluster=""))} if len(plan.clusters) <= 1 else names
