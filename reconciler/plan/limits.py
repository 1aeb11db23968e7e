"""Consent, limits and freeze windows: what refuses a plan. Pure; `reconcile.check` raises the refusals.

A plan over a limit can still be shown, so that the user sees what is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from reconciler.kinds.freeze import Frozen, frozen
from reconciler.model import Address
from reconciler.plan.impacts import missing_consent
from reconciler.plan.plan import Action, Change, Consent, Options, Plan


class MissingConsent(NamedTuple):
    """A change that destroys something, or has an impact, without the consent that it needs."""

    change: Change
    impact: str = ""  # the class that is not consented to; "" = destroying the object itself


class OverLimit(NamedTuple):
    """A cluster on which the plan changes more than it may."""

    cluster: str
    changed: int  # objects
    present: int  # declared objects that exist there
    percent: int  # the limit


def missing_consents(plan: Plan, options: Options) -> list[MissingConsent]:
    """Return what of *plan* lacks a consent by name: deletes and replacements first."""
    destroys = [MissingConsent(change) for change in plan.changes if _is_destroyed(plan, change, options)]
    return [*destroys, *(one for change in plan.changes for one in _missing_impacts(plan, change, options))]


def over_limits(plan: Plan, options: Options) -> Iterator[OverLimit]:
    """Yield each cluster on which *plan* updates or replaces a larger share than `options.limits` allow."""
    limits = options.limits
    changed = Counter(
        change.address.cluster
        for change in plan.changes
        if change.uid is not None and change.action in (Action.UPDATE, Action.REPLACE)
    )
    for cluster, count in sorted(changed.items()):
        present = plan.present.get(cluster, 0)
        if present >= limits.update_floor and count * 100 > limits.update_percent * present:
            yield OverLimit(cluster, count, present, limits.update_percent)


def frozen_changes(plan: Plan, now: float, options: Options | None = None) -> dict[Address, Frozen]:
    """Return what the manifests forbid to change at *now* (seconds since the epoch) and *options* do not override."""
    ignored = options.ignore_freeze if options is not None else frozenset[str]()
    found = {change.address: frozen(change.freeze, now) for change in plan.changes if change.freeze}
    overridden = {change.address for change in plan.changes if names_of(plan, change) & ignored}
    return {address: one for address, one in found.items() if one is not None and address not in overridden}


def with_consent(plan: Plan, options: Options) -> Plan:
    """Return *plan* with the consents of *options*, to be shown. It is not the plan to be saved."""
    changes = []
    for change in plan.changes:
        names = names_of(plan, change)
        given = {impact for name, impact in options.allow_impact if name in names}
        agreed = change.consent is Consent.ALLOW_DESTROY and names & options.allow_destroy
        consent = Consent.NOTHING if agreed else change.consent
        changes.append(replace(change, allowed=tuple(sorted({*change.allowed, *given})), consent=consent))
    return replace(plan, changes=tuple(changes))


def names_of(plan: Plan, change: Change) -> set[str]:
    """Return the addresses that name the object of *change*; without its cluster where the plan has only one."""
    names = {str(change.address)}
    return names | {str(change.address._replace(cluster=""))} if len(plan.clusters) <= 1 else names


def _is_destroyed(plan: Plan, change: Change, options: Options) -> bool:
    if change.consent is Consent.ALLOW_DESTROY:
        return not names_of(plan, change) & options.allow_destroy
    return change.consent is Consent.CONTRADICTION


def _missing_impacts(plan: Plan, change: Change, options: Options) -> Iterator[MissingConsent]:
    names = names_of(plan, change)
    given = {impact for name, impact in options.allow_impact if name in names}
    fields = [one for one in change.impacts if one.field]
    for impact in missing_consent(fields, given.union(change.allowed)):
        yield MissingConsent(change, impact)
