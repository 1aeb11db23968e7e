"""The impact of a change on connections, data and the access of this tool.

The planner, `consent` and the renderers call this. It knows the kind files (`x-impact`), and no cluster.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.diff import FieldChange
from reconciler.kinds import MISSING, Field, Impact, Kind
from reconciler.kinds.vocabulary import IMPACTS
from reconciler.plan.bodies import fields_along

RANK = {name: rank for rank, name in enumerate(IMPACTS)}
LOCKS_OUT = "may-cut-off"
LOSES = "loses-data"

Figures = Mapping[str, float]  # what was measured of one object, by name, such as used_memory


class Impacted(NamedTuple):
    """One impact of one change."""

    impact: str  # a class of `vocabulary.IMPACTS`
    field: str  # path; "" for the whole object
    why: str = ""

    def __str__(self) -> str:
        where = f": {self.field}" if self.field else ""
        does = "cannot be undone" if self.impact == "irreversible" else self.impact.replace("-", " ")
        return f"{does}{where}" + (f" ({self.why})" if self.why else "")


def impacts_of(
    kind: Kind, name: str, fields: Iterable[FieldChange], body: Mapping[str, Any], figures: Figures
) -> tuple[Impacted, ...]:
    """Return what an update of *name* with these *fields* and this *body* does, the worst first, each once.

    An option is not state and never a change, but it says how a change is made.
    """
    options = (
        FieldChange(field, MISSING, body[field]) for field in body if kind.fields[field].access.option_of is not None
    )
    found = {
        Impacted(impact.impact, path, impact.why)
        for change in (*fields, *options)
        for path, part, impact in _along(kind, change)
        if impact.impact != "none"
        and name in (impact.names or (name,))
        and _happens(impact, part, body.get(path), figures)
    }
    return ordered(found)


def ordered(found: Iterable[Impacted]) -> tuple[Impacted, ...]:
    """Return *found* with the worst first."""
    return tuple(sorted(found, key=lambda one: (-RANK[one.impact], one.field, one.why)))


def undecided(kind: Kind, fields: Iterable[FieldChange]) -> frozenset[str]:
    """Return the names of the figures that decide whether a change of *fields* loses something."""
    return frozenset(
        impact.below
        for change in fields
        for _, part, impact in _along(kind, change)
        if impact.below and _happens(impact, part, None, {})
    )


def increased(
    kind: Kind, name: str, fields: Iterable[FieldChange], known: Iterable[Impacted], figures: Figures
) -> list[Impacted]:
    """Return the impacts of an update of *name* by the *figures* of now that were not *known* when it was planned."""
    now = impacts_of(kind, name, [one for one in fields if undecided(kind, (one,))], {}, figures)
    return [one for one in now if one not in set(known)]


def count(changes: Iterable[Iterable[Impacted]]) -> dict[str, int]:
    """Count by class how many *changes* do it, the worst first."""
    found = Counter(name for impacts in changes for name in {one.impact for one in impacts})
    return dict(sorted(found.items(), key=lambda item: -RANK[item[0]]))


def _along(kind: Kind, change: FieldChange) -> Iterator[tuple[str, FieldChange, Impact]]:
    """Yield (path, change there, impact) for each field on the path of *change*, and each changed field inside."""
    for path, field in fields_along(kind, change.path):
        for impact in field.change.impacts:
            if change.path.rpartition(".")[2] not in impact.but or change.path == path:
                yield path, change, impact
        if path == change.path:
            yield from _inside(field, change)


def _inside(field: Field, change: FieldChange) -> Iterator[tuple[str, FieldChange, Impact]]:
    before, after = (side if isinstance(side, dict) else {} for side in (change.before, change.after))
    for name in sorted({*before, *after} & field.properties.keys()):
        below = FieldChange(f"{change.path}.{name}", before.get(name, MISSING), after.get(name, MISSING))
        if below.before != below.after:
            for impact in field.properties[name].change.impacts:
                yield below.path, below, impact
            yield from _inside(field.properties[name], below)


def _happens(impact: Impact, change: FieldChange, sent: Any, figures: Figures) -> bool:
    """Return whether *change* has *impact*; *sent* is the whole new value of a top-level field."""
    if impact.to and change.after not in impact.to:
        return False
    if impact.was and change.before is not MISSING and change.before not in impact.was:
        return False
    if impact.when == "taken":
        return change.before is not MISSING and change.before != []
    if impact.when == "set":
        return change.after is not MISSING if sent is None else bool(sent)
    if not impact.when:
        return True
    before, after = (_amount(side, impact.unlimited) for side in (change.before, change.after))
    if before is not None and after is not None and (after > before) != (impact.when == "increase"):
        return False
    figure = figures.get(impact.below) if impact.below else None
    return figure is None or after is None or after < figure  # unknown counts as the worse


def _amount(value: Any, unlimited: int | None) -> float | None:
    """Return *value* as something to compare; None where it is not a number."""
    if unlimited is not None and value == unlimited and type(value) is not bool:
        return math.inf
    return float(value) if isinstance(value, int | float) else None
