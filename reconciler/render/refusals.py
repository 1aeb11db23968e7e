"""The texts of refusals: why a plan is refused, and how to consent. `reconcile.check` raises them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.kinds.freeze import Frozen
from reconciler.model import Address, Reason
from reconciler.plan import Change, Consent, ConsentSource
from reconciler.plan.consent import DESTROY, is_destruction
from reconciler.plan.impacts import LOSES
from reconciler.plan.limits import OverLimit
from reconciler.render.reasons import why

_MOST_NAMES: Final = 5


def consent_text(change: Change, lacking: str) -> str:
    """Return what *change* would do, and the ways to consent to *lacking*: a class of impact, or `DESTROY`."""
    found = [one for one in change.impacts if one.impact == lacking or (lacking == DESTROY and is_destruction(one))]
    does = "; ".join(map(str, found)) or "its manifest protects"
    reason = f" ({why(change)})" if why(change) else ""
    ways = [f"use `reconciler apply {consent_flag(change, lacking)}`"]
    if lacking == DESTROY and found:
        does += ", and its manifest protects it"
    elif lacking != DESTROY and Consent(lacking, ConsentSource.BEYOND_LIMIT) in change.consents:
        ways.append(f"add {lacking} to allowedImpacts in the project file: metadata.allow has it already")
    elif lacking != DESTROY:
        where = "a tombstone (state: absent)" if change.reason is Reason.UNDECLARED else "its manifest"
        ways.append(f"metadata.allow: [{lacking}] in {where}, if allowedImpacts of the project file permits it")
    verb = change.action.name.lower()
    return f"the plan would {verb} {change.address}{reason}, which {does}; to consent, {', or '.join(ways)}"


def limit_text(over: OverLimit) -> str:
    """Return by how much a plan is over the limit of one cluster."""
    where = f" on {over.cluster}" if over.cluster else ""
    return (
        f"the plan changes {over.changed} of {over.present} declared objects{where}: over the limit of "
        f"{over.percent} %; apply it in parts with `reconciler apply --target ADDRESS`, or allow more with "
        "limits.updatePercent in the project file or `reconciler apply --max-update-percent N`"
    )


def freeze_text(held: Mapping[Address, Frozen]) -> Iterator[str]:
    """Yield what is not changed now, and the way around it; objects with the same reason share a line."""
    by_reason: dict[Frozen, list[Address]] = {}
    for address, one in held.items():
        by_reason.setdefault(one, []).append(address)
    for one, addresses in by_reason.items():
        names = [str(address) for address in addresses]
        shown = ", ".join(names[:_MOST_NAMES]) + (
            f" and {len(names) - _MOST_NAMES} more" if names[_MOST_NAMES:] else ""
        )
        named = [one.cluster] if one.cluster else names[:_MOST_NAMES]
        way = " ".join(f"--ignore-freeze {shlex.quote(name)}" for name in named)
        yield f"{shown} {'is' if len(names) == 1 else 'are'} frozen: {one}; to change it now: `reconciler apply {way}`"


def consent_flag(change: Change, lacking: str) -> str:
    """Return the flag that consents to *lacking* of *change*, quoted for a shell."""
    if lacking == DESTROY or (lacking == LOSES and _loses_only_itself(change)):
        return f"--allow-destroy {shlex.quote(str(change.address))}"
    return f"--allow-impact {shlex.quote(f'{change.address}={lacking}')}"


def _loses_only_itself(change: Change) -> bool:
    return all(is_destruction(one) for one in change.impacts if one.impact == LOSES)
