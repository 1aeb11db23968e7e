"""What has to happen to one resource: `Change`, `Held`, `Unchanged` or `Invalid`, without side effects.

The planner calls `decide_resource` for each declared resource and `decide_undeclared` for what is owned and no longer
declared, and combines the results. This module pairs a resource with a live object and decides creates and deletes;
`decide_update` decides what happens to an object that exists. It must not know how changes are ordered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff import FieldChange
from reconciler.diff.normalize import is_blank
from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject, Note, Owned, Reason
from reconciler.plan.bodies import create_fields
from reconciler.plan.building import change_of, checked, full_body
from reconciler.plan.decide_update import decide_replacement, decide_update
from reconciler.plan.impacts import LOSES, Impacted, impacts_of, ordered
from reconciler.plan.multicluster import check_instances, moved_to
from reconciler.plan.plan import Action, Change
from reconciler.plan.view import Decision, Held, Names, Unchanged, View, is_named, warning

if TYPE_CHECKING:
    from reconciler.manifests import Resource


class Found(NamedTuple):
    """The live object of a resource, and the name by which it was found where that is not its own."""

    live: LiveObject | None
    renamed_from: str = ""


def followed_renames(view: View) -> Mapping[str, Names]:
    """Return by cluster which live objects get another name by this plan: what refers to them does not differ."""
    renames: dict[str, dict[tuple[str, str], str]] = {}
    for resource in view.selected:
        address, old_name = resource.address, resource.renamed_from
        if not old_name or resource.absent or address in view.unreadable or view.named(address):
            continue
        old = view.named(address._replace(name=old_name))
        if len(old) == 1 and untouchable(old[0]) is None and not _failed(view, old[0]):
            renames.setdefault(address.cluster, {})[address.kind, old_name] = address.name
    return renames


def decide_resource(view: View, resource: Resource) -> Decision:
    """Return the decision on *resource*."""
    address = resource.address
    if (held := _held_before(view, resource)) is not None:
        return Decision(held)
    found, warnings = _paired(view, resource)
    if isinstance(found, Held):
        return Decision(found, warnings)
    live = found.live
    if live is not None and (held := untouchable(live, address)) is not None:
        return Decision(Unchanged(address) if _is_as_declared(view, resource, live) else held, warnings)
    if (held := _other_object(view, resource, found) or _in_transition(view, resource, live)) is not None:
        decision = Decision(held)
    elif resource.absent:
        decision = _decide_absent(view, resource, live)
    elif live is None:
        decision = _decide_create(view, resource)
    elif is_named(address, view.options.replace):
        decision = decide_replacement(view, resource, live, lost=not _failed(view, live))
    elif _failed(view, live):
        decision = Decision(Held(address, Reason.FAILED, (live.status, str(address))))
    else:
        decision = decide_update(view, resource, live, found.renamed_from)
    present = live is not None and not resource.absent
    return decision._replace(warnings=(*warnings, *decision.warnings), present=present)


def _held_before(view: View, resource: Resource) -> Held | None:
    address = resource.address
    if address in view.unreadable:
        return Held(address, Reason.NONE)  # a note of the reading has the reason
    if address._replace(name="") in view.unreadable and not view.named(address):
        return Held(address, Reason.KIND_UNREADABLE)
    return Held(address, Reason.SUSPENDED) if resource.suspended else None


def _paired(view: View, resource: Resource) -> tuple[Found | Held, tuple[Note, ...]]:
    """Return the one live object of *resource*, by its name or else by the name that it had."""
    address = resource.address
    objects, renamed_from = view.named(address), ""
    warnings: tuple[Note, ...] = ()
    if resource.renamed_from:
        old = view.named(address._replace(name=resource.renamed_from))
        if old and not objects:
            objects, renamed_from = old, resource.renamed_from
        elif old:
            warnings = (warning(address, Reason.RENAME_SOURCE_EXISTS, resource.renamed_from),)
    objects = [one for one in objects if not one.is_being_deleted] or objects
    if len(objects) > 1:
        uids = ", ".join(str(one.uid) for one in objects)
        return Held(address, Reason.AMBIGUOUS_NAME, (str(len(objects)), uids)), warnings
    return Found(objects[0] if objects else None, renamed_from), warnings


def _other_object(view: View, resource: Resource, found: Found) -> Held | None:
    """Return why *resource* is held where its object is not the one that is owned under its name.

    That one was renamed, or deleted and created again, outside this tool. Neither is answered by creating an
    empty object, nor by changing one that this tool never managed.
    """
    address, live = resource.address, found.live
    if live is None and resource.renamed_from and address not in view.observed.owned:
        address = address._replace(name=resource.renamed_from)
    elif found.renamed_from and address not in view.observed.owned:
        address = address._replace(name=found.renamed_from)
    owned = view.observed.owned.get(address)
    if owned is None or (live is not None and owned.is_of(live)) or is_named(resource.address, view.options.adopt):
        return None
    now = view.owned_object(address)
    if now is None:
        if live is None:
            return None  # deleted outside this tool: created again
        return Held(resource.address, Reason.RECREATED_OUTSIDE, (str(live.uid), str(owned.uid), str(resource.address)))
    if live is None:
        return Held(resource.address, Reason.RENAMED_OUTSIDE, (str(now.uid), now.name, address.name))
    return Held(resource.address, Reason.NAME_TAKEN_OUTSIDE, (str(now.uid), now.name, address.name, str(live.uid)))


def _in_transition(view: View, resource: Resource, live: LiveObject | None) -> Held | None:
    """Return what the cluster is doing with *live*: what it shows meanwhile says nothing of the result."""
    readiness = view.kind(resource.address).traits.readiness
    if live is None or readiness is None or not readiness.in_transition(live.status):
        return None
    if live.is_being_deleted:
        return None if resource.absent else Held(resource.address, Reason.BEING_DELETED, (live.status,))
    return Held(resource.address, Reason.IN_PROGRESS, (live.status,))


def untouchable(live: LiveObject, address: Address | None = None) -> Held | None:
    """Return why *live* must never be changed, None where it may be."""
    where = address or Address("", live.kind, live.name)
    if live.builtin:
        return Held(where, Reason.BUILTIN)
    return Held(where, Reason.MANAGED, (live.owner,)) if live.owner else None


def _is_as_declared(view: View, resource: Resource, live: LiveObject) -> bool:
    """Return whether nothing would have to be done to *live* if it could be: then nothing is held either."""
    if resource.absent or live.name != resource.address.name:
        return False
    return isinstance(decide_update(view, resource, live, "").outcome, Unchanged)


def _failed(view: View, live: LiveObject) -> bool:
    readiness = view.kinds[live.kind].traits.readiness
    return readiness is not None and live.status in readiness.failed


# --- create ----------------------------------------------------------------------------------------------------------


def _decide_create(view: View, resource: Resource) -> Decision:
    address, kind = resource.address, view.kind(resource.address)
    if "create" not in kind.rest.verbs:
        return Decision(Held(address, Reason.ADOPT_ONLY, (kind.name,)))
    made = full_body(view, resource)
    fields = create_fields(made.body)
    # A new object has no data to lose; creating a singleton changes the behavior of the cluster.
    impacts = impacts_of(kind, address.name, fields, made.body, {}) if kind.singleton else ()
    reason = Reason.RECREATED if address in view.observed.unfinished_replacements else Reason.NONE
    change = change_of(resource, Action.CREATE, fields=fields, body=made.body, impacts=impacts, reason=reason)
    problems = (*check_instances(view, resource), *made.problems)
    return checked(change, problems, made.missing_secrets, made.warnings)


# --- delete and forget -----------------------------------------------------------------------------------------------


def _decide_absent(view: View, resource: Resource, live: LiveObject | None) -> Decision:
    """Decide what a tombstone (`state: absent`) does."""
    address, kind = resource.address, view.kind(resource.address)
    owned = address in view.observed.owned
    if live is None or (kind.singleton and is_blank(kind, live.spec)):
        reason = Reason.ABSENT_GONE if live is None else Reason.ABSENT_UNSET
        return Decision(_forget(resource, None, reason) if owned else Unchanged(address, exists=False))
    if (stays := _stays(kind, live)) is not None:
        reason, details = stays
        if owned:
            return Decision(_forget(resource, live, reason, details))
        reason = Reason.ABSENT_ESSENTIAL if reason is Reason.ESSENTIAL else Reason.ABSENT_CANNOT_DELETE
        return Decision(Unchanged(address, exists=False), (warning(address, reason, *details),))
    impacts = _losses(kind)
    if kind.singleton:  # its settings return to their defaults: each of them is a change
        back = [FieldChange(name, value, kind.fields[name].usual.default) for name, value in sorted(live.spec.items())]
        impacts = ordered({*impacts, *impacts_of(kind, address.name, back, {}, {})})
    about = {"rests_on": dict(live.spec), "reason": Reason.ABSENT, "impacts": impacts}
    return Decision(change_of(resource, Action.DELETE, live, **about))


def _forget(resource: Resource, live: LiveObject | None, reason: Reason, details: tuple[str, ...] = ()) -> Change:
    return change_of(resource, Action.FORGET, live, reason=reason, details=details)


def _stays(kind: Kind, live: LiveObject) -> tuple[Reason, tuple[str, ...]] | None:
    """Return why *live* cannot be deleted, None where it can."""
    if "delete" not in kind.rest.verbs:
        return Reason.CANNOT_DELETE, (kind.name,)
    return (Reason.ESSENTIAL, ()) if live.name in kind.traits.lasting else None


def _losses(kind: Kind) -> tuple[Impacted, ...]:
    return (Impacted(LOSES, "", "all that it holds"),) if kind.policy.protect else ()


def decide_undeclared(view: View) -> Iterator[Decision]:
    """Yield the decision on each object that is owned and no longer declared."""
    followed = {r.address._replace(name=r.renamed_from): r.address for r in view.resources.values() if r.renamed_from}
    everywhere = {*view.resources, *view.elsewhere}
    for address, owned in sorted(view.observed.owned.items()):
        state, kind = view.observed.live.get(address.cluster), view.kinds.get(address.kind)
        if address in view.resources or address in view.unreadable or state is None or kind is None:
            continue
        moved = moved_to(address, kind, everywhere)
        if moved is not None:
            yield Decision(Change(Action.FORGET, address, reason=Reason.MOVED, details=(str(moved),)))
            continue
        new_name = followed.get(address)
        renamed = new_name is not None and (not view.named(new_name) or view.named(new_name)[0].uid == owned.uid)
        if address.kind in state.objects and not renamed:  # nothing is known of a kind that was not read
            yield _decide_owned(view, address, kind, owned)


def _decide_owned(view: View, address: Address, kind: Kind, owned: Owned) -> Decision:
    found = view.named(address)
    live = next((one for one in found if str(one.uid) == str(owned.uid)), None)
    if live is None or not owned.is_of(live):
        now = view.owned_object(address)
        if now is not None:
            return Decision(Change(Action.FORGET, address, reason=Reason.NOW_CALLED, details=(now.name,)))
        return Decision(Change(Action.FORGET, address, reason=Reason.NAME_REUSED if found else Reason.ALREADY_GONE))
    identity: dict[str, Any] = {"uid": live.uid, "created": live.created}
    kept = _kept_undeclared(kind, live)
    stays = _stays(kind, live)
    if kept is None and not view.options.prune:
        return Decision(
            Unchanged(address, exists=False), (warning(address, Reason.WOULD_PRUNE, "forget" if stays else "delete"),)
        )
    if kept is None and stays is not None:
        essential = stays[0] is Reason.ESSENTIAL
        kept = Reason.UNDECLARED_ESSENTIAL if essential else Reason.UNDECLARED_CANNOT_DELETE, stays[1]
    if kept is not None:
        return Decision(Change(Action.FORGET, address, reason=kept[0], details=kept[1], **identity))
    about: dict[str, Any] = {"rests_on": dict(live.spec), "reason": Reason.UNDECLARED, "impacts": _losses(kind)}
    return Decision(Change(Action.DELETE, address, **identity, **about))


def _kept_undeclared(kind: Kind, live: LiveObject) -> tuple[Reason, tuple[str, ...]] | None:
    """Return why *live* is forgotten even without `--prune`, None where it is not."""
    if live.builtin:
        return Reason.UNDECLARED_BUILTIN, ()
    if live.owner:
        return Reason.UNDECLARED_MANAGED, (live.owner,)
    return (Reason.UNDECLARED_SETTINGS, ()) if kind.singleton else None
