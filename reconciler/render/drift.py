"""Drift as text: for each field the live value, the declared value, and which side changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from reconciler.diff import FieldChange
from reconciler.kinds import MISSING
from reconciler.model import Address
from reconciler.plan.drift import Ahead, Drift
from reconciler.render.escape import clean
from reconciler.render.long_values import change_rows
from reconciler.render.reasons import why
from reconciler.render.text import paint
from reconciler.render.values import field_at, is_simple, quantity

_WHERE = {Ahead.CLUSTER: "on the cluster", Ahead.MANIFESTS: "in the manifests", Ahead.BOTH: "on both sides"}
_STYLES = {Ahead.CLUSTER: "-", Ahead.MANIFESTS: "+", Ahead.BOTH: "~"}


def drift_text(
    found: Sequence[Drift],
    color: bool = False,
    since: Mapping[tuple[Address, str], tuple[float, str]] | None = None,
    width: int = 100,
    clusters: Sequence[str] = (),
) -> str:
    """Return *found* as text that ends with its summary line.

    *since* has by address and path the time of the change (seconds since the epoch) and its author, where known;
    *clusters* has the names of those that were compared.
    """
    if not found:
        where = ", ".join(clean(name) for name in clusters if name)
        return paint(f"No drift on {where}." if where else "No drift.", "bold", color) + "\n"
    lines: list[str] = []
    for address, drifts in groupby(found, key=lambda drift: drift.address):
        lines.append(f"  {clean(str(address))}")
        for drift in drifts:
            when = (since or {}).get((drift.address, drift.path))
            reason = paint(clean(f"{why(drift)}{_since(*when) if when else ''}"), _STYLES[drift.ahead], color)
            if drift.path:
                lines.append(f"      {clean(drift.path)}")
                lines += _values(drift, color, max(width, 40))
                lines.append(f"          {reason}")
            else:
                lines.append(f"      {reason}")
    ahead = Counter(drift.ahead for drift in found)
    summary = ", ".join(f"{ahead[side]} {_WHERE[side]}" for side in (Ahead.CLUSTER, Ahead.MANIFESTS, Ahead.BOTH))
    return "\n".join([*lines, "", paint(f"Drift: {summary}.", "bold", color)]) + "\n"


def _since(at: float, who: str) -> str:
    return f", since {time.strftime('%Y-%m-%d %H:%M', time.gmtime(at))} UTC{f' by {who}' if who else ''}"


def _values(drift: Drift, color: bool, width: int) -> Iterator[str]:
    live, declared = short_value(drift, drift.live), short_value(drift, drift.declared)
    if max(len(live), len(declared)) + 20 <= width and is_simple(drift.live) and is_simple(drift.declared):
        yield f"          cluster   {live}"
        yield f"          declared  {declared}"
        return
    yield "          cluster (-), declared (+)"
    yield from difference_lines(drift, color, width)


def difference_lines(drift: Drift, color: bool, width: int) -> Iterator[str]:
    """Yield the lines of a difference between long values: "-" is live, "+" is declared."""
    only = "-" if drift.declared is MISSING else "+" if drift.live is MISSING else ""
    for row in change_rows(drift.address.kind, FieldChange(drift.path, drift.live, drift.declared), width - 10):
        mark = row.mark or only
        yield paint(f"{'':8}{mark:<2}{row.text}", mark, color)


def short_value(drift: Drift, value: Any) -> str:
    """Return a live or declared value on one line."""
    field = field_at(drift.address.kind, drift.path) if drift.path else None
    return "nothing" if value is MISSING else quantity(value, field.form.unit if field else None)
