"""What a pass owes to other clusters: an object that stands in several of them is written on each, by the pass of one.

All of them must agree by their own settings, and nobody else may write there meanwhile. Passes of this process find out
here, and at once, that another one is at it; the locks of the ledger hold off everybody else.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from reconciler.agent.holding import Held
from reconciler.errors import Locked, ReconcilerError, Unauthorized
from reconciler.kinds import Kind
from reconciler.kinds.freeze import frozen
from reconciler.model import Address, LiveState
from reconciler.plan import Action, Plan, places, touched
from reconciler.settings.agent import MODES

if TYPE_CHECKING:
    from reconciler.settings import Target

_FRESH = 10.0  # seconds for which nobody asks again whoever did not answer


class Taken(Locked):
    """Another pass of this agent is writing there."""


class Writers:
    """Which cluster is written to by the pass over which one; safe to use from several threads."""

    def __init__(self) -> None:
        self._by: dict[str, str] = {}
        self._gate = threading.Lock()

    @contextlib.contextmanager
    def claim(self, clusters: Iterable[str], by: str) -> Iterator[None]:
        """Hold *clusters* for the pass over *by*; all of them or none, and never after a wait: raises Taken."""
        names = sorted(clusters)
        with self._gate:
            for name in names:
                if name in self._by:
                    raise Taken(f"the pass over {self._by[name]} is changing {name}")
            self._by.update(dict.fromkeys(names, by))
        try:
            yield
        finally:
            with self._gate:
                for name in names:
                    del self._by[name]


class Doors:
    """What passes found at the doors of neighbours: one at a time tries a login, or waits for who does not answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[ReconcilerError, float]] = {}
        self._gates: dict[str, threading.Lock] = {}
        self._gate = threading.Lock()

    def knock(self, name: str, ask: Callable[[], ReconcilerError | None]) -> ReconcilerError | None:
        """Return what *ask* says of a cluster, or what it said just now; a refused login is not tried again here."""
        with self._gate:
            gate = self._gates.setdefault(name, threading.Lock())
        with gate:
            error, at = self._said.get(name, (None, 0.0))
            if error is not None and (isinstance(error, Unauthorized) or self._clock() - at < _FRESH):
                return error
            said = ask()
            if said is not None:
                self._said[name] = (said, self._clock())
            else:
                self._said.pop(name, None)
            return said

    def open(self, name: str) -> None:
        """Let the login of a cluster be tried (again): the time has come, or it is another one."""
        self._said.pop(name, None)


def written(kinds: Mapping[str, Kind], plan: Plan, live: Mapping[str, LiveState]) -> frozenset[str]:
    """Return every cluster that *plan* writes to."""
    return frozenset().union(*(touched(kinds, change, live) for change in plan.changes))


def beyond(kinds: Mapping[str, Kind], plan: Plan, live: Mapping[str, LiveState]) -> dict[Address, frozenset[str]]:
    """Return by change that writes to other clusters than its own which ones those are."""
    found = {
        change.address: touched(kinds, change, live) - {change.address.cluster}
        for change in plan.changes
        if kinds[change.address.kind].traits.multi_cluster and change.action is not Action.FORGET
    }
    return {address: others for address, others in found.items() if others}


def refused(
    home: Target, others: Iterable[Target], reach: Mapping[Address, frozenset[str]], now: float
) -> dict[Address, Held]:
    """Return the changes that one of the *others* does not agree to, by how the agent is to treat that cluster."""
    known = {target.name: target for target in others}
    found = {}
    for address, names in reach.items():
        reasons = [said for name in sorted(names & known.keys()) if (said := _objection(home, known[name], now))]
        if reasons:
            untils = [one.until for one in reasons if one.until is not None]
            until = max(untils) if len(untils) == len(reasons) else None
            found[address] = Held("; ".join(one.why for one in reasons), until)
    return found


def _objection(home: Target, other: Target, now: float) -> Held | None:
    stands = f"it stands on {other.name} too, and that cluster is"
    if other.agent_policy.suspend:
        return Held(f"{stands} suspended")
    if MODES.index(other.agent_policy.mode) < MODES.index(home.agent_policy.mode):
        return Held(
            f"{stands} in mode {other.agent_policy.mode}, while {home.name} is in mode {home.agent_policy.mode}"
        )
    cold = frozen(other.agent_policy.freeze, now)
    return Held(f"{stands} in {cold.why}", cold.until) if cold else None


def standing(kinds: Mapping[str, Kind], names: Iterable[Address], live: LiveState) -> frozenset[str]:
    """Return the clusters that the objects called *names*, which may span clusters, stand in as they are now."""
    wanted = {(address.kind, address.name) for address in names}
    return frozenset(
        place
        for kind, objects in live.objects.items()
        if kinds[kind].traits.multi_cluster
        for one in objects
        if (kind, one.name) in wanted
        for place in places(kinds[kind], one.spec)
    )
