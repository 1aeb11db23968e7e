"""The questions that the engine may ask of a hook, with the answer of a kind that has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]


class Marks(NamedTuple):
    """What a live object says about who made it."""

    operation: str = ""  # op id that our create put on it
    owner: str = ""  # who else manages it, in words


def _no_marks(spec: Json, wire: Mapping[str, Any]) -> Marks:
    return Marks()


def _as_it_is(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    return dict(body)


@dataclass(frozen=True, slots=True)
class Hook:
    """One kind's peculiarities; each default is the behaviour of a plain kind."""

    needs: tuple[str, ...] = ()  # wire fields that `decode` looks at beyond the declared ones
    decode: Callable[[Json, Mapping[str, Any]], Marks] = _no_marks  # (spec, wire): may correct *spec* in place
    stamp: Callable[[Mapping[str, Any], str], Json] | None = None  # (wire body, op id) → body that carries the op id
    complete: Callable[[Mapping[str, Any], Mapping[str, Any]], Json] = _as_it_is  # (PUT body, live wire) → PUT body
    logs_in_by: tuple[str, ...] = ()  # wire fields with which one logs in to the API as such an object
    secret_is_so: frozenset[str] = frozenset()  # error codes that say: this secret already has that value


NOTHING = Hook()
