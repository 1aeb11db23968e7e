"""Manifests of multi-cluster resources: which cluster coordinates one, and which manifests conflict with it.

Pure; called by `loader`. Such a manifest is read with the layers of every cluster, and planned for one of them only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from reconciler.errors import Problem
from reconciler.kinds import Kind, MultiCluster
from reconciler.manifests.layers import Manifest
from reconciler.manifests.references import DeclaredManifests
from reconciler.settings import Target
from reconciler.yaml12 import Path


def coordinator_of(manifest: Manifest, traits: MultiCluster) -> str | None:
    """Return the cluster that coordinates *manifest*: `metadata.cluster`, or its first member; None if unset."""
    home = manifest.value["metadata"].get("cluster")
    members = _member_clusters(manifest, traits)
    return home or (members[0][1] if members else None)


def _member_clusters(manifest: Manifest, traits: MultiCluster) -> list[tuple[Path, str]]:
    """Return (path, cluster) of each member cluster of *manifest*."""
    items = manifest.value.get("spec", {}).get(traits.field)
    found: list[tuple[Path, str]] = []
    for index, item in enumerate(items if isinstance(items, list) else ()):
        cluster: Any = item.get("cluster") if isinstance(item, dict) else None
        if isinstance(cluster, str):
            found.append((("spec", traits.field, index, "cluster"), cluster))
    return found


def check_member_clusters(manifest: Manifest, kind: Kind, clusters: Sequence[Target], problems: list[Problem]) -> None:
    """Add what is wrong with the clusters that *manifest* of a multi-cluster *kind* lists."""
    assert kind.traits.multi_cluster is not None  # noqa: S101 - the caller asks for such kinds only
    traits, metadata = kind.traits.multi_cluster, manifest.value["metadata"]
    known = [cluster.name for cluster in clusters if cluster.name]
    for word in metadata.keys() & {"clusters", "clusterSelector"}:
        message = f"a {kind.name} lists its clusters in spec.{traits.field}"
        problems.append(
            manifest.problem(("metadata", word), message, "metadata.cluster can set the coordinating cluster")
        )
    if not known:
        hint = "define its clusters in reconciler.yaml"
        problems.append(manifest.problem(("kind",), f"{kind.name} requires a project file", hint))
        return
    members = _member_clusters(manifest, traits)
    lost = manifest.value.get("spec", {}).get(traits.lost, ())
    gone = enumerate(lost if isinstance(lost, list) else ())
    for path, name in [*members, *((("spec", traits.lost, index), name) for index, name in gone)]:
        if isinstance(name, str) and name not in known:
            near = get_close_matches(name, known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known clusters: {', '.join(known)}"
            problems.append(manifest.problem(path, f'unknown cluster "{name}"', hint))
    both = sorted({name for _, name in members}.intersection(lost if isinstance(lost, list) else ()))
    if both:
        message = f"{', '.join(both)} cannot be in both {traits.lost} and {traits.field}"
        problems.append(manifest.problem(("spec", traits.lost), message, "remove it from one of them"))
    if "renamedFrom" in metadata:
        message = f"{kind.name} cannot be renamed"
        problems.append(manifest.problem(("metadata", "renamedFrom"), message, "remove it"))
    home = metadata.get("cluster")
    if home and members and home not in {name for _, name in members}:
        message = f"the coordinating cluster {home} is not in spec.{traits.field}"
        problems.append(manifest.problem(("metadata", "cluster"), message, "use one of those, or remove it"))
    if coordinator_of(manifest, traits) is None and "clusters" not in metadata:
        message = f"the coordinating cluster of this {kind.name} is not set"
        problems.append(manifest.problem(("metadata",), message, "add metadata.cluster"))


def check_member_conflicts(
    everywhere: Mapping[str, DeclaredManifests], kinds: Mapping[str, Kind], problems: list[Problem]
) -> None:
    """Add a problem for each manifest with the address of an instance of a multi-cluster resource."""
    kinds_with_members = {name: kind.traits.multi_cluster for name, kind in kinds.items()}
    for home, declared in everywhere.items():
        for (kind, name), manifest in declared.manifests.items():
            traits = kinds_with_members.get(kind)
            if traits is None or coordinator_of(manifest, traits) != home:
                continue
            for _, cluster in _member_clusters(manifest, traits):
                other = everywhere[cluster].manifests.get((traits.member, name)) if cluster in everywhere else None
                if other is not None and other.value["metadata"].get("state") != "absent":
                    message = f"conflicts with the instance of {kind}/{name} on {cluster}"
                    problems.append(other.problem(("metadata", "name"), message, "remove one of them"))


def is_coordinated_elsewhere(manifest: Manifest, kind: Kind, cluster: str) -> bool:
    """Return whether another cluster than *cluster* coordinates *manifest*."""
    traits = kind.traits.multi_cluster
    return traits is not None and coordinator_of(manifest, traits) not in (cluster, None)
