"""The quick builder: events to plain values, without positions, for text in which nothing is out of the ordinary.

It gives up (`Odd`) at anchors, tags, directives, duplicate keys, refused scalars and depth; the careful builder then
reads the text again and says what is wrong, or builds what is merely unusual. Both give equal values: a test keeps it.
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
from reconciler.yaml12.scalars import Refusal, resolve
from reconciler.yaml12.text import Bounds

# What a double-quoted string can hold by its escapes and nothing of ours has a use for.
ESCAPED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Odd(Exception):
    """Something that the quick builder leaves to the careful one."""


class _Values(dict[str, Any]):
    """Values of plain scalars, each worked out once; equal strings become one object."""

    def __missing__(self, text: str) -> Any:
        value = resolve(text)
        if type(value) is Refusal:
            raise Odd
        self[text] = value
        return value


class _Keys(dict[str, str]):
    """Plain scalars that may be keys."""

    def __init__(self, bounds: Bounds) -> None:
        self.longest = bounds.key
        self.most = bounds.members

    def __missing__(self, text: str) -> str:
        if len(text) > self.longest or text == "<<" or type(resolve(text)) is not str:
            raise Odd
        self[text] = text
        return text


def values(data: bytes, bounds: Bounds) -> Iterator[tuple[Any, int]]:
    """Yield the value of each document of *data* and the line that it begins on.

    Raises `Odd`, or the parser's error, at the first thing unusual.
    """
    get = events(data)
    plain, keys = _Values(), _Keys(bounds)
    get()
    while type(event := get()) is DocumentStartEvent:
        if event.version or event.tags:
            raise Odd
        first = get()
        yield _value(get, first, plain, keys, bounds.depth), first.start_mark.line + 1
        get()


def _value(get: Callable[[], Any], event: Any, plain: _Values, keys: _Keys, room: int) -> Any:
    kind = type(event)
    if kind is ScalarEvent:
        if event.tag is not None or event.anchor is not None:
            raise Odd
        return _text(event) if event.style else plain[event.value]
    if not room or event.anchor is not None or event.tag is not None:  # an alias has no tag, but an anchor
        raise Odd
    if kind is MappingStartEvent:
        return _mapping(get, plain, keys, room - 1)
    result: list[Any] = []
    while type(event := get()) is not SequenceEndEvent:
        result.append(_value(get, event, plain, keys, room - 1))
    return result


def _text(event: Any) -> str:
    text: str = event.value
    if event.style == '"' and ESCAPED.search(text):
        raise Odd
    return text


def _mapping(get: Callable[[], Any], plain: _Values, keys: _Keys, room: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    while True:
        event = get()
        if type(event) is not ScalarEvent:
            if type(event) is MappingEndEvent and len(result) <= keys.most:
                return result
            raise Odd
        if event.tag is not None or event.anchor is not None:
            raise Odd
        key = _text(event) if event.style else keys[event.value]
        if key in result or len(key) > keys.longest:
            raise Odd
        event = get()
        # `_value` again for the most common case: a call less for most of what is ever read.
        if type(event) is ScalarEvent and not event.style and event.tag is None and event.anchor is None:
            result[key] = plain[event.value]
        else:
            result[key] = _value(get, event, plain, keys, room)
