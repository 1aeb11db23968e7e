"""Ports for creates that declare none. The planner calls `with_ports` once every resource is decided. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace

from reconciler.diff import FieldChange
from reconciler.kinds import MISSING
from reconciler.kinds.uniqueness import PORT, unique_values
from reconciler.model import Address, Reason
from reconciler.plan.building import needs_port
from reconciler.plan.plan import Change
from reconciler.plan.view import Held, View

FIRST, COUNT, RESERVED = 10000, 10000, 10050  # ports that databases may have (REST object `bdb`)


def with_ports(view: View, changes: Iterable[Change]) -> list[Change | Held]:
    """Return *changes* in the same order, each create with a port; held where no port is free."""
    taken: dict[str, set[int]] = {}
    return [_with_port(view, change, taken) if _lacks_port(view, change) else change for change in changes]


def _lacks_port(view: View, change: Change) -> bool:
    return change.creates and "port" not in change.body and needs_port(view.kind(change.address), change.body)


def _with_port(view: View, change: Change, taken: dict[str, set[int]]) -> Change | Held:
    port = view.options.pinned_ports.get(change.address) or view.observed.started_ports.get(change.address)
    if port is None:
        cluster = change.address.cluster
        if cluster not in taken:
            taken[cluster] = _taken_ports(view, cluster)
        port = _free_port(change.address, taken[cluster])
    if port is None:
        return Held(change.address, Reason.NO_FREE_PORT, (str(FIRST), str(FIRST + COUNT - 1)))
    before = (change.rests_on or {}).get("port", MISSING)
    fields = sorted((*change.fields, FieldChange("port", before, port)), key=lambda one: one.path)
    return replace(change, fields=tuple(fields), body=dict(sorted({**change.body, "port": port}.items())))


def _free_port(address: Address, taken: set[int]) -> int | None:
    """Return a port that no other object has, and count it as taken.

    It follows from the name. Two runs that do not know of each other choose the same one for the same database, and
    the server accepts only one of the two creates: names are not unique to it, ports are.
    """
    first = zlib.crc32(address.name.encode()) % COUNT
    for step in range(COUNT if len(taken) < COUNT else 0):
        port = FIRST + (first + step) % COUNT
        if port not in taken:
            taken.add(port)
            return port
    return None


def _taken_ports(view: View, cluster: str) -> set[int]:
    """Return the ports of *cluster* that are in use, reserved, declared, or chosen before."""
    live, pinned = view.observed.live[cluster], {**view.observed.started_ports, **view.options.pinned_ports}
    ports = {RESERVED, *live.taken_ports}
    ports.update(one.spec["port"] for items in live.objects.values() for one in items if "port" in one.spec)
    for address, resource in view.resources.items():
        declared = unique_values(view.kind(address), resource.spec, address.cluster)
        ports.update(one.value for one in declared if one.cluster == cluster and one.what == PORT)
    ports.update(port for address, port in pinned.items() if address.cluster == cluster)
    return ports.intersection(range(FIRST, FIRST + COUNT))
