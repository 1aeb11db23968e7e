"""Pair desired with live, decide, order: a `Plan` is a value, made by pure code.

The use case calls `make_plan` with everything that was read; the same input gives the same plan, to the byte. It must
not know how manifests or live objects were read, nor how a change is carried out. The values that a plan is made of
are in `changes`, and are taken from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.errors import InputError, Problem, Refused, SecretMissing
from reconciler.kinds import Kind
from reconciler.model import Address, LiveState, Owned
from reconciler.plan.changes import Action, Change, Options, Plan
from reconciler.plan.compatibility import check_versions, compare_schemas
from reconciler.plan.context import Desk
from reconciler.plan.decide import decide, follow_renames, leave, repoint
from reconciler.plan.multicluster import absence, hold_absent, moves
from reconciler.plan.order import WRITES, Draft, break_rings, order
from reconciler.plan.plan_file import fingerprint
from reconciler.plan.references import references
from reconciler.plan.referrers import hold_referred
from reconciler.plan.selection import select

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def make_plan(
    kinds: Mapping[str, Kind],
    desired: Sequence[Resource],
    live: Mapping[str, LiveState],
    owned: Mapping[Address, Owned],
    options: Options,
    secrets: Mapping[tuple[Address, str], str],
) -> Plan:
    """Return what has to be done so that *live* becomes what is *desired*, over all clusters.

    *secrets* says for each (address, path) of a `valueFrom` whether its value is "same", "changed", "unknown" (never
    recorded) or "missing". Raises InputError with every problem that the manifests have against these clusters, and
    Refused when an empty input together with prune would delete everything.
    """
    spanning = {*(resource.address for resource in desired), *options.elsewhere}
    _refuse_empty(desired, live, {a: mine for a, mine in owned.items() if not moves(kinds, a, spanning)}, options)
    desk = Desk(kinds, live, owned, options, secrets)
    resources = desk.resources = _once(desk, desired)
    chosen = select(
        {*resources, *(owned if options.prune else ())},
        options.targets,
        options.excludes,
        lambda address: _needs(kinds, resources, address),
    )
    mine = [resources[address] for address in sorted(resources) if chosen is None or address in chosen]
    check_versions(desk, mine)
    follow_renames(desk, mine)
    drafts = [draft for resource in mine if (draft := decide(desk, resource)) is not None]
    drafts += [draft for draft in leave(desk, resources) if chosen is None or draft.address in chosen]
    drafts = hold_absent(desk, drafts)
    drafts = _check_references(desk, drafts, mine, resources)
    drafts = hold_referred(desk, drafts, mine)
    drafts = _repoint(desk, drafts, mine)
    compare_schemas(desk, drafts)
    for ring in break_rings(drafts):
        names = " → ".join(str(draft.address) for draft in (*ring, ring[0]))
        desk.problem(ring[0].resource, ("metadata", "name"), f"these refer to each other in a ring: {names}")
    _raise(desk)
    return _plan(desk, drafts)


def _refuse_empty(
    desired: Sequence[Resource], live: Mapping[str, LiveState], owned: Mapping[Address, Owned], options: Options
) -> None:
    if not options.prune:
        return
    declared = {resource.address.cluster for resource in desired}
    bare = sorted({a.cluster for a in owned if a.cluster in live} - declared)
    if not desired or bare:
        where = f" for {', '.join(filter(None, bare))}" if any(bare) else ""
        raise Refused(
            f"nothing is declared{where}, and prune would delete everything that we own there; nothing was done"
        )


def _once(desk: Desk, desired: Sequence[Resource]) -> dict[Address, Resource]:
    counts = Counter(resource.address for resource in desired)
    for address in sorted(address for address, count in counts.items() if count > 1):
        desk.hold(address, f"declared {counts[address]} times; it stays as it is")
    known = {resource.address: resource for resource in desired}
    for address in desk.held:
        known.pop(address, None)
    for address in sorted(address for address in known if address.cluster not in desk.live):
        desk.hold(address, "its cluster was not read")
        del known[address]
    return known


def _needs(kinds: Mapping[str, Kind], resources: Mapping[Address, Resource], address: Address) -> Iterator[Address]:
    resource = resources.get(address)
    if resource is not None and not resource.absent:
        for ref in references(kinds[address.kind], resource.spec):
            yield ref.at(address.cluster)


def _check_references(
    desk: Desk, drafts: list[Draft], mine: Iterable[Resource], resources: Mapping[Address, Resource]
) -> list[Draft]:
    """Report references to nothing; hold what refers to something that cannot be named or will not be made."""
    makers = {draft.address for draft in drafts if draft.makes}
    gone = {draft.address for draft in drafts if draft.action is Action.DELETE}
    by_address = {draft.address: draft for draft in drafts}
    blocked: dict[Address, str] = {}
    for resource in mine:
        draft = by_address.get(resource.address)
        if resource.absent or resource.address in desk.held or (draft is None and not gone):
            continue
        for ref in references(desk.kinds[resource.address.kind], desk.spec(resource)):
            target = ref.at(resource.address.cluster)
            if target.cluster not in desk.live:
                blocked[resource.address] = f"it needs {target}, and {absence([target.cluster], desk.options)}"
                continue
            found = desk.named(target)
            other = resources.get(target)
            if (other is not None and other.absent) or target in gone:
                desk.problem(resource, ("spec", ref.field), f"{ref.kind}/{ref.name} is declared absent")
            elif len(found) > 1:
                blocked[resource.address] = f"{len(found)} live objects are called {ref.kind}/{ref.name}"
            elif not found and target not in makers:
                if other is None:
                    desk.no_such_reference(resource, ref, resources)
                else:
                    blocked[resource.address] = (
                        f"it needs {ref.kind}/{ref.name}, which is neither there nor in this plan"
                    )
    return _without_blocked(desk, drafts, blocked)


def _without_blocked(desk: Desk, drafts: list[Draft], blocked: dict[Address, str]) -> list[Draft]:
    """Hold what is *blocked* and what would refer to a create that is thereby gone."""
    while True:
        drafts = [draft for draft in drafts if draft.address not in blocked]
        for address, reason in sorted(blocked.items()):
            desk.hold(address, reason)
        makers = {draft.address for draft in drafts if draft.makes}
        more = {
            draft.address: f"it needs {ref.kind}/{ref.name}, which is held"
            for draft in drafts
            if draft.action in WRITES
            for ref in references(draft.kind, draft.body)
            if (target := ref.at(draft.address.cluster)) in desk.held
            and not desk.named(target)
            and target not in makers
        }
        if not more:
            return drafts
        blocked = more


def _repoint(desk: Desk, drafts: list[Draft], mine: Iterable[Resource]) -> list[Draft]:
    """Send references to what is replaced once more: the replacement has another uid."""
    targets = {draft.address: draft for draft in drafts if draft.action is Action.REPLACE}
    if not targets:
        return drafts
    by_address = {draft.address: draft for draft in drafts}
    for resource in mine:
        if not resource.absent and resource.address not in desk.held:
            draft = repoint(desk, resource, by_address.get(resource.address), targets)
            if draft is not None:
                by_address[resource.address] = draft
    return list(by_address.values())


def _raise(desk: Desk) -> None:
    if desk.problems or desk.secret_problems:
        problems: list[Problem] = sorted({*desk.problems, *desk.secret_problems})
        raise InputError(problems) if desk.problems else SecretMissing(problems)


def _plan(desk: Desk, drafts: list[Draft]) -> Plan:
    ordered = order(drafts, desk.everything(), desk.kinds)
    changes = tuple(
        _numbered(place + 1, draft, tuple(sorted(before + 1 for before in earlier)))
        for place, (draft, earlier) in enumerate(ordered)
    )
    return Plan(
        changes=changes,
        notes=tuple(sorted({*desk.notes}, key=lambda note: (note.address, note.level, note.message))),
        unchanged=desk.unchanged,
        clusters=tuple(sorted(desk.live)),
        present={cluster: desk.present[cluster] for cluster in sorted(desk.present)},
    )


def _numbered(number: int, draft: Draft, after: tuple[int, ...]) -> Change:
    live = draft.live
    return Change(
        number=number,
        action=draft.action,
        address=draft.address,
        fields=draft.fields,
        body=draft.body,
        after=after,
        uid=live.uid if live is not None else None,
        rests_on=draft.rests_on,
        fingerprint=fingerprint(live, draft.rests_on or {}) if live is not None else "",
        why=draft.why,
        renamed_from=draft.renamed_from,
        created=live.created if live is not None else "",
        consent=draft.consent,
        impacts=draft.impacts,
        allowed=draft.resource.allow if draft.impacts and draft.resource is not None else (),
        freeze=draft.resource.freeze if draft.resource is not None and draft.action is not Action.FORGET else (),
    )
