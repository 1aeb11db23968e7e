"""Desired and observed state to a `Plan`: a value, made by pure code. The same input gives the same plan, to the byte.

`reconcile.plan` calls `decide` with everything that was declared and read. It must not know how manifests or live
objects were read, nor how a change is executed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.errors import InputError, Problem, Refused, SecretMissing
from reconciler.kinds import Kind
from reconciler.model import Address, Level, Note, Observed, Reason
from reconciler.plan import conflicts, dependencies
from reconciler.plan.compatibility import check_versions, compare_schemas
from reconciler.plan.copies import with_copies
from reconciler.plan.decide import decide_resource, decide_undeclared, followed_renames
from reconciler.plan.feasibility import infeasible
from reconciler.plan.limits import with_consent
from reconciler.plan.multicluster import absent_members, moves, written_clusters
from reconciler.plan.order import break_cycles, deadlocked, order
from reconciler.plan.own_login import ending_access
from reconciler.plan.plan import Action, Change, Options, Plan
from reconciler.plan.ports import with_ports
from reconciler.plan.repointing import repointed
from reconciler.plan.selection import select
from reconciler.plan.staleness import fingerprint
from reconciler.plan.view import Decision, Held, Invalid, Unchanged, View, problem, warning

if TYPE_CHECKING:
    from reconciler.manifests import Resource
    from reconciler.manifests.resolve import Desired


def decide(kinds: Mapping[str, Kind], desired: Desired, observed: Observed, options: Options) -> Plan:
    """Return what has to be done so that the *observed* state becomes the *desired* one, over all clusters.

    Raises InputError with every problem that the manifests have with these clusters, SecretMissing where only values of
    secrets are missing, and Refused when an empty input together with prune would delete everything.
    """
    draft = _Draft(note for state in observed.live.values() for note in state.notes)
    desired = desired._replace(resources=draft.possible(desired, observed))
    _refuse_empty(kinds, desired, observed, options)
    resources = draft.unique(with_copies(kinds, desired.resources, observed.live), observed)
    chosen = _chosen(kinds, resources, observed, options)
    selected = tuple(resources[address] for address in sorted(resources) if chosen is None or address in chosen)
    view = View(kinds, observed, options, resources, desired.elsewhere, selected, frozenset(draft.held))
    draft.add(check_versions(view))
    view = replace(view, renames=followed_renames(view))
    for resource in selected:
        draft.decided(decide_resource(view, resource))
    for decision in decide_undeclared(view):
        if chosen is None or decision.outcome.address in chosen:
            draft.decided(decision)
    draft.put(with_ports(view, draft.changes))
    draft.add(ending_access(kinds, observed.live, draft.changes))
    draft.add([*absent_members(view, draft.changes), *conflicts.maybe_renamed(view, draft.changes)])
    draft.add(dependencies.unresolved(view, draft.changes, draft.held))
    known = -1
    while known != len(draft.held):  # what is held frees nothing, and nothing that needs it can be done
        known = len(draft.held)
        draft.add(conflicts.taken(view, draft.changes))
        draft.add(infeasible(view, draft.changes))
        draft.add(deadlocked(draft.changes, view.objects(), kinds))
        draft.add(dependencies.needing_held(view, draft.changes, draft.held))
        draft.add(dependencies.still_referenced(view, draft.changes, draft.held))
    if any(change.creates for change in draft.changes):
        draft.put(repointed(view, draft.changes, draft.held))
    draft.add(compare_schemas(view, draft.changes))
    changes, remaining = break_cycles(draft.changes, kinds)
    draft.add(_cycle_problem(view, cycle) for cycle in remaining)
    draft.raise_problems()
    return draft.plan(view, changes)


def _refuse_empty(kinds: Mapping[str, Kind], desired: Desired, observed: Observed, options: Options) -> None:
    if not options.prune:
        return
    everywhere = {*(resource.address for resource in desired.resources), *desired.elsewhere}
    owned = {a.cluster for a in observed.owned if not moves(kinds, a, everywhere)}
    declared = {resource.address.cluster for resource in desired.resources}
    bare = sorted(owned.intersection(observed.live) - declared)
    if bare or not (desired.resources or desired.elsewhere):
        where = f" for {', '.join(filter(None, bare))}" if any(bare) else ""
        raise Refused(
            f"nothing is declared{where}, and --prune would delete every owned object there; nothing was changed"
        )


def _chosen(
    kinds: Mapping[str, Kind], resources: Mapping[Address, Resource], observed: Observed, options: Options
) -> frozenset[Address] | None:
    """Return what `--target` and `--exclude` choose, None for everything."""
    known = {*resources, *observed.owned}
    view = View(kinds, observed, options, resources)
    return select(known, options.targets, options.excludes, lambda address: dependencies.needed(view, address))


def _cycle_problem(view: View, cycle: Sequence[Change]) -> Problem:
    names = " → ".join(str(change.address) for change in (*cycle, cycle[0]))
    resource = view.resources.get(cycle[0].address)
    return problem(resource, ("metadata", "name"), f"these refer to each other in a cycle: {names}")


class _Draft:
    """Decisions, combined: what is changed, what is held, what is wrong. Only `decide` uses it."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self.notes = list(notes)
        self.held = {note.address for note in self.notes if note.level is Level.HELD}
        self.problems: list[Problem] = []
        self.missing_secrets: list[Problem] = []
        self._changes: dict[Address, Change] = {}
        self._unchanged: set[Address] = set()
        self._present: Counter[str] = Counter()

    @property
    def changes(self) -> list[Change]:
        return list(self._changes.values())

    def possible(self, desired: Desired, observed: Observed) -> list[Resource]:
        """Return what can be planned now; what is declared for clusters that do not exist yet waits until they do."""
        now: list[Resource] = []
        waiting: Counter[str] = Counter()
        for resource in desired.resources:
            state = observed.live.get(resource.address.cluster)
            if state is None or state.bootstrapped or resource.address.kind in state.objects:
                now.append(resource)
            else:
                waiting[state.cluster] += 1
        for cluster, count in sorted(waiting.items()):
            bootstrap = next(one.address for one in now if one.address.cluster == cluster)
            self.add([warning(bootstrap, Reason.WAITS_FOR_CLUSTER, str(count))])
        return now

    def unique(self, declared: Sequence[Resource], observed: Observed) -> dict[Address, Resource]:
        """Return the resources that are declared once, for clusters that were read; hold the others."""
        counts = Counter(resource.address for resource in declared)
        twice = sorted(address for address, count in counts.items() if count > 1)
        self.add(Held(address, Reason.DUPLICATE, (str(counts[address]),)) for address in twice)
        known = {resource.address: resource for resource in declared if resource.address not in self.held}
        unread = sorted(address for address in known if address.cluster not in observed.live)
        self.add(Held(address, Reason.CLUSTER_NOT_READ) for address in unread)
        return {address: resource for address, resource in known.items() if address.cluster in observed.live}

    def decided(self, decision: Decision) -> None:
        """Take over the decision on one object."""
        outcome = decision.outcome
        self.notes += decision.warnings
        self._present[outcome.address.cluster] += decision.present
        if isinstance(outcome, Unchanged):
            self._unchanged |= {outcome.address} if outcome.exists else set()
        elif isinstance(outcome, Invalid):
            self.problems += outcome.problems
            self.missing_secrets += outcome.missing_secrets
            self.put([outcome.change] if outcome.change is not None else [])
        else:
            self.put([outcome])

    def put(self, outcomes: Iterable[Change | Held]) -> None:
        """Add changes, each in the place of an earlier one of the same object."""
        for outcome in list(outcomes):
            if isinstance(outcome, Held):
                self.add([outcome])
            else:
                self._changes[outcome.address] = outcome
                self._unchanged.discard(outcome.address)

    def add(self, findings: Iterable[Held | Problem | Note]) -> None:
        """Take over what a check found."""
        for finding in list(findings):
            if isinstance(finding, Problem):
                self.problems.append(finding)
            elif isinstance(finding, Note):
                self.notes.append(finding)
            else:
                self.held.add(finding.address)
                self._changes.pop(finding.address, None)
                self.notes += [finding.note] if finding.reason is not Reason.NONE else []

    def raise_problems(self) -> None:
        problems = sorted({*self.problems, *self.missing_secrets})
        if problems:
            raise InputError(problems) if self.problems else SecretMissing(problems)

    def plan(self, view: View, changes: Sequence[Change]) -> Plan:
        """Return the plan of *changes*, ordered and numbered."""
        ordered = order(changes, view.objects(), view.kinds)
        self.add(_not_in_ledger(view, changes))
        plan = Plan(
            changes=tuple(
                _numbered(view, change, place + 1, earlier) for place, (change, earlier) in enumerate(ordered)
            ),
            notes=tuple(sorted({*self.notes}, key=lambda n: (n.address, n.level.value, n.reason.value, n.details))),
            unchanged=len(self._unchanged),
            clusters=tuple(sorted(view.observed.live)),
            identities={name: state.identity for name, state in sorted(view.observed.live.items()) if state.identity},
            present={cluster: count for cluster, count in sorted(self._present.items()) if count},
        )
        return with_consent(plan, view.options)


def _not_in_ledger(view: View, changes: Iterable[Change]) -> Iterator[Note]:
    """Yield a warning for each object that is destroyed, here or on one of its clusters, and was never managed."""
    for change in changes:
        live, owned = view.object_of(change), view.observed.owned.get(change.live_address)
        destroys = change.action in (Action.DELETE, Action.REPLACE) or change.reason is Reason.LEAVES_CLUSTER
        if destroys and live is not None and (owned is None or owned.inherited or not owned.is_of(live)):
            yield warning(change.address, Reason.NOT_IN_LEDGER, change.action.name.lower())


def _other_clusters(view: View, change: Change) -> tuple[str, ...]:
    if change.action is Action.FORGET:
        return ()
    return tuple(sorted(written_clusters(view.kinds, change, view.observed.live) - {change.address.cluster}))


def _numbered(view: View, change: Change, number: int, earlier: Iterable[int]) -> Change:
    live = view.object_of(change)
    return replace(
        change,
        number=number,
        after=tuple(sorted(before + 1 for before in earlier)),
        fingerprint=fingerprint(live, change.rests_on or {}) if live is not None else "",
        other_clusters=_other_clusters(view, change),
    )
