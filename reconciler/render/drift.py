"""Drift as text: for each field the live value, the declared value, and which side changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from reconciler.kinds import MISSING
from reconciler.model import Address
from reconciler.plan.drift import Ahead, Drift
from reconciler.render.escape import clean
from reconciler.render.reasons import why
from reconciler.render.text import paint
from reconciler.render.values import field_at, quantity

_WHERE = {Ahead.CLUSTER: "on the cluster", Ahead.MANIFESTS: "in the manifests", Ahead.BOTH: "on both sides"}
_STYLES = {Ahead.CLUSTER: "-", Ahead.MANIFESTS: "+", Ahead.BOTH: "~"}


def drift_text(
    found: Sequence[Drift],
    color: bool = False,
    since: Mapping[tuple[Address, str], tuple[float, str]] | None = None,
) -> str:
    """Return *found* as text that ends with its summary line.

    *since* has by address and path the time of the change (seconds since the epoch) and its author, where known.
    """
    if not found:
        return paint("No drift.", "bold", color) + "\n"
    several = len({drift.address.cluster for drift in found}) > 1
    lines: list[str] = []
    for address, drifts in groupby(found, key=lambda drift: drift.address):
        lines.append(f"  {clean(_title(address, several))}")
        for drift in drifts:
            when = (since or {}).get((drift.address, drift.path))
            reason = paint(clean(f"{why(drift)}{_since(*when) if when else ''}"), _STYLES[drift.ahead], color)
            if drift.path:
                lines.append(f"      {clean(drift.path)}")
                lines.append(f"          cluster   {_value(drift, drift.live)}")
                lines.append(f"          declared  {_value(drift, drift.declared)}")
                lines.append(f"          {reason}")
            else:
                lines.append(f"      {reason}")
    ahead = Counter(drift.ahead for drift in found)
    summary = ", ".join(f"{ahead[side]} {_WHERE[side]}" for side in (Ahead.CLUSTER, Ahead.MANIFESTS, Ahead.BOTH))
    return "\n".join([*lines, "", paint(f"Drift: {summary}.", "bold", color)]) + "\n"


def _since(at: float, who: str) -> str:
    return f", since {time.strftime('%Y-%m-%d %H:%M', time.gmtime(at))} UTC{f' by {who}' if who else ''}"


def _title(address: Address, several: bool) -> str:
    return str(address if several else address._replace(cluster=""))


def _value(drift: Drift, value: Any) -> str:
    field = field_at(drift.address.kind, drift.path)
    return "nothing" if value is MISSING else quantity(value, field.form.unit if field else None)
