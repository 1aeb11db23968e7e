"""The pipeline of a run, resolve → observe → decide → execute, and the use cases that consist of it.

The commands and the agent call it with a session and options. It prints nothing; `plan` decides, and `apply` writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from reconciler.errors import (
    ImpactRefused,
    InputError,
    LedgerError,
    PlanStale,
    PlanTooLarge,
    Problem,
    ReconcilerError,
)
from reconciler.kinds import MISSING, load_kinds
from reconciler.model import Address, LiveState, Observed
from reconciler.plan import (
    ClusterFailure,
    Options,
    Plan,
    decide,
    digest,
    increased_impacts,
    stale_fields,
    with_consent,
)
from reconciler.plan import drift as drifting
from reconciler.plan.adoption import adopted, with_inherited
from reconciler.plan.limits import over_limits
from reconciler.plan.read_set import ReadSet, read_sets
from reconciler.session import CONCERNS_ONE_CLUSTER

if TYPE_CHECKING:
    from reconciler.apply.recorder import PlannedCalls
    from reconciler.apply.report import Report
    from reconciler.manifests import Manifests, Resource
    from reconciler.manifests.resolve import Desired
    from reconciler.session import Session
    from reconciler.settings import Target

T = TypeVar("T")
Probe = Callable[[str, Callable[[], ReconcilerError | None]], ReconcilerError | None]


class Planned(NamedTuple):
    """A plan, and what it was decided from."""

    plan: Plan
    observed: Observed
    desired: Desired
    partial: bool = False  # limited by --target or --exclude


# --- the pipeline ----------------------------------------------------------------------------------------------------


def plan(session: Session, manifests: Manifests, options: Options) -> Planned:
    """Compare *manifests* with the clusters; reads, and writes nothing.

    A cluster that cannot be read, or that alone has a problem with its manifests, is left out of the session.
    """
    from reconciler.manifests.resolve import resolve

    kinds = session.kinds

    def wanted() -> Desired:
        found = resolve(kinds, manifests.only(session.names), session.public_text, session.reveal, session.now)
        session.check_addresses(found.resources)
        return found

    desired = _leaving_out(session, wanted)
    observed = observe(session, desired, options)
    made = _leaving_out(
        session, lambda: decide(kinds, desired.only(session.names), _possible(session, observed), options)
    )
    made = replace(made, failures=failures(session))
    desired = desired.only(session.names)
    return Planned(made, _possible(session, observed), desired, partial=bool(options.targets or options.excludes))


def _leaving_out(session: Session, work: Callable[[], T]) -> T:
    """Return the result of *work*; clusters that alone have problems are left out, and it is repeated without them."""
    while True:
        try:
            return work()
        except InputError as error:
            by_cluster: dict[str, list[Problem]] = {}
            for problem in error.problems:
                by_cluster.setdefault(problem.cluster, []).append(problem)
            if not by_cluster.keys() < session.names:  # all clusters have problems: they are reported together
                raise
            for name, problems in sorted(by_cluster.items()):
                session.leave_out(name, type(error)(problems))


def _possible(session: Session, observed: Observed) -> Observed:
    """Return *observed* without clusters that were left out after they had been read."""
    live = {name: state for name, state in observed.live.items() if name not in session.failures}
    owned = {address: one for address, one in observed.owned.items() if address.cluster in live}
    return observed._replace(live=live, owned=owned, absent=dict(session.absent))


def failures(session: Session) -> tuple[ClusterFailure, ...]:
    """Return the clusters of the run that were left out."""
    redact = session.settings.redactor.redact
    failed = sorted((name, error) for name, error in session.failures.items() if name in session.selected)
    return tuple(ClusterFailure(name, type(error).__name__, redact(str(error))) for name, error in failed)


def observe(session: Session, desired: Desired, options: Options) -> Observed:
    """Read from the clusters and the ledger what a plan for *desired* needs."""
    from reconciler.plan.copies import with_copies
    from reconciler.plan.secret_status import secret_statuses

    kinds = session.kinds
    session.identify(desired.resources)
    owned = session.owned()
    declared = {resource.address for resource in desired.resources}
    previous = options.previous - declared - owned.keys() if options.prune else frozenset()
    leaving = [*owned, *previous] if options.prune else []
    clusters = list(session.clients())
    desired = desired.only(session.names)
    live = read(session, read_sets(kinds, desired.resources, leaving, clusters))
    resources = with_copies(kinds, desired.only(session.names).resources, live)
    unavailable: dict[tuple[Address, str], Problem] = {}
    secrets = secret_statuses(kinds, resources, session.reveal, session.known_ledger(), unavailable)
    replaced = session.unfinished_replacements()
    observed = Observed(live, owned, secrets, session.started_ports(), session.absent, unavailable, replaced)
    return with_inherited(kinds, previous, observed)


def execute(session: Session, approved: Plan, observed: Observed, *, parallelism: int, revision: str = "") -> Report:
    """Apply *approved*; the caller holds the locks and has checked that the plan is not stale.

    Nothing is done on clusters that were left out.
    """
    from reconciler import apply
    from reconciler.live import project_clusters

    session.check_plan_addresses(approved)
    context = apply.ExecutionContext(
        session.kinds,
        session.clients(),
        session.ledger(),
        session.reveal,
        runtime=session.runtime,
        live=observed.live,
        project_clusters=project_clusters(session.settings.targets, session.clients()),
        read_file=session.read_file,
        absent=session.absent,
    )
    report = apply.execute(approved, context, parallelism=parallelism, revision=revision)
    with contextlib.suppress(LedgerError):  # the report does not depend on this
        for name, client in session.clients().items():
            session.ledger().saw_state_id(name, client.state_id)
    return replace(report, failures=failures(session))


def read(session: Session, sets: Mapping[str, ReadSet]) -> dict[str, LiveState]:
    """Read the read set of each cluster, concurrently; clusters that fail are left out."""
    from reconciler import live
    from reconciler.api.driver import Connections

    session.identify()
    ledger = session.known_ledger()
    shared = session.take_readers()
    states: dict[str, LiveState] = {}
    while waiting := [name for name in sets if name not in states and name in session.clients()]:
        clients = {name: shared[name] for name in session.clients()}
        connections = Connections(clients, live.project_clusters(session.settings.targets, clients))

        def one(name: str, connections: Connections = connections) -> LiveState | ReconcilerError:
            try:
                found = live.read(shared[name], session.kinds, sets[name], name, connections)
                return replace(found, identity=session.identities.get(name))
            except CONCERNS_ONE_CLUSTER as error:
                return error

        for name, found in zip(waiting, _at_once(one, waiting), strict=True):
            if isinstance(found, LiveState):
                states[name] = found
                continue
            culprit = getattr(found, "cluster", "") or name  # a cluster that it refers to: read it again without
            if culprit in session.clients():
                session.leave_out(culprit, found)
    if ledger:
        for state in states.values():
            ledger.saw_state_id(state.cluster, state.state_id)
    return {name: states[name] for name in sets if name in states and name not in session.failures}


def _at_once(work: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    """Return the result of *work* for each of *items*, with up to 8 threads; a single item needs none."""
    if len(items) == 1:
        return [work(items[0])]
    with ThreadPoolExecutor(max_workers=min(8, len(items)) or 1) as pool:
        return list(pool.map(work, items))


# --- before a plan is executed ---------------------------------------------------------------------------------------


def check(plan: Plan, options: Options) -> None:
    """Raise ImpactRefused where a change lacks consent, PlanTooLarge where *plan* exceeds the limits of *options*."""
    from reconciler.render.refusals import consent_text, limit_text

    changes = with_consent(plan, options).changes
    missing = [consent_text(change, one) for change in changes for one in change.unconsented]
    if missing:
        raise ImpactRefused("\n".join(missing))
    for over in over_limits(plan, options):
        raise PlanTooLarge(limit_text(over))


def require_same_plan(before: Planned, now: Planned) -> None:
    """Raise PlanStale unless the plan made *now* is identical to the one made *before*."""
    if digest(before.plan) == digest(now.plan):
        return
    refuse_if_stale(before.plan, now.observed.live)
    raise PlanStale("the manifests or the ledger changed since the plan was shown; nothing was written; run it again")


def same_ports(options: Options, approved: Plan) -> Options:
    """Return *options* with the ports that *approved* chose, so that planning again can give the same plan."""
    ports = {change.address: change.body["port"] for change in approved.changes if change.body.get("port")}
    return replace(options, pinned_ports={**options.pinned_ports, **ports})


def refuse_if_stale(approved: Plan, live: Mapping[str, LiveState]) -> None:
    """Raise PlanStale, naming each value, where the live state is not the basis of *approved*."""
    if found := [*stale_fields(approved, live), *increased_impacts(approved, live, load_kinds())]:
        lines = [f"  {one.address} {one.field}: was {_shown(one.planned)}, is {_shown(one.now)}" for one in found]
        raise PlanStale("\n".join(["the cluster changed since this plan was made; nothing was written", *lines]))


def probe(session: Session, ask: Probe) -> None:
    """Find out which other clusters are reachable and accept the login; exclude the others from this session.

    *ask* gets the name of each and a function that probes it: the result may be known already.
    """
    from reconciler.live import probe as probe_cluster

    def reached(target: Target) -> ReconcilerError | None:
        try:
            probe_cluster(session.client_of(target), target.name)
        except CONCERNS_ONE_CLUSTER as error:
            return error
        return None

    other_clusters = session.other_clusters
    errors = _at_once(lambda target: ask(target.name, lambda: reached(target)), other_clusters)
    for target, error in zip(other_clusters, errors, strict=True):
        if error is not None:
            session.leave_out(target.name, error)


def recover(session: Session, resources: Iterable[Resource]) -> None:
    """Close intents of an earlier run in the ledger whose outcome the clusters show; *resources* are those declared."""
    from reconciler.apply import recover

    session.identify(resources)
    ledger = session.known_ledger()
    open_intents = {target.name: ledger.open_intents(target.name) for target in session.targets} if ledger else {}
    for name, intents in open_intents.items():
        fields: dict[str, set[str]] = {}
        for intent in intents:
            fields.setdefault(intent.address.kind, set()).update(intent.body)
        if ledger and fields:
            with session.locked([name], leave_out=True):
                wanted = {kind: frozenset(names) for kind, names in fields.items() if kind in session.kinds}
                for state in read(session, {name: ReadSet(wanted, schemas=True)}).values():
                    recover(ledger, session.kinds, state)


# --- other use cases -------------------------------------------------------------------------------------------------


def calls(session: Session, planned: Planned) -> dict[int, PlannedCalls]:
    """Return by number of each change the calls that it will make; sends nothing."""
    from reconciler.apply.planned_calls import calls_of
    from reconciler.apply.recorder import ExplainContext
    from reconciler.live import project_clusters

    clusters = project_clusters(session.settings.targets, session.clients())
    context = ExplainContext(session.kinds, planned.observed.live, clusters)
    return {change.number: calls_of(change, context) for change in planned.plan.changes}


def adopt(session: Session, manifests: Manifests, planned: Planned) -> int:
    """Record existing objects that match their manifests as owned; return their number. The caller holds the locks."""
    from reconciler.ledger import Record

    found = [*adopted(session.kinds, manifests.resources, planned.plan, planned.observed)]
    if found:
        session.ledger().record_all(Record(*one) for one in found)
    return sum(one.address not in planned.observed.owned for one in found)


def find_drift(session: Session, planned: Planned) -> tuple[drifting.Drift, ...]:
    """Return each difference in *planned* with the side that changed."""
    return drifting.find(session.kinds, planned.plan, planned.observed)


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    return value if isinstance(value, str) and value else repr(value)
