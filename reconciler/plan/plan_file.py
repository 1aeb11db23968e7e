"""A plan as stable bytes, and back; its digest. Pure.

A saved plan also has the input that it was decided from. Secrets are not part of a plan: bodies hold `{valueFrom: …}`,
field changes hold a marker. Reasons are stored as codes; `render.plan_json` adds their texts for readers, which are
neither part of the digest nor read back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff import SECRET, FieldChange
from reconciler.errors import InputError, Problem
from reconciler.kinds import MISSING, Kind
from reconciler.kinds.freeze import Window, is_usable
from reconciler.model import Address, ClusterIdentity, Level, Note, Reason
from reconciler.plan.consent import Consent, ConsentSource
from reconciler.plan.impacts import RANK, Impacted
from reconciler.plan.plan import Action, Change, ClusterFailure, Options, Plan, SourceLocation
from reconciler.plan.plan_input import input_of

if TYPE_CHECKING:
    from reconciler.manifests.resolve import Desired

FORMAT = "reconciler-plan/4"
_TEXTS = frozenset({"why", "message", "calls", "calls_unknown"})  # added for readers, and not read back
INPUT = "input"  # what a saved plan was decided from; not part of the digest, since it is decided again from it
_SECRET_MARK = {"$secret": True}  # no spec can hold it: no schema has a field of that name


class SavedPlan(NamedTuple):
    """A plan that was saved, and what it was decided from."""

    plan: Plan
    desired: Desired
    options: Options


def digest(plan: Plan) -> str:
    """Return the SHA-256 of the canonical bytes of *plan*, in hex: what an approval is about."""
    return _digest(_plain(plan))


def document(plan: Plan) -> dict[str, Any]:
    """Return *plan* as plain values, with its digest."""
    plain = _plain(plan)
    return {**plain, "digest": _digest(plain)}


def to_json(plan: Plan) -> bytes:
    """Return *plan* as JSON (plain ASCII), with its digest; the same plan gives the same bytes."""
    return dumped(document(plan))


def dumped(plain: Mapping[str, Any]) -> bytes:
    """Return the bytes of a plan's document."""
    return (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode("ascii")


def from_json(data: bytes) -> Plan:
    """Return the plan that `to_json` wrote. Raises InputError when it is another thing or was edited."""
    return _read(data)[0]


def saved_from_json(data: bytes, kinds: Mapping[str, Kind]) -> SavedPlan:
    """Return the saved plan that `plan --out` wrote, of *kinds*; raises InputError as `from_json` does."""
    plan, document = _read(data)
    for change in plan.changes:
        kind = kinds.get(change.address.kind)
        strange = sorted(change.body.keys() - kind.fields.keys()) if kind else [f"the kind {change.address.kind}"]
        if strange:
            text = f"{change.address}: this version does not know {', '.join(strange)}"
            raise _broken(text, "plan again with this version")
    if INPUT not in document:
        raise _broken("it does not say what it was decided from", "create one with: reconciler plan --out FILE")
    try:
        desired, options = input_of(document[INPUT], kinds)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken("it cannot be read as a plan", "plan again") from error
    if not {resource.address.cluster for resource in desired.resources} <= {*plan.clusters}:
        raise _broken("it declares something for another cluster than its own", "plan again")
    return SavedPlan(plan, desired, options)


def _read(data: bytes) -> tuple[Plan, dict[str, Any]]:
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or "format" not in document:
            raise _broken("this is not a plan file", "create one with: reconciler plan --out FILE")
        if document["format"] != FORMAT:
            raise _broken(
                f"its format is {str(document['format'])[:40]!r}, this version reads {FORMAT!r}", "plan again"
            )
        claimed = document.pop("digest", None)
        if claimed != _digest(document):
            raise _broken("its digest does not match its content", "it was edited or cut; plan again")
        return _plan(document), document
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken("it cannot be read as a plan", "plan again") from error


def _plain(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clusters": list(plan.clusters),
        **({"identities": {n: one._asdict() for n, one in plan.identities.items()}} if plan.identities else {}),
        "changes": [_plain_change(change) for change in plan.changes],
        "notes": [_plain_note(note) for note in plan.notes],
        "unchanged": plan.unchanged,
        "present": dict(plan.present),
        "impact": plan.impact,
        **({"failures": [one._asdict() for one in plan.failures]} if plan.failures else {}),
        "ignored_freezes": list(plan.ignored_freezes),
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
        "reason": change.reason.value,
        "details": list(change.details),
        "other_clusters": list(change.other_clusters),
        "renamed_from": change.renamed_from,
        "impacts": [one._asdict() for one in change.impacts],
        "protected": change.protected,
        "consents": [{"to": one.to, "source": one.source.value} for one in change.consents],
        **({"freeze": [window._asdict() for window in change.freeze]} if change.freeze else {}),
        **({"source": change.source._asdict()} if change.source else {}),
    }


def _plain_note(note: Note) -> dict[str, Any]:
    return {
        "level": note.level.value,
        "address": _plain_address(note.address),
        "reason": note.reason.value,
        "details": list(note.details),
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


def _plan(plain: Mapping[str, Any]) -> Plan:
    plan = Plan(
        changes=tuple(_change(change) for change in plain["changes"]),
        notes=tuple(_note(note) for note in plain["notes"]),
        unchanged=plain["unchanged"],
        clusters=tuple(plain["clusters"]),
        identities={name: ClusterIdentity(**one) for name, one in plain.get("identities", {}).items()},
        present=plain["present"],
        failures=tuple(ClusterFailure(**one) for one in plain.get("failures", ())),
        ignored_freezes=tuple(map(str, plain["ignored_freezes"])),
    )
    for number, change in enumerate(plan.changes, 1):
        earlier = all(type(other) is int and 0 < other < number for other in change.after)
        if change.number != number or not earlier or change.address.cluster not in plan.clusters:
            raise ValueError(f"change {number} does not match the others")
        if not isinstance(change.uid, int | str | None) or not all(isinstance(part, str) for part in change.address):
            raise ValueError(f"change {number} does not name an object")
        if not isinstance(change.body, dict) or not isinstance(change.rests_on, dict | None):
            raise ValueError(f"change {number} has no object where one is expected")
        if not all(map(is_usable, change.freeze)):
            raise ValueError(f"change {number} has an invalid freeze window")
        if any(one.impact not in RANK for one in change.impacts):
            raise ValueError(f"change {number}: unknown impact")
    return plan


def _change(plain: Mapping[str, Any]) -> Change:
    known = {name: value for name, value in plain.items() if name not in _TEXTS}
    return Change(
        **{
            **known,
            "action": Action[plain["action"].upper()],
            "address": Address(**plain["address"]),
            "fields": tuple(_field(field) for field in plain["fields"]),
            "after": tuple(plain["after"]),
            "other_clusters": tuple(map(str, plain["other_clusters"])),
            "reason": Reason(plain["reason"]),
            "details": tuple(map(str, plain["details"])),
            "impacts": tuple(Impacted(**one) for one in plain["impacts"]),
            "consents": tuple(Consent(one["to"], ConsentSource(one["source"])) for one in plain["consents"]),
            "freeze": tuple(Window(**one) for one in plain.get("freeze", ())),
            "source": SourceLocation(**plain["source"]) if "source" in plain else None,
        }
    )


def _note(plain: Mapping[str, Any]) -> Note:
    details = tuple(map(str, plain["details"]))
    return Note(Level(plain["level"]), Address(**plain["address"]), Reason(plain["reason"]), details)


def _field(plain: Mapping[str, Any]) -> FieldChange:
    before, after = (_unmarked(plain[side]) if side in plain else MISSING for side in ("before", "after"))
    return FieldChange(plain["path"], before, after)


def _digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a plan: of what is to be done.

    Texts and source lines are left out, and so is what a cluster answered to a dry run, or why it failed.
    """
    changes = [_without(change, {*_TEXTS, "source"}) for change in document["changes"]]
    notes = [_without(note, _TEXTS) for note in document["notes"] if note["level"] != Level.OBJECTION.value]
    failed = {"failures": [one["cluster"] for one in document["failures"]]} if "failures" in document else {}
    return _hash({**_without(document, {INPUT}), "changes": changes, "notes": notes, **failed})


def _without(plain: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name not in names}


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _broken(message: str, hint: str) -> InputError:
    return InputError([Problem("the plan file", 0, 0, "", message, hint)])


# --- compared with what is decided now -------------------------------------------------------------------------------


def plain_changes(plan: Plan) -> dict[tuple[Address, int], dict[str, Any]]:
    """Return what each change of *plan* does, by its address and its place among the changes of that address.

    What comes before it is named in the same way: numbers depend on all changes of a plan.
    """
    keys = keys_of(plan)
    plain = {key: _without(_plain_change(change), {"number", "source"}) for key, change in keys.items()}
    by_number = {change.number: key for key, change in keys.items()}
    for key, change in keys.items():
        plain[key]["after"] = sorted(by_number[number] for number in change.after if number in by_number)
    return {key: json.loads(json.dumps(one)) for key, one in plain.items()}


def keys_of(plan: Plan) -> dict[tuple[Address, int], Change]:
    """Return the changes by address and place among those of the same address: a second step has that of the first."""
    found: dict[tuple[Address, int], Change] = {}
    for change in plan.changes:
        step = next(step for step in range(len(plan.changes)) if (change.address, step) not in found)
        found[change.address, step] = change
    return found
