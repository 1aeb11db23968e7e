"""The parser: bytes to events, and its refusals in our words. The one module that imports PyYAML to read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from reconciler.errors import Problem

__all__ = [
    "AliasEvent",
    "DocumentStartEvent",
    "MappingEndEvent",
    "MappingStartEvent",
    "ScalarEvent",
    "SequenceEndEvent",
    "SequenceStartEvent",
    "SyntaxProblem",
    "events",
    "syntax_problem",
    "too_deep",
]

SyntaxProblem = yaml.YAMLError


class _PureParser(Reader, Scanner, Parser):
    """The parser of a PyYAML that was built without libyaml."""

    def __init__(self, data: bytes) -> None:
        Reader.__init__(self, data)
        Scanner.__init__(self)
        Parser.__init__(self)

    def get_event(self) -> Any:
        """Return the next event; numbers that Python does not take are a refusal like any other."""
        try:
            return super().get_event()  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError) as error:
            raise yaml.YAMLError(str(error)) from error


_parser: Any = vars(yaml.cyaml)["CParser"] if yaml.__with_libyaml__ else _PureParser


def events(data: bytes) -> Callable[[], Any]:
    """Return the function that gives the next event of *data*; it raises `SyntaxProblem`."""
    get: Callable[[], Any] = _parser(data).get_event
    return get


class _Words(NamedTuple):
    message: str
    hint: str
    at_start: bool = False  # the place that helps is where the thing began, not where the parser gave up


_COLON = _Words("this is no key: value pair", "add the colon, or check the indentation and quotes of the line before")
_END = _Words("the text ends before this is closed", "add the closing quote or bracket", at_start=True)
_ESCAPE = _Words("broken escape in a double-quoted string", "write two, four or eight hexadecimal digits")
_VALUE = _Words("a value or a closing bracket is missing here", "check commas and brackets")
_START = _Words("a plain value cannot begin with {}", "put it in quotes")
_TAB = _Words("a tab cannot indent or begin a value", "use spaces")
_INDENT = _Words("this line does not fit the lines above it", "check the indentation, and brackets left open")

# What the two parsers say, in the order to look for it, and what we say instead.
_SYNTAX = (
    ("did not find expected node content", _VALUE),
    ("expected the node content", _VALUE),
    ("found unexpected end of stream", _END),
    ("but got '<stream end>'", _END),
    ("found unexpected document indicator", _END),
    ("that cannot start any token", _START),
    ("mapping values are not allowed", _Words("a key: value pair cannot stand here",
                                              "put a value that holds a colon in quotes, or check the indentation")),
    ("could not find expected ':'", _COLON),
    ("found undefined tag handle", _Words("tags are not allowed", "remove it; write a string in quotes")),
    ("expected ',' or ']'", _Words("this list is not closed, or lacks a comma",
                             "check commas and the closing ]", at_start=True)),
    ("expected ',' or '}'", _Words("this mapping is not closed, or lacks a comma",
                             "check commas and the closing }", at_start=True)),
    ("expected <document start>", _Words("nothing more can follow here", "begin a new document with ---")),
    ("found unknown escape character", _Words("unknown escape in a double-quoted string",
                                              "double the backslash, or use single quotes")),
    ("hexdecimal number", _ESCAPE),
    ("expected escape sequence of", _ESCAPE),
    ("found invalid Unicode character escape", _Words("this escape is no character", "")),
    ("block sequence entries are not allowed", _Words("a list item cannot stand here",
                                                       "begin it on a line of its own")),
    ("block collections are not allowed", _INDENT),
    ("expected <block end>", _INDENT),
    ("did not find expected key", _INDENT),
    ("did not find expected '-' indicator", _INDENT),
    ("inconsistent indentation", _INDENT),
    ("while scanning an alias", _Words("* begins an alias, and no name follows",
                                         "put text that begins with * in quotes")),
    ("while scanning an anchor", _Words("& begins an anchor, and no name follows",
                                          "put text that begins with & in quotes")),
    ("while scanning a block scalar", _Words("nothing but an indentation digit can follow | or >",
                                              "begin the text on the next line")),
    ("while scanning a directive", _Words("a line that begins with % is a directive", "put the text in quotes")),
    ("directive", _Words("this directive is not allowed", "remove the line that begins with %")),
    ("while parsing a tag", _Words("tags are not allowed", "remove it; put text that begins with ! in quotes")),
    ("while scanning a tag", _Words("tags are not allowed", "remove it; put text that begins with ! in quotes")),
)  # fmt: skip


def too_deep(depth: int) -> str:
    """Return what is wrong with what lies too deep."""
    return f"nested deeper than {depth} levels"


def syntax_problem(error: yaml.YAMLError, file: str, data: bytes, depth: int) -> Problem:
    """Say in our words what the parser refused, and where; it has a limit of its own, far beyond *depth*."""
    said = f"{getattr(error, 'context', None) or ''}; {getattr(error, 'problem', None) or error}"
    words = next((words for needle, words in _SYNTAX if needle in said), _Words("this is not YAML", ""))
    if "maximum nesting depth" in said:
        words = _Words(too_deep(depth), "")
    mark = getattr(error, "problem_mark", None)
    if words.at_start:
        mark = getattr(error, "context_mark", None) or mark
    if mark is None:
        return Problem(file, 1, 1, "", words.message, words.hint)
    lines = re.split(r"\r\n|\r|\n", data.decode("utf-8"))
    number = min(mark.line, len(lines) - 1)
    while number and number == mark.line and not lines[number].strip() and mark.column == 0:
        number -= 1  # the parser gave up at the end of the text: point at the last line that says something
    column = mark.column if number == mark.line else len(lines[number])
    if words is _START:
        character = lines[number][column : column + 1]
        words = _TAB if character == "\t" else _START._replace(message=_START.message.format(character or "this"))
    return Problem(file, number + 1, column + 1, "", words.message, words.hint)
