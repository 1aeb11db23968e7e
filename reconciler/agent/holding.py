"""What a pass leaves alone unasked, and how: what is fought over, and what git has no consent for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from reconciler.agent import history
from reconciler.errors import DestroyProtected, ImpactRefused, PlanTooLarge
from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.plan import Options, Plan, check


class Held(NamedTuple):
    """Why something is left alone, and until when, where that is known (seconds since the epoch)."""

    why: str
    until: float | None = None


def without_fought(resource: Resource, fought: Iterable[str]) -> Resource:
    """Return *resource* without care for the fields that others keep changing back."""
    prefix = history.place(resource.address, "")
    fields = {place[len(prefix) :] for place in fought if place.startswith(prefix) and place != prefix}
    names = set(map(history.top, fields))
    return replace(resource, ignore=(*resource.ignore, *sorted(names))) if names else resource


def patterns(addresses: Iterable[Address]) -> tuple[str, ...]:
    """Return patterns that mean these addresses and no other."""
    return tuple(sorted(re.sub(r"([*?[])", r"[\1]", str(address)) for address in addresses))


def refused(plan: Plan, options: Options) -> dict[Address, Held]:
    """Return which changes do lasting harm without consent in git, each with the reason."""
    found: dict[Address, Held] = {}
    for change in plan.changes:
        try:
            check(replace(plan, changes=(change,), present={}), options)
        except (DestroyProtected, ImpactRefused) as error:
            found[change.address] = Held(str(error))
        except PlanTooLarge:
            continue
    return found
