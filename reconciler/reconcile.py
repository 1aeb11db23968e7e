"""The use case: the order of the steps of a plan, an apply, a drift report and an export, and nothing inside them.

The commands call it with settings and what the user chose. It prints nothing and decides nothing that plan
or apply decide.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import ClusterError, InputError, LedgerError, PlanStale, Problem, ReconcilerError, Refused
from reconciler.kinds import MISSING, load_kinds
from reconciler.model import Address, LiveState, Note, Owned
from reconciler.plan import Options, Plan, digest, drift, make_plan, moved, worsened
from reconciler.plan.adoption import adopted, with_inherited
from reconciler.plan.read_set import (
    Wanted,
    figures_behind,
    needing_figures,
    needing_ports,
    wanted_elsewhere,
    wanted_for,
)

if TYPE_CHECKING:
    from reconciler.apply.dry_run import Rehearsal
    from reconciler.apply.report import Report
    from reconciler.export.outputs import Output
    from reconciler.manifests import Manifests, Resource
    from reconciler.session import Session
    from reconciler.settings import Target

Knock = Callable[[str, Callable[[], ReconcilerError | None]], ReconcilerError | None]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what it was made from."""

    plan: Plan
    live: Mapping[str, LiveState]
    owned: Mapping[Address, Owned]
    secrets: Mapping[tuple[Address, str], str]  # by address and path: "same", "changed", "unknown", "missing", "gone"
    partial: bool = False  # --target or --exclude left something out


def read(session: Session, wanted: Mapping[str, Wanted], *, schemas: bool = False) -> dict[str, LiveState]:
    """Read what is *wanted* of each cluster, all of them at once; *schemas*: also what it says of its own objects."""
    from reconciler import live

    clients, ledger = session.clients(), session.known_ledger()
    around = live.Surroundings(clients, live.neighbours(session.settings.targets, clients))

    def one(name: str) -> LiveState:
        return live.read(clients[name], session.kinds, wanted[name], name, around, schemas=schemas)

    if len(wanted) == 1:
        states = [one(name) for name in wanted]
    else:
        with ThreadPoolExecutor(max_workers=min(8, len(wanted)) or 1) as pool:
            states = list(pool.map(one, wanted))
    if ledger:
        for state in states:
            ledger.saw_state_id(state.cluster, state.state_id)
    return {state.cluster: state for state in states}


def meet(
    session: Session, knock: Callable[[str, Callable[[], ReconcilerError | None]], ReconcilerError | None]
) -> None:
    """Ask every neighbour whether it is there and lets us in; whoever is not takes no part in this session.

    *knock* gets the name of each, and what asks it: somebody else may know already.
    """
    from reconciler.live import probe

    def met(target: Target) -> ReconcilerError | None:
        try:
            probe(session.client_of(target), target.name)
        except (ClusterError, InputError, Refused) as error:  # no secret or CA file; an upgrade is under way
            return error
        return None

    neighbours = session.neighbours
    if len(neighbours) == 1:
        errors = [knock(neighbours[0].name, lambda: met(neighbours[0]))]
    else:
        with ThreadPoolExecutor(max_workers=min(8, len(neighbours)) or 1) as pool:
            errors = list(pool.map(lambda target: knock(target.name, lambda: met(target)), neighbours))
    for target, error in zip(neighbours, errors, strict=True):
        if error is not None:
            session.leave_out(target.name, error)


