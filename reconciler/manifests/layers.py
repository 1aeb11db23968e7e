"""Layers: which documents apply to a cluster; later ones are merged over earlier ones (RFC 7386).

Pure. Called by `loader` with documents that have a kind and a name; must not know schemas.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from reconciler.errors import Problem
from reconciler.settings import Target
from reconciler.yaml12 import Document, Path, Place, path_text

ResourceKey = tuple[str, str]  # kind and name


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest: one document, or several merged over each other."""

    value: Mapping[str, Any]
    documents: tuple[Document, ...]  # the last layer first

    def locate(self, path: Path = ()) -> Place:
        """Return the location of *path*: in the last layer that has all of it."""
        for document in self.documents:
            if document.holds(path):
                return document.locate(path)
        return self.documents[0].locate(path)

    def written(self, path: Path) -> str:
        """Return the number or boolean at *path* as it is written; "" for anything else."""
        return next((document.written(path) for document in self.documents if document.holds(path)), "")

    def problem(self, path: Path, message: str, hint: str = "") -> Problem:
        """Return a problem at *path*."""
        return Problem(*self.locate(path), path_text(path), message, hint)

    @property
    def key(self) -> ResourceKey:
        return self.value["kind"], self.value["metadata"]["name"]


def merge(base: Any, patch: Any) -> Any:
    """Return *patch* merged over *base* by RFC 7386: null removes, lists are replaced. Neither is modified."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def is_for(manifest: Manifest, cluster: Target) -> bool:
    """Return whether *manifest* applies to *cluster*."""
    metadata = manifest.value["metadata"]
    if "cluster" in metadata:
        return bool(metadata["cluster"] == cluster.title)
    if "clusters" in metadata:
        return cluster.title in metadata["clusters"]
    if "clusterSelector" in metadata:
        selector: Mapping[str, str] = metadata["clusterSelector"]
        return all(cluster.labels.get(name) == value for name, value in selector.items())
    return True


def merge_layers(
    layers: Iterable[Sequence[Manifest]], cluster: Target, problems: list[Problem], every_cluster: Collection[str] = ()
) -> dict[ResourceKey, Manifest]:
    """Return what *layers* declare for *cluster*, each address once; kinds in *every_cluster* are not filtered."""
    result: dict[ResourceKey, Manifest] = {}
    for layer in layers:
        here: dict[ResourceKey, Manifest] = {}
        for manifest in layer:
            metadata = manifest.value["metadata"]
            if len(metadata) > 1 and manifest.value["kind"] not in every_cluster and not is_for(manifest, cluster):
                continue
            key = manifest.key
            if key in here:
                problems.append(_twice(manifest, here[key]))
                continue
            here[key] = manifest
            below = result.get(key)
            if below is None:
                result[key] = manifest
            elif manifest.documents[0] not in below.documents:
                result[key] = Manifest(merge(below.value, manifest.value), manifest.documents + below.documents)
    return result


def _twice(manifest: Manifest, first: Manifest) -> Problem:
    kind, name = manifest.key
    place = first.locate(("metadata", "name"))
    hint = f"first declared at {place.file}:{place.line}:{place.column}; move one to a later layer, or remove it"
    return manifest.problem(("metadata", "name"), f"{kind}/{name} is declared twice", hint)


def check_clusters(manifest: Manifest, clusters: Sequence[Target], problems: list[Problem]) -> None:
    """Add a problem for each cluster in *manifest* that the project file does not define."""
    metadata = manifest.value["metadata"]
    known = [cluster.title for cluster in clusters]
    targets: list[tuple[Path, str]] = []
    if "cluster" in metadata:
        targets.append((("metadata", "cluster"), metadata["cluster"]))
    targets += [(("metadata", "clusters", index), name) for index, name in enumerate(metadata.get("clusters", ()))]
    for path, name in targets:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known clusters: {', '.join(known)}"
            problems.append(manifest.problem(path, f'unknown cluster "{name}"', hint))
    if "clusterSelector" in metadata and not any(is_for(manifest, cluster) for cluster in clusters):
        hint = "compare it with the labels in the project file"
        problems.append(manifest.problem(("metadata", "clusterSelector"), "matches no cluster", hint))
