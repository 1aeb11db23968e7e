"""A plan as stable bytes, and back; its digest; and whether the live state still is what it was made from.

Secrets are no part of a plan: bodies hold `{valueFrom: …}`, field changes hold a marker. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.diff import SECRET, FieldChange
from reconciler.errors import InputError, Problem
from reconciler.kinds import MISSING, Kind
from reconciler.kinds.freeze import Window, is_usable
from reconciler.model import Address, LiveObject, LiveState, Note
from reconciler.plan.changes import Action, Change, Consent, Plan
from reconciler.plan.impacts import RANK, Impacted, worse

FORMAT = "reconciler-plan/2"
_SECRET_MARK = {"$secret": True}  # no spec can hold it: no schema has a field of that name


def digest(plan: Plan) -> str:
    """Return the SHA-256 of the canonical bytes of *plan*, in hex: what an approval is about."""
    return _digest(_plain(plan))


def to_json(plan: Plan) -> bytes:
    """Return *plan* as JSON in UTF-8 (plain ASCII), with its digest; the same plan gives the same bytes."""
    document = _plain(plan)
    return (json.dumps({**document, "digest": _digest(document)}, indent=1, sort_keys=True) + "\n").encode("ascii")


def from_json(data: bytes) -> Plan:
    """Return the plan that `to_json` wrote. Raises InputError when it is another thing or was edited."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or "format" not in document:
            raise _broken("this is no plan file", "make one with: reconciler plan --out FILE")
        if document["format"] != FORMAT:
            raise _broken(
                f"its format is {str(document['format'])[:40]!r}, this version reads {FORMAT!r}", "plan again"
            )
        claimed = document.pop("digest", None)
        if claimed != _digest(document):
            raise _broken("its digest does not match its content", "it was edited or cut; plan again")
        return _plan(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken("it cannot be read as a plan", "plan again") from error


def fingerprint(live: LiveObject, rests_on: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a change was decided from: the object's identity and the values that mattered."""
    return _hash({"uid": live.uid, "created": live.created, "rests_on": rests_on})


def moved(plan: Plan, live: Mapping[str, LiveState]) -> list[tuple[Address, str, Any, Any]]:
    """Return (address, field, planned, now) of everything that *plan* rests on and that *live* no longer shows.

    Reads of other fields than those do not matter. An empty list means that the plan still holds.
    """
    by_uid = {
        (state.cluster, kind, found.uid): found
        for state in live.values()
        for kind, objects in state.objects.items()
        for found in objects
    }
    by_name = {(cluster, kind, found.name): found for (cluster, kind, _), found in by_uid.items()}
    differences: list[tuple[Address, str, Any, Any]] = []
    for change in plan.changes:
        cluster, kind, name = change.address
        if change.action is Action.CREATE:
            found = by_name.get((cluster, kind, name))
            if found is not None:
                differences.append((change.address, "", "absent", f"uid {found.uid}"))
            state = live.get(cluster)
            port = change.body.get("port")
            if state is not None and port in state.taken_ports:
                differences.append((change.address, "port", f"{port} free", "taken"))
        elif change.uid is not None and change.action is not Action.FORGET:
            differences += _moved(change, by_uid.get((cluster, kind, change.uid)))
    return differences


def worsened(
    plan: Plan, live: Mapping[str, LiveState], kinds: Mapping[str, Kind]
) -> Iterator[tuple[Address, str, Any, Any]]:
    """Yield (address, field, planned, now) where by what is measured now a change does more than was planned."""
    for change in plan.changes:
        state = live.get(change.address.cluster)
        if change.action is Action.UPDATE and change.uid is not None and state is not None:
            figures = state.figures(change.address.kind, change.uid)
            kind = kinds[change.address.kind]
            for one in worse(kind, change.address.name, change.fields, change.impacts, figures):
                yield change.address, one.field, "harmless", one.impact


def _moved(change: Change, found: LiveObject | None) -> Iterator[tuple[Address, str, Any, Any]]:
    address = change.address
    if found is None:
        yield address, "", f"uid {change.uid}", "gone"
        return
    if found.created != change.created:
        yield address, "created_time", change.created, found.created
    planned_name = change.renamed_from or address.name
    if found.name != planned_name:
        yield address, "name", planned_name, found.name
    for name, planned in sorted((change.rests_on or {}).items()):
        now = found.spec.get(name, MISSING)
        if now != planned:
            yield address, name, planned, now
    if change.action is Action.UPDATE:
        for name in sorted({*change.body} - {*(change.rests_on or {})}):
            if found.spec.get(name):  # empty is what a server says of a field that nobody set
                yield address, name, MISSING, found.spec[name]


def _plain(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clusters": list(plan.clusters),
        "changes": [_plain_change(change) for change in plan.changes],
        "notes": [{"level": n.level, "address": _plain_address(n.address), "message": n.message} for n in plan.notes],
        "unchanged": plan.unchanged,
        "present": dict(plan.present),
        "impact": plan.impact,
    }


def _plain_change(change: Change) -> dict[str, Any]:
    return {
        "number": change.number,
        "action": change.action.name.lower(),
        "address": _plain_address(change.address),
        "fields": [_plain_field(field) for field in change.fields],
        "body": change.body,
        "after": list(change.after),
        "uid": change.uid,
        "created": change.created,
        "rests_on": change.rests_on,
        "fingerprint": change.fingerprint,
        "why": change.why,
        "renamed_from": change.renamed_from,
        "consent": change.consent.value,
        "impacts": [one._asdict() for one in change.impacts],
        "allowed": list(change.allowed),
        **({"freeze": [window._asdict() for window in change.freeze]} if change.freeze else {}),
    }


def _plain_address(address: Address) -> dict[str, str]:
    return address._asdict()


def _plain_field(field: FieldChange) -> dict[str, Any]:
    plain = {"path": field.path}
    if field.before is not MISSING:
        plain["before"] = _marked(field.before)
    if field.after is not MISSING:
        plain["after"] = _marked(field.after)
    return plain


def _marked(value: Any) -> Any:
    if value is SECRET:
        return _SECRET_MARK
    if isinstance(value, dict):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: Any) -> Any:
    if value == _SECRET_MARK:
        return SECRET
    if isinstance(value, dict):
        return {name: _unmarked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    return value


def _plan(document: Mapping[str, Any]) -> Plan:
    plan = Plan(
        changes=tuple(_change(plain) for plain in document["changes"]),
        notes=tuple(Note(n["level"], Address(**n["address"]), n["message"]) for n in document["notes"]),
        unchanged=document["unchanged"],
        clusters=tuple(document["clusters"]),
        present=document["present"],
    )
    for number, change in enumerate(plan.changes, 1):
        earlier = all(type(other) is int and 0 < other < number for other in change.after)
        if change.number != number or not earlier or change.address.cluster not in plan.clusters:
            raise ValueError(f"change {number} does not fit the others")
        if not isinstance(change.body, dict) or not isinstance(change.rests_on, dict | None):
            raise ValueError(f"change {number} has no fields where some should be")
        if not all(map(is_usable, change.freeze)):
            raise ValueError(f"change {number} has a freeze window that makes no sense")
        if any(one.impact not in RANK for one in change.impacts):
            raise ValueError(f"change {number} does what nobody knows")
    return plan


def _change(plain: Mapping[str, Any]) -> Change:
    return Change(
        **{
            **plain,
            "action": Action[plain["action"].upper()],
            "address": Address(**plain["address"]),
            "fields": tuple(_field(field) for field in plain["fields"]),
            "after": tuple(plain["after"]),
            "consent": Consent(plain["consent"]),
            "impacts": tuple(Impacted(**one) for one in plain["impacts"]),
            "allowed": tuple(plain["allowed"]),
            "freeze": tuple(Window(**one) for one in plain.get("freeze", ())),
        }
    )


def _field(plain: Mapping[str, Any]) -> FieldChange:
    before, after = (_unmarked(plain[side]) if side in plain else MISSING for side in ("before", "after"))
    return FieldChange(plain["path"], before, after)


def _digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a plan; what a cluster said when it was asked is no part of what is to be done."""
    return _hash({**document, "notes": [note for note in document["notes"] if note["level"] != "objection"]})


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _broken(message: str, hint: str) -> InputError:
    return InputError([Problem("the plan file", 0, 0, "", message, hint)])
