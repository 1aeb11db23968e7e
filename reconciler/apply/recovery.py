"""Closes what a killed run left open, from a fresh read: each effect is recorded exactly once."""

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
    """Close the intents of one cluster whose outcome *live* shows; return the addresses that this records.

    A create that *live* does not show stays open: it may still take effect, and the next create of that address starts
    with a look-up. A replacement whose old object is gone stays open until there is a new one. Intents of kinds that
    *live* does not cover stay open. Call it before planning, under the cluster's
    lock.
    """
    recorded = []
    for intent in ledger.open_intents(live.cluster):
        kind = kinds.get(intent.address.kind)
        if kind is None or intent.address.kind not in live.objects:
            continue
        outcome, record, forget = _outcome_of(kind, intent, live.objects[kind.name], ledger)
        if outcome:
            ledger.close(intent.op_id, outcome, record=record, forget=forget)
        if record is not None:
            recorded.append(intent.address)
    return tuple(recorded)


def unfinished(ledger: Ledger, cluster: str, action: str) -> Mapping[Address, Intent]:
    """Return the open intents with this *action*; their bodies hold the ports that were pinned for them.

    "create": the outcome is not known. "replace": the old object may be gone, and there is no new one.
    """
    return {intent.address: intent for intent in ledger.open_intents(cluster) if intent.action == action}


def _outcome_of(
    kind: Kind, intent: Intent, objects: tuple[LiveObject, ...], ledger: Ledger
) -> tuple[str, Record | None, Address | None]:
    if intent.action == "create":
        made = _created_by(kind, intent, objects)
        if made is None:
            return "", None, None
        fields, secrets = _certainly_applied(kind, intent)
        return "done, found later", Record(intent.address, made.uid, made.created, fields, secrets, made=True), None
    if intent.action == "replace":
        named = (one for one in objects if one.name == intent.address.name)
        settled = any(one.uid != intent.uid or "delete" not in one.status for one in named)
        return ("superseded" if settled else ""), None, None
    found = next((one for one in objects if one.uid == intent.uid), None)
    if intent.action == "delete":
        return ("done, found later", None, intent.address) if found is None else ("superseded", None, None)
    if found is None or found.name != intent.address.name or changes(kind, intent.body, found.spec):
        return "superseded", None, None
    former, fields = _last_applied(ledger, intent)
    # What cannot be read back was perhaps not set: its record stays as it was, and the next plan shows that.
    seen = {**fields, **comparable(kind, intent.body)}
    return "done, found later", Record(intent.address, found.uid, found.created, seen, {}), former


def _certainly_applied(kind: Kind, intent: Intent) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return what an interrupted create has certainly set: not the sub-resources, which come later.

    A set of secrets counts as empty then, so that the next plan adds its elements.
    """
    behind = hook_of(kind).sub_resources.keys() & intent.body.keys()
    hidden = {name for name in behind if kind.fields[name].access.holds_secret}
    empty = {f"{name}[]": "" for name in hidden if kind.fields[name].lists_secrets}
    kept = {path: digest for path, digest in intent.secrets.items() if path.partition("[")[0] not in hidden}
    return {name: value for name, value in intent.body.items() if name not in hidden}, {**kept, **empty}


def _last_applied(ledger: Ledger, intent: Intent) -> tuple[Address | None, Mapping[str, Any]]:
    """Return the former address of an object that an update renamed, if it did, and what was last applied to it."""
    owned = ledger.owned(intent.address.cluster)
    for address, mine in owned.items():
        if address.kind == intent.address.kind and mine.uid == intent.uid:
            return (None if address == intent.address else address), mine.fields
    return None, {}


def _created_by(kind: Kind, intent: Intent, objects: tuple[LiveObject, ...]) -> LiveObject | None:
    """Return the one object that this create certainly created."""
    marked = [one for one in objects if one.operation == intent.op_id]
    if marked or hook_of(kind).stamp is not None:
        return marked[0] if len(marked) == 1 else None
    named = [one for one in objects if one.name == intent.address.name]
    same = [one for one in named if not changes(kind, hook_of(kind).initial_spec(intent.body), one.spec)]
    return same[0] if len(same) == 1 else None
