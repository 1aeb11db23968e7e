"""Layers: which documents are meant for a cluster, and later ones merged over earlier ones (RFC 7386).

Pure. Called by the package with documents that have a kind and a name; knows nothing of schemas.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from reconciler.errors import Problem
from reconciler.settings import Target
from reconciler.yaml12 import Document, Path, Place, path_text

Key = tuple[str, str]  # kind and name


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest: one document, or several merged over each other."""

    value: Mapping[str, Any]
    documents: tuple[Document, ...]  # the strongest first

    def locate(self, path: Path = ()) -> Place:
        """Return where *path* was written: in the strongest layer that has all of it."""
        for document in self.documents:
            if document.holds(path):
                return document.locate(path)
        return self.documents[0].locate(path)

    def problem(self, path: Path, message: str, hint: str = "") -> Problem:
        """Return a problem at *path*."""
        return Problem(*self.locate(path), path_text(path), message, hint)

    @property
    def key(self) -> Key:
        return self.value["kind"], self.value["metadata"]["name"]


def merge(base: Any, patch: Any) -> Any:
    """Return *patch* merged over *base* as RFC 7386 has it: null removes, lists are taken whole. Neither changes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def is_for(draft: Draft, cluster: Target) -> bool:
    """Tell whether *draft* is meant for *cluster*."""
    metadata = draft.value["metadata"]
    if "cluster" in metadata:
        return bool(metadata["cluster"] == cluster.title)
    if "clusters" in metadata:
        return cluster.title in metadata["clusters"]
    if "clusterSelector" in metadata:
        selector: Mapping[str, str] = metadata["clusterSelector"]
        return all(cluster.labels.get(name) == value for name, value in selector.items())
    return True


def stack(
    layers: Iterable[Sequence[Draft]], cluster: Target, problems: list[Problem], spanning: Collection[str] = ()
) -> dict[Key, Draft]:
    """Return what *layers* declare for *cluster*, each address once; of the kinds *spanning*, for others as well."""
    result: dict[Key, Draft] = {}
    for layer in layers:
        here: dict[Key, Draft] = {}
        for draft in layer:
            metadata = draft.value["metadata"]
            if len(metadata) > 1 and draft.value["kind"] not in spanning and not is_for(draft, cluster):
                continue
            key = draft.key
            if key in here:
                problems.append(_twice(draft, here[key]))
                continue
            here[key] = draft
            below = result.get(key)
            if below is None:
                result[key] = draft
            elif draft.documents[0] not in below.documents:
                result[key] = Draft(merge(below.value, draft.value), draft.documents + below.documents)
    return result


def _twice(draft: Draft, first: Draft) -> Problem:
    kind, name = draft.key
    place = first.locate(("metadata", "name"))
    hint = f"the first is at {place.file}:{place.line}:{place.column}; put one in a later layer, or remove it"
    return draft.problem(("metadata", "name"), f"{kind}/{name} is declared twice", hint)


def check_clusters(draft: Draft, clusters: Sequence[Target], problems: list[Problem]) -> None:
    """Complain where *draft* names clusters that there are not."""
    metadata = draft.value["metadata"]
    known = [cluster.title for cluster in clusters]
    named: list[tuple[Path, str]] = []
    if "cluster" in metadata:
        named.append((("metadata", "cluster"), metadata["cluster"]))
    named += [(("metadata", "clusters", index), name) for index, name in enumerate(metadata.get("clusters", ()))]
    for path, name in named:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"the project file has: {', '.join(known)}"
            problems.append(draft.problem(path, f'there is no cluster "{name}"', hint))
    if "clusterSelector" in metadata and not any(is_for(draft, cluster) for cluster in clusters):
        hint = "compare with labels in the project file"
        problems.append(draft.problem(("metadata", "clusterSelector"), "no cluster has these labels", hint))
