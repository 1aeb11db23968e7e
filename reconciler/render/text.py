"""A plan as text for a terminal. `show` prints it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from reconciler.diff import FieldChange, masked
from reconciler.kinds import MISSING, load_kinds
from reconciler.model import Address, Level, Note, Reason
from reconciler.plan import Action, Change, Plan
from reconciler.render.calls import call_lines
from reconciler.render.escape import clean
from reconciler.render.impacts import ignored_freeze_lines, impact_line, impact_lines
from reconciler.render.long_values import change_rows
from reconciler.render.reasons import note_text, why
from reconciler.render.values import change_text, is_simple

if TYPE_CHECKING:
    from reconciler.render.calls import Calls

COLORS = {"+": "32", "~": "33", "-/+": "35", "-": "31", ".": "2", "!": "33", "bold": "1", "dim": "2"}
_WIDEST_PATH = 40
_MOST_NAMES = 3  # of objects in one line
_NARROWEST = 40  # on narrower terminals, lines wrap


def paint(text: str, style: str, color: bool) -> str:
    """Return *text* in the color of a mark, or unchanged."""
    return f"\x1b[{COLORS[style]}m{text}\x1b[0m" if text and color and style in COLORS else text


def counts(changes: Iterable[Change]) -> dict[Action, int]:
    """Count changes by action; the second step of a create does not count."""
    found = dict.fromkeys(Action, 0)
    for change in changes:
        if change.action is not Action.UPDATE or change.uid is not None:
            found[change.action] += 1
    return found


def summary(plan: Plan) -> str:
    """Return the summary line, which CI bots parse, and after it a line with the impacts.

    Held objects may differ from their manifests, so they are counted too, and so are clusters that failed.
    """
    tail = f" {plan.held} held." if plan.held else ""
    tail += f" {failed_clusters(len(plan.failures))}." if plan.failures else ""
    if not plan.changes and not plan.in_progress:
        return f"No changes.{tail}"
    count = counts(plan.changes)
    parts = [
        f"{count[Action.CREATE]} to create",
        f"{count[Action.UPDATE]} to update",
        f"{count[Action.DELETE]} to delete",
    ]
    parts += [
        f"{count[action]} to {action.name.lower()}" for action in (Action.REPLACE, Action.FORGET) if count[action]
    ]
    return "\n".join(filter(None, (f"Plan: {', '.join(parts)}.{tail}", impact_line(plan))))


def failed_clusters(number: int) -> str:
    """Return how many clusters failed, for a summary line."""
    return f"{number} cluster{'' if number == 1 else 's'} failed"


def plan_text(plan: Plan, width: int = 100, color: bool = False, calls: Calls | None = None) -> str:
    """Return *plan* as text that ends with its summary; with *calls*, those of each change are below it."""
    width = max(width, _NARROWEST)
    several, grouped = plan.several, grouped_notes(plan)
    blocks: list[str] = []
    for cluster in _clusters(plan):
        lines = [
            line
            for change in plan.changes
            if change.address.cluster == cluster
            for line in (*_change(change, width, color, several), *_calls(change, calls, width, color))
        ]
        notes = [one for one in grouped if {note.address.cluster for note in one.notes} == {cluster}]
        if several and (lines or notes):
            blocks.append(paint(f"Cluster {clean(cluster)}", "bold", color))
        if lines:
            blocks.append("\n".join(lines))
        if notes:
            blocks.append("\n".join(line for one in notes for line in _note(one, width, color)))
    shared = [one for one in grouped if len({note.address.cluster for note in one.notes}) > 1]
    if shared:
        blocks.append("\n".join(line for one in shared for line in _note(one, width, color)))
    for failure in plan.failures:
        text = f"Cluster {clean(failure.cluster)} failed ({failure.error}); it is not part of this plan"
        blocks.append(paint(text, "-", color))
    blocks += [paint(line, "!", color) for line in ignored_freeze_lines(plan)]
    blocks.append("\n".join(paint(line, "bold", color) for line in summary(plan).split("\n")))
    return "\n\n".join(blocks) + "\n"


def _clusters(plan: Plan) -> list[str]:
    return sorted(
        {*plan.clusters, *(c.address.cluster for c in plan.changes), *(n.address.cluster for n in plan.notes)}
    )


def name_of(address: Address, several: bool = False) -> str:
    """Return an address, escaped; with its cluster where the run covers *several*."""
    return clean(str(address if several else address._replace(cluster="")))


def _change(change: Change, width: int, color: bool, several: bool) -> Iterator[str]:
    mark = change.action.value
    head = f"{mark:>3} {name_of(change.address, several)}"
    if change.renamed_from:
        head += f" (was {clean(change.renamed_from)})"
    reason = f"  # {clean(why(change))}" if why(change) else ""
    if reason and len(head + reason) > width:
        yield paint(head, mark, color)
        yield from (paint(line, "dim", color) for line in _wrapped(reason.strip(), "      ", width))
    else:
        yield paint(head, mark, color) + paint(reason, "dim", color)
    for text, harm in impact_lines(change):
        yield from (paint(line, "-" if harm else "!", color) for line in _wrapped(f"! {text}", "      ", width))
    yield from field_lines(change, width, color)


def _calls(change: Change, calls: Calls | None, width: int, color: bool) -> Iterator[str]:
    for text in call_lines((calls or {}).get(change.number)):
        yield from (paint(line, "dim", color) for line in _wrapped(f"> {text}", "      ", width))


def field_lines(change: Change, width: int, color: bool) -> Iterator[str]:
    """Yield a line for each field of *change*, paths aligned; more where a value does not fit on a line."""
    creates = change.action is Action.CREATE
    options = _options(change)
    column = min(max((len(clean(field.path)) for field in (*change.fields, *options)), default=0), _WIDEST_PATH)
    for field in (*change.fields, *options):
        mark = "+" if field.before is MISSING else "-" if field.after is MISSING else "~"
        mark = " " if creates or field in options else mark
        path = clean(field.path)
        lead = f"    {mark} {path:<{column}}  "
        text = change_text(change.address.kind, field)
        simple = is_simple(field.before) and is_simple(field.after)
        if simple and len(lead) + len(text) <= width:
            yield paint(f"    {mark}", mark, color) + f" {path:<{column}}  {text}".rstrip()
            continue
        yield paint(f"    {mark}", mark, color) + f" {path}"
        for row in change_rows(change.address.kind, field, width - 10):
            yield paint(f"{'':8}{row.mark:<2}{row.text}", row.mark, color)


def _options(change: Change) -> tuple[FieldChange, ...]:
    """Return the options of an update: fields that say how it is made."""
    kind = load_kinds().get(change.address.kind)
    if kind is None or change.action is not Action.UPDATE:
        return ()
    named = sorted(
        name for name in change.body if name in kind.fields and kind.fields[name].access.option_of is not None
    )
    return tuple(FieldChange(name, MISSING, masked(change.body[name])) for name in named)


class NoteGroup(NamedTuple):
    """Notes that say the same: of an object on several clusters, or of many objects that are no longer declared."""

    subject: str
    text: str
    notes: tuple[Note, ...]


def grouped_notes(plan: Plan) -> list[NoteGroup]:
    """Return the notes of *plan* in order, each text once where it is about several clusters or undeclared objects."""
    groups: dict[tuple[object, ...], list[Note]] = {}
    for note in plan.notes:
        name = str(note.address._replace(cluster=""))
        text = note_text(note).replace(str(note.address), name)
        undeclared = note.reason is Reason.WOULD_PRUNE
        groups.setdefault((note.level, note.reason, text, "" if undeclared else name), []).append(note)
    return [NoteGroup(_subject(notes, plan.several), _text(notes), tuple(notes)) for notes in groups.values()]


def _subject(notes: Sequence[Note], several: bool) -> str:
    if len(notes) == 1:
        return name_of(notes[0].address, several)
    if len({note.address[1:] for note in notes}) == 1:
        clusters = ", ".join(clean(note.address.cluster) for note in notes)
        return f"{name_of(notes[0].address)} on {len(notes)} clusters ({clusters})"
    shown = ", ".join(name_of(note.address, several) for note in notes[:_MOST_NAMES])
    return f"{len(notes)} objects ({shown}{', …' if len(notes) > _MOST_NAMES else ''})"


def _text(notes: Sequence[Note]) -> str:
    text, address = note_text(notes[0]), notes[0].address
    return text if len(notes) == 1 else text.replace(str(address), str(address._replace(cluster="")))


def _note(group: NoteGroup, width: int, color: bool) -> Iterator[str]:
    held = " (held)" if group.notes[0].level is Level.HELD else ""
    lines = _wrapped(f"! {group.subject}{held}: {clean(group.text)}", "  ", width)
    return (paint(line, "!", color) for line in lines)


def _wrapped(text: str, indent: str, width: int) -> Sequence[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    ) or [indent]
