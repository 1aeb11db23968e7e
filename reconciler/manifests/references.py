"""References between manifests: what a spec names, and whether somebody declares it. Pure; called by the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from reconciler.errors import Problem
from reconciler.kinds import Field, Kind, referring
from reconciler.manifests.layers import Draft, Key
from reconciler.model import Address
from reconciler.yaml12 import Path


class Named(NamedTuple):
    """A name in a spec that stands for another object."""

    path: Path
    kind: str
    name: str
    cluster: str = ""  # of the other object; "" = the same


def named(kind: Kind, spec: Mapping[str, Any]) -> Iterator[Named]:
    """Yield every reference in *spec* as it was written."""
    fields = referring.of(kind)
    for name in spec.keys() & fields.keys():
        yield from _below(fields[name], spec[name], ("spec", name), spec)


def _below(field: Field, value: Any, path: Path, beside: Mapping[str, Any]) -> Iterator[Named]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = field.items
            # The reference of a list of names can stand on the list or on its items.
            carrier = inner if inner is not None and referring.carries(inner) else field
            yield from _below(carrier, item, (*path, index), beside)
    elif isinstance(value, dict):
        for name, child in field.properties.items():
            if name in value:
                yield from _below(child, value[name], (*path, name), {**beside, **value})
    elif field.reference and isinstance(value, str) and value not in field.reference.literals:
        cluster = beside.get(field.reference.cluster_from) if field.reference.cluster_from else None
        yield Named(path, field.reference.kind, value, cluster if isinstance(cluster, str) else "")


class Declared:
    """What one cluster's manifests declare, to hold references against."""

    def __init__(self, cluster: str, drafts: Mapping[Key, Draft], kinds: Mapping[str, Kind]) -> None:
        self.cluster = cluster
        self.drafts = drafts
        self.kinds = kinds
        self.away: list[tuple[Draft, Named]] = []  # references to other clusters; for `check_away`

    def check(self, draft: Draft, wrong: list[Problem], unresolved: list[tuple[Problem, bool]]) -> None:
        """Add what *draft* refers to and nobody declares; a reference to a tombstone is *wrong* for sure."""
        kind = self.kinds[draft.value["kind"]]
        metadata = draft.value["metadata"]
        if metadata.get("state") == "absent":
            return
        for reference in named(kind, draft.value.get("spec", {})):
            if reference.cluster and reference.cluster != self.cluster:
                self.away.append((draft, reference))
                continue
            target = self.drafts.get((reference.kind, reference.name))
            address = Address(self.cluster, reference.kind, reference.name)
            if target is not None and target.value["metadata"].get("state") == "absent":
                wrong.append(_absent(draft, reference, address, target))
            elif target is None and not self._builtin(reference):
                hint, near = self._hint(reference)
                unresolved.append((draft.problem(reference.path, f"{address} is not declared", hint), near))

    def _builtin(self, reference: Named) -> bool:
        kind = self.kinds.get(reference.kind)
        return kind is not None and {"name": reference.name} in [dict(entry) for entry in kind.policy.builtin]

    def _hint(self, reference: Named) -> tuple[str, bool]:
        names = []
        for (kind, name), draft in self.drafts.items():
            if kind == reference.kind:
                names.append(name)
                if draft.value["metadata"].get("renamedFrom") == reference.name:
                    return f'it is now called "{name}"', True
        near = get_close_matches(reference.name, names, 1, 0.75) if len(names) <= 2_000 else []
        return (f'did you mean "{near[0]}"?', True) if near else ("it must exist in the cluster", False)


def _absent(draft: Draft, reference: Named, address: Address, target: Draft) -> Problem:
    place = target.locate(("metadata", "state"))
    hint = f"state: absent at {place.file}:{place.line}:{place.column}"
    return draft.problem(reference.path, f"{address} is declared absent", hint)


def check_away(
    everywhere: Mapping[str, Declared], wrong: list[Problem], unresolved: list[tuple[Problem, bool]]
) -> None:
    """Add what refers to another cluster and finds nothing there; *everywhere* has every cluster by name."""
    for declared in everywhere.values():
        for draft, reference in declared.away:
            other = everywhere.get(reference.cluster)
            if other is None:
                near = get_close_matches(reference.cluster, everywhere, 1)
                hint = f'did you mean "{near[0]}"?' if near else f"the project file has: {', '.join(everywhere)}"
                wrong.append(draft.problem(reference.path, f'there is no cluster "{reference.cluster}"', hint))
                continue
            target = other.drafts.get((reference.kind, reference.name))
            address = Address(reference.cluster, reference.kind, reference.name)
            if target is not None and target.value["metadata"].get("state") == "absent":
                wrong.append(_absent(draft, reference, address, target))
            elif target is None:
                hint = "it must exist in that cluster"
                unresolved.append((draft.problem(reference.path, f"{address} is not declared", hint), False))
