"""The values of a spec that no other object of a cluster may have: ports, e-mail addresses (`x-unique`).

`manifests` compares them between manifests, and `plan` with what is live. Pure; must not know either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.kinds.kind import Field, Kind, unique_fields

PORT = "port"  # also what clients connect to, whatever the spec of a live object says


class UniqueValue(NamedTuple):
    """One such value: on which cluster, of what sort, and where in the spec it is."""

    cluster: str
    what: str  # the word of the field: values of the same word are compared
    value: Any
    path: tuple[str | int, ...] = ()

    @property
    def key(self) -> tuple[str, str, Any]:
        """What two objects must not share."""
        return self.cluster, self.what, self.value


def unique_values(kind: Kind, spec: Mapping[str, Any], home: str) -> list[UniqueValue]:
    """Return the unique values in *spec* of an object on cluster *home*, or on the clusters that it is a member of.

    A value outside the list of members is one of each member that has no value of its own.
    """
    fields = unique_fields.of(kind)
    if fields.keys().isdisjoint(spec):
        return []
    members = kind.traits.multi_cluster
    found = [one for name in fields if name in spec for one in _below(fields[name], spec[name], (name,))]
    if members is None:
        return [UniqueValue(home, what, value, path) for what, value, path in found]
    clusters = {i: one["cluster"] for i, one in enumerate(spec.get(members.field, ())) if one.get("cluster")}
    own: list[UniqueValue] = []
    for what, value, path in found:
        if path[0] == members.field and path[1] in clusters:
            own.append(UniqueValue(clusters[path[1]], what, value, path))
    taken = {(one.cluster, one.what) for one in own}
    shared = [
        UniqueValue(cluster, what, value, path)
        for what, value, path in found
        if path[0] != members.field
        for cluster in clusters.values()
        if (cluster, what) not in taken
    ]
    return own + shared


def _below(field: Field, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    if field.form.unique:
        if value and not isinstance(value, dict | list):  # 0 and "" mean: none
            yield field.form.unique, value, path
    elif isinstance(value, list) and field.items is not None:
        for index, item in enumerate(value):
            yield from _below(field.items, item, (*path, index))
    elif isinstance(value, dict):
        for name, child in field.properties.items():
            if name in value and unique_fields.contains(child):
                yield from _below(child, value[name], (*path, name))
