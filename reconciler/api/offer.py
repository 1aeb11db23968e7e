"""What a cluster can give a new database: memory, versions, modules, shards. Read before a plan creates one.

A flow that `live` drives. What cannot be read is unknown, and callers then check nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.api.protocol import Flow, request
from reconciler.errors import Forbidden, ReadIncomplete, Rejected
from reconciler.model import Offer


def offer(*, modules: bool, licence: bool, memory: int) -> Flow[Offer]:
    """Return what the cluster offers; reads *modules* and *licence* where these matter.

    *memory*: bytes of all databases together. Where they exceed the nodes, the policy says whether that is allowed.
    """
    nodes = yield from _list("/v1/nodes")
    total: int | None = sum(_numbers(nodes, "total_memory")) if _numbers(nodes, "total_memory") else None
    if total is not None and memory > total:
        policy = yield from _object("/v1/cluster/policy")
        total = total if policy.get("shards_overbooking") is False else None
    return Offer(
        memory=total,
        database_versions=frozenset(_versions(nodes)),
        modules=_modules((yield from _list("/v1/modules"))) if modules else {},
        shards_left=_shards_left((yield from _object("/v1/license"))) if licence else None,
    )


def _body(path: str) -> Flow[Any]:
    try:
        return (yield from request("GET", path)).body
    except (Forbidden, Rejected, ReadIncomplete):
        return None


def _list(path: str) -> Flow[list[Mapping[str, Any]]]:
    body = yield from _body(path)
    return [one for one in body if isinstance(one, dict)] if isinstance(body, list) else []


def _object(path: str) -> Flow[Mapping[str, Any]]:
    body = yield from _body(path)
    return body if isinstance(body, dict) else {}


def _numbers(items: Iterable[Mapping[str, Any]], name: str) -> list[int]:
    """Return the number *name* of all *items*; none where one of them lacks it."""
    found = [one.get(name) for one in items]
    numbers = [one for one in found if isinstance(one, int)]
    return numbers if len(numbers) == len(found) else []


def _versions(nodes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for one in (one for node in nodes for one in node.get("supported_database_versions") or ()):
        if isinstance(one, dict) and isinstance(one.get("redis_version"), str):
            yield one["redis_version"]


def _modules(items: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return the modules: name → the name that people know, in the order of names."""
    names = {one["module_name"]: one.get("display_name") for one in items if isinstance(one.get("module_name"), str)}
    return {name: shown if isinstance(shown, str) else name for name, shown in sorted(names.items())}


def _shards_left(licence: Mapping[str, Any]) -> int | None:
    """Return how many more shards in RAM the licence allows; a trial counts both sorts together."""
    ram, flash = licence.get("ram_shards_in_use"), licence.get("flash_shards_in_use")
    limit, every = licence.get("ram_shards_limit"), licence.get("shards_limit")
    if isinstance(limit, int) and isinstance(ram, int):
        return limit - ram
    if isinstance(every, int) and isinstance(ram, int) and isinstance(flash, int):
        return every - ram - flash
    return None
