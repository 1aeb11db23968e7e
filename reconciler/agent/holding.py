"""What a pass leaves alone unasked, and how: what is fought over, and what git has no consent for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from reconciler.agent import history
from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.plan import Options, Plan
from reconciler.plan.limits import missing_consents
from reconciler.render.refusals import consent_text


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
    texts: dict[Address, list[str]] = {}
    for missing in missing_consents(plan, options):
        texts.setdefault(missing.change.address, []).append(consent_text(missing))
    return {address: Held("\n".join(lines)) for address, lines in texts.items()}
