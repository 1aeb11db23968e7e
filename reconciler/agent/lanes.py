"""Which clusters are worked on next: by the time that they are due, and so that sick ones never hold up the others.

Pure; the loop asks before it starts passes. There are places for any cluster and further ones for those that failed
last time or take long: a cluster that turns out slow moves over there, if there is room, and frees its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

PATIENCE = 2.0  # seconds after which a pass counts as slow


class Waiting(NamedTuple):
    """A cluster that may be worked on."""

    due: float
    name: str
    failing: bool


class Running(NamedTuple):
    """A cluster that is worked on."""

    since: float
    failing: bool  # it was, when the pass began


class Room(NamedTuple):
    """How many passes there may be at a time."""

    usual: int
    sick: int


def chosen(waiting: Iterable[Waiting], running: Iterable[Running], room: Room, now: float) -> list[str]:
    """Return whom to begin with at *now*, longest due first."""
    at_work = list(running)
    sick = sum(one.failing or now - one.since >= PATIENCE for one in at_work)
    usual = len(at_work) - min(sick, room.sick)
    names: list[str] = []
    for one in sorted(each for each in waiting if each.due <= now):
        if len(at_work) + len(names) >= room.usual + room.sick:  # more may be at work, where the room became smaller
            break
        if one.failing and sick < room.sick:
            sick += 1
        elif not one.failing and usual < room.usual:
            usual += 1
        else:
            continue
        names.append(one.name)
    return names
