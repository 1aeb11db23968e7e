"""A plan as markdown, for a comment on a pull request: a summary, with the details folded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.plan import Action, Change, Plan, digest
from reconciler.render.calls import call_lines
from reconciler.render.escape import clean, fence, markdown
from reconciler.render.impacts import ignored_freeze_lines, impact_lines
from reconciler.render.reasons import why
from reconciler.render.text import counts, field_lines, grouped_notes, name_of, summary

if TYPE_CHECKING:
    from reconciler.render.calls import Calls

_LIMIT = 60_000  # a comment on the usual forges may have 65,536 characters
_LEAST_NOTES = 4000  # characters, also where the changes take all the room
_WIDTH = 110
_MARKS = {Action.CREATE: "+", Action.UPDATE: "!", Action.REPLACE: "-", Action.DELETE: "-", Action.FORGET: "#"}


def plan_markdown(plan: Plan, calls: Calls | None = None) -> str:
    """Return *plan* as markdown that ends with its digest; with *calls*, those of each change are below it."""
    heading, *impact = summary(plan).split("\n")
    parts = [f"### {heading}", *(f"**{line}**" for line in impact)]
    several = plan.several
    clusters = sorted({change.address.cluster for change in plan.changes})
    room = _LIMIT
    for cluster in clusters:
        changes = [change for change in plan.changes if change.address.cluster == cluster]
        block = _block(plan, changes, calls or {}, room)
        room -= len(block)
        title = f"{markdown(cluster)}: " if several else ""
        opened = " open" if len(plan.changes) <= 10 else ""
        parts.append(f"<details{opened}><summary>{title}{_title(changes)}</summary>\n\n{block}\n\n</details>")
    harms = [f"{change.address}={name}" for change in plan.changes for name in change.unconsented]
    if harms:
        parts.append(f"**Has an impact that needs consent**; refused without it: {', '.join(map(markdown, harms))}")
    if plan.failures:
        why = [f"- {markdown(one.cluster)}: {markdown(one.message)}" for one in plan.failures]
        parts.append("\n".join(["**Not part of this plan**, since these clusters failed:", "", *why]))
    parts += [markdown(line) for line in ignored_freeze_lines(plan)]
    if plan.notes:
        lines = [
            f"- {markdown(one.subject)} ({one.notes[0].level.value}): {markdown(one.text)}"
            for one in grouped_notes(plan)
        ]
        shown = list(_fitting(lines, max(room, _LEAST_NOTES)))
        if len(lines) > len(shown):
            shown.append(f"- {len(lines) - len(shown)} more; `reconciler plan` shows all")
        parts.append("\n".join(shown))
    parts.append(f"<sub>{plan.unchanged} unchanged · plan {digest(plan)}</sub>")
    return "\n\n".join(parts) + "\n"


def _fitting(lines: list[str], room: int) -> Iterator[str]:
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return
        yield line


def _title(changes: list[Change]) -> str:
    count = counts(changes)
    return ", ".join(f"{number} to {action.name.lower()}" for action, number in count.items() if number) or "details"


def _block(plan: Plan, changes: list[Change], calls: Calls, room: int) -> str:
    lines: list[str] = []
    used = 0
    for place, change in enumerate(changes):
        new = [*_lines(change, plan.several), *_calls(change, calls)]
        used += sum(len(line) + 1 for line in new)
        if used > room:
            lines.append(f"# {len(changes) - place} more changes; `reconciler plan` shows all")
            break
        lines += new
    return fence("\n".join(lines), "diff")


def _lines(change: Change, several: bool) -> list[str]:
    reason = f"  # {why(change)}" if why(change) else ""
    was = f" (was {change.renamed_from})" if change.renamed_from else ""
    color, mark = _MARKS[change.action], change.action.value
    name = name_of(change.address, several)
    head = f"{color} {name}" if color == mark else f"{color} {mark} {name}"
    return [
        head + clean(was + reason),
        *(f"{'-' if harm else '!'}     ! {text}" for text, harm in impact_lines(change)),
        *(_marked(line) for line in field_lines(change, _WIDTH, False)),
    ]


def _calls(change: Change, calls: Calls) -> Iterator[str]:
    return (f"      > {text}" for text in call_lines(calls.get(change.number)))


def _marked(line: str) -> str:
    """Put the mark of a field, or of a part of its value, first: a diff block takes its colour from there."""
    for place in (4, 8):
        mark = line[place : place + 1]
        if mark in ("+", "-"):
            return f"{mark}{line[1:place]} {line[place + 1 :]}"
        if mark.strip():
            break
    return f"!{line[1:]}" if line[4:5] == "~" else line
