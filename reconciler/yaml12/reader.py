"""YAML text to plain values, strictly and within limits.

Called by `manifests` and `settings`. Two readers consume the events of the parser, before anything is composed. The
`fast_path` has no positions and supports plain and valid text only. Otherwise `positions` reads the text again, with
positions, anchors and merge keys, and collects all problems; it also serves `Document.place`, so valid text is never
read with positions unless they are requested. Must not know manifests, schemas or where a text comes from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.errors import InputError, Problem
from reconciler.yaml12.events import SyntaxProblem
from reconciler.yaml12.fast_path import Unsupported, values
from reconciler.yaml12.parser_limits import PARSER_LIMITS, ParserLimits, Path, unreadable
from reconciler.yaml12.positions import ValueNode, documents_with_positions


class Place(NamedTuple):
    """The location of a value in a file."""

    file: str
    line: int
    column: int


class _Source:
    """The text of one file, read with positions when one is first requested."""

    __slots__ = ("_trees", "data", "file", "limits")

    def __init__(self, file: str, data: bytes, limits: ParserLimits) -> None:
        self.file = file
        self.data = data
        self.limits = limits
        self._trees: list[ValueNode] | None = None

    def with_positions(self) -> Reading:
        found = documents_with_positions(self.data, self.file, self.limits)
        self._trees = found.trees
        documents = [
            Document(tree.value, self, index, invalid_paths)
            for index, (tree, invalid_paths) in enumerate(zip(found.trees, found.invalid_paths, strict=True))
        ]
        return Reading(documents, found.problems)

    def tree(self, index: int) -> ValueNode:
        if self._trees is None:
            self._trees = documents_with_positions(self.data, self.file, self.limits).trees
        return self._trees[index]


class Document:
    """One YAML document: its plain value, and the positions of its parts. Values of aliases are shared."""

    __slots__ = ("_line", "_source", "index", "invalid_paths", "value")

    def __init__(
        self, value: Any, source: _Source, index: int, invalid_paths: tuple[Path, ...] = (), line: int | None = None
    ) -> None:
        self.value = value
        self.index = index
        self._line = line
        self.invalid_paths = invalid_paths  # where a problem was reported; not to be validated again
        self._source = source

    @property
    def file(self) -> str:
        return self._source.file

    @property
    def line(self) -> int:
        """The line on which it begins, from 1; known without reading the text with positions."""
        return self.place()[0] if self._line is None else self._line

    def place(self, path: Path = ()) -> tuple[int, int]:
        """Return line and column of *path*, or of its deepest existing part.

        A member of a mapping is at its key, an item of a list at its first character.
        """
        node, _ = self._source.tree(self.index).find(path)
        return node.line, node.column

    def locate(self, path: Path = ()) -> Place:
        """Return `place` with the file."""
        return Place(self._source.file, *self.place(path))

    def holds(self, path: Path) -> bool:
        """Return whether this document contains all of *path*."""
        return self._source.tree(self.index).find(path)[1]

    def written(self, path: Path) -> str:
        """Return the number or boolean at *path* as it is written, `7.10`; "" for anything else."""
        node, whole = self._source.tree(self.index).find(path)
        return node.text if whole else ""


class Reading(NamedTuple):
    """The readable documents of a text, and all problems."""

    documents: list[Document]
    problems: list[Problem]


def read(text: bytes | str, file: str, limits: ParserLimits = PARSER_LIMITS) -> list[Document]:
    """Return the documents of *text*; raise `InputError` with every problem found."""
    documents, problems = parse(text, file, limits)
    if problems:
        raise InputError(problems)
    return documents


def parse(text: bytes | str, file: str, limits: ParserLimits = PARSER_LIMITS) -> Reading:
    """Return the readable documents of *text*, with every problem found. Invalid input never raises."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    problem = unreadable(data, file, limits)
    if problem:
        return Reading([], [problem])
    source = _Source(file, data, limits)
    try:
        fast_values = list(values(data, limits))
    except (Unsupported, SyntaxProblem):
        return source.with_positions()
    documents = [Document(value, source, index, line=line) for index, (value, line) in enumerate(fast_values)]
    return Reading(documents, [])
