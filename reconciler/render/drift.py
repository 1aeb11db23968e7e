"""Drift as text: for each field what the cluster has, what is declared, and who moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from reconciler.drift import Ahead, Drift
from reconciler.kinds import MISSING, Address
from reconciler.render.escape import clean
from reconciler.render.text import paint
from reconciler.render.values import field_at, quantity

_WHERE = {Ahead.THEIRS: "on the cluster", Ahead.OURS: "in the manifests", Ahead.BOTH: "on both sides"}
_STYLES = {Ahead.THEIRS: "-", Ahead.OURS: "+", Ahead.BOTH: "~"}


def drift_text(found: Sequence[Drift], color: bool = False) -> str:
    """Return *found* as text that ends with its summary line."""
    if not found:
        return paint("No drift.", "bold", color) + "\n"
    several = len({drift.address.cluster for drift in found}) > 1
    lines: list[str] = []
    for address, drifts in groupby(found, key=lambda drift: drift.address):
        lines.append(f"  {clean(_title(address, several))}")
        for drift in drifts:
            why = paint(clean(drift.why), _STYLES[drift.ahead], color)
            if drift.path:
                lines.append(f"      {clean(drift.path)}")
                lines.append(f"          cluster   {_value(drift, drift.live)}")
                lines.append(f"          declared  {_value(drift, drift.declared)}")
                lines.append(f"          {why}")
            else:
                lines.append(f"      {why}")
    ahead = Counter(drift.ahead for drift in found)
    summary = ", ".join(f"{ahead[side]} {_WHERE[side]}" for side in (Ahead.THEIRS, Ahead.OURS, Ahead.BOTH))
    return "\n".join([*lines, "", paint(f"Drift: {summary}.", "bold", color)]) + "\n"


def _title(address: Address, several: bool) -> str:
    return str(address if several else address._replace(cluster=""))


def _value(drift: Drift, value: Any) -> str:
    field = field_at(drift.address.kind, drift.path)
    return "nothing" if value is MISSING else quantity(value, field.unit if field else None)
