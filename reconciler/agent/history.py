"""What was so before: since when something differs, and how often it was put right of late. Pure.

A pass calls it with what the ledger remembers and keeps what it returns. When a person and the agent undo each other,
the field is left alone until an hour has passed, and everybody is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.agent.status import DriftSince
from reconciler.ledger import Fact
from reconciler.ledger.records import to_json
from reconciler.model import Address
from reconciler.plan.drift import Drift

if TYPE_CHECKING:
    from reconciler.manifests import Resource

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


def corrected(mended: Mapping[str, str], known: Mapping[str, Fact], now: float) -> dict[str, Fact]:
    """Return what to remember of corrections: *mended* is what was just put right, with a digest of what it is now."""
    facts = recent(known, now)
    for name, to in mended.items():
        before = facts.get(name)
        times = before.content["times"] if before is not None and before.content["to"] == to else []
        facts[name] = Fact(now, {"times": [*times, now][-FLIPS:], "to": to})
    return facts


def recent(known: Mapping[str, Fact], now: float) -> dict[str, Fact]:
    """Return *known* without corrections that are too long ago to matter."""
    kept = {name: [at for at in fact.content["times"] if now - at < WITHIN] for name, fact in known.items()}
    return {
        name: Fact(known[name].at, {**known[name].content, "times": times}) for name, times in kept.items() if times
    }


def fights(known: Mapping[str, Fact], now: float, wanted: Mapping[str, str]) -> frozenset[str]:
    """Return the places that were put right too often within the hour; *wanted* has digests of what they should be.

    What should be something else by now is another matter: whoever undid the old value has not seen the new one.
    """
    return frozenset(
        name
        for name, fact in recent(known, now).items()
        if len(fact.content["times"]) >= FLIPS and fact.content["to"] == wanted.get(name)
    )


def declared(places: Iterable[str], resources: Iterable[Resource]) -> dict[str, str]:
    """Return for each of *places* that *resources* declare a digest of what is declared there: field or object."""
    wanted = list(places)
    found = {}
    for resource in resources if wanted else ():
        prefix = place(resource.address, "")
        for name in wanted:
            if name.startswith(prefix):
                field = top(name[len(prefix) :])
                value = resource.spec.get(field) if field else resource.spec
                found[name] = hashlib.sha256(to_json(value).encode()).hexdigest()[:16]
    return found


def top(path: str) -> str:
    """Return the field of the spec that *path* lies in."""
    return path.partition(".")[0].partition("[")[0]
