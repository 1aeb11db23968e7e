"""The careful builder: events to values with places, anchors, merge keys, and every problem that there is.

It reads what the quick builder gave up on, and reads again what somebody asks the place of. Problems that make sense
of the rest impossible (syntax, bounds) end a file; all others are noted and the reading goes on.
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
from reconciler.yaml12.quick import ESCAPED
from reconciler.yaml12.scalars import Refusal, resolve
from reconciler.yaml12.text import Bounds, Path, path_text, shown


class Tree:
    """One node: its plain value, where it was written, and the nodes below it."""

    __slots__ = ("below", "column", "line", "value")

    def __init__(self, value: Any, line: int, column: int, below: dict[str | int, Tree] | None = None) -> None:
        self.value = value
        self.line = line
        self.column = column
        self.below = below

    def find(self, path: Path) -> tuple[int, int, bool]:
        """Return line and column of the deepest part of *path* that was written, and whether that is all of it."""
        node = self
        for step in path:
            inner = node.below.get(step) if node.below else None
            if inner is None:
                return node.line, node.column, False
            node = inner
        return node.line, node.column, True


class Findings(NamedTuple):
    """What was read of a file: a tree and the paths of problems for each document, and the problems."""

    trees: list[Tree]
    faults: list[tuple[Path, ...]]
    problems: list[Problem]


class _Anchored(NamedTuple):
    node: Tree
    nodes: int  # in it, with everything that its own aliases add
    height: int


class _Stop(Exception):
    """What follows in this file cannot be read."""


def findings(data: bytes, file: str, bounds: Bounds) -> Findings:
    """Read all of *data* that can be read."""
    builder = _Builder(data, file, bounds)
    found = Findings([], [], builder.problems)
    try:
        for tree in builder.documents():
            found.trees.append(tree)
            found.faults.append(tuple(builder.faults))
    except SyntaxProblem as error:
        builder.problems.append(syntax_problem(error, file, data, bounds.depth))
    except _Stop:
        pass
    return found


class _Builder:
    def __init__(self, data: bytes, file: str, bounds: Bounds) -> None:
        self.get: Callable[[], Any] = events(data)
        self.file = file
        self.bounds = bounds
        self.problems: list[Problem] = []
        self.faults: list[Path] = []
        self.path: list[str | int] = []
        self.anchors: dict[str, _Anchored | None] = {}  # None while it is being read
        self.extents: dict[int, _Anchored] = {}  # of every anchored node, by the id of its tree
        self.expanded = 0
        self.anchored = 0

    def documents(self) -> Iterator[Tree]:
        self.get()
        while type(event := self.get()) is DocumentStartEvent:
            self.faults, self.anchors = [], {}
            if event.tags or (event.version and tuple(event.version) != (1, 2)):
                self.note(event, "this directive is not allowed", "remove the line that begins with %")
            yield self.node(self.get())
            self.get()

    def note(self, event: Any, message: str, hint: str = "") -> None:
        """Report a problem at *event* and go on."""
        path = tuple(self.path)
        mark = event.start_mark
        self.faults.append(path)
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, path_text(path), message, hint))
        if len(self.problems) >= self.bounds.problems:
            message = f"{self.bounds.problems} problems in this file; the rest of it was not read"
            self.problems.append(Problem(self.file, 0, 0, "", message))
            raise _Stop

    def stop(self, event: Any, message: str, hint: str = "") -> _Stop:
        """Report a problem at *event* after which the file cannot be read on."""
        self.note(event, message, hint)
        return _Stop()

    def node(self, event: Any) -> Tree:
        if type(event) is AliasEvent:
            return self.alias(event)
        if event.tag is not None:
            self.note(event, f"the tag {_tag(event.tag)} is not allowed", "remove it; quotes make a string")
        if event.anchor is None:
            return self.content(event)
        self.anchored += 1
        if self.anchored > self.bounds.anchors:
            raise self.stop(event, f"more than {self.bounds.anchors:,} anchors in one file", "write the values out")
        if event.anchor in self.anchors:
            message = f"the anchor {_cut(f'&{event.anchor}')} is given twice"
            self.note(event, message, "give each anchor a name of its own")
        self.anchors[event.anchor] = None
        tree = self.content(event)
        self.anchors[event.anchor] = self.extents[id(tree)] = _Anchored(tree, *self.extent(tree))
        return tree

    def extent(self, tree: Tree) -> tuple[int, int]:
        """Count the nodes in *tree*, aliases expanded, and its height."""
        known = self.extents.get(id(tree))
        if known:
            return known.nodes, known.height
        if not tree.below:
            return 1, 0
        below = [self.extent(node) for node in tree.below.values()]
        return 1 + sum(nodes for nodes, _ in below), 1 + max(height for _, height in below)

    def alias(self, event: Any) -> Tree:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        name, alias = event.anchor, _cut(f"*{event.anchor}")
        if name not in self.anchors:
            message = f"the alias {alias} has no anchor {_cut(f'&{name}')} before it"
            self.note(event, message, "put text that begins with * in quotes")
            return Tree(None, line, column)
        anchored = self.anchors[name]
        if anchored is None:
            raise self.stop(event, f"the alias {alias} stands inside its own anchor", "write the value out")
        self.expanded += anchored.nodes
        if self.expanded > self.bounds.expanded:
            message = f"aliases expand to more than {self.bounds.expanded:,} nodes"
            raise self.stop(event, message, "write the values out")
        if len(self.path) + anchored.height > self.bounds.depth:
            raise self.stop(event, f"aliases nest deeper than {self.bounds.depth} levels", "write the values out")
        tree = Tree(anchored.node.value, line, column, anchored.node.below)
        self.extents[id(tree)] = anchored._replace(node=tree)
        return tree

    def content(self, event: Any) -> Tree:
        mark = event.start_mark
        tree = Tree(None, mark.line + 1, mark.column + 1)
        if type(event) is ScalarEvent:
            tree.value = self.scalar(event)
            return tree
        if len(self.path) >= self.bounds.depth:
            raise self.stop(event, too_deep(self.bounds.depth))
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
                message = f"the string holds the control character U+{ord(found.group()):04X}"
                self.note(event, message, "remove the escape")
                return ESCAPED.sub("", text)
            return text
        value = resolve(text)
        if type(value) is Refusal:
            self.note(event, value.message, value.hint)
            return text
        return value

    def sequence(self, below: dict[str | int, Tree]) -> None:
        while type(event := self.get()) is not SequenceEndEvent:
            self.path.append(len(below))
            below[len(below)] = self.node(event)
            self.path.pop()

    def mapping(self, below: dict[str | int, Tree]) -> None:
        merged: list[Tree] = []
        lines: dict[str, int] = {}
        while type(key_event := self.get()) is not MappingEndEvent:
            if len(below) >= self.bounds.members:
                raise self.stop(key_event, f"more than {self.bounds.members:,} keys in one mapping")
            key = self.key(key_event)
            if key is None:
                self.unnamed(self.get())
                continue
            self.path.append(key)
            if key in lines:
                self.note(key_event, f"{shown(key)} is given twice", f"the first is in line {lines[key]}")
                self.node(self.get())
            elif key == "<<" and not key_event.style:
                merged = self.merge_sources(self.get())
            else:
                below[key] = self.moved(self.node(self.get()), key_event.start_mark)
            lines.setdefault(key, key_event.start_mark.line + 1)
            self.path.pop()
        for source in merged:
            for name, member in (source.below or {}).items():
                below.setdefault(name, member)

    def unnamed(self, event: Any) -> None:
        """Read what has no key that we take: it can have problems of its own."""
        self.path.append("?")
        self.node(event)
        self.path.pop()

    def moved(self, member: Tree, mark: Any) -> Tree:
        """Give *member* the place of its key, which is where the eye looks for it."""
        tree = Tree(member.value, mark.line + 1, mark.column + 1, member.below)
        if id(member) in self.extents:
            self.extents[id(tree)] = self.extents[id(member)]._replace(node=tree)
        return tree

    def key(self, event: Any) -> str | None:
        """Return the key that *event* gives; None, with a problem noted, where it is none."""
        if type(event) is AliasEvent:
            self.note(event, "an alias cannot be a key", "write the key out")
            return None
        if type(event) is not ScalarEvent:
            hint = "templates are not expanded; put text that begins with { in quotes"
            self.note(event, "a list or a mapping cannot be a key", hint)
            self.unnamed(event)
            return None
        if event.tag is not None or event.anchor is not None:
            self.note(event, "a key cannot have a tag or an anchor", "remove it")
        key = self.scalar(event)
        if not isinstance(key, str):
            shape = "empty" if not event.value else f"{event.value}, which is not a string"
            hint = f'write "{event.value}" in quotes' if event.value else "write the key"
            self.note(event, f"a key is {shape}", hint)
            return None
        if len(key) > self.bounds.key:
            self.note(event, f"a key of {len(key):,} characters is too long; the limit is {self.bounds.key}")
            return None
        return key

    def merge_sources(self, event: Any) -> list[Tree]:
        """Return the mappings that a merge key names, the strongest first."""
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
