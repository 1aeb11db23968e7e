"""References between manifests: which objects a spec refers to, and whether they are declared. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from reconciler.errors import Problem
from reconciler.kinds import Field, Kind, reference_fields
from reconciler.manifests.layers import Manifest, ResourceKey
from reconciler.model import Address
from reconciler.yaml12 import Path


class ManifestReference(NamedTuple):
    """A reference in a spec to another object."""

    path: Path
    kind: str
    name: str
    cluster: str = ""  # of the other object; "" = the same


def references_in(kind: Kind, spec: Mapping[str, Any]) -> Iterator[ManifestReference]:
    """Yield every reference in *spec*, in the order of its fields."""
    fields = reference_fields.of(kind)
    for name in spec.keys() & fields.keys():
        yield from _below(fields[name], spec[name], ("spec", name), spec)


def _below(field: Field, value: Any, path: Path, siblings: Mapping[str, Any]) -> Iterator[ManifestReference]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = field.items
            # A list of names can have the reference at the list or at its items.
            carrier = inner if inner is not None and reference_fields.contains(inner) else field
            yield from _below(carrier, item, (*path, index), siblings)
    elif isinstance(value, dict):
        for name, child in field.properties.items():
            if name in value:
                yield from _below(child, value[name], (*path, name), {**siblings, **value})
    elif field.reference and isinstance(value, str) and value not in field.reference.literals:
        cluster = siblings.get(field.reference.cluster_from) if field.reference.cluster_from else None
        yield ManifestReference(path, field.reference.kind, value, cluster if isinstance(cluster, str) else "")


class DeclaredManifests:
    """The manifests of one cluster, and checks of references to them."""

    def __init__(self, cluster: str, manifests: Mapping[ResourceKey, Manifest], kinds: Mapping[str, Kind]) -> None:
        self.cluster = cluster
        self.manifests = manifests
        self.kinds = kinds
        self.cross_cluster: list[
            tuple[Manifest, ManifestReference]
        ] = []  # references to other clusters; for `check_cross_cluster`

    def check(self, manifest: Manifest, wrong: list[Problem], unresolved: list[tuple[Problem, bool]]) -> None:
        """Add references of *manifest* to objects that are not declared; one to a tombstone is an error (*wrong*)."""
        kind = self.kinds[manifest.value["kind"]]
        metadata = manifest.value["metadata"]
        if metadata.get("state") == "absent":
            return
        for reference in references_in(kind, manifest.value.get("spec", {})):
            if reference.cluster and reference.cluster != self.cluster:
                self.cross_cluster.append((manifest, reference))
                continue
            target = self.manifests.get((reference.kind, reference.name))
            address = Address(self.cluster, reference.kind, reference.name)
            if target is not None and target.value["metadata"].get("state") == "absent":
                wrong.append(_absent(manifest, reference, address, target))
            elif target is None and not self._builtin(reference):
                hint, near = self._hint(reference)
                unresolved.append((manifest.problem(reference.path, f"{address} is not declared", hint), near))

    def _builtin(self, reference: ManifestReference) -> bool:
        kind = self.kinds.get(reference.kind)
        return kind is not None and {"name": reference.name} in [dict(entry) for entry in kind.policy.builtin]

    def _hint(self, reference: ManifestReference) -> tuple[str, bool]:
        names = []
        for (kind, name), manifest in self.manifests.items():
            if kind == reference.kind:
                names.append(name)
                if manifest.value["metadata"].get("renamedFrom") == reference.name:
                    return f'it was renamed to "{name}"', True
        near = get_close_matches(reference.name, names, 1, 0.75) if len(names) <= 2_000 else []
        return (f'did you mean "{near[0]}"?', True) if near else ("it must exist in the cluster", False)


def _absent(manifest: Manifest, reference: ManifestReference, address: Address, target: Manifest) -> Problem:
    place = target.locate(("metadata", "state"))
    hint = f"state: absent at {place.file}:{place.line}:{place.column}"
    return manifest.problem(reference.path, f"{address} is declared absent", hint)


def check_cross_cluster(
    everywhere: Mapping[str, DeclaredManifests], wrong: list[Problem], unresolved: list[tuple[Problem, bool]]
) -> None:
    """Add references to other clusters that cannot be resolved; *everywhere* has every cluster by name."""
    for declared in everywhere.values():
        for manifest, reference in declared.cross_cluster:
            other = everywhere.get(reference.cluster)
            if other is None:
                near = get_close_matches(reference.cluster, everywhere, 1)
                hint = f'did you mean "{near[0]}"?' if near else f"known clusters: {', '.join(everywhere)}"
                wrong.append(manifest.problem(reference.path, f'unknown cluster "{reference.cluster}"', hint))
                continue
            target = other.manifests.get((reference.kind, reference.name))
            address = Address(reference.cluster, reference.kind, reference.name)
            if target is not None and target.value["metadata"].get("state") == "absent":
                wrong.append(_absent(manifest, reference, address, target))
            elif target is None:
                hint = "it must exist in that cluster"
                unresolved.append((manifest.problem(reference.path, f"{address} is not declared", hint), False))
