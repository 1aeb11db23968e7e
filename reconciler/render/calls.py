"""The calls of a change, known in advance, as text and as plain values. The plan renderers call this.

Names of fields only: `apply.explain` keeps no values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.render.escape import clean

if TYPE_CHECKING:
    from reconciler.apply.recorder import PlannedCall, PlannedCalls

    Calls = Mapping[int, PlannedCalls]  # by number of the change


def call_lines(planned: PlannedCalls | None) -> Iterator[str]:
    """Yield a line for each call, and one for what is not known in advance."""
    if planned is None:
        return
    for call in planned.calls:
        where = f"{call.cluster}: " if call.cluster else ""
        fields = f": {', '.join(call.fields)}" if call.fields else ""
        yield clean(f"{where}{call.method} {call.path}{fields}")
    if planned.unknown:
        yield clean(planned.unknown)


def plain_calls(planned: PlannedCalls) -> dict[str, Any]:
    """Return the calls as members of a change in JSON."""
    unknown = {"calls_unknown": planned.unknown} if planned.unknown else {}
    return {"calls": [_plain(call) for call in planned.calls], **unknown}


def _plain(call: PlannedCall) -> dict[str, Any]:
    other = {"cluster": call.cluster} if call.cluster else {}
    return {"method": call.method, "path": call.path, "fields": list(call.fields), **other}
