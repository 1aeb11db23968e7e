"""What the terminal shows, as HTML: the same text, its colours as classes, long lines hanging below their start.

`pages` calls it with what `render` made. Colours are read back from escape sequences; foreign text holds none, since
`render.escape.clean` has spelt them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_PAINTED = re.compile(r"\x1b\[([0-9]{1,3})m(.*?)\x1b\[0m", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_DEEPEST = 14  # columns of indentation that the style sheet knows


def terminal(text: str) -> Markup:
    """Return *text* as the inside of a `pre`."""
    return Markup("\n").join(_line(line) for line in text.rstrip("\n").split("\n"))


def _line(line: str) -> Markup:
    plain = _PAINTED.sub(lambda match: match[2], line)
    depth = min(len(plain) - len(plain.lstrip(" ")), _DEEPEST)
    return Markup('<span class="line i{}">{}</span>').format(depth, Markup("").join(_pieces(line)))


def _pieces(line: str) -> Iterator[Markup]:
    end = 0
    for match in _PAINTED.finditer(line):
        yield _plain(line[end : match.start()])
        yield Markup('<span class="c{}">{}</span>').format(match[1], _plain(match[2]))
        end = match.end()
    yield _plain(line[end:])


def _plain(text: str) -> Markup:
    return escape(_CONTROL.sub("\ufffd", text))