def plan(session: Session, manifests: Manifests, options: Options) -> Planned:
    """Compare *manifests* with the clusters; reads, and writes nothing."""
    from reconciler.ledger.secret_status import secret_statuses
    from reconciler.live import measured, with_ports
    from reconciler.manifests.resolve import with_addresses, with_file_texts, with_pending_retirements

    owned = session.owned()
    resources = with_pending_retirements(session.kinds, manifests.resources, session.outside.now())
    resources = with_file_texts(session.kinds, resources, session.text)
    options = replace(
        options,
        pinned_ports={**session.begun_ports(), **options.pinned_ports},
        elsewhere=manifests.elsewhere,
        absent=session.absent,
    )
    left = options.previous - {resource.address for resource in resources} - owned.keys() if options.prune else ()
    by_cluster: dict[str, list[Resource]] = {target.name: [] for target in session.targets}
    for resource in resources:
        by_cluster[resource.address.cluster].append(resource)
    elsewhere = wanted_elsewhere(session.kinds, resources)
    wanted = {
        name: wanted_for(session.kinds, mine, [a for a in (*owned, *left) if a.cluster == name and options.prune])
        for name, mine in by_cluster.items()
    }
    wanted |= {target.name: {} for target in session.neighbours}
    states = read(
        session,
        {name: {**dict.fromkeys(elsewhere.get(name, ()), frozenset()), **mine} for name, mine in wanted.items()},
        schemas=True,
    )
    resources = _of_this_stage(resources, states)
    for name, mine in by_cluster.items():
        client, state = session.clients()[name], states[name]
        if not state.unborn:
            state = with_ports(client, needing_ports(session.kinds, mine, state), state)
            states[name] = measured(client, session.kinds, state, needing_figures(session.kinds, mine, state))
    states, owned = with_inherited(session.kinds, left, states, owned)
    resources = with_addresses(session.kinds, resources, states)
    statuses = secret_statuses(session.kinds, resources, session.reveal, session.known_ledger())
    made = make_plan(session.kinds, resources, states, owned, options, statuses)
    return Planned(made, states, owned, statuses, partial=bool(options.targets or options.excludes))


def _of_this_stage(resources: list[Resource], states: dict[str, LiveState]) -> list[Resource]:
    """Put aside what is declared for clusters that do not exist yet, and say so: it is planned once they do."""
    now: list[Resource] = []
    later: Counter[str] = Counter()
    for resource in resources:
        state = states[resource.address.cluster]
        if state.unborn and resource.address.kind not in state.objects:
            later[state.cluster] += 1
        else:
            now.append(resource)
    for name, count in sorted(later.items()):
        where = next(one.address for one in now if one.address.cluster == name)
        text = f"{count} more declared object{'s wait' if count > 1 else ' waits'} until the cluster exists"
        states[name] = replace(states[name], notes=(*states[name].notes, Note("warning", where, text)))
    return now


def rehearse(session: Session, planned: Planned) -> Rehearsal:
    """Ask the clusters what they would say to a plan; stores nothing there."""
    from reconciler.apply.dry_run import rehearse

    return rehearse(planned.plan, session.kinds, session.clients(), planned.live, session.reveal)


def still_true(before: Planned, now: Planned) -> None:
    """Raise PlanStale unless the plan made *now* is the one made *before*, to the byte."""
    if digest(before.plan) == digest(now.plan):
        return
    refuse_if_moved(before.plan, now.live)
    raise PlanStale("the manifests or the ledger changed since the plan was shown; nothing was written; run it again")


def same_ports(options: Options, approved: Plan) -> Options:
    """Return *options* with the ports that *approved* chose, so that planning again can give the same plan."""
    ports = {change.address: change.body["port"] for change in approved.changes if change.body.get("port")}
    return replace(options, pinned_ports={**options.pinned_ports, **ports})


def refuse_if_moved(approved: Plan, live: Mapping[str, LiveState]) -> None:
    """Raise PlanStale, naming each value, where the live state is not what *approved* was decided from."""
    if differences := [*moved(approved, live), *worsened(approved, live, load_kinds())]:
        lines = [f"  {where} {field}: was {_shown(was)}, is {_shown(now)}" for where, field, was, now in differences]
        raise PlanStale("\n".join(["the cluster moved since this plan was made; nothing was written", *lines]))


def reread(session: Session, approved: Plan) -> dict[str, LiveState]:
    """Read again what *approved* was decided from; raises InputError where it is about what we do not know."""
    from reconciler.live import measured

    for change in approved.changes:
        kind = session.kinds.get(change.address.kind)
        strange = sorted(change.body.keys() - kind.fields.keys()) if kind else [f"the kind {change.address.kind}"]
        if strange:
            text = f"{change.address}: this version does not know {', '.join(strange)}"
            raise InputError([Problem("the plan file", 0, 0, "", text, "plan again with this version")])
    wanted: dict[str, dict[str, frozenset[str] | None]] = {target.name: {} for target in session.targets}
    for change in approved.changes:
        mine = wanted[change.address.cluster]
        known = mine.get(change.address.kind) or frozenset()
        mine[change.address.kind] = known.union(change.rests_on or (), change.body)
    states, clients = read(session, wanted, schemas=True), session.clients()
    found = figures_behind(session.kinds, approved)
    return {name: measured(clients[name], session.kinds, one, found.get(name, {})) for name, one in states.items()}


