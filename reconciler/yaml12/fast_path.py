"""The fast path: events to plain values, without positions, for plain and valid text.

It raises `Unsupported` at anchors, tags, directives, duplicate keys, rejected scalars and excessive depth; `positions`
then reads the text again and reports problems, or builds the value. Both return equal values: a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from reconciler.yaml12.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    events,
)
from reconciler.yaml12.parser_limits import ParserLimits
from reconciler.yaml12.scalars import RejectedScalar, resolve

# Characters that a double-quoted string can contain by escapes, and that no value here may contain.
ESCAPED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Unsupported(Exception):
    """The text needs the reader with positions."""


class _Values(dict[str, Any]):
    """Values of plain scalars, each resolved once; equal strings share one object."""

    def __missing__(self, text: str) -> Any:
        value = resolve(text)
        if type(value) is RejectedScalar:
            raise Unsupported
        self[text] = value
        return value


class _Keys(dict[str, str]):
    """Plain scalars that may be keys."""

    def __init__(self, limits: ParserLimits) -> None:
        self.longest = limits.key
        self.most = limits.members

    def __missing__(self, text: str) -> str:
        if len(text) > self.longest or text == "<<" or type(resolve(text)) is not str:
            raise Unsupported
        self[text] = text
        return text


def values(data: bytes, limits: ParserLimits) -> Iterator[tuple[Any, int]]:
    """Yield the value of each document of *data*, and its first line; raises `Unsupported`, or the parser's error."""
    get = events(data)
    plain, keys = _Values(), _Keys(limits)
    get()
    while type(event := get()) is DocumentStartEvent:
        if event.version or event.tags:
            raise Unsupported
        first = get()
        yield _value(get, first, plain, keys, limits.depth), first.start_mark.line + 1
        get()


def _value(get: Callable[[], Any], event: Any, plain: _Values, keys: _Keys, room: int) -> Any:
    kind = type(event)
    if kind is ScalarEvent:
        if event.tag is not None or event.anchor is not None:
            raise Unsupported
        return _text(event) if event.style else plain[event.value]
    if not room or event.anchor is not None or event.tag is not None:  # an alias has no tag, but an anchor
        raise Unsupported
    if kind is MappingStartEvent:
        return _mapping(get, plain, keys, room - 1)
    result: list[Any] = []
    while type(event := get()) is not SequenceEndEvent:
        result.append(_value(get, event, plain, keys, room - 1))
    return result


def _text(event: Any) -> str:
    text: str = event.value
    if event.style == '"' and ESCAPED.search(text):
        raise Unsupported
    return text


def _mapping(get: Callable[[], Any], plain: _Values, keys: _Keys, room: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    while True:
        event = get()
        if type(event) is not ScalarEvent:
            if type(event) is MappingEndEvent and len(result) <= keys.most:
                return result
            raise Unsupported
        if event.tag is not None or event.anchor is not None:
            raise Unsupported
        key = _text(event) if event.style else keys[event.value]
        if key in result or len(key) > keys.longest:
            raise Unsupported
        event = get()
        # `_value` inlined for the most common case: saves a call for most values.
        if type(event) is ScalarEvent and not event.style and event.tag is None and event.anchor is None:
            result[key] = plain[event.value]
        else:
            result[key] = _value(get, event, plain, keys, room)
