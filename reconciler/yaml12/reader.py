"""YAML text to plain values, strictly and within bounds. The home of PyYAML.

Called by `manifests` and `settings`. Two builders stand on the events of the parser, before anything is composed. The
*quick* one keeps no positions and gives up at the first thing out of the ordinary. The *careful* one then reads the
same text again, knows places, anchors and merge keys, and collects every problem; it also answers `Document.place`, so
text that is in order is never read with positions at all. Knows nothing of manifests, schemas or where a text is from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.errors import InputError, Problem
from reconciler.yaml12.careful import Tree, findings
from reconciler.yaml12.events import SyntaxProblem
from reconciler.yaml12.quick import Odd, values
from reconciler.yaml12.text import BOUNDS, Bounds, Path, unreadable


class Place(NamedTuple):
    """Where something was written."""

    file: str
    line: int
    column: int


class _Source:
    """The text of one file, read with positions when somebody first asks for one."""

    __slots__ = ("_trees", "bounds", "data", "file")

    def __init__(self, file: str, data: bytes, bounds: Bounds) -> None:
        self.file = file
        self.data = data
        self.bounds = bounds
        self._trees: list[Tree] | None = None

    def carefully(self) -> Reading:
        found = findings(self.data, self.file, self.bounds)
        self._trees = found.trees
        documents = [
            Document(tree.value, self, index, faults)
            for index, (tree, faults) in enumerate(zip(found.trees, found.faults, strict=True))
        ]
        return Reading(documents, found.problems)

    def tree(self, index: int) -> Tree:
        if self._trees is None:
            self._trees = findings(self.data, self.file, self.bounds).trees
        return self._trees[index]


class Document:
    """One YAML document: its plain value, and where its parts were written. Values under aliases are shared."""

    __slots__ = ("_line", "_source", "faults", "index", "value")

    def __init__(
        self, value: Any, source: _Source, index: int, faults: tuple[Path, ...] = (), line: int | None = None
    ) -> None:
        self.value = value
        self.index = index
        self._line = line
        self.faults = faults  # paths at which a problem was reported: what stands there is not to be judged again
        self._source = source

    @property
    def file(self) -> str:
        return self._source.file

    @property
    def line(self) -> int:
        """The line on which it begins, from 1; known without reading the text with positions."""
        return self.place()[0] if self._line is None else self._line

    def place(self, path: Path = ()) -> tuple[int, int]:
        """Return line and column of *path*, or of the deepest part of it that was written.

        A member of a mapping is at its key, an item of a list at its first character.
        """
        line, column, _ = self._source.tree(self.index).find(path)
        return line, column

    def locate(self, path: Path = ()) -> Place:
        """Return `place` with the file."""
        return Place(self._source.file, *self.place(path))

    def holds(self, path: Path) -> bool:
        """Tell whether all of *path* was written in this document."""
        return self._source.tree(self.index).find(path)[2]


class Reading(NamedTuple):
    """What could be read of a text, and everything that is wrong with it."""

    documents: list[Document]
    problems: list[Problem]


def read(text: bytes | str, file: str, bounds: Bounds = BOUNDS) -> list[Document]:
    """Return the documents of *text*; raise `InputError` with every problem found."""
    documents, problems = parse(text, file, bounds)
    if problems:
        raise InputError(problems)
    return documents


def parse(text: bytes | str, file: str, bounds: Bounds = BOUNDS) -> Reading:
    """Return the documents of *text* that could be read, with every problem found. Bad input never raises."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    problem = unreadable(data, file, bounds)
    if problem:
        return Reading([], [problem])
    source = _Source(file, data, bounds)
    try:
        read_quickly = list(values(data, bounds))
    except (Odd, SyntaxProblem):
        return source.carefully()
    documents = [Document(value, source, index, line=line) for index, (value, line) in enumerate(read_quickly)]
    return Reading(documents, [])
