"""What a reconciliation holds (does not change) on its own: contested fields, and changes without consent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from reconciler.agent import drift_history
from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.plan import Change, Plan
from reconciler.render.refusals import consent_text


class Hold(NamedTuple):
    """Why a change is held, and until when, where that is known (seconds since the epoch)."""

    reason: str
    until: float | None = None
    declared: bool = False  # suspended, or in a freeze window: no failure


def without_contested(resource: Resource, contested: Iterable[str]) -> Resource:
    """Return *resource* so that it ignores the fields that others keep reverting."""
    prefix = drift_history.field_key(resource.address, "")
    fields = {key[len(prefix) :] for key in contested if key.startswith(prefix) and key != prefix}
    names = set(map(drift_history.top_level_field, fields))
    return replace(resource, ignore=(*resource.ignore, *sorted(names))) if names else resource


def exclude_patterns(addresses: Iterable[Address]) -> tuple[str, ...]:
    """Return patterns that match these addresses and no others."""
    return tuple(sorted(re.sub(r"([*?[])", r"[\1]", str(address)) for address in addresses))


def without_consent(plan: Plan) -> dict[Address, Hold]:
    """Return the changes that lack consent, each with the reason; not those that an approval of the plan allows."""
    return {
        change.address: _unconsented(change)
        for change in plan.changes
        if change.unconsented and not change.consented_beyond_limit
    }


def beyond_limit(plan: Plan) -> dict[Address, Hold]:
    """Return the changes that need an approval of the plan: the operator does not let manifests consent to them."""
    return {change.address: _unconsented(change) for change in plan.changes if change.consented_beyond_limit}


def _unconsented(change: Change) -> Hold:
    return Hold("\n".join(consent_text(change, one) for one in change.unconsented))
