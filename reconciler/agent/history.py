"""What was so before: since when something differs, and how often it was put right of late. Pure.

A pass calls it with what the ledger remembers and keeps what it returns. When a person and the agent undo each other,
the field is left alone until an hour has passed, and everybody is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from reconciler.agent.status import DriftSince
from reconciler.drift import Ahead, Drift
from reconciler.kinds import Address
from reconciler.ledger import Fact

FLIPS: Final = 3
WITHIN: Final = 3600.0


class Seen(NamedTuple):
    """What somebody's log says of a change."""

    at: float
    who: str = ""


def place(address: Address, path: str) -> str:
    """Return the name under which one field, or with no path one object, is remembered."""
    return f"{address.kind}/{address.name} {path}"


def since(
    found: Iterable[Drift], known: Mapping[str, Fact], now: float, seen: Mapping[str, Seen]
) -> tuple[tuple[DriftSince, ...], dict[str, Fact]]:
    """Return *found* with since when and by whom, and what is to be remembered of it. *seen* is what logs tell."""
    told, facts = [], {}
    for drift in found:
        name = place(drift.address, drift.path)
        fact = known.get(name)
        if fact is None:
            told_by = seen.get(name, Seen(now))
            fact = Fact(min(told_by.at, now), {"who": told_by.who})
        facts[name] = fact
        told.append(DriftSince(drift, fact.at, fact.content.get("who", "")))
    return tuple(told), facts


def corrected(mended: Iterable[Drift], known: Mapping[str, Fact], now: float) -> dict[str, Fact]:
    """Return what to remember of corrections: *mended* is what was just put right."""
    facts = recent(known, now)
    for drift in mended:
        if drift.ahead is not Ahead.OURS:
            name = place(drift.address, drift.path)
            times = [*(facts[name].content if name in facts else []), now]
            facts[name] = Fact(now, times[-FLIPS:])
    return facts


def recent(known: Mapping[str, Fact], now: float) -> dict[str, Fact]:
    """Return *known* without corrections that are too long ago to matter."""
    kept = {name: [at for at in fact.content if now - at < WITHIN] for name, fact in known.items()}
    return {name: Fact(known[name].at, times) for name, times in kept.items() if times}


def fights(known: Mapping[str, Fact], now: float) -> frozenset[str]:
    """Return the places that were put right too often within the hour."""
    return frozenset(name for name, fact in recent(known, now).items() if len(fact.content) >= FLIPS)
