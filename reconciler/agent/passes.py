"""One pass over one cluster: settle, read, plan, and what the mode allows of it. The loop calls `make_pass`.

It reports on the board while it works and returns how it ended; it raises nothing of ours. When the next pass comes is
none of its business. Nothing that was read of a cluster outlives it but the plan, the differences and what is held.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from reconciler import reconcile, telemetry
from reconciler.agent import company, history, witness
from reconciler.agent.holding import Held, patterns, refused, without_fought
from reconciler.agent.orders import Ended, Job, Office
from reconciler.agent.status import DriftSince, Phase, Progress
from reconciler.agent.topics import APPROVED, DRIFT, FLIPPED, PLANNED
from reconciler.errors import (
    AppliedInPart,
    Interrupted,
    LedgerUnwritable,
    Locked,
    PlanStale,
    PlanTooLarge,
    ReconcilerError,
    Unauthorized,
)
from reconciler.kinds.freeze import Frozen, frozen
from reconciler.manifests import Manifests
from reconciler.model import Address
from reconciler.plan import Action, Options, Plan, check, cold, digest
from reconciler.plan.adoption import adopted
from reconciler.plan.drift import Ahead
from reconciler.runtime import Outside
from reconciler.session import Session

if TYPE_CHECKING:
    from reconciler.apply.report import Report

_SOON = 5.0  # seconds until it is tried again to write where another pass is at it


class _Look(NamedTuple):
    """What a pass found, and what of it may be done."""

    planned: reconcile.Planned  # without what is held
    options: Options
    everything: Manifests  # what the plan was made from
    mine: Manifests  # the part of it that is not held
    drift: tuple[DriftSince, ...]
    held: tuple[str, ...]
    until: float | None = None  # something of it may be done then


def make_pass(office: Office, job: Job) -> Ended:
    """Make one pass over the cluster of *job*."""
    name, began = job.target.name, office.clock()
    office.board.update_cluster(name, phase=Phase.READING, why="", progress=None)
    session = Session(
        office.settings,
        [job.target],
        observe=_observer(office, name),
        outside=Outside(
            office.ledger,
            office.connect,
            office.means,
            lambda: datetime.fromtimestamp(office.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            job.neighbours,
            office.now,
            job.absent,
        ),
    )
    session.stop = office.stop
    office.observe(telemetry.Event("pass.started", {"cluster": name, "revision": job.revision}))
    one = _Pass(office, job, session)
    try:
        with session:
            ended = one.make()
    except ReconcilerError as error:
        ended = Ended(error)
    except Exception as bug:  # one cluster must not take the others down
        unexpected = ReconcilerError(f"internal error: {type(bug).__name__}: {bug}; please report it")
        unexpected.__cause__ = bug
        ended = Ended(unexpected)
    return ended._replace(seconds=office.clock() - began, missed=session.missed, beside=one.beside)


class _Pass:
    def __init__(self, office: Office, job: Job, session: Session) -> None:
        self.office = office
        self.job = job
        self.session = session
        self.name = job.target.name
        self.agent_policy = job.target.agent_policy
        self.memory = office.ledger.memory
        self.beside: frozenset[str] | None = None

    def make(self) -> Ended:
        """Do what the mode allows."""
        reconcile.meet(self.session, self.office.doors.knock)
        reconcile.settle(self.session)
        with self.step("plan"):
            look = self.look()
        self.tell(look)
        ended = self.follow(look)
        times = [at for at in (ended.again_at, look.until) if at is not None]
        return ended._replace(again_at=min(times, default=None))

    def follow(self, look: _Look) -> Ended:
        """Do what follows from a look."""
        plan = look.planned.plan
        if self.office.stop.is_set():
            raise Interrupted("stopped after reading; nothing was written")
        if self.agent_policy.mode == "observe":
            return self.rest(look, Phase.WAITING)
        approved = digest(plan) in self.memory.facts(self.name, APPROVED)
        if not plan.changes:
            self.adopt(look)
            return self.rest(look, Phase.WAITING)
        if self.agent_policy.mode == "plan" and not approved:
            return self.wait_for_approval(look)
        cold = frozen(self.agent_policy.freeze, self.office.now())
        if cold:
            return self.rest(look, Phase.FROZEN, cold, approved=approved)
        if not approved:
            check(plan, look.options)
            self.check_deletes(plan)
        return self.apply(look, approved=approved)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell that a step begins and ends."""
        about = {"cluster": self.name, "revision": self.job.revision}
        self.office.observe(telemetry.Event(f"{name}.started", about))
        try:
            yield
        except BaseException as error:
            self.office.observe(telemetry.Event(f"{name}.failed", {**about, "failure": type(error).__name__}))
            raise
        self.office.observe(telemetry.Event(f"{name}.done", about))

    # --- looking ----------------------------------------------------------------------------------------------------

    def look(self, busy: Mapping[Address, Held] = MappingProxyType({})) -> _Look:
        """Plan; leave out what may not be done unasked, and plan the rest, so that what is shown is what can happen.

        *busy* is what cannot be done now because somebody else is at it.
        """
        flipped = self.memory.facts(self.name, FLIPPED)
        wanted = history.declared(flipped, self.job.resources)
        fought = history.fights(flipped, self.office.now(), wanted)
        resources = [without_fought(resource, fought) for resource in self.job.resources]
        manifests = Manifests(tuple(resources), elsewhere=self.job.elsewhere)
        there = {resource.address for resource in resources}
        excluded = {address for address in there if history.place(address, "") in fought}
        held = [f"{place.strip()}: undone by others {history.FLIPS} times in an hour; left alone" for place in fought]
        options = Options(prune=self.agent_policy.prune, limits=self.office.settings.limits)
        untils: list[float] = []
        whole: reconcile.Planned | None = None
        if fought:  # what is left alone differs all the same
            declared = Manifests(self.job.resources, elsewhere=self.job.elsewhere)
            whole = reconcile.plan(self.session, declared, options)
        while True:
            planned = reconcile.plan(self.session, manifests, replace(options, excludes=patterns(excluded)))
            whole = whole or planned
            no = {**self.refused_now(planned), **busy, **refused(planned.plan, options)}
            no = {address: one for address, one in no.items() if address not in excluded}
            if not no:
                break
            excluded |= no.keys()
            held += [f"{address._replace(cluster='')}: {one.why}" for address, one in sorted(no.items())]
            untils += [one.until for one in no.values() if one.until is not None]
        held += [f"{n.address._replace(cluster='')}: {n.message}" for n in planned.plan.notes if n.level == "held"]
        mine = manifests._replace(resources=tuple(one for one in resources if one.address not in excluded))
        drift = self.since(whole)
        options = replace(options, excludes=patterns(excluded))
        self.note_places(planned)
        until = min(untils, default=None)
        return _Look(planned, options, manifests, mine, drift, tuple(dict.fromkeys(held)), until)

    def refused_now(self, planned: reconcile.Planned) -> Mapping[Address, Held]:
        """Return the changes that their manifest, or another cluster that they write to, does not agree to now."""
        if self.agent_policy.mode == "observe":
            return {}
        now, reach = self.office.now(), company.beyond(self.session.kinds, planned.plan, planned.live)
        there = company.refused(self.job.target, self.job.neighbours, reach, now)
        waiting = cold(planned.plan, now)
        return {**there, **{address: Held(f"{one}, by its manifest", one.until) for address, one in waiting.items()}}

    def note_places(self, planned: reconcile.Planned) -> None:
        """Note where what is declared here stands by now: the next pass has to ask there too."""
        names = {*planned.owned, *(resource.address for resource in self.job.resources)}
        there = company.standing(self.session.kinds, names, planned.live[self.name])
        self.beside = there.intersection(target.name for target in self.office.settings.selected) - {self.name}

    def since(self, planned: reconcile.Planned) -> tuple[DriftSince, ...]:
        """Return the differences with since when, asking the cluster's log about new ones that others made."""
        found = reconcile.find_drift(self.session, planned)
        known, now = self.memory.facts(self.name, DRIFT), self.office.now()
        new = [d for d in found if d.ahead is not Ahead.OURS and history.place(d.address, d.path) not in known]
        seen: Mapping[str, history.Seen] = {}
        if new:
            uids = {change.address: change.uid for change in planned.plan.changes if change.uid is not None}
            after = self.office.board.status.clusters[self.name].last_success
            seen = witness.ask(self.session.clients()[self.name], new, uids, after)
        told, facts = history.since(found, known, now, seen)
        with contextlib.suppress(LedgerUnwritable):  # what it is for is known all the same
            self.memory.keep(self.name, DRIFT, facts)
        return told

    def tell(self, look: _Look) -> None:
        """Put on the board what was found."""
        plan = look.planned.plan
        self.office.board.update_cluster(
            self.name,
            plan=plan,
            plan_digest=digest(plan) if plan.changes else "",
            drift=look.drift,
            held=look.held,
            declared=sum(not resource.absent for resource in self.job.resources),
            frozen="",
        )

    # --- what follows -----------------------------------------------------------------------------------------------

    def rest(self, look: _Look, phase: Phase, cold: Frozen | None = None, *, approved: bool = False) -> Ended:
        """End without writing to the cluster; what is approved stays so until it may be done."""
        self.offer(look.planned.plan if approved else None)
        why = cold.why if cold else ""
        self.office.board.update_cluster(self.name, phase=phase, frozen=why, why=why)
        return Ended(again_at=cold.until if cold else None, differences=len(look.drift))

    def wait_for_approval(self, look: _Look) -> Ended:
        """Keep the plan until somebody approves it."""
        plan = look.planned.plan
        self.offer(plan)
        why = f"reconciler approve {digest(plan)}"
        self.office.board.update_cluster(self.name, phase=Phase.APPROVAL, why=why)
        return Ended(differences=len(look.drift), waiting=True)

    def offer(self, plan: Plan | None) -> None:
        """Remember which plan may be approved, and forget approvals of any other."""
        current = digest(plan) if plan is not None else ""
        with contextlib.suppress(LedgerUnwritable):  # nobody can approve then, and nothing is written
            self._offer(current, plan)

    def _offer(self, current: str, plan: Plan | None) -> None:
        offers = self.memory.facts(self.name, PLANNED)
        if set(offers) != ({current} if current else set()):
            self.memory.forget(self.name, PLANNED, offers)
            if plan is not None:
                about = {"changes": len(plan.changes), "revision": self.job.revision}
                self.memory.remember(self.name, PLANNED, current, about)
        stale = [one for one in self.memory.facts(self.name, APPROVED) if one != current]
        self.memory.forget(self.name, APPROVED, stale)

    def check_deletes(self, plan: Plan) -> None:
        """Raise PlanTooLarge where more goes away than one pass may take."""
        going = sum(change.action in (Action.DELETE, Action.REPLACE) for change in plan.changes)
        if going > self.agent_policy.max_deletes:
            self.offer(plan)
            raise PlanTooLarge(
                f"the plan deletes or replaces {going} objects, and maxDeletes allows {self.agent_policy.max_deletes}; "
                f"if it is meant: reconciler approve {digest(plan)}"
            )

    def adopt(self, look: _Look) -> None:
        """Own what is declared and already right."""
        planned = look.planned
        if self.agent_policy.mode != "apply":
            return
        new = adopted(self.session.kinds, look.mine.resources, planned.plan, planned.live, planned.owned)
        if next(iter(new), None) is not None:
            with contextlib.suppress(company.Taken), self.writing([self.name]):  # it can wait
                reconcile.adopt(self.session, look.mine, planned)

    @contextlib.contextmanager
    def writing(self, clusters: Iterable[str]) -> Iterator[None]:
        """Hold *clusters*: nobody else writes there. Raises Locked at once where somebody does: no ring of waits."""
        names = sorted(clusters)
        with self.office.writers.claim(names, self.name), self.session.locked(names):
            yield

    def apply(self, look: _Look, *, approved: bool) -> Ended:
        """Do the plan; without what stands on other clusters too, where somebody else is at work there."""
        try:
            return self.carry_out(look)
        except Locked as busy:
            held = Held(str(busy), self.office.now() + _SOON)
            reach = company.beyond(self.session.kinds, look.planned.plan, look.planned.live)
            if approved or not reach:
                if not isinstance(busy, company.Taken):
                    raise
                ended = self.rest(look, Phase.WAITING, approved=approved)
                self.office.board.update_cluster(self.name, why=held.why)
                return ended._replace(again_at=held.until)
        less = self.look(dict.fromkeys(reach, held))
        self.tell(less)
        if not less.planned.plan.changes:
            return self.rest(less, Phase.WAITING)._replace(again_at=held.until)
        return self.apply(less, approved=False)._replace(again_at=held.until)

    def carry_out(self, look: _Look) -> Ended:
        """Plan once more under the locks, and do it if it is the same."""
        before = look.planned
        clusters = company.written(self.session.kinds, before.plan, before.live)
        with self.writing({self.name, *clusters}):
            options = reconcile.same_ports(look.options, before.plan)
            now = reconcile.plan(self.session, look.everything, options)
            reconcile.still_true(before, now)
            if company.written(self.session.kinds, now.plan, now.live) - clusters:
                raise PlanStale("something stands on more clusters than when the plan was made; nothing was written")
            board = self.office.board
            board.update_cluster(self.name, phase=Phase.APPLYING, progress=Progress(0, len(now.plan.changes)))
            reconcile.adopt(self.session, look.mine, now)
            with self.step("apply"):
                report = reconcile.execute(
                    self.session, now.plan, now.live, parallelism=self.office.parallelism, revision=self.job.revision
                )
        self.offer(None)
        return self.conclude(look, now.plan, report)

    def conclude(self, look: _Look, plan: Plan, report: Report) -> Ended:
        """Remember what was put right, and say what is left."""
        done = {outcome.change.address for outcome in report.done}
        mended = [one.drift for one in look.drift if one.drift.address in done]
        left = tuple(one for one in look.drift if one.drift.address not in done)
        now = self.office.now()
        known = self.memory.facts(self.name, FLIPPED)
        with contextlib.suppress(LedgerUnwritable):  # what was done is in the report all the same
            theirs = [history.place(d.address, d.path) for d in mended if d.ahead is not Ahead.OURS]
            wanted = history.declared(theirs, self.job.resources)
            self.memory.keep(self.name, FLIPPED, history.corrected(wanted, known, now))
            self.memory.forget(self.name, DRIFT, [history.place(d.address, d.path) for d in mended])
        rest = tuple(change for change in plan.changes if change.address not in done)
        remaining = replace(plan, changes=rest, unchanged=plan.unchanged + len(done))
        self.office.board.update_cluster(
            self.name,
            phase=Phase.WAITING,
            drift=left,
            plan=remaining,
            plan_digest="",
            last_run=report.run,
        )
        return Ended(_failure_of(report), changes=len(done), differences=len(left))


def _failure_of(report: Report) -> ReconcilerError | None:
    """Return what went wrong in an apply, as one error."""
    if report.interrupted:
        return Interrupted("stopped; what was under way is finished, and the next pass goes on")
    if report.complete:
        return None
    for outcome in report.failed:
        if isinstance(outcome.error, Unauthorized):
            return outcome.error
    first = next(iter(report.failed), None) or next(iter(report.not_attempted))
    return AppliedInPart(
        f"{len(report.done)} of {len(report.outcomes)} changes are done; first: {first.change.address}: {first.why}"
    )


def _observer(office: Office, cluster: str) -> telemetry.Observer:
    """Return who hears the events of one pass: everybody, and the board how far an apply is."""
    ended = 0

    def observe(event: telemetry.Event) -> None:
        nonlocal ended
        if event.name in ("change.started", "change.done", "change.failed", "change.skipped"):
            ended += event.name != "change.started"
            progress = office.board.status.clusters[cluster].progress
            if progress is not None:
                address = str(event.attributes["address"]) if event.name == "change.started" else progress.address
                office.board.update_cluster(cluster, progress=Progress(ended, progress.total, address))
        office.observe(event._replace(attributes={"cluster": cluster, **event.attributes}))

    return observe
