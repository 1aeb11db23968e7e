"""What a reconciliation finds: the plan without what is held, the drift with its history, and the holds.

Reads the cluster and the ledger; writes only drift history to the ledger, and nothing to the cluster. Called by
`reconciliation`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from reconciler import reconcile
from reconciler.agent import audit, crosscluster, drift_history
from reconciler.agent.context import AgentContext, ReconcileRequest
from reconciler.agent.held import Hold, beyond_limit, exclude_patterns, without_consent, without_contested
from reconciler.agent.status import DriftEntry
from reconciler.errors import LedgerUnwritable
from reconciler.manifests import Manifests, Resource
from reconciler.model import Address, Level
from reconciler.plan import Options, frozen_changes
from reconciler.plan.drift import Ahead, Drift
from reconciler.plan.plan import unexpected
from reconciler.render.reasons import note_text
from reconciler.session import Session

_IN_PROGRESS_SECONDS = 15.0  # until the next look at what a cluster is working on
_NO_HOLDS: Mapping[Address, Hold] = MappingProxyType({})


class Assessment(NamedTuple):
    """What was found, and what of it may be done."""

    planned: reconcile.Planned  # without what is held
    options: Options
    manifests: Manifests  # what the plan was made from
    not_held: Manifests  # the part of them that is not held
    drift: tuple[DriftEntry, ...]
    held: tuple[str, ...]
    members: frozenset[str]  # other clusters that the declared objects have members on
    until: float | None = None  # a hold ends then
    unexpectedly_held: bool = False  # something is held that was not declared to be


class Assessor:
    """Assesses the cluster of *request*, possibly more than once in a session."""

    def __init__(self, context: AgentContext, request: ReconcileRequest, session: Session) -> None:
        self._context = context
        self._request = request
        self._session = session
        self._name = request.target.name
        self._memory = context.ledger.memory

    def assess(self, in_use: Mapping[Address, Hold] = _NO_HOLDS, *, approvable: bool = True) -> Assessment:
        """Plan; then hold what may not be done, and plan the rest, so that the plan shows what can be done.

        *in_use* has changes that cannot be made now because a cluster that they write to is in use. What an approval of
        the plan would allow is held unless it is *approvable*.
        """
        resources, contested = self._resources()
        manifests = Manifests(resources, elsewhere=self._request.declared_elsewhere)
        declared = {resource.address for resource in resources}
        excluded = {address for address in declared if drift_history.field_key(address, "") in contested}
        held = [
            f"{key.strip()}: reverted by others {drift_history.MAX_CORRECTIONS} times in an hour; left unchanged"
            for key in contested
        ]
        options = self._options()
        everything = self._plan_all(options) if contested else None  # contested fields are drift all the same
        all_holds: dict[Address, Hold] = {}
        while True:
            planned = reconcile.plan(self._session, manifests, replace(options, excludes=exclude_patterns(excluded)))
            everything = everything or planned
            holds = {**self._held_now(planned), **in_use, **without_consent(planned.plan)}
            holds |= {} if approvable else beyond_limit(planned.plan)
            holds = {address: hold for address, hold in holds.items() if address not in excluded}
            if not holds:
                break
            excluded |= holds.keys()
            all_holds |= holds
        held += [f"{_short(address)}: {hold.reason}" for address, hold in sorted(all_holds.items())]
        ends = [hold.until for hold in all_holds.values() if hold.until is not None]
        if planned.plan.in_progress:
            ends.append(self._context.runtime.now() + _IN_PROGRESS_SECONDS)
        held += [
            f"{_short(note.address)}: {note_text(note)}" for note in planned.plan.notes if note.level is Level.HELD
        ]
        return Assessment(
            planned,
            replace(options, excludes=exclude_patterns(excluded)),
            manifests,
            manifests._replace(resources=tuple(one for one in resources if one.address not in excluded)),
            drift=self._drift(everything),
            held=tuple(dict.fromkeys(held)),
            members=self._members(planned),
            until=min(ends, default=None),
            unexpectedly_held=bool(contested) or _unexpected(planned, all_holds),
        )

    def _resources(self) -> tuple[tuple[Resource, ...], frozenset[str]]:
        """Return the resources without contested fields, and the keys of those."""
        corrections = self._memory.facts(self._name, drift_history.CORRECTED)
        digests = drift_history.declared_digests(corrections, self._request.resources)
        contested = drift_history.contested(corrections, self._context.runtime.now(), digests)
        return tuple(without_contested(resource, contested) for resource in self._request.resources), contested

    def _options(self) -> Options:
        settings = self._context.settings
        prune = self._request.target.agent_policy.prune
        return Options(prune=prune, limits=settings.limits, allowed_impacts=settings.allowed_impacts)

    def _plan_all(self, options: Options) -> reconcile.Planned:
        declared = Manifests(self._request.resources, elsewhere=self._request.declared_elsewhere)
        return reconcile.plan(self._session, declared, options)

    def _held_now(self, planned: reconcile.Planned) -> Mapping[Address, Hold]:
        """Return the changes that are held by their manifest, or by another cluster that they write to."""
        target = self._request.target
        if target.agent_policy.mode == "observe":
            return {}
        now = self._context.runtime.now()
        writes = crosscluster.cross_cluster_writes(self._session.kinds, planned.plan, planned.observed.live)
        by_clusters = crosscluster.without_agreement(target, self._request.related, writes, now)
        by_manifest = {
            address: Hold(f"{freeze}, by its manifest", freeze.until, declared=True)
            for address, freeze in frozen_changes(planned.plan, now, {}).items()
        }
        return {**by_clusters, **by_manifest}

    def _members(self, planned: reconcile.Planned) -> frozenset[str]:
        """Return the other clusters that the declared objects have members on: the next reconciliation reads them."""
        names = {*planned.observed.owned, *(resource.address for resource in self._request.resources)}
        found = crosscluster.member_clusters(self._session.kinds, names, planned.observed.live[self._name])
        return found.intersection(target.name for target in self._context.settings.selected) - {self._name}

    def _drift(self, planned: reconcile.Planned) -> tuple[DriftEntry, ...]:
        """Return the drift with its history; asks the audit log of the cluster about what is new."""
        found = reconcile.find_drift(self._session, planned)
        known, now = self._memory.facts(self._name, drift_history.DRIFT), self._context.runtime.now()
        new = [drift for drift in by_others(found) if drift_history.field_key(drift.address, drift.path) not in known]
        records: Mapping[str, drift_history.AuditRecord] = {}
        if new:
            uids = {change.address: change.uid for change in planned.plan.changes if change.uid is not None}
            after = self._context.status_store.status.clusters[self._name].last_success
            records = audit.read_log(self._session.clients()[self._name], new, uids, after)
        entries, facts = drift_history.with_history(found, known, now, records)
        with contextlib.suppress(LedgerUnwritable):  # the drift is reported all the same
            self._memory.keep(self._name, drift_history.DRIFT, facts)
        return entries


def by_others(drifts: Iterable[Drift]) -> list[Drift]:
    """Return the drift that was not caused by a change in git."""
    return [drift for drift in drifts if drift.ahead is not Ahead.MANIFESTS]


def _unexpected(planned: reconcile.Planned, holds: Mapping[Address, Hold]) -> bool:
    declared = {address for address, hold in holds.items() if hold.declared}
    return len(declared) < len(holds) or bool(unexpected(planned.plan.notes, declared))


def _short(address: Address) -> Address:
    return address._replace(cluster="")
