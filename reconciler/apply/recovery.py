"""What a killed run left open, settled from a fresh read: each effect gets into the record once, and only once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks import hook_of
from reconciler.diff import changes
from reconciler.diff.normalize import comparable
from reconciler.kinds import Kind
from reconciler.ledger import Intent, Ledger, Record
from reconciler.model import Address, LiveObject, LiveState


def recover(ledger: Ledger, kinds: Mapping[str, Kind], live: LiveState) -> tuple[Address, ...]:
    """Close the intents of one cluster that *live* settles; return the addresses that are recorded by it.

    A create that *live* does not show stays open: its effect may still come, and the next create of that address
    starts by looking for it. Kinds that *live* does not cover stay as they are. Call it before planning, under the
    cluster's lock.
    """
    recorded = []
    for intent in ledger.open_intents(live.cluster):
        kind = kinds.get(intent.address.kind)
        if kind is None or intent.address.kind not in live.objects:
            continue
        outcome, record, forget = _judged(kind, intent, live.objects[kind.name], ledger)
        if outcome:
            ledger.close(intent.op_id, outcome, record=record, forget=forget)
        if record is not None:
            recorded.append(intent.address)
    return tuple(recorded)


def unfinished_creates(ledger: Ledger, cluster: str) -> Mapping[Address, Intent]:
    """Return the creates whose outcome is still unknown; their bodies hold the ports that were pinned for them."""
    return {intent.address: intent for intent in ledger.open_intents(cluster) if intent.action == "create"}


def _judged(
    kind: Kind, intent: Intent, objects: tuple[LiveObject, ...], ledger: Ledger
) -> tuple[str, Record | None, Address | None]:
    if intent.action == "create":
        made = _made(kind, intent, objects)
        if made is None:
            return "", None, None
        fields, secrets = _surely_made(kind, intent)
        return "done, found later", Record(intent.address, made.uid, made.created, fields, secrets), None
    there = next((one for one in objects if one.uid == intent.uid), None)
    if intent.action == "delete":
        return ("done, found later", None, intent.address) if there is None else ("superseded", None, None)
    if there is None or there.name != intent.address.name or changes(kind, intent.body, there.spec):
        return "superseded", None, None
    former, fields = _last_applied(ledger, intent)
    # What cannot be read back was perhaps not set: it stays as it was, and the next plan says so.
    seen = {**fields, **comparable(kind, intent.body)}
    return "done, found later", Record(intent.address, there.uid, there.created, seen, {}), former


def _surely_made(kind: Kind, intent: Intent) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return what a create that was cut short has set for sure: not what it would have written through doors later.

    A set of secrets counts as empty then, so that the next plan adds what is in it.
    """
    behind = hook_of(kind).doors.keys() & intent.body.keys()
    hidden = {name for name in behind if kind.fields[name].access.holds_secret}
    empty = {f"{name}[]": "" for name in hidden if kind.fields[name].lists_secrets}
    kept = {path: digest for path, digest in intent.secrets.items() if path.partition("[")[0] not in hidden}
    return {name: value for name, value in intent.body.items() if name not in hidden}, {**kept, **empty}


def _last_applied(ledger: Ledger, intent: Intent) -> tuple[Address | None, Mapping[str, Any]]:
    """Return the name that an update took away from its object, if any, and what was last applied to that."""
    owned = ledger.owned(intent.address.cluster)
    for address, mine in owned.items():
        if address.kind == intent.address.kind and mine.uid == intent.uid:
            return (None if address == intent.address else address), mine.fields
    return None, {}


def _made(kind: Kind, intent: Intent, objects: tuple[LiveObject, ...]) -> LiveObject | None:
    """Return the one object that this create provably made."""
    marked = [one for one in objects if one.operation == intent.op_id]
    if marked or hook_of(kind).stamp is not None:
        return marked[0] if len(marked) == 1 else None
    named = [one for one in objects if one.name == intent.address.name]
    same = [one for one in named if not changes(kind, hook_of(kind).begun(intent.body), one.spec)]
    return same[0] if len(same) == 1 else None
