"""The input of one plan, read-only, with the lookups that decisions need.

`decide` and the checks after it share one `View`. It is a value: nothing that is decided changes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff.normalize import canonical_live
from reconciler.errors import Problem
from reconciler.kinds import Kind, reference_fields
from reconciler.model import Address, Level, LiveObject, Note, Observed, Reason
from reconciler.plan.bodies import without_ignored
from reconciler.plan.impacts import LOCKS_OUT, Impacted
from reconciler.plan.plan import Change, Options
from reconciler.plan.references import references, refers_to, with_names

if TYPE_CHECKING:
    from reconciler.manifests import Resource

Names = Mapping[tuple[str, str], str]  # (kind, old name) to the new one


class Held(NamedTuple):
    """The object is not changed in this run."""

    address: Address
    reason: Reason
    details: tuple[str, ...] = ()

    @property
    def note(self) -> Note:
        return Note(Level.HELD, *self)


class Unchanged(NamedTuple):
    """Nothing has to be done."""

    address: Address
    exists: bool = True  # False: declared absent, and does not exist


class Invalid(NamedTuple):
    """The manifests, or the values of secrets, have to be corrected first."""

    address: Address
    problems: tuple[Problem, ...] = ()
    missing_secrets: tuple[Problem, ...] = ()
    change: Change | None = None  # what would be planned otherwise, so that further problems of it are found


Outcome = Change | Held | Unchanged | Invalid


class Decision(NamedTuple):
    """The outcome for one resource, with warnings."""

    outcome: Outcome
    warnings: tuple[Note, ...] = ()
    present: bool = False  # it is declared, and exists as exactly one object that may be changed


@dataclass(frozen=True)
class View:
    """One plan's input. *selected* are the resources that the run is about, sorted by address."""

    kinds: Mapping[str, Kind]
    observed: Observed
    options: Options
    resources: Mapping[Address, Resource]  # everything that is declared once, selected or not
    elsewhere: frozenset[Address] = frozenset()  # declared, and coordinated by clusters outside this run
    selected: tuple[Resource, ...] = ()
    unreadable: frozenset[Address] = frozenset()  # held before anything is decided; name "" = any of that kind
    renames: Mapping[str, Names] = field(default_factory=dict)  # by cluster

    def named(self, address: Address) -> list[LiveObject]:
        """Return the live objects that have the name of *address*."""
        names = self._names.get(address[:2])
        if names is None:
            names = self._names[address[:2]] = {}
            state = self.observed.live.get(address.cluster)
            for found in state.objects.get(address.kind, ()) if state is not None else ():
                names.setdefault(found.name, []).append(found)
        return names.get(address.name, [])

    def owned_object(self, address: Address) -> LiveObject | None:
        """Return the live object that the ledger has for *address*, whatever its name is now."""
        owned, state = self.observed.owned.get(address), self.observed.live.get(address.cluster)
        if owned is None or state is None:
            return None
        return next((one for one in state.objects.get(address.kind, ()) if owned.is_of(one)), None)

    @cached_property
    def _names(self) -> dict[tuple[str, str], dict[str, list[LiveObject]]]:
        return {}

    def objects(self) -> Iterator[tuple[str, LiveObject]]:
        """Yield (cluster, object) of everything that was read, in a stable order."""
        for cluster in sorted(self.observed.live):
            objects = self.observed.live[cluster].objects
            for kind in sorted(objects):
                for found in objects[kind]:
                    yield cluster, found

    def object_of(self, change: Change) -> LiveObject | None:
        """Return the live object that *change* is about; None for a create and for a second step."""
        if change.uid is None:
            return None
        return next((one for one in self.named(change.live_address) if one.uid == change.uid), None)

    def kind(self, address: Address) -> Kind:
        return self.kinds[address.kind]

    def spec(self, resource: Resource) -> Mapping[str, Any]:
        """Return what *resource* declares and does not ignore."""
        return without_ignored(resource.spec, resource.ignore) if resource.ignore else resource.spec

    def renamed_spec(self, cluster: str, live: LiveObject) -> Mapping[str, Any]:
        """Return the spec of *live* with the names that this plan gives to the objects it refers to."""
        names = self.renames.get(cluster)
        if not names:
            return live.spec
        kind = self.kinds[live.kind]
        return canonical_live(kind, with_names(kind, live.spec, names))

    def affecting_us(self, cluster: str, live: LiveObject, found: tuple[Impacted, ...]) -> tuple[Impacted, ...]:
        """Return *found*, without the risk of a lock-out where the management account is known not to use *live*."""
        if not any(one.impact == LOCKS_OUT for one in found):
            return found
        ours = [one for items in self.observed.live[cluster].objects.values() for one in items if one.ourselves]
        for one in ours:
            kind = self.kinds[one.kind]
            carriers = {name for name, field in reference_fields.of(kind).items() if refers_to(field, live.kind)}
            uses = {(ref.kind, ref.name) for ref in references(kind, one.spec)}
            if not carriers or carriers - one.spec.keys() or (live.kind, live.name) in uses:
                return found
        return tuple(one for one in found if one.impact != LOCKS_OUT) if ours else found


def problem(resource: Resource | None, path: tuple[str | int, ...], message: str, hint: str = "") -> Problem:
    """Return a problem of *resource*, with its place in the manifests."""
    if resource is None:
        return Problem("the manifests", 0, 0, "", message, hint)
    file, line, column = resource.place(path)
    where, cluster = ".".join(map(str, path)), resource.address.cluster
    return Problem(file, line, column, where, f"{resource.address}: {message}", hint, cluster)


def names_of(address: Address) -> set[str]:
    """Return the addresses by which an option may name *address*: with and without its cluster."""
    return {str(address), str(address._replace(cluster=""))}


def is_named(address: Address, names: Collection[str]) -> bool:
    """Return whether an option with *names* names *address*."""
    return bool(names) and not names_of(address).isdisjoint(names)


def warning(address: Address, reason: Reason, *details: str) -> Note:
    """Return a warning about *address*."""
    return Note(Level.WARNING, address, reason, details)
