"""What manifests declare, as values: one object for one cluster, and all of them together.

Made by `loader`; read by the planner and everything after it. Must not know files or YAML beyond locations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from reconciler import yaml12
from reconciler.errors import Problem
from reconciler.kinds.freeze import Window
from reconciler.manifests.layers import Manifest, ResourceKey
from reconciler.model import Address
from reconciler.settings.agent import window_of
from reconciler.yaml12 import Place


@dataclass(frozen=True, slots=True)
class Resource:
    """One object that is declared for one cluster."""

    address: Address
    spec: Mapping[str, Any]  # canonical; shared between clusters: not to be changed
    absent: bool  # a tombstone
    protect: bool  # only a flag consents to deleting or replacing it
    renamed_from: str | None
    ignore: tuple[str, ...]
    labels: Mapping[str, str]
    place: Callable[[yaml12.Path], Place]  # of a path in the manifest, such as ("spec", "memory_size")
    suspended: bool = False  # not changed for now
    allow: tuple[str, ...] = ()  # classes of impact that its manifest consents to
    freeze: tuple[Window, ...] = ()  # when it must not be changed
    source: tuple[str, int] = ("", 0)  # file and line on which it begins


class Manifests(NamedTuple):
    """Everything that is declared, and warnings about it."""

    resources: tuple[Resource, ...]  # by cluster as configured, then in reading order
    unresolved: tuple[Problem, ...] = ()  # references to objects that only the cluster can have
    warnings: tuple[Problem, ...] = ()
    elsewhere: frozenset[Address] = frozenset()  # declared for clusters that are not selected

    def only(self, clusters: Collection[str]) -> Manifests:
        """Return what is declared for *clusters*; addresses of other clusters are kept in `elsewhere`."""
        mine = tuple(one for one in self.resources if one.address.cluster in clusters)
        rest = (one.address for one in self.resources if one.address.cluster not in clusters)
        return self._replace(resources=mine, elsewhere=self.elsewhere.union(rest))


def resource_of(cluster: str, key: ResourceKey, manifest: Manifest, spec: Mapping[str, Any]) -> Resource:
    """Return the resource that *manifest* with canonical *spec* declares for *cluster*."""
    metadata = manifest.value["metadata"]
    return Resource(
        Address(cluster, *key),
        spec,
        metadata.get("state") == "absent",
        metadata.get("protect", False),
        metadata.get("renamedFrom"),
        tuple(metadata.get("ignore", ())),
        metadata.get("labels", {}),
        manifest.locate,
        source=(manifest.documents[0].file, manifest.documents[0].line),
        suspended=metadata.get("suspend", False),
        allow=tuple(sorted(metadata.get("allow", ()))),
        freeze=tuple(window_of(one, lambda word, message: None) for one in metadata.get("freeze", ())),
    )
