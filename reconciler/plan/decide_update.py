"""The decision on an object that exists: an update, a replacement, or nothing. `decide` calls `decide_update`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff import SECRET, FieldChange, changes, masked
from reconciler.diff.normalize import hidden_values
from reconciler.errors import Problem
from reconciler.kinds import MISSING, Kind, versions
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, Level, LiveObject, Note, Reason
from reconciler.plan.bodies import (
    create_defaults,
    goes_back,
    immutable_field,
    options_for,
    secrets_sent,
    top,
    update_body,
    warnings_of,
)
from reconciler.plan.building import change_of, checked, full_body, missing_secrets, without_value
from reconciler.plan.copies import undeclared
from reconciler.plan.impacts import LOSES, Impacted, impacts_of, ordered
from reconciler.plan.multicluster import check_instances, departure
from reconciler.plan.plan import Action, Change
from reconciler.plan.view import Decision, Held, Unchanged, View, is_named, problem, warning

if TYPE_CHECKING:
    from reconciler.manifests import Resource


class Uncompared(NamedTuple):
    """A declared value that cannot be read back, and of which the ledger knows nothing."""

    note: Note
    change: FieldChange | None  # how it is sent with another change; None where there is nothing to send


class Differences(NamedTuple):
    """How an object differs from its manifest."""

    fields: tuple[FieldChange, ...]
    unknown: tuple[Note, ...] = ()  # on values that cannot be compared, and are not sent
    warnings: tuple[Note, ...] = ()
    immutable: tuple[str, ...] = ()  # fields among them that an update cannot change


def decide_update(view: View, resource: Resource, live: LiveObject, renamed_from: str) -> Decision:
    """Return what has to be done so that *live* is as *resource* declares it."""
    address, kind = resource.address, view.kinds[live.kind]
    found = _differences(view, resource, live)
    if not found.fields and not renamed_from and not found.warnings:
        return Decision(Unchanged(address), found.unknown)
    if found.immutable:
        return _decide_replace(view, resource, live, found)
    if "update" not in kind.rest.verbs:
        return Decision(Held(address, Reason.READ_ONLY_KIND, (kind.name,)), found.warnings)
    return _decide_fields(view, resource, live, found, renamed_from)


def _differences(view: View, resource: Resource, live: LiveObject) -> Differences:
    address, kind, spec = resource.address, view.kinds[live.kind], view.spec(resource)
    uncompared: list[Uncompared] = []
    fields = list(changes(kind, spec, view.renamed_spec(address.cluster, live)))
    fields += _unreadable_changes(view, resource, live, uncompared)
    along = [one for one in uncompared if one.change is not None and not immutable_field(kind, one.change)]
    if fields or live.name != address.name:  # the first write sends these too
        fields += [one.change for one in along if one.change is not None]
        uncompared = [one for one in uncompared if one not in along]
    unknown = [one.note for one in uncompared]
    fixed = {name: change for change in fields if (name := immutable_field(kind, change))}
    warnings = []
    for name in sorted(fixed):
        if fixed[name].before is MISSING and fixed[name].path in kind.fields:
            warnings.append(warning(address, Reason.IMMUTABLE_UNKNOWN, name))
            fields = [change for change in fields if top(change.path) != top(fixed[name].path)]
            del fixed[name]
    return Differences(tuple(fields), tuple(unknown), tuple(warnings), tuple(sorted(fixed)))


def _unreadable_changes(
    view: View, resource: Resource, live: LiveObject, uncompared: list[Uncompared]
) -> Iterator[FieldChange]:
    """Yield changes of what cannot be read back: secrets by the ledger's digest, the rest by what was last applied.

    On an object that this tool created, what was never applied was not set. What cannot be compared is added to
    *uncompared*.
    """
    address, kind, spec = resource.address, view.kinds[live.kind], view.spec(resource)
    last = view.observed.owned.get(address._replace(name=live.name))
    replaced = last is not None and not last.is_of(live)  # the ledger entry is of a deleted object
    resend = is_named(address, view.options.resend_secrets)
    applied = dict(hidden_values(kind, last.fields)) if last is not None and not replaced else {}
    made = last is not None and last.made and not replaced
    for path, value in hidden_values(kind, spec):
        if is_value_from(value):
            status = _secret_status(view, (address, path), replaced=replaced)
            if status == "unknown" and ((made and not _is_login(kind, path)) or path in live.unset):
                status = "unset"
            found = _secret_change(kind, (address, path), status, resend=resend)
            if status == "missing":
                uncompared.append(Uncompared(without_value(view, address, path), None))
            elif isinstance(found, FieldChange):
                yield found
            elif found is not None:
                uncompared.append(_as_login(kind, found))
        elif path not in applied and not (resend or (made and not _is_login(kind, path))):
            note = Note(Level.HELD, address, Reason.WRITE_ONLY_UNKNOWN, (path, str(address)))
            uncompared.append(_as_login(kind, Uncompared(note, FieldChange(path, MISSING, masked(value)))))
        elif resend or path not in applied or applied[path] != value:
            yield FieldChange(path, applied.get(path, MISSING), masked(value))
    if resend:
        yield from (FieldChange(path, SECRET, SECRET) for path in undeclared(kind, spec, address.cluster))
    for name in sorted(spec):
        if view.observed.secrets.get((address, f"{name}[]")) == "gone" and not replaced:
            yield FieldChange(f"{name}[]", SECRET, MISSING)


def _secret_status(view: View, place: tuple[Address, str], *, replaced: bool) -> str:
    status = view.observed.secrets.get(place, "unknown")
    return "unknown" if replaced and status != "missing" else status


def _secret_change(
    kind: Kind, place: tuple[Address, str], status: str, *, resend: bool
) -> FieldChange | Uncompared | None:
    """Return the change of one secret, or that it cannot be compared; None where it is the one last applied."""
    address, path = place
    listed = kind.fields[top(path)].lists_secrets and not resend
    change = FieldChange(path, MISSING if listed or status == "unset" else SECRET, SECRET)
    if status in ("changed", "unset") or resend:
        return change
    if status == "unknown":
        return Uncompared(Note(Level.HELD, address, Reason.SECRET_UNKNOWN, (path, str(address))), change)
    return None


def _as_login(kind: Kind, found: Uncompared) -> Uncompared:
    """Return *found* as a warning where it is a login for a cluster to join: a member that has joined needs none."""
    if not _is_login(kind, found.note.details[0]):
        return found
    return Uncompared(found.note._replace(level=Level.WARNING), None)


def _is_login(kind: Kind, path: str) -> bool:
    return kind.traits.multi_cluster is not None and top(path) == kind.traits.multi_cluster.field


def _decide_fields(view: View, resource: Resource, live: LiveObject, found: Differences, renamed_from: str) -> Decision:
    """Decide an update of the fields that differ."""
    address, kind, spec = resource.address, view.kinds[live.kind], view.spec(resource)
    fields = [*found.fields]
    problems = [*_backward(kind, resource, fields), *check_instances(view, resource, live)]
    names = {top(change.path) for change in fields}
    fields += _implied(kind, spec, live, names)
    body = _body(view, resource, live, fields, names)
    along = secrets_sent(kind, body, {change.path for change in fields})
    fields += [one for one in along if view.observed.secrets.get((address, one.path)) != "same"]
    warnings = [*found.warnings]
    warnings += [note for note in found.unknown if top(note.details[0]) not in body]  # the others are sent anyway
    warnings += [warning(address, Reason.UNUSUALLY_SMALL, *details) for details in warnings_of(kind, body)]
    missing = tuple(missing_secrets(view, resource, body))
    if renamed_from:
        fields.append(FieldChange("name", renamed_from, address.name))
    elif not fields:
        return Decision(Unchanged(address), tuple(warnings))
    leaves = departure(view, resource, live, [top(change.path) for change in fields])
    figures = view.observed.live[address.cluster].figures(kind.name, live.uid)
    impacts = view.affecting_us(address.cluster, live, impacts_of(kind, address.name, fields, body, figures))
    if leaves.clusters:
        impacts = ordered({*impacts, Impacted(LOSES, "", "all that it holds where it leaves")})
    change = change_of(
        resource,
        Action.UPDATE,
        live,
        fields=tuple(sorted(fields, key=lambda change: change.path)),
        body=body,
        rests_on={name: live.spec[name] for name in sorted(body) if name in live.spec},
        renamed_from=renamed_from,
        impacts=impacts,
        protected=bool(leaves.clusters) and resource.protect,
        reason=Reason.LEAVES_CLUSTER if leaves.clusters else Reason.NONE,
        details=leaves.details,
    )
    return checked(change, problems, missing, (*warnings, *leaves.warnings))


def _backward(kind: Kind, resource: Resource, fields: list[FieldChange]) -> Iterator[Problem]:
    """Yield a problem for each field that only grows and would shrink."""
    for change in fields:
        if goes_back(kind, change):
            text = f"{change.path} cannot go back to {change.after}"
            yield problem(resource, ("spec", top(change.path)), text, f"it is {change.before} now")


def _implied(kind: Kind, spec: Mapping[str, Any], live: LiveObject, names: set[str]) -> list[FieldChange]:
    """Return the defaults that become due because a field that implies them changes."""
    return [
        FieldChange(name, live.spec.get(name, MISSING), value)
        for name, value in create_defaults(kind, spec, names).items()
        if not live.spec.get(name)
    ]


def _body(
    view: View, resource: Resource, live: LiveObject, fields: list[FieldChange], names: set[str]
) -> dict[str, Any]:
    """Return what an update of *fields*, which change the top-level fields *names*, has to send."""
    kind, spec = view.kinds[live.kind], view.spec(resource)
    names = names | {change.path for change in fields if change.path not in spec and change.path in kind.fields}
    names |= options_for(kind, spec, names)
    there = view.renamed_spec(resource.address.cluster, live)
    return update_body(kind, {**create_defaults(kind, spec), **spec}, there, names)


def decide_replacement(view: View, resource: Resource, live: LiveObject, *, lost: bool) -> Decision:
    """Decide the replacement that `--replace` asks for; *lost* says whether *live* may hold anything."""
    decision = _decide_replace(view, resource, live, _differences(view, resource, live))
    if not isinstance(change := decision.outcome, Change):
        return decision
    change = replace(change, reason=Reason.REPLACE_REQUESTED, details=())
    if not lost:  # its create failed: it never held data, and the option names it
        change = replace(change, reason=Reason.REPLACE_FAILED, details=(live.status,), protected=False, impacts=())
    return decision._replace(outcome=change)


def _decide_replace(view: View, resource: Resource, live: LiveObject, found: Differences) -> Decision:
    """Decide a replacement: an immutable field differs."""
    address, kind, spec = resource.address, view.kinds[live.kind], view.spec(resource)
    immutable = ", ".join(found.immutable)
    if not {"create", "delete"} <= set(kind.rest.verbs):
        return Decision(Held(address, Reason.CANNOT_REPLACE, (immutable, kind.name)), found.warnings)
    made = full_body(view, resource, live.spec.get("port"))
    fields = [*found.fields]
    fields += [
        FieldChange(name, live.spec.get(name, MISSING), masked(made.body[name]))
        for name in sorted(made.body.keys() - spec.keys())
        if live.spec.get(name, MISSING) != made.body[name]
    ]
    fields += secrets_sent(kind, made.body, {change.path for change in found.fields})
    lost = "all that it holds, and every setting that is not declared"
    change = change_of(
        resource,
        Action.REPLACE,
        live,
        fields=tuple(sorted(fields, key=lambda change: change.path)),
        body=made.body,
        rests_on=dict(live.spec),
        reason=Reason.IMMUTABLE,
        details=(immutable,),
        protected=resource.protect,
        impacts=(Impacted(LOSES, "", lost),) if kind.policy.protect else (),
    )
    validated = versions.takes_dry_run(view.observed.live[address.cluster].version, kind)
    unsure = (Reason.CAPACITY_UNKNOWN,) if validated else (Reason.NOT_VALIDATED, kind.name)
    notes = (*found.warnings, *made.warnings, warning(address, *unsure))
    return checked(change, made.problems, made.missing_secrets, notes)