def settle(session: Session) -> None:
    """Close in the ledger what an earlier run left open and the clusters show by now."""
    from reconciler.apply import recover

    ledger = session.known_ledger()
    begun = {target.name: ledger.open_intents(target.name) for target in session.targets} if ledger else {}
    for name, intents in begun.items():
        fields: dict[str, set[str]] = {}
        for intent in intents:
            fields.setdefault(intent.address.kind, set()).update(intent.body)
        if ledger and fields:
            with session.locked([name]):
                wanted: Wanted = {kind: frozenset(names) for kind, names in fields.items() if kind in session.kinds}
                recover(ledger, session.kinds, read(session, {name: wanted}, schemas=True)[name])


def execute(
    session: Session,
    approved: Plan,
    live: Mapping[str, LiveState],
    *,
    parallelism: int,
    revision: str = "",
) -> Report:
    """Do what *approved* says; the caller holds the locks and has made sure that it still holds on *live*."""
    from reconciler.apply import apply
    from reconciler.live import neighbours

    report = apply(
        approved,
        session.kinds,
        session.clients(),
        session.ledger(),
        session.reveal,
        live=live,
        parallelism=parallelism,
        revision=revision,
        observe=session.observe,
        stop=session.stop,
        **session.outside.means,
        neighbours=neighbours(session.settings.targets, session.clients()),
        load=session.load,
    )
    with contextlib.suppress(LedgerError):  # what was done must be told, whatever becomes of this
        for name, client in session.clients().items():
            session.ledger().saw_state_id(name, client.state_id)
    return report


def adopt(session: Session, manifests: Manifests, planned: Planned) -> int:
    """Own what is declared and already right; return how many objects became ours. The caller holds the locks."""
    from reconciler.ledger import Record

    found = [*adopted(session.kinds, manifests.resources, planned.plan, planned.live, planned.owned)]
    if found:
        session.ledger().record_all(Record(*one) for one in found)
    return sum(one.address not in planned.owned for one in found)


def export(session: Session, kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Return (file name, YAML) for each kind that has something to export, a folder for each of several clusters."""
    from reconciler import export as exporting

    names = dict.fromkeys(kinds or session.kinds)
    unknown = [
        Problem("KIND", 0, 0, "", f"there is no kind {name}", f"there are {', '.join(session.kinds)}")
        for name in names
        if name not in session.kinds
    ]
    if unknown:
        raise InputError(unknown)
    pages, told = [], exporting.Told()
    for cluster, state in read(session, {target.name: dict(names) for target in session.targets}).items():
        for kind in (session.kinds[name] for name in names):
            mine = cluster if len(session.targets) > 1 or kind.traits.multi_cluster else ""
            if text := exporting.manifests_of(kind, told.new(kind, state.objects.get(kind.name, ())), cluster=mine):
                file = f"{kind.name.lower()}.yaml"
                pages.append((f"{cluster}/{file}" if len(session.targets) > 1 else file, text))
    return pages


def outputs(session: Session, *, passwords: bool) -> tuple[Output, ...]:
    """Return the endpoints of every database, with the passwords of default users on request."""
    from reconciler.export import outputs as presenting

    kind = session.kinds["Database"]
    wanted: Wanted = {kind.name: frozenset({"roles_permissions", "tls_mode", "ssl"})}
    fields = [kind.rest.id, "name", "endpoints", *(["authentication_redis_pass"] if passwords else [])]
    found: list[Output] = []
    for cluster, state in read(session, {target.name: wanted for target in session.targets}).items():
        raw = session.clients()[cluster].get(f"{kind.rest.path}?fields={','.join(fields)}", shape=list).body
        endpoints = {one[kind.rest.id]: one.get("endpoints") or () for one in raw}
        known = {one["name"]: one["authentication_redis_pass"] for one in raw if one.get("authentication_redis_pass")}
        found += presenting.rows(cluster, state.objects[kind.name], endpoints, known)
    return tuple(found)


def find_drift(session: Session, planned: Planned) -> tuple[drift.Drift, ...]:
    """Say for each difference in *planned* who is ahead."""
    return drift.find(session.kinds, planned.plan, planned.live, planned.owned, planned.secrets)


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    return value if isinstance(value, str) and value else repr(value)
