"""Values that need more than one line: nothing is cut, and of a changed text or list what differs is shown.

The plan renderers and drift call this. A row is a mark and a text: "-" what is removed, "+" what is added, "" the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.diff import FieldChange
from reconciler.kinds import MISSING, Field
from reconciler.render.escape import clean
from reconciler.render.values import ARROW, field_at, is_flat, quantity, shown

_CONTEXT = 3  # unchanged lines or words around a difference
_CONTEXT_LENGTH = 60  # characters of it, where the text has neither
_MOST_COMPARED = 100_000  # pairs of parts; a larger difference is shown as removed and added as a whole
_NARROWEST = 20
_PIECES = re.compile(r"\w+|\W")


class Row(NamedTuple):
    """One line of a long value."""

    mark: str
    text: str


class _Parts(NamedTuple):
    """How a text is split for a comparison: into lines, words, or runs of letters."""

    split: Sequence[Sequence[str]]  # before, after
    joint: str
    word: str


def change_rows(kind: str, change: FieldChange, width: int) -> Iterator[Row]:
    """Yield the rows of *change*: the value where there is only one, otherwise what differs."""
    field = field_at(kind, change.path)
    before, after = change.before, change.after
    if before is MISSING or after is MISSING:
        value = after if before is MISSING else before
        yield from (Row("", line) for line in value_lines(value, field, width, expand=True))
    elif isinstance(before, str) and isinstance(after, str):
        if "\n" not in before + after and max(len(shown(before)), len(ARROW[1:]) + len(shown(after))) <= width:
            yield Row("", shown(before))
            yield Row("", ARROW[1:] + shown(after))
        else:
            yield from _text_rows(before, after, width)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_rows(before, after, field, width)
    else:
        yield from (Row("-", line) for line in value_lines(before, field, width))
        yield from (Row("+", line) for line in value_lines(after, field, width))


def value_lines(value: Any, field: Field | None, width: int, *, expand: bool = False) -> Iterator[str]:
    """Yield all of *value*: on one line where it is simple and fits, otherwise a line for each part, as in YAML.

    With *expand*, a map never is on one line.
    """
    width = max(width, _NARROWEST)
    unit = field.form.unit if field is not None else None
    line = quantity(value, unit)
    if isinstance(value, str) and "\n" in value.rstrip("\n"):
        for part in value.rstrip("\n").split("\n"):
            yield from (f"| {piece}" for piece in _wrapped(clean(part), width - 2))
    elif len(line) <= width and is_flat(value) and not (expand and isinstance(value, Mapping)):
        yield line
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _named_lines(f"{clean(str(name))}:", item, field.properties.get(name) if field else None, width)
    elif isinstance(value, list | tuple):
        for item in value:
            first, *rest = value_lines(item, field.items if field is not None else None, width - 2)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield from _wrapped(line, width)


def _named_lines(name: str, item: Any, field: Field | None, width: int) -> Iterator[str]:
    lines = list(value_lines(item, field, width - 2))
    if len(lines) == 1 and len(name) + 1 + len(lines[0]) <= width and not lines[0].startswith("- "):
        yield f"{name} {lines[0]}"
        return
    yield from _wrapped(name, width)
    yield from (f"  {line}" for line in lines)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield all of *text* in lines of at most *width* characters, broken at a space where there is one."""
    start, width = 0, max(width, _NARROWEST)
    while len(text) - start > width:
        space = text.rfind(" ", start + 1, start + width + 1)
        end = space if space > 0 else start + width
        yield text[start:end]
        start = end + (space > 0)  # the end of a line stands for the space
    yield text[start:]


