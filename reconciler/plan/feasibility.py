"""Whether a cluster can have the databases that a plan creates: modules, versions, memory, shards. Pure.

The planner calls `infeasible` for creates and replacements alike: nothing is deleted for what cannot succeed.
What a manifest can correct is a problem; what depends on the rest of the cluster holds the change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.errors import Problem
from reconciler.kinds import Kind
from reconciler.model import Offer, Reason
from reconciler.plan.plan import Action, Change
from reconciler.plan.view import Held, View, problem

if TYPE_CHECKING:
    from reconciler.manifests import Resource

_GIB = 2**30
_KNOWN_AS = {  # product names, and the names of other interfaces → the API's names
    "redisjson": "ReJSON",
    "json": "ReJSON",
    "redisearch": "search",
    "redissearch": "search",
    "ft": "search",
    "redisbloom": "bf",
    "bloom": "bf",
    "redistimeseries": "timeseries",
    "ts": "timeseries",
    "redisgraph": "graph",
    "redisgears": "rg",
}


def infeasible(view: View, changes: Sequence[Change]) -> Iterator[Problem | Held]:
    """Yield what is wrong with databases that *changes* create or upgrade, and hold those without room."""
    new = [change for change in changes if view.kind(change.address).traits.settings is not None]
    modules = {address for address in view.resources if view.kind(address).traits.is_module} if new else set()
    for change in new:
        resource = view.resources.get(change.address)
        if resource is not None and change.writes:
            declared = {address.name for address in modules if address.cluster == change.address.cluster}
            yield from _wrong_modules(view, change, resource, declared)
            yield from _wrong_version(view, change, resource)
    for cluster in sorted({change.address.cluster for change in new if change.creates}):
        mine = [one for one in new if one.address.cluster == cluster]
        earlier = {kind for one in mine for kind in view.kind(one.address).policy.after}
        if not any(one.address.cluster == cluster and one.address.kind in earlier for one in changes):
            yield from _without_memory(view, mine)  # else the plan itself may change the limits before
            yield from _without_shards(view, mine)


def _settings(kind: Kind, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    within = kind.traits.settings
    found = spec.get(within, {}) if within else spec
    return found if isinstance(found, Mapping) else {}


def _offer(view: View, change: Change) -> Offer:
    return view.observed.live[change.address.cluster].offer


def _path(kind: Kind, *path: str | int) -> tuple[str | int, ...]:
    return ("spec", kind.traits.settings, *path) if kind.traits.settings else ("spec", *path)


def _wrong_modules(view: View, change: Change, resource: Resource, declared: Collection[str]) -> Iterator[Problem]:
    kind, offered = view.kind(change.address), _offer(view, change).modules
    for index, item in enumerate(_settings(kind, change.body).get("module_list", ()) if change.creates else ()):
        name = item.get("module_name", "")
        if offered and name not in offered and name not in declared:
            near = _module_meant(name, offered)
            hint = f'did you mean "{near}"?' if near else f"it has {', '.join(offered)}"
            yield problem(resource, _path(kind, "module_list", index), f"the cluster has no module {name}", hint)


def _module_meant(name: str, offered: Mapping[str, str]) -> str:
    """Return the module of *offered* that *name* probably means, "" for none."""
    plain = _plain(name)
    known = {_plain(shown): real for real, shown in offered.items()} | {_plain(real): real for real in offered}
    alias = _KNOWN_AS.get(plain, "")
    if alias in offered or plain in known:
        return alias if alias in offered else known[plain]
    return next((known[one] for one in difflib.get_close_matches(plain, known, 1)), "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _wrong_version(view: View, change: Change, resource: Resource) -> Iterator[Problem]:
    kind, offered = view.kind(change.address), _offer(view, change).database_versions
    version = _settings(kind, change.body).get("redis_version", "")
    before = _settings(kind, change.rests_on or {}).get("redis_version")
    if offered and version and version.removesuffix("-big") not in offered and (change.creates or version != before):
        text, hint = f"the cluster does not offer Redis {version}", f"it offers {', '.join(sorted(offered))}"
        yield problem(resource, _path(kind, "redis_version"), text, hint)


def _without_memory(view: View, changes: Sequence[Change]) -> Iterator[Held]:
    """Hold creates that need, with what stays, more memory than all nodes together have."""
    cluster = changes[0].address.cluster
    total = view.observed.live[cluster].offer.memory
    if total is None:
        return
    ends = {change.identity for change in changes if change.action in (Action.DELETE, Action.REPLACE)}
    used = sum(
        one.spec.get("memory_size", 0)
        for where, one in view.objects()
        if where == cluster and (where, one.kind, one.uid) not in ends and "memory_size" in one.spec
    )
    makers = [change for change in changes if change.creates]
    needed = sum(_settings(view.kind(one.address), one.body).get("memory_size", 0) for one in makers)
    if needed and used + needed > total:
        details = tuple(f"{number / _GIB:.4g} GiB" for number in (needed, used, total))
        yield from (Held(change.address, Reason.NO_MEMORY, details) for change in makers)


def _without_shards(view: View, changes: Sequence[Change]) -> Iterator[Held]:
    """Hold replacements that need more shards than the licence has left, those of the old object included."""
    for change in changes:
        left = _offer(view, change).shards_left
        if change.action is not Action.REPLACE or left is None:
            continue
        kind, old = view.kind(change.address), change.rests_on or {}
        if not {"shards_count", "replication"} <= _settings(kind, old).keys():
            continue  # how many become free is not known
        needed, freed = _shards(_settings(kind, change.body)), _shards(_settings(kind, old))
        if needed > left + freed:
            yield Held(change.address, Reason.NO_SHARDS, (str(needed), str(left + freed)))


def _shards(settings: Mapping[str, Any]) -> int:
    return int(settings.get("shards_count", 1)) * (2 if settings.get("replication") else 1)
