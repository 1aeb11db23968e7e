"""Everything that one plan is made from, in the shape in which it is asked for, and what comes up on the way.

The planner's modules share one `Desk`. It decides nothing about objects; it finds, counts, notes and gives out ports.
"""

from __future__ import annotations

import difflib
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.diff.normalize import canonical_live
from reconciler.errors import Problem
from reconciler.kinds import Kind, reference_fields
from reconciler.model import Address, LiveObject, LiveState, Note, Owned
from reconciler.plan.bodies import top, without_ignored
from reconciler.plan.changes import Options
from reconciler.plan.impacts import CUTS_OFF, Impacted
from reconciler.plan.order import refers_to
from reconciler.plan.references import Ref, references, with_names

if TYPE_CHECKING:
    from reconciler.manifests import Resource

_FIRST_PORT, _PORTS, _RESERVED_PORT = 10000, 10000, 10050  # ports that databases may have (REST object `bdb`)


class Desk:
    """Everything that one plan is made from, and what comes up on the way."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        live: Mapping[str, LiveState],
        owned: Mapping[Address, Owned],
        options: Options,
        secrets: Mapping[tuple[Address, str], str],
    ) -> None:
        self.kinds, self.live, self.owned, self.options, self.secrets = kinds, live, owned, options, secrets
        self.notes: list[Note] = [note for state in live.values() for note in state.notes]
        self.problems: list[Problem] = []
        self.secret_problems: list[Problem] = []
        self.held = {note.address for note in self.notes if note.level == "held"}
        self.unchanged = 0
        self.present: Counter[str] = Counter()
        self._names: dict[tuple[str, str], dict[str, list[LiveObject]]] = {}
        self.resources: Mapping[Address, Resource] = {}  # all that is declared once, selected or not
        self.renames: dict[str, dict[tuple[str, str], str]] = {}  # by cluster: (kind, old name) to the new one
        self._taken: dict[str, set[int]] = {}  # ports by cluster

    def named(self, address: Address) -> list[LiveObject]:
        """Return the live objects that carry the name of *address*."""
        place = address.cluster, address.kind
        names = self._names.get(place)
        if names is None:
            names = self._names[place] = {}
            state = self.live.get(address.cluster)
            for found in state.objects.get(address.kind, ()) if state is not None else ():
                names.setdefault(found.name, []).append(found)
        return names.get(address.name, [])

    def everything(self) -> Iterator[tuple[str, LiveObject]]:
        """Yield (cluster, object) of all that was read, in a stable order."""
        for cluster in sorted(self.live):
            objects = self.live[cluster].objects
            for kind in sorted(objects):
                for found in objects[kind]:
                    yield cluster, found

    def spec(self, resource: Resource) -> Mapping[str, Any]:
        """Return what *resource* declares and does not ignore."""
        return without_ignored(resource.spec, resource.ignore) if resource.ignore else resource.spec

    def renamed_spec(self, cluster: str, live: LiveObject) -> Mapping[str, Any]:
        """Return what *live* has, its references by the names that this plan gives to what they lead to."""
        names = self.renames.get(cluster)
        if not names:
            return live.spec
        kind = self.kinds[live.kind]
        return canonical_live(kind, with_names(kind, live.spec, names))

    def reaching_us(self, cluster: str, live: LiveObject, found: tuple[Impacted, ...]) -> tuple[Impacted, ...]:
        """Return *found* without the loss of our own access where what we log in as is known not to use *live*."""
        if not any(one.impact == CUTS_OFF for one in found):
            return found
        ours = [one for items in self.live[cluster].objects.values() for one in items if one.ourselves]
        for one in ours:
            kind = self.kinds[one.kind]
            carriers = {name for name, field in reference_fields.of(kind).items() if refers_to(field, live.kind)}
            uses = {(ref.kind, ref.name) for ref in references(kind, one.spec)}
            if not carriers or carriers - one.spec.keys() or (live.kind, live.name) in uses:
                return found
        return tuple(one for one in found if one.impact != CUTS_OFF) if ours else found

    def hold(self, address: Address, reason: str) -> None:
        """Note that *address* is left alone, and why."""
        self.held.add(address)
        self.notes.append(Note("held", address, reason))

    def warn(self, address: Address, message: str) -> None:
        """Note something to think about."""
        self.notes.append(Note("warning", address, message))

    def problem(self, resource: Resource | None, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        """Note something that the manifests must change."""
        self.problems.append(_problem(resource, path, message, hint))

    def secret_problem(self, resource: Resource, path: str, value: Mapping[str, Any]) -> None:
        """Note that a value is needed now and its source gives none."""
        source = ", ".join(f"{kind} {name}" for kind, name in sorted(value["valueFrom"].items()))
        message = f"{path} is needed to apply this and {source} gives no value"
        self.secret_problems.append(_problem(resource, ("spec", top(path)), message, "set it where this runs"))

    def no_such_reference(self, resource: Resource, ref: Ref, declared: Mapping[Address, Resource]) -> None:
        """Note a reference to something that is neither declared nor live."""
        cluster = ref.at(resource.address.cluster).cluster
        state = self.live[cluster]
        names = {found.name for found in state.objects.get(ref.kind, ())}
        names |= {a.name for a, other in declared.items() if a[:2] == (cluster, ref.kind) and not other.absent}
        near = difflib.get_close_matches(ref.name, sorted(names), n=1)
        where = f"on cluster {cluster}" if cluster else "on the cluster"
        message = f"{ref.kind} {ref.name!r} is neither declared nor {where}"
        self.problem(resource, ("spec", ref.field), message, f"did you mean {near[0]!r}?" if near else "")

    def free_port(self, address: Address) -> int | None:
        """Return a port for a create that names none: the server refuses a second create with it.

        It follows from the name. Two runs that know nothing of each other then choose the same one for the same
        database, and the server lets only one of them make it: names are not unique to it, ports are.
        """
        pinned = self.options.pinned_ports.get(address)
        if pinned is not None:
            return pinned
        taken = self._taken.get(address.cluster)
        if taken is None:
            taken = self._taken[address.cluster] = self._taken_ports(address.cluster)
        first = zlib.crc32(address.name.encode()) % _PORTS
        for step in range(_PORTS if len(taken) < _PORTS else 0):
            port = _FIRST_PORT + (first + step) % _PORTS
            if port not in taken:
                taken.add(port)
                return port
        self.hold(address, f"no port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free")
        return None

    def _taken_ports(self, cluster: str) -> set[int]:
        """Return the ports in use, reserved, declared by some manifest, or given away before."""
        taken = {_RESERVED_PORT, *self.live[cluster].taken_ports}
        taken.update(one.spec["port"] for where, one in self.everything() if where == cluster and "port" in one.spec)
        taken.update(r.spec["port"] for a, r in self.resources.items() if a.cluster == cluster and "port" in r.spec)
        taken.update(port for address, port in self.options.pinned_ports.items() if address.cluster == cluster)
        return taken.intersection(range(_FIRST_PORT, _FIRST_PORT + _PORTS))


def _problem(resource: Resource | None, path: tuple[str | int, ...], message: str, hint: str) -> Problem:
    if resource is None:
        return Problem("the manifests", 0, 0, "", message, hint)
    file, line, column = resource.place(path)
    return Problem(file, line, column, ".".join(map(str, path)), f"{resource.address}: {message}", hint)
