"""Consent and limits: what refuses a plan. Pure; `reconcile.check` raises the refusals.

A plan over a limit can still be shown, so that the user sees what is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from reconciler.kinds.vocabulary import CONSENT
from reconciler.plan.consent import DESTROY, FREEZE, Consent, ConsentSource, by_manifest, concerns
from reconciler.plan.plan import Action, Change, Options, Plan
from reconciler.plan.view import names_of


class OverLimit(NamedTuple):
    """A cluster on which the plan changes more than it may."""

    cluster: str
    changed: int  # objects
    present: int  # declared objects that exist there
    percent: int  # the limit


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


def with_consent(plan: Plan, options: Options) -> Plan:
    """Return *plan* with the consents that *options* give in addition to its own, and with their limits."""
    changes = tuple(_consented(change, names_of(change.address), options) for change in plan.changes)
    ignored = options.ignored_freezes.intersection(plan.clusters).union(plan.ignored_freezes)
    return replace(plan, changes=changes, ignored_freezes=tuple(sorted(ignored)))


def _consented(change: Change, names: Collection[str], options: Options) -> Change:
    limits = (options.allowed_impacts.get(name, CONSENT) for name in (change.address.cluster, *change.other_clusters))
    limit = set(CONSENT).intersection(*limits)
    classes = [one.to for one in change.consents if one.source is not ConsentSource.FLAG]
    flags = [one.to for one in change.consents if one.source is ConsentSource.FLAG]
    flags += [impact for name, impact in options.allow_impact if name in names]
    flags += [DESTROY] if options.allow_destroy.intersection(names) else []
    flags += [FREEZE] if options.ignore_freeze.intersection(names) else []
    given = {*by_manifest(classes, limit), *(Consent(name, ConsentSource.FLAG) for name in flags)}
    kept = [
        one
        for one in given
        if (bool(change.freeze) if one.to == FREEZE else concerns(one.to, change.impacts, protected=change.protected))
    ]
    return replace(change, consents=tuple(sorted(kept, key=lambda one: (one.to, one.source.value))))
