"""What refers to an object that a plan creates or replaces, and has its uid, address or secrets: updated after it.

The planner calls this once every resource is decided. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from reconciler.diff import FieldChange, masked
from reconciler.kinds import MISSING, Kind
from reconciler.model import Address, LiveObject, Reason
from reconciler.plan.bodies import create_fields, top, update_body
from reconciler.plan.building import change_of
from reconciler.plan.copies import copies, without_addresses
from reconciler.plan.impacts import impacts_of, ordered
from reconciler.plan.plan import Action, Change
from reconciler.plan.references import references
from reconciler.plan.view import View

if TYPE_CHECKING:
    from reconciler.manifests import Resource


class _Referrer(NamedTuple):
    """What one resource has of objects that are created or replaced."""

    resource: Resource
    kind: Kind
    spec: Mapping[str, object]  # without the addresses that change
    names: Mapping[str, set[Address]]  # the objects by top-level field
    copying: frozenset[str]  # fields that copy an address


def repointed(view: View, changes: Iterable[Change], held: Collection[Address]) -> Iterator[Change]:
    """Yield a change for each resource that refers to what is replaced, or copies the address of what is created.

    A replacement has another uid and address; what is created again has another address. A change that is planned for
    such a resource already is extended.
    """
    planned = {change.address: change for change in changes}
    makers = {address: change for address, change in planned.items() if change.creates}
    for resource in view.selected if makers else ():
        if resource.absent or resource.address in held:
            continue
        change = planned.get(resource.address)
        referrer = _referrer(view, resource, makers)
        if not referrer.names:
            continue
        if change is not None and change.creates:
            yield _without_old_addresses(change, referrer)
        elif (found := _updated(view, change, referrer, makers)) is not None:
            yield found


def _referrer(view: View, resource: Resource, makers: Mapping[Address, Change]) -> _Referrer:
    address, kind, spec = resource.address, view.kind(resource.address), view.spec(resource)
    names: dict[str, set[Address]] = {}
    copying = set()
    for ref in references(kind, spec):
        target = makers.get(ref.at(address.cluster))
        if target is not None and target.action is Action.REPLACE:
            names.setdefault(ref.field, set()).add(target.address)
    for copy in copies(kind, spec, address.cluster):
        if copy.target in makers:
            names.setdefault(top(copy.path), set()).add(copy.target)
            copying.add(top(copy.path))
    stripped = without_addresses(kind, spec, address.cluster, makers)
    return _Referrer(resource, kind, stripped, names, frozenset(copying))


def _without_old_addresses(change: Change, referrer: _Referrer) -> Change:
    """Return a create without the addresses that its body has of objects that are replaced before it."""
    spec = {name: referrer.spec[name] for name in change.body.keys() & referrer.names.keys()}
    shown = {field.path: field for field in create_fields(spec)}
    fields = tuple(shown.get(field.path, field)._replace(before=field.before) for field in change.fields)
    return replace(change, body={**change.body, **spec}, fields=fields)


def _updated(view: View, change: Change | None, referrer: _Referrer, makers: Mapping[Address, Change]) -> Change | None:
    resource, kind = referrer.resource, referrer.kind
    found = view.object_of(change) if change is not None else next(iter(view.named(resource.address)), None)
    if found is None or (change is not None and change.action is not Action.UPDATE):
        return None
    if change is None:
        change = change_of(resource, Action.UPDATE, found)
    names = {name for name in referrer.names if name not in change.body or name in referrer.copying}
    if not names:
        return None
    body = {**change.body, **update_body(kind, referrer.spec, found.spec, names)}
    shown = [FieldChange(name, found.spec.get(name, MISSING), masked(referrer.spec[name])) for name in names]
    fields = [field for field in change.fields if top(field.path) not in names] + shown
    figures = view.observed.live[resource.address.cluster].figures(kind.name, found.uid)
    impacts = view.affecting_us(
        resource.address.cluster, found, impacts_of(kind, resource.address.name, shown, body, figures)
    )
    change = change if change.reason is not Reason.NONE else _with_reason(view, change, referrer, makers)
    return replace(
        change,
        body=dict(sorted(body.items())),
        fields=tuple(sorted(fields, key=lambda one: one.path)),
        rests_on={name: found.spec[name] for name in sorted(body) if name in found.spec},
        impacts=ordered({*change.impacts, *impacts}),
    )


def _with_reason(view: View, change: Change, referrer: _Referrer, makers: Mapping[Address, Change]) -> Change:
    targets = sorted({target for found in referrer.names.values() for target in found})
    names = ", ".join(f"{target.kind}/{target.name}" for target in targets)
    addresses = [_address(view.object_of(makers[target]), makers[target]) for target in targets]
    replaced = any(makers[target].action is Action.REPLACE for target in targets)
    reason = Reason.REFERENCE_REPLACED if replaced else Reason.REFERENCE_CREATED
    return replace(change, reason=reason, details=(names, ", ".join(filter(None, addresses))))


def _address(old: LiveObject | None, change: Change) -> str:
    """Return the address of what *change* makes, as far as it is known before; "" for a kind without addresses."""
    port = change.body.get("port")
    if port is None:
        return ""
    for address in old.addresses if old is not None else ():
        host, _, before = address.rpartition(":")
        if host.count(before) == 1:  # a host name that consists of the port and the name of the cluster
            return f"{host.replace(before, str(port))}:{port}"
    return "known after apply"
