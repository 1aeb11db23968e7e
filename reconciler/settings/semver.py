"""Semantic versions of git tags, and ranges of them.

Pure. The settings validate a range with it; the git source selects the highest matching tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_WORDS = r"[0-9A-Za-z.-]{1,100}"
_VERSION = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORDS}))?(?:\+{_WORDS})?")
_TERM = re.compile(
    rf"(>=|<=|>|<|=|\^|~)?v?{_NUMBER}(?:\.(?:{_NUMBER}|[xX*]))?(?:\.(?:{_NUMBER}|[xX*]))?(?:-({_WORDS}))?"
)
_ANY = ("*", "x", "X")


class TagVersion(NamedTuple):
    """A version by semver.org, in the order of its precedence."""

    major: int
    minor: int
    patch: int
    final: bool = True  # a pre-release comes before its release
    pre: tuple[tuple[int, int, str], ...] = ()  # (0, number, "") before (1, 0, word)


class VersionRange(NamedTuple):
    """From *low*, included, to *high*, not included; pre-releases only where the range names one."""

    low: TagVersion
    high: TagVersion
    pre: bool = False


def version(tag: str) -> TagVersion | None:
    """Return the version in *tag*, with or without a leading v; None for other tags."""
    match = _VERSION.fullmatch(tag)
    return _version(match[1], match[2], match[3], match[4]) if match else None


def _version(major: str, minor: str, patch: str, pre: str | None) -> TagVersion:
    words = tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in (pre or "").split(".") if word)
    return TagVersion(int(major), int(minor), int(patch), pre is None, words)


def _below(major: int, minor: int, patch: int) -> TagVersion:
    """Return the lower bound of all versions and pre-releases with these numbers."""
    return TagVersion(major, minor, patch, False)


_LOWEST, _HIGHEST = _below(0, 0, 0), _below(10**9, 0, 0)


def ranges(text: str) -> tuple[VersionRange, ...]:
    """Return the ranges in *text*: `1.x`, `^1.2`, `~1.2.3`, `>=1.2 <2`, several with `||`. Raises ValueError."""
    found = []
    for alternative in text.split("||"):
        low, high, pre = _LOWEST, _HIGHEST, False
        terms = re.sub(r"(>=|<=|>|<|=|\^|~)\s+", r"\1", alternative.replace(",", " ")).split()
        if not terms:
            raise ValueError("an empty range")
        for term in terms:
            one = _term(term)
            low, high, pre = max(low, one.low), min(high, one.high), pre or one.pre
        found.append(VersionRange(low, high, pre))
    return tuple(found)


def _term(text: str) -> VersionRange:
    if text in _ANY:
        return VersionRange(_LOWEST, _HIGHEST)
    match = _TERM.fullmatch(text)
    if match is None or (match[5] and match[4] is None):
        raise ValueError(f"{text} is not a version")
    sign = match[1] or ""
    numbers = [int(match[place]) for place in (2, 3, 4) if match[place] is not None]
    if match[3] is None and match[4] is not None:
        raise ValueError(f"{text} is not a version")
    major, minor, patch = [*numbers, 0, 0][:3]
    start = _version(str(major), str(minor), str(patch), match[5]) if match[5] else _below(major, minor, patch)
    if sign == "^":
        after = _caret(numbers)
    elif len(numbers) == 1:
        after = _below(major + 1, 0, 0)
    elif sign == "~" or len(numbers) == 2:
        after = _below(major, minor + 1, 0)
    elif match[5]:
        after = start._replace(pre=(*start.pre, (-1, 0, "")))
    else:
        after = _below(major, minor, patch + 1)
    low, high = _bounds(sign, start, after)
    return VersionRange(low, high, bool(match[5]))


def _bounds(sign: str, start: TagVersion, after: TagVersion) -> tuple[TagVersion, TagVersion]:
    if sign == ">=":
        return start, _HIGHEST
    if sign == ">":
        return after, _HIGHEST
    if sign == "<":
        return _LOWEST, start
    return (_LOWEST, after) if sign == "<=" else (start, after)


def _caret(numbers: list[int]) -> TagVersion:
    """Return the upper bound of a caret range: the first number that is not zero is raised."""
    major, minor, patch = [*numbers, 0, 0][:3]
    if major or len(numbers) == 1:
        return _below(major + 1, 0, 0)
    if minor or len(numbers) == 2:
        return _below(0, minor + 1, 0)
    return _below(0, 0, patch + 1)


def highest(tags: Iterable[str], allowed: Iterable[VersionRange]) -> str | None:
    """Return the tag with the highest version in *allowed*; None if none matches."""
    allowed = tuple(allowed)
    fitting = [
        (found, tag)
        for tag in tags
        if (found := version(tag)) is not None
        and any(one.low <= found < one.high and (found.final or one.pre) for one in allowed)
    ]
    return max(fitting)[1] if fitting else None
