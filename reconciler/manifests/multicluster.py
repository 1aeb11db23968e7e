"""Manifests of what stands in several clusters at once: which cluster plans it, and what may not stand beside it.

Pure; called by the package. Such a manifest is read with the layers of every cluster, and counts for one of them only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from reconciler.errors import Problem
from reconciler.kinds import Kind, Span
from reconciler.manifests.layers import Draft
from reconciler.manifests.references import Declared
from reconciler.settings import Target
from reconciler.yaml12 import Path


def home_of(draft: Draft, spans: Span) -> str | None:
    """Return the cluster that coordinates *draft*: `metadata.cluster`, or the first that it names; None for none."""
    home = draft.value["metadata"].get("cluster")
    named = _named(draft, spans)
    return home or (named[0][1] if named else None)


def _named(draft: Draft, spans: Span) -> list[tuple[Path, str]]:
    """Return (path, cluster) of each place that *draft* names."""
    items = draft.value.get("spec", {}).get(spans.field)
    found: list[tuple[Path, str]] = []
    for index, item in enumerate(items if isinstance(items, list) else ()):
        cluster: Any = item.get("cluster") if isinstance(item, dict) else None
        if isinstance(cluster, str):
            found.append((("spec", spans.field, index, "cluster"), cluster))
    return found


def check_places(draft: Draft, kind: Kind, clusters: Sequence[Target], problems: list[Problem]) -> None:
    """Add what is wrong with the clusters that *draft* of a spanning *kind* names."""
    assert kind.traits.spans is not None  # noqa: S101 - the caller asks for such kinds only
    spans, metadata = kind.traits.spans, draft.value["metadata"]
    known = [cluster.name for cluster in clusters if cluster.name]
    for word in metadata.keys() & {"clusters", "clusterSelector"}:
        message = f"each {kind.name} names its clusters in spec.{spans.field}"
        problems.append(
            draft.problem(("metadata", word), message, "metadata.cluster can name the one that coordinates")
        )
    if not known:
        hint = "write reconciler.yaml with the clusters that it names"
        problems.append(draft.problem(("kind",), f"every {kind.name} needs a project file", hint))
        return
    named = _named(draft, spans)
    lost = draft.value.get("spec", {}).get(spans.lost, ())
    gone = enumerate(lost if isinstance(lost, list) else ())
    for path, name in [*named, *((("spec", spans.lost, index), name) for index, name in gone)]:
        if isinstance(name, str) and name not in known:
            near = get_close_matches(name, known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"the project file has: {', '.join(known)}"
            problems.append(draft.problem(path, f'there is no cluster "{name}"', hint))
    both = sorted({name for _, name in named}.intersection(lost if isinstance(lost, list) else ()))
    if both:
        message = f"{', '.join(both)} cannot be lost and have an instance"
        problems.append(draft.problem(("spec", spans.lost), message, "take it out of one of the two"))
    if "renamedFrom" in metadata:
        message = f"a name of this kind cannot be changed: {kind.name}"
        problems.append(draft.problem(("metadata", "renamedFrom"), message, "remove it"))
    home = metadata.get("cluster")
    if home and named and home not in {name for _, name in named}:
        message = f"cluster {home} coordinates it and is none of spec.{spans.field}"
        problems.append(draft.problem(("metadata", "cluster"), message, "name one of those, or leave it out"))
    if home_of(draft, spans) is None and "clusters" not in metadata:
        message = f"nothing says which cluster coordinates this {kind.name}"
        problems.append(draft.problem(("metadata",), message, "add metadata.cluster"))


def check_members(everywhere: Mapping[str, Declared], kinds: Mapping[str, Kind], problems: list[Problem]) -> None:
    """Add manifests that want for themselves what a spanning object already is in their cluster."""
    spanning = {name: kind.traits.spans for name, kind in kinds.items() if kind.traits.spans}
    for home, declared in everywhere.items():
        for (kind, name), draft in declared.drafts.items():
            spans = spanning.get(kind)
            if spans is None or home_of(draft, spans) != home:
                continue
            for _, cluster in _named(draft, spans):
                other = everywhere[cluster].drafts.get((spans.member, name)) if cluster in everywhere else None
                if other is not None and other.value["metadata"].get("state") != "absent":
                    message = f"{kind}/{name} has its instance on {cluster} under this name"
                    problems.append(other.problem(("metadata", "name"), message, "take one of the two away"))


def is_elsewhere(draft: Draft, kind: Kind, cluster: str) -> bool:
    """Tell whether *draft* spans clusters and another one than *cluster* coordinates it."""
    return kind.traits.spans is not None and home_of(draft, kind.traits.spans) not in (cluster, None)
