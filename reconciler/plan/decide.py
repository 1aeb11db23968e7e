"""What has to happen to one object. The planner calls this for each resource and for what is owned and undeclared.

It must not know how changes are ordered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.diff import SECRET, FieldChange, changes, masked
from reconciler.diff.normalize import hidden_values, is_blank
from reconciler.kinds import MISSING, Kind
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, LiveObject, Owned
from reconciler.plan.bodies import (
    create_body,
    create_defaults,
    create_fields,
    goes_back,
    immutable_field,
    options_for,
    secrets_sent,
    top,
    update_body,
    warnings_of,
)
from reconciler.plan.changes import Action, Consent
from reconciler.plan.context import Desk
from reconciler.plan.impacts import LOSES, Impacted, impacts_of, ordered
from reconciler.plan.multicluster import check_new, consent_to_leave, moved_home
from reconciler.plan.order import Draft
from reconciler.plan.references import references

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def follow_renames(desk: Desk, resources: Iterable[Resource]) -> None:
    """Tell *desk* which objects will have another name, before anything that refers to them is compared."""
    for resource in resources:
        address, old_name = resource.address, resource.renamed_from
        if not old_name or resource.absent or address in desk.held or desk.named(address):
            continue
        old = desk.named(address._replace(name=old_name))
        if len(old) == 1 and not _untouchable(old[0]) and not _failed(desk, old[0]):
            desk.renames.setdefault(address.cluster, {})[address.kind, old_name] = address.name


def decide(desk: Desk, resource: Resource) -> Draft | None:
    """Return what has to be done for *resource*, None for nothing (it is right, or held with a note)."""
    address = resource.address
    if address in desk.held or (address._replace(name="") in desk.held and not desk.named(address)):
        if address not in desk.held:
            desk.hold(address, "an object of this kind could not be read: it might be this one")
        return None
    if resource.suspended:
        desk.hold(address, "suspended in its manifest; take out metadata.suspend to go on with it")
        return None
    found, renamed_from = desk.named(address), ""
    if resource.renamed_from:
        old = desk.named(address._replace(name=resource.renamed_from))
        if old and not found:
            found, renamed_from = old, resource.renamed_from
        elif old:
            desk.warn(address, f"{resource.renamed_from} is there too, so renamedFrom is not followed")
    if len(found) > 1:
        uids = ", ".join(str(one.uid) for one in found)
        desk.hold(address, f"{len(found)} live objects have this name (uid {uids}); rename or remove all but one")
        return None
    live = found[0] if found else None
    if live is not None and (reason := _untouchable(live)):
        desk.hold(address, reason)
        return None
    if resource.absent:
        return _tombstone(desk, resource, live)
    if live is None:
        return _create(desk, resource)
    desk.present[address.cluster] += 1
    if _failed(desk, live):
        desk.hold(address, f"the cluster reports {live.status}; delete it, or have it repaired, first")
        return None
    return _update(desk, resource, live, renamed_from)


def _untouchable(live: LiveObject) -> str:
    if live.builtin:
        return "built into the cluster; never touched"
    return f"managed by {live.owner}; never touched" if live.owner else ""


def _failed(desk: Desk, live: LiveObject) -> bool:
    readiness = desk.kinds[live.kind].traits.readiness
    return readiness is not None and live.status in readiness.failed


def _tombstone(desk: Desk, resource: Resource, live: LiveObject | None) -> Draft | None:
    address, kind = resource.address, desk.kinds[resource.address.kind]
    owned = address in desk.owned
    if live is None:
        return Draft(Action.FORGET, address, kind, why="declared absent, and gone already") if owned else None
    if kind.singleton and is_blank(kind, live.spec):
        return Draft(Action.FORGET, address, kind, why="declared absent, and not set") if owned else None
    if reason := _stays(kind, live):
        if not owned:
            desk.warn(address, f"declared absent, but {reason}")
            return None
        return Draft(Action.FORGET, address, kind, live=live, why=reason)
    consent = Consent.CONTRADICTION if resource.protect else Consent.NOTHING
    draft = _delete(address, kind, live, "declared absent", consent)
    draft.resource = resource
    if kind.singleton:  # its settings go back to what they were at first: each of them is a change
        back = [FieldChange(name, value, kind.fields[name].usual.default) for name, value in sorted(live.spec.items())]
        draft.impacts = ordered({*draft.impacts, *impacts_of(kind, address.name, back, {}, {})})
    return draft


def _stays(kind: Kind, live: LiveObject) -> str:
    """Say why *live* cannot be deleted, "" where it can."""
    if "delete" not in kind.rest.verbs:
        return f"the API cannot delete a {kind.name}"
    return "the cluster cannot do without it" if live.name in kind.traits.lasting else ""


def _delete(address: Address, kind: Kind, live: LiveObject, why: str, consent: Consent) -> Draft:
    lost = (Impacted(LOSES, "", "all that it holds"),) if kind.policy.protect else ()
    rests_on = dict(live.spec)
    return Draft(Action.DELETE, address, kind, live=live, rests_on=rests_on, why=why, consent=consent, impacts=lost)


def leave(desk: Desk, resources: Mapping[Address, Resource]) -> Iterator[Draft]:
    """Yield what has to be done about what we own and nobody declares any more."""
    followed = {r.address._replace(name=r.renamed_from): r.address for r in resources.values() if r.renamed_from}
    everywhere = {*resources, *desk.options.elsewhere}
    for address in sorted(desk.owned):
        state, kind = desk.live.get(address.cluster), desk.kinds.get(address.kind)
        if address in resources or address in desk.held or state is None or kind is None:
            continue
        home = moved_home(address, kind, everywhere)
        if home is not None:
            yield Draft(Action.FORGET, address, kind, why=f"declared as {home} now")
            continue
        if address.kind not in state.objects:
            continue  # not read: nothing can be said of it
        owned = desk.owned[address]
        new_name = followed.get(address)
        if new_name is not None and (not desk.named(new_name) or desk.named(new_name)[0].uid == owned.uid):
            continue
        draft = _left(desk, address, kind, owned)
        if draft is not None:
            yield draft


def _is_same(owned: Owned, live: LiveObject) -> bool:
    """Tell whether *live* is the object that the ledger means: a name and a uid may have been given away again."""
    return str(owned.uid) == str(live.uid) and not (owned.created and live.created and owned.created != live.created)


def _left(desk: Desk, address: Address, kind: Kind, owned: Owned) -> Draft | None:
    found = desk.named(address)
    live = next((one for one in found if str(one.uid) == str(owned.uid)), None)
    if live is None or not _is_same(owned, live):
        why = "no longer declared, and another object has its name now" if found else "no longer declared, and gone"
        return Draft(Action.FORGET, address, kind, why=why)
    if reason := _untouchable(live):
        return Draft(Action.FORGET, address, kind, live=live, why=f"no longer declared, and {reason}")
    if kind.singleton:
        return Draft(Action.FORGET, address, kind, live=live, why="no longer declared; its settings stay as they are")
    reason = _stays(kind, live)
    if not desk.options.prune:
        desk.warn(address, f"owned and no longer declared; --prune would {'forget' if reason else 'delete'} it")
        return None
    if reason:
        return Draft(Action.FORGET, address, kind, live=live, why=f"no longer declared, and {reason}")
    consent = Consent.ALLOW_DESTROY if kind.policy.protect else Consent.NOTHING
    return _delete(address, kind, live, "owned and no longer declared", consent)


def _create(desk: Desk, resource: Resource) -> Draft | None:
    address, kind = resource.address, desk.kinds[resource.address.kind]
    if "create" not in kind.rest.verbs:
        desk.hold(address, f"it is not there, and the API cannot create a {kind.name}")
        return None
    check_new(desk, resource)
    body = _full_body(desk, resource)
    if body is None:
        return None
    fields = create_fields(body)
    # What is made new has nothing to lose; the one object of a singleton changes what the cluster did without it.
    impacts = impacts_of(kind, address.name, fields, body, {}) if kind.singleton else ()
    return Draft(Action.CREATE, address, kind, fields=fields, body=body, resource=resource, impacts=impacts)


def _full_body(desk: Desk, resource: Resource, live: LiveObject | None = None) -> dict[str, Any] | None:
    """Return what a create sends, None where it has to be held; a replacement keeps the port of what it replaces."""
    address, kind, spec = resource.address, desk.kinds[resource.address.kind], desk.spec(resource)
    for name in kind.missing_on_create(spec):
        desk.problem(resource, ("spec",), f"{name} is required to create a {kind.name}", f"add spec.{name}")
    for path, value in hidden_values(kind, spec):
        if is_value_from(value) and desk.secrets.get((address, path)) == "missing":
            desk.secret_problem(resource, path, value)
    port = None
    if "port" in kind.policy.guard and "port" in kind.fields and "port" not in spec:
        port = (live.spec.get("port") if live is not None else None) or desk.free_port(address)
        if port is None:
            return None
    body = create_body(kind, spec, port)
    for text in warnings_of(kind, body):
        desk.warn(address, text)
    return body


def _update(desk: Desk, resource: Resource, live: LiveObject, renamed_from: str) -> Draft | None:
    address, kind, spec = resource.address, desk.kinds[live.kind], desk.spec(resource)
    there = desk.renamed_spec(address.cluster, live)
    doubts: list[tuple[str, str]] = []  # (path, why it is not known whether it differs)
    fields = [*changes(kind, spec, there), *_hidden_changes(desk, resource, live, doubts)]
    if not fields and not renamed_from:
        _tell(desk, address, doubts)
        desk.unchanged += 1
        return None
    fixed = {name: change for change in fields if (name := immutable_field(kind, change))}
    for name in sorted(fixed):
        if fixed[name].before is MISSING and fixed[name].path in kind.fields:
            desk.warn(address, f"{name} cannot be changed, and the cluster does not say what it is; left alone")
            fields = [change for change in fields if top(change.path) != top(fixed[name].path)]
            del fixed[name]
    if fixed:
        return _replace(desk, resource, live, fields, sorted(fixed))
    for change in fields:
        if goes_back(kind, change):
            hint = f"it is {change.before} now"
            desk.problem(resource, ("spec", top(change.path)), f"{change.path} cannot go back to {change.after}", hint)
    if "update" not in kind.rest.verbs:
        desk.hold(address, f"it differs, and the API cannot change a {kind.name}")
        return None
    names = {top(change.path) for change in fields}
    fields += _implied(kind, spec, live, names)
    names |= {change.path for change in fields if change.path not in spec and change.path in kind.fields}
    names |= options_for(kind, spec, names)
    body = update_body(kind, {**create_defaults(kind, spec), **spec}, there, names)
    fields += secrets_sent(kind, body, {change.path for change in fields})
    _tell(desk, address, [doubt for doubt in doubts if top(doubt[0]) not in body])  # what goes along is sent anyway
    _warn_of_update(desk, resource, kind, body)
    if renamed_from:
        fields.append(FieldChange("name", renamed_from, address.name))
    elif not fields:
        desk.unchanged += 1
        return None
    shown = tuple(sorted(fields, key=lambda change: change.path))
    check_new(desk, resource, live)
    consent, why = consent_to_leave(desk, resource, live, [top(change.path) for change in fields])
    figures = desk.live[address.cluster].figures(kind.name, live.uid)
    impacts = desk.reaching_us(address.cluster, live, impacts_of(kind, address.name, fields, body, figures))
    if why:
        impacts = ordered({*impacts, Impacted(LOSES, "", "all that it holds where it leaves")})
    return Draft(
        Action.UPDATE,
        address,
        kind,
        fields=shown,
        body=body,
        live=live,
        resource=resource,
        rests_on={name: live.spec[name] for name in sorted(body) if name in live.spec},
        renamed_from=renamed_from,
        impacts=impacts,
        consent=consent,
        why=why,
    )


def _implied(kind: Kind, spec: Mapping[str, Any], live: LiveObject, names: set[str]) -> list[FieldChange]:
    """Return the defaults that become due because a field that implies them changes."""
    return [
        FieldChange(name, live.spec.get(name, MISSING), value)
        for name, value in create_defaults(kind, spec, names).items()
        if not live.spec.get(name)
    ]


def _warn_of_update(desk: Desk, resource: Resource, kind: Kind, body: Mapping[str, Any]) -> None:
    address = resource.address
    for text in warnings_of(kind, body):
        desk.warn(address, text)
    for path, value in hidden_values(kind, body):
        if is_value_from(value) and desk.secrets.get((address, path)) == "missing":
            desk.secret_problem(resource, path, value)


def _tell(desk: Desk, address: Address, doubts: Iterable[tuple[str, str]]) -> None:
    for path, why in doubts:
        desk.warn(address, f"{path}: {why}")


def _hidden_changes(
    desk: Desk, resource: Resource, live: LiveObject, doubts: list[tuple[str, str]]
) -> Iterator[FieldChange]:
    """Yield changes of what cannot be read back: secrets by the ledger's digest, the rest by what was last applied.

    Of what is not known there is an entry in *doubts*.
    """
    address, kind, spec = resource.address, desk.kinds[live.kind], desk.spec(resource)
    last = desk.owned.get(address._replace(name=live.name))
    replaced = last is not None and not _is_same(last, live)  # what we know is about an object that is gone
    resend = bool({str(address), str(address._replace(cluster=""))} & desk.options.resend_secrets)
    applied: dict[str, Any] | None = None
    for path, value in hidden_values(kind, spec):
        if is_value_from(value):
            status = desk.secrets.get((address, path), "unknown")
            if replaced and status != "missing":
                status = "unknown"
            if status == "changed" or (resend and status != "missing"):
                added = kind.fields[top(path)].lists_secrets and not resend
                yield FieldChange(path, MISSING if added else SECRET, SECRET)
            elif status == "unknown" and path in live.unset:
                yield FieldChange(path, MISSING, SECRET)
            elif status == "unknown":
                doubts.append((path, f"whether it is the same is not known; not sent unless --resend-secret {address}"))
            elif status == "missing":
                doubts.append((path, "its source gives no value here, so it is not compared"))
            continue
        if applied is None:
            applied = dict(hidden_values(kind, last.fields)) if last is not None and not replaced else {}
        before = applied.get(path, MISSING)
        if before is MISSING and not resend:
            why = f"cannot be read back and was never applied by us; not sent unless --resend-secret {address}"
            doubts.append((path, why))
        elif before != value or resend:
            yield FieldChange(path, before, masked(value))
    for name in sorted(spec):
        if desk.secrets.get((address, f"{name}[]")) == "gone" and not replaced:
            yield FieldChange(f"{name}[]", SECRET, MISSING)


def _replace(
    desk: Desk, resource: Resource, live: LiveObject, fields: list[FieldChange], fixed: list[str]
) -> Draft | None:
    address, kind, spec = resource.address, desk.kinds[live.kind], desk.spec(resource)
    if not {"create", "delete"} <= set(kind.rest.verbs):
        desk.hold(address, f"{', '.join(fixed)} cannot be changed, and a {kind.name} cannot be replaced")
        return None
    body = _full_body(desk, resource, live)
    if body is None:
        return None
    before = {change.path for change in fields}
    fields += [
        FieldChange(name, live.spec.get(name, MISSING), masked(body[name]))
        for name in sorted(body.keys() - spec.keys())
        if live.spec.get(name, MISSING) != body[name]
    ]
    fields += secrets_sent(kind, body, before)
    protected = resource.protect if resource.protect is not None else kind.policy.protect
    lost = "all that it holds, and every setting that is not declared"
    return Draft(
        Action.REPLACE,
        address,
        kind,
        fields=tuple(sorted(fields, key=lambda change: change.path)),
        body=body,
        live=live,
        resource=resource,
        rests_on=dict(live.spec),
        why=f"{', '.join(fixed)} cannot be changed",
        consent=Consent.ALLOW_DESTROY if protected else Consent.NOTHING,
        impacts=(Impacted(LOSES, "", lost),) if kind.policy.protect else (),
    )


def repoint(desk: Desk, resource: Resource, draft: Draft | None, targets: Mapping[Address, Draft]) -> Draft | None:
    """Return *draft* (a new one for None) that also sends the references of *resource* to what is replaced.

    A replacement has another uid, so what refers to the old one must be told, although its manifest did not change.
    """
    address, kind, spec = resource.address, desk.kinds[resource.address.kind], desk.spec(resource)
    found = desk.named(address)
    named: dict[str, list[str]] = {}
    for ref in references(kind, spec):
        if ref.at(address.cluster) in targets:
            named.setdefault(ref.field, []).append(f"{ref.kind}/{ref.name}")
    if draft is not None and draft.action is not Action.UPDATE:
        return draft
    fields = sorted(named.keys() - (draft.body.keys() if draft is not None else set()))
    if not fields or not found:
        return draft
    live = draft.live if draft is not None and draft.live is not None else found[0]
    if draft is None:
        desk.unchanged -= 1
        names = ", ".join(sorted({name for field in fields for name in named[field]}))
        draft = Draft(
            Action.UPDATE, address, kind, live=live, resource=resource, why=f"refers to {names}, replaced here"
        )
    draft.body = {**draft.body, **update_body(kind, spec, live.spec, set(fields))}
    shown = (FieldChange(name, live.spec.get(name, MISSING), masked(spec[name])) for name in fields)
    draft.fields = tuple(sorted((*draft.fields, *shown), key=lambda change: change.path))
    draft.rests_on = {name: live.spec[name] for name in sorted(draft.body) if name in live.spec}
    return draft
