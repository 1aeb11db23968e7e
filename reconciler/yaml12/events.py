"""The parser: bytes to events, and readable messages for its errors. The only reader of PyYAML events."""

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
        """Return the next event; numbers that Python rejects are a syntax error."""
        try:
            return super().get_event()  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError) as error:
            raise yaml.YAMLError(str(error)) from error


_parser: Any = vars(yaml.cyaml)["CParser"] if yaml.__with_libyaml__ else _PureParser


def events(data: bytes) -> Callable[[], Any]:
    """Return the function that returns the next event of *data*; it raises `SyntaxProblem`."""
    get: Callable[[], Any] = _parser(data).get_event
    return get


class _Message(NamedTuple):
    message: str
    hint: str
    at_start: bool = False  # report the start of the construct, not the position of the error


_COLON = _Message("expected a key: value pair", "add the colon, or check the indentation and quotes of the line before")
_END = _Message("not closed before the end of the text", "add the closing quote or bracket", at_start=True)
_ESCAPE = _Message("broken escape in a double-quoted string", "write two, four or eight hexadecimal digits")
_VALUE = _Message("expected a value or a closing bracket", "check commas and brackets")
_START = _Message("a plain value cannot begin with {}", "put it in quotes")
_TAB = _Message("a tab is not allowed as indentation or at the start of a value", "use spaces")
_INDENT = _Message("the indentation does not match the lines above", "check the indentation, and brackets left open")

# Messages of the two parsers, in order of precedence, and the messages that replace them.
_SYNTAX = (
    ("did not find expected node content", _VALUE),
    ("expected the node content", _VALUE),
    ("found unexpected end of stream", _END),
    ("but got '<stream end>'", _END),
    ("found unexpected document indicator", _END),
    ("that cannot start any token", _START),
    ("mapping values are not allowed", _Message("a key: value pair is not allowed here",
                                              "put a value that holds a colon in quotes, or check the indentation")),
    ("could not find expected ':'", _COLON),
    ("found undefined tag handle", _Message("tags are not allowed", "remove it; write a string in quotes")),
    ("expected ',' or ']'", _Message("this list is not closed or is missing a comma",
                             "check commas and the closing ]", at_start=True)),
    ("expected ',' or '}'", _Message("this mapping is not closed or is missing a comma",
                             "check commas and the closing }", at_start=True)),
    ("expected <document start>", _Message("unexpected content after the end of the document",
                                         "begin a new document with ---")),
    ("found unknown escape character", _Message("unknown escape in a double-quoted string",
                                              "double the backslash, or use single quotes")),
    ("hexdecimal number", _ESCAPE),
    ("expected escape sequence of", _ESCAPE),
    ("found invalid Unicode character escape", _Message("this escape is not a valid character", "")),
    ("block sequence entries are not allowed", _Message("a list item is not allowed here",
                                                       "begin it on a line of its own")),
    ("block collections are not allowed", _INDENT),
    ("expected <block end>", _INDENT),
    ("did not find expected key", _INDENT),
    ("did not find expected '-' indicator", _INDENT),
    ("inconsistent indentation", _INDENT),
    ("while scanning an alias", _Message("expected the name of an alias after *",
                                         "put text that begins with * in quotes")),
    ("while scanning an anchor", _Message("expected the name of an anchor after &",
                                          "put text that begins with & in quotes")),
    ("while scanning a block scalar", _Message("only an indentation indicator is allowed after | or >",
                                              "begin the text on the next line")),
    ("while scanning a directive", _Message("a line that begins with % is a directive", "put the text in quotes")),
    ("directive", _Message("this directive is not allowed", "remove the line that begins with %")),
    ("while parsing a tag", _Message("tags are not allowed", "remove it; put text that begins with ! in quotes")),
    ("while scanning a tag", _Message("tags are not allowed", "remove it; put text that begins with ! in quotes")),
)  # fmt: skip


def too_deep(depth: int) -> str:
    """Return the message for a document that is nested too deeply."""
    return f"nested deeper than {depth} levels"


def syntax_problem(error: yaml.YAMLError, file: str, data: bytes, depth: int) -> Problem:
    """Return a readable problem for *error*; the parser has a depth limit of its own, far above *depth*."""
    text = f"{getattr(error, 'context', None) or ''}; {getattr(error, 'problem', None) or error}"
    found = next((found for needle, found in _SYNTAX if needle in text), _Message("invalid YAML", ""))
    if "maximum nesting depth" in text:
        found = _Message(too_deep(depth), "")
    mark = getattr(error, "problem_mark", None)
    if found.at_start:
        mark = getattr(error, "context_mark", None) or mark
    if mark is None:
        return Problem(file, 1, 1, "", found.message, found.hint)
    lines = re.split(r"\r\n|\r|\n", data.decode("utf-8"))
    number = min(mark.line, len(lines) - 1)
    while number and number == mark.line and not lines[number].strip() and mark.column == 0:
        number -= 1  # the error is at the end of the text: report the last line that is not blank
    column = mark.column if number == mark.line else len(lines[number])
    if found is _START:
        character = lines[number][column : column + 1]
        found = _TAB if character == "\t" else _START._replace(message=_START.message.format(character or "this"))
    return Problem(file, number + 1, column + 1, "", found.message, found.hint)
