"""The history of drift: since when something differs, and how often it was corrected recently. Pure.

A reconciliation calls it with the facts in the ledger and stores what it returns. A field is contested when a user or
another tool keeps reverting the agent's corrections: it is held until an hour has passed, and reported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.agent.status import DriftEntry
from reconciler.ledger import Fact
from reconciler.ledger.records import to_json
from reconciler.model import Address
from reconciler.plan.drift import Drift

if TYPE_CHECKING:
    from reconciler.manifests import Resource

DRIFT: Final = "drift"  # topic in the ledger: since when something differs
CORRECTED: Final = "flipped"  # topic in the ledger: when drift was corrected
MAX_CORRECTIONS: Final = 3
WINDOW: Final = 3600.0  # seconds


class AuditRecord(NamedTuple):
    """Who made a change, and when, by the audit log of the cluster."""

    at: float
    who: str = ""


def field_key(address: Address, path: str) -> str:
    """Return the key under which one field, or with no path one object, is remembered."""
    return f"{address.kind}/{address.name} {path}"


def with_history(
    drifts: Iterable[Drift], known: Mapping[str, Fact], now: float, audit: Mapping[str, AuditRecord]
) -> tuple[tuple[DriftEntry, ...], dict[str, Fact]]:
    """Return *drifts* with since when and by whom, and the facts to store. *audit* has records by field key."""
    entries, facts = [], {}
    for drift in drifts:
        key = field_key(drift.address, drift.path)
        fact = known.get(key)
        if fact is None:
            record = audit.get(key, AuditRecord(now))
            fact = Fact(min(record.at, now), {"who": record.who})
        facts[key] = fact
        entries.append(DriftEntry(drift, fact.at, fact.content.get("who", "")))
    return tuple(entries), facts


def with_corrections(corrected: Mapping[str, str], known: Mapping[str, Fact], now: float) -> dict[str, Fact]:
    """Return the facts to store about corrections: *corrected* has the digest of the declared value by field key."""
    facts = recent(known, now)
    for key, digest in corrected.items():
        before = facts.get(key)
        times = before.content["times"] if before is not None and before.content["to"] == digest else []
        facts[key] = Fact(now, {"times": [*times, now][-MAX_CORRECTIONS:], "to": digest})
    return facts


def recent(known: Mapping[str, Fact], now: float) -> dict[str, Fact]:
    """Return *known* without corrections that are older than the window."""
    kept = {key: [at for at in fact.content["times"] if now - at < WINDOW] for key, fact in known.items()}
    return {key: Fact(known[key].at, {**known[key].content, "times": times}) for key, times in kept.items() if times}


def contested(known: Mapping[str, Fact], now: float, declared: Mapping[str, str]) -> frozenset[str]:
    """Return the field keys that were corrected too often within the window; *declared* has digests by field key.

    A new declared value starts again: whoever reverted the old value has not seen the new one.
    """
    return frozenset(
        key
        for key, fact in recent(known, now).items()
        if len(fact.content["times"]) >= MAX_CORRECTIONS and fact.content["to"] == declared.get(key)
    )


def declared_digests(keys: Iterable[str], resources: Iterable[Resource]) -> dict[str, str]:
    """Return, for each of *keys* that *resources* declare, a digest of the declared field or object."""
    wanted = list(keys)
    found = {}
    for resource in resources if wanted else ():
        prefix = field_key(resource.address, "")
        for key in wanted:
            if key.startswith(prefix):
                field = top_level_field(key[len(prefix) :])
                value = resource.spec.get(field) if field else resource.spec
                found[key] = hashlib.sha256(to_json(value).encode()).hexdigest()[:16]
    return found


def top_level_field(path: str) -> str:
    """Return the field of the spec that contains *path*."""
    return path.partition(".")[0].partition("[")[0]