def _text_rows(before: str, after: str, width: int) -> Iterator[Row]:
    parts = _parts(before, after)
    old, new = parts.split
    hunks = _hunks(old, new)
    if not any(tag == "equal" for tag, *_ in hunks):
        yield from (Row("-", line) for line in value_lines(before, None, width))
        yield from (Row("+", line) for line in value_lines(after, None, width))
        return
    for place, (tag, low, high, low_new, high_new) in enumerate(hunks):
        if tag == "equal":
            yield from _context(old[low:high], parts, (place > 0, place < len(hunks) - 1), width)
            continue
        yield from _piece("-", old[low:high], parts, width)
        yield from _piece("+", new[low_new:high_new], parts, width)


def _parts(before: str, after: str) -> _Parts:
    both = (before, after)
    if any("\n" in text.rstrip("\n") for text in both):
        if all(text.endswith("\n") for text in both):
            both = (before[:-1], after[:-1])
        return _Parts([text.split("\n") for text in both], "\n", "line")
    if any(" " in text for text in both):
        return _Parts([text.split(" ") for text in both], " ", "word")
    return _Parts([_PIECES.findall(text) for text in both], "", "character")


def _hunks(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """Return the parts that are equal and those that differ, as `difflib` has them, at a bounded cost."""
    from difflib import SequenceMatcher

    least = min(len(old), len(new))
    head = next((at for at in range(least) if old[at] != new[at]), least)
    tail = next((at for at in range(least - head) if old[-1 - at] != new[-1 - at]), least - head)
    low, high = len(old) - tail, len(new) - tail
    found = [("equal", 0, head, 0, head)]
    if (low - head) * (high - head) > _MOST_COMPARED:
        found.append(("replace", head, low, head, high))
    else:
        codes = SequenceMatcher(None, old[head:low], new[head:high], autojunk=False).get_opcodes()
        found += [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in codes]
    found.append(("equal", low, len(old), high, len(new)))
    return [one for one in found if one[1] < one[2] or one[3] < one[4]]


def _context(same: Sequence[str], parts: _Parts, sides: tuple[bool, bool], width: int) -> Iterator[Row]:
    """Yield what is unchanged beside a difference: the nearest parts, and how many there are between them."""
    follows, precedes = sides
    most = _CONTEXT_LENGTH if parts.word == "character" else _CONTEXT
    sizes = [len(one) for one in same] if parts.word == "character" else [1] * len(same)
    first = _fitting(sizes, most) if follows else 0
    last = len(same) - (_fitting(sizes[::-1], most) if precedes else 0)
    hidden = sum(sizes[first:last])
    if last <= first or hidden <= most:
        yield from _piece("", same, parts, width)
        return
    yield from _piece("", same[:first], parts, width)
    yield Row("", f"({hidden} unchanged {parts.word}s)")
    yield from _piece("", same[last:], parts, width)


def _fitting(sizes: Sequence[int], most: int) -> int:
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > most:
            return count
    return len(sizes)


def _piece(mark: str, texts: Sequence[str], parts: _Parts, width: int) -> Iterator[Row]:
    if not texts:
        return
    if parts.word == "line":
        lines: Iterator[str] = (f"| {piece}" for text in texts for piece in _wrapped(clean(text), width - 2))
    else:
        escaped = clean(parts.joint.join(texts)).replace('"', '\\"')
        lines = _wrapped(f'"{escaped}"', width)
    yield from (Row(mark, line) for line in lines)


def _list_rows(before: list[Any], after: list[Any], field: Field | None, width: int) -> Iterator[Row]:
    """Yield the items that are removed and added; equal ones are counted."""
    items = field.items if field is not None else None
    old, new = ([tuple(value_lines(item, items, width - 2)) for item in side] for side in (before, after))
    for tag, low, high, low_new, high_new in _hunks([*map("\n".join, old)], [*map("\n".join, new)]):
        if tag == "equal":
            yield Row("", f"({high - low} unchanged)")
            continue
        for mark, lines in (*(("-", one) for one in old[low:high]), *(("+", one) for one in new[low_new:high_new])):
            yield Row(mark, f"- {lines[0]}")
            yield from (Row(mark, f"  {line}") for line in lines[1:])
