"""What the pages of plan and drift show, as plain values and terminal text. No I/O.

`pages` puts them into templates, which escape them. The terminal's text is shown with its colours as classes: colours
are read back from escape sequences; foreign text contains none, since `render.escape.clean` has replaced them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from reconciler.agent.status import DriftEntry
from reconciler.plan import Plan
from reconciler.plan.drift import Ahead
from reconciler.render.drift import difference_lines, short_value
from reconciler.render.escape import shorten
from reconciler.render.reasons import why
from reconciler.render.text import plan_text, summary
from reconciler.render.values import is_simple
from reconciler.web.formatting import MAX_TEXT, DisplayTime, display_time_of

MAX_CHANGES: Final = 500
MAX_DRIFT: Final = 500  # fields
WIDTH: Final = 100  # columns, as in a terminal
_MAX_LINES: Final = 10_000  # of a plan
_MAX_FIELD_LINES: Final = 400  # of one field of the drift
_SHORT: Final = 200  # characters; longer values are compared

_COLORED: Final = re.compile(r"\x1b\[([0-9]{1,3})m(.*?)\x1b\[0m", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MAX_INDENT: Final = 14  # columns of indentation that the style sheet has classes for


def terminal(text: str) -> Markup:
    """Return *text* as the inside of a `pre`."""
    return Markup("\n").join(_line(line) for line in text.rstrip("\n").split("\n"))


def _line(line: str) -> Markup:
    plain = _COLORED.sub(lambda match: match[2], line)
    depth = min(len(plain) - len(plain.lstrip(" ")), _MAX_INDENT)
    return Markup('<span class="line i{}">{}</span>').format(depth, Markup("").join(_pieces(line)))


def _pieces(line: str) -> Iterator[Markup]:
    end = 0
    for match in _COLORED.finditer(line):
        yield _plain(line[end : match.start()])
        yield Markup('<span class="c{}">{}</span>').format(match[1], _plain(match[2]))
        end = match.end()
    yield _plain(line[end:])


def _plain(text: str) -> Markup:
    return escape(_CONTROL.sub("\ufffd", text))


class PlanView(NamedTuple):
    """A plan as the terminal shows it."""

    text: str  # with escape sequences for colours
    summary: str
    omitted: int


class FieldDrift(NamedTuple):
    """The drift of one field, or with no path of one object."""

    path: str
    live: str
    declared: str
    difference: str  # between long values, as terminal text; live and declared are "" then
    ahead: str  # ours, theirs, both
    direction: str
    why: str
    since: DisplayTime
    who: str


_DIRECTIONS: Final = {
    Ahead.MANIFESTS: "git is ahead",
    Ahead.CLUSTER: "cluster is ahead",
    Ahead.BOTH: "diverged",
}


def plan_view(plan: Plan | None) -> PlanView | None:
    """Return *plan* as text of a terminal; of a very long one the start."""
    if plan is None:
        return None
    part = replace(plan, changes=plan.changes[:MAX_CHANGES], notes=plan.notes[:MAX_CHANGES])
    body = plan_text(part, width=WIDTH, color=True).rstrip("\n").rpartition("\n\n")[0]
    omitted = max(0, len(plan.changes) - MAX_CHANGES) + max(0, len(plan.notes) - MAX_CHANGES)
    body = _bounded(body.split("\n"), _MAX_LINES, "plan")
    return PlanView(body, summary_line(plan), omitted)


def summary_line(plan: Plan) -> str:
    """Return the counts of a plan, which a terminal has on two lines."""
    return summary(plan).replace("\n", " ")


def drift_view(entries: Sequence[DriftEntry], now: float) -> list[tuple[str, list[FieldDrift]]]:
    """Return the drift by object."""
    shown = entries[:MAX_DRIFT]
    return [
        (shorten(f"{address.kind}/{address.name}", 600), [_field_drift(entry, now) for entry in group])
        for address, group in groupby(shown, key=lambda entry: entry.drift.address)
    ]


def _field_drift(entry: DriftEntry, now: float) -> FieldDrift:
    drift = entry.drift
    live, declared, difference = short_value(drift, drift.live), short_value(drift, drift.declared), ""
    if max(len(live), len(declared)) > _SHORT or not (is_simple(drift.live) and is_simple(drift.declared)):
        difference = _bounded(difference_lines(drift, True, WIDTH), _MAX_FIELD_LINES, "drift")
        live = declared = ""
    return FieldDrift(
        path=shorten(drift.path, MAX_TEXT),
        live=live,
        declared=declared,
        difference=difference,
        ahead=drift.ahead.value,
        direction=_DIRECTIONS[drift.ahead],
        why=shorten(why(drift), MAX_TEXT),
        since=display_time_of(entry.since, now),
        who=shorten(entry.who, 200),
    )


def _bounded(lines: Iterable[str], most: int, command: str) -> str:
    """Return *lines* as text, of more than *most* the first ones and which command shows the others."""
    first = list(islice(lines, most + 1))
    if len(first) > most:
        first[most:] = [f"The rest is not shown here; `reconciler {command}` shows all."]
    return "\n".join(first)
