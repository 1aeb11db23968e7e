"""Passwords that are on their way out: until their time they still belong to the set that is declared. Pure.

The use case calls it before planning with the time of day. A manifest says `passwords: [new]` and
`retire: {passwords: [old], after: …}`: the new one is added, and the old one is taken away once its time has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.kinds import Kind

if TYPE_CHECKING:
    from reconciler.manifests import Resource

FIELD, OPTION = "passwords", "retire"


def kept_until_due(kinds: Mapping[str, Kind], resources: Iterable[Resource], now: str) -> list[Resource]:
    """Return *resources* with what is to be retired later put back into its set; *now* as 2026-01-31T00:00:00Z."""
    return [_kept(resource, now) if _rotates(kinds[resource.address.kind]) else resource for resource in resources]


def _rotates(kind: Kind) -> bool:
    return FIELD in kind.fields and OPTION in kind.fields


def _kept(resource: Resource, now: str) -> Resource:
    retire = resource.spec.get(OPTION)
    if not isinstance(retire, Mapping) or now >= retire.get("after", ""):
        return resource
    members = [*resource.spec.get(FIELD, ()), *retire.get(FIELD, ())]
    return replace(resource, spec={**resource.spec, FIELD: [m for i, m in enumerate(members) if m not in members[:i]]})
