"""The reader with positions: events to values with positions, anchors and merge keys, and all problems.

It reads what the fast path does not support, and reads again when a position is requested. Problems that make the rest
unreadable (syntax, limits) end a file; after all others, reading continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from reconciler.errors import Problem
from reconciler.yaml12.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SyntaxProblem,
    events,
    syntax_problem,
    too_deep,
)
from reconciler.yaml12.fast_path import ESCAPED
from reconciler.yaml12.parser_limits import ParserLimits, Path, path_text, shown
from reconciler.yaml12.scalars import RejectedScalar, resolve


class ValueNode:
    """One node: its plain value, its position, and the nodes below it."""

    __slots__ = ("below", "column", "line", "text", "value")

    def __init__(self, value: Any, line: int, column: int, below: dict[str | int, ValueNode] | None = None) -> None:
        self.value = value
        self.line = line
        self.column = column
        self.below = below
        self.text = ""  # of a scalar that is not a string, as it is written: 7.10

    def moved(self, line: int, column: int) -> ValueNode:
        """Return the same node at another position."""
        node = ValueNode(self.value, line, column, self.below)
        node.text = self.text
        return node

    def find(self, path: Path) -> tuple[ValueNode, bool]:
        """Return the deepest existing part of *path*, and whether that is all of it."""
        node = self
        for step in path:
            inner = node.below.get(step) if node.below else None
            if inner is None:
                return node, False
            node = inner
        return node, True


class PositionedDocuments(NamedTuple):
    """The content of a file: a tree and the paths with problems for each document, and the problems."""

    trees: list[ValueNode]
    invalid_paths: list[tuple[Path, ...]]
    problems: list[Problem]


class _Anchored(NamedTuple):
    node: ValueNode
    nodes: int  # in it, with aliases expanded
    height: int


class _Abort(Exception):
    """The rest of the file cannot be read."""


def documents_with_positions(data: bytes, file: str, limits: ParserLimits) -> PositionedDocuments:
    """Read all of *data* that is readable."""
    builder = _Builder(data, file, limits)
    found = PositionedDocuments([], [], builder.problems)
    try:
        for tree in builder.documents():
            found.trees.append(tree)
            found.invalid_paths.append(tuple(builder.invalid_paths))
    except SyntaxProblem as error:
        builder.problems.append(syntax_problem(error, file, data, limits.depth))
    except _Abort:
        pass
    return found


class _Builder:
    def __init__(self, data: bytes, file: str, limits: ParserLimits) -> None:
        self.get: Callable[[], Any] = events(data)
        self.file = file
        self.limits = limits
        self.problems: list[Problem] = []
        self.invalid_paths: list[Path] = []
        self.path: list[str | int] = []
        self.anchors: dict[str, _Anchored | None] = {}  # None while it is being read
        self.sizes: dict[int, _Anchored] = {}  # of every anchored node, by the id of its tree
        self.expanded = 0
        self.anchored = 0

    def documents(self) -> Iterator[ValueNode]:
        self.get()
        while type(event := self.get()) is DocumentStartEvent:
            self.invalid_paths, self.anchors = [], {}
            if event.tags or (event.version and tuple(event.version) != (1, 2)):
                self.note(event, "this directive is not allowed", "remove the line that begins with %")
            yield self.node(self.get())
            self.get()

    def note(self, event: Any, message: str, hint: str = "") -> None:
        """Report a problem at *event* and continue."""
        path = tuple(self.path)
        mark = event.start_mark
        self.invalid_paths.append(path)
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, path_text(path), message, hint))
        if len(self.problems) >= self.limits.problems:
            message = f"{self.limits.problems} problems in this file; the rest of it was not read"
            self.problems.append(Problem(self.file, 0, 0, "", message))
            raise _Abort

    def stop(self, event: Any, message: str, hint: str = "") -> _Abort:
        """Report a problem at *event* that ends the file."""
        self.note(event, message, hint)
        return _Abort()

    def node(self, event: Any) -> ValueNode:
        if type(event) is AliasEvent:
            return self.alias(event)
        if event.tag is not None:
            self.note(event, f"the tag {_tag(event.tag)} is not allowed", "remove it; quotes make a string")
        if event.anchor is None:
            return self.content(event)
        self.anchored += 1
        if self.anchored > self.limits.anchors:
            raise self.stop(event, f"more than {self.limits.anchors:,} anchors in one file", "write the values in full")
        if event.anchor in self.anchors:
            message = f"the anchor {_cut(f'&{event.anchor}')} is duplicated"
            self.note(event, message, "give each anchor a name of its own")
        self.anchors[event.anchor] = None
        tree = self.content(event)
        self.anchors[event.anchor] = self.sizes[id(tree)] = _Anchored(tree, *self.size_of(tree))
        return tree

    def size_of(self, tree: ValueNode) -> tuple[int, int]:
        """Count the nodes in *tree*, aliases expanded, and its height."""
        known = self.sizes.get(id(tree))
        if known:
            return known.nodes, known.height
        if not tree.below:
            return 1, 0
        below = [self.size_of(node) for node in tree.below.values()]
        return 1 + sum(nodes for nodes, _ in below), 1 + max(height for _, height in below)

    def alias(self, event: Any) -> ValueNode:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        name, alias = event.anchor, _cut(f"*{event.anchor}")
        if name not in self.anchors:
            message = f"the alias {alias} refers to an undefined anchor {_cut(f'&{name}')}"
            self.note(event, message, "put text that begins with * in quotes")
            return ValueNode(None, line, column)
        anchored = self.anchors[name]
        if anchored is None:
            raise self.stop(event, f"the alias {alias} refers to its own anchor", "write the value in full")
        self.expanded += anchored.nodes
        if self.expanded > self.limits.expanded:
            message = f"aliases expand to more than {self.limits.expanded:,} nodes"
            raise self.stop(event, message, "write the values in full")
        if len(self.path) + anchored.height > self.limits.depth:
            raise self.stop(event, f"aliases nest deeper than {self.limits.depth} levels", "write the values in full")
        tree = anchored.node.moved(line, column)
        self.sizes[id(tree)] = anchored._replace(node=tree)
        return tree

    def content(self, event: Any) -> ValueNode:
        mark = event.start_mark
        tree = ValueNode(None, mark.line + 1, mark.column + 1)
        if type(event) is ScalarEvent:
            tree.value = self.scalar(event)
            tree.text = "" if isinstance(tree.value, str) else event.value
            return tree
        if len(self.path) >= self.limits.depth:
            raise self.stop(event, too_deep(self.limits.depth))
        below = tree.below = {}
        if type(event) is MappingStartEvent:
            self.mapping(below)
            tree.value = {key: member.value for key, member in below.items()}
        else:
            self.sequence(below)
            tree.value = [item.value for item in below.values()]
        return tree

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style or event.tag is not None:
            if event.style == '"' and (found := ESCAPED.search(text)):
                message = f"the string contains the control character U+{ord(found.group()):04X}"
                self.note(event, message, "remove the escape")
                return ESCAPED.sub("", text)
            return text
        value = resolve(text)
        if type(value) is RejectedScalar:
            self.note(event, value.message, value.hint)
            return text
        return value

    def sequence(self, below: dict[str | int, ValueNode]) -> None:
        while type(event := self.get()) is not SequenceEndEvent:
            self.path.append(len(below))
            below[len(below)] = self.node(event)
            self.path.pop()

    def mapping(self, below: dict[str | int, ValueNode]) -> None:
        merged: list[ValueNode] = []
        lines: dict[str, int] = {}
        while type(key_event := self.get()) is not MappingEndEvent:
            if len(below) >= self.limits.members:
                raise self.stop(key_event, f"more than {self.limits.members:,} keys in one mapping")
            key = self.key(key_event)
            if key is None:
                self.skip_value(self.get())
                continue
            self.path.append(key)
            if key in lines:
                self.note(key_event, f"{shown(key)} is duplicated", f"first defined on line {lines[key]}")
                self.node(self.get())
            elif key == "<<" and not key_event.style:
                merged = self.merge_sources(self.get())
            else:
                below[key] = self.at_key(self.node(self.get()), key_event.start_mark)
            lines.setdefault(key, key_event.start_mark.line + 1)
            self.path.pop()
        for source in merged:
            for name, member in (source.below or {}).items():
                below.setdefault(name, member)

    def skip_value(self, event: Any) -> None:
        """Read the value of an invalid key: it can have problems of its own."""
        self.path.append("?")
        self.node(event)
        self.path.pop()

    def at_key(self, member: ValueNode, mark: Any) -> ValueNode:
        """Return *member* with the position of its key, where a reader looks for it."""
        tree = member.moved(mark.line + 1, mark.column + 1)
        if id(member) in self.sizes:
            self.sizes[id(tree)] = self.sizes[id(member)]._replace(node=tree)
        return tree

    def key(self, event: Any) -> str | None:
        """Return the key in *event*; None, with a problem reported, if it is not valid."""
        if type(event) is AliasEvent:
            self.note(event, "an alias cannot be a key", "write the key in full")
            return None
        if type(event) is not ScalarEvent:
            hint = "templates are not expanded; put text that begins with { in quotes"
            self.note(event, "a list or a mapping cannot be a key", hint)
            self.skip_value(event)
            return None
        if event.tag is not None or event.anchor is not None:
            self.note(event, "a key cannot have a tag or an anchor", "remove it")
        key = self.scalar(event)
        if not isinstance(key, str):
            shape = "empty" if not event.value else f"{event.value}, which is not a string"
            hint = f'write "{event.value}" in quotes' if event.value else "write the key"
            self.note(event, f"a key is {shape}", hint)
            return None
        if len(key) > self.limits.key:
            self.note(event, f"a key of {len(key):,} characters is too long; the limit is {self.limits.key}")
            return None
        return key

    def merge_sources(self, event: Any) -> list[ValueNode]:
        """Return the mappings of a merge key, in order of precedence."""
        node = self.node(event)
        sources = [node] if isinstance(node.value, dict) else list((node.below or {}).values())
        if not sources or not all(isinstance(source.value, dict) for source in sources):
            self.note(event, "<< takes a mapping or a list of mappings")
            return []
        return sources


def _tag(tag: str) -> str:
    prefix = "tag:yaml.org,2002:"
    name = "!!" + tag[len(prefix) :] if tag.startswith(prefix) else tag
    return _cut(name)


def _cut(name: str) -> str:
    return shown(name)[1:-1]
