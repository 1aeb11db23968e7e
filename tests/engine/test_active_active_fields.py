"""Every settable field of Active-Active databases, there and back: two valid values at least, on two clusters.

The values come from the kind file. What cannot be changed later is tried with a new object for each value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import schema_folder
from reconciler.plan import Action
from tests.engine.active_active import ActiveActive, carts, instance
from tests.kinds.samples import values_of
from tests.support.resources import declared

SCHEMA = json.loads((schema_folder() / "activeactivedatabase.json").read_text("utf-8"))
ITEM = SCHEMA["properties"]["instances"]["items"]
PLACES: Mapping[str, Mapping[str, Any]] = {
    "top": {
        name: schema
        for name, schema in SCHEMA["properties"].items()
        if name not in ("default_db_config", "instances", "force_remove")  # each has tests of its own
    },
    "shared": SCHEMA["properties"]["default_db_config"]["properties"],
    "own": ITEM["properties"]["db_config"]["properties"],
    "instance": {
        name: schema
        for name, schema in ITEM["properties"].items()
        if name not in ("cluster", "credentials", "certificate_auth", "db_config")
    },
}
CASES = [(place, name) for place, fields in PLACES.items() for name in fields]
HASHED = {"sharding": True, "shard_key_regex": [{"regex": "(?<tag>.*)"}], "shards_count": 2}
NEEDS: Mapping[str, Mapping[str, Any]] = {  # what a value needs beside it, in what all share
    "oss_cluster": {**HASHED, "proxy_policy": "all-nodes"},
    "shards_count": HASHED,
    "sharding": {"shard_key_regex": [{"regex": "(?<tag>.*)"}]},
    "shard_key_regex": {"sharding": True, "shards_count": 2},
    "oss_sharding": {"sharding": True, "shards_count": 2},
    "bigstore_ram_size": {"bigstore": True},
    "private_key": {"cert": PLACES["shared"]["cert"]["examples"][0]},
}
VALUES: Mapping[str, list[Any]] = {
    "memory_size": ["512MiB", 3 * 2**30],
    "redis_version": ["7.4", "8.0"],
    "shards_count": [2, 4],
    "oss_sharding": [True],
    "bigstore_ram_size": ["512MiB", 2**30],
}
OLD = {"bigstore", "bigstore_ram_size"}  # no server after 7.22 has them
FORWARD = {"redis_version", "shards_count"}


def spec(place: str, name: str, value: Any) -> Any:
    """Return an Active-Active database that says *value* of one field."""
    shared = {**NEEDS.get(name, {}), **({name: value} if place == "shared" else {})}
    own = {**(NEEDS[name] if name == "private_key" else {}), name: value}
    there = {"own": {"db_config": own}, "instance": {name: value}}.get(place, {})
    more = {name: value} if place == "top" else {}
    return carts("dc1", instance("dc2", **there), config=shared, **more)


def beside(place: str, name: str, value: Any) -> Iterator[Any]:
    if name == "roles_permissions":
        for entry in value:
            yield declared("Role", entry["role"], {"management": "none"}, cluster="dc2")
            if entry["redis_acl"] != "Full Access":
                yield declared("RedisACL", entry["redis_acl"], {"acl": "+@read ~*"}, cluster="dc2")


def fresh(folder: Path, name: str) -> ActiveActive:
    if name == "rack_aware":
        return ActiveActive(folder, ("dc1", "dc2"), rack_aware=True)
    return ActiveActive(folder, ("dc1", "dc2"), **({"server_version": "7.22"} if name in OLD else {}))


@pytest.mark.parametrize(("place", "name"), CASES)
def test_a_field_goes_there_and_back(tmp_path: Path, place: str, name: str) -> None:
    schema = PLACES[place][name]
    values = VALUES.get(name) or values_of(schema)
    once = schema.get("x-immutable", False)
    ways = values if once or name in FORWARD else [*values, values[0]]
    rig = fresh(tmp_path / "0", name)
    for step, value in enumerate(ways):
        if once and step:
            rig = fresh(tmp_path / str(step), name)
        others = {str(one.address): one for each in ways for one in beside(place, name, each)}
        wanted = [spec(place, name, value), *others.values()]
        plan = rig.plan(wanted)
        if not once and step and value != ways[step - 1] and "x-secret" not in schema:
            (change,) = [one for one in plan.changes if one.address == wanted[0].address]
            assert change.action is Action.UPDATE
        rig.assert_converges(wanted)


def test_a_certificate_is_a_way_in_as_well(tmp_path: Path) -> None:
    rig = ActiveActive(tmp_path / "state", ("dc1", "dc2"))
    certificate = ITEM["properties"]["certificate_auth"]["examples"][0]
    rig.assert_converges(
        [
            carts(
                {"cluster": "dc1", "certificate_auth": certificate}, {"cluster": "dc2", "certificate_auth": certificate}
            )
        ]
    )
    (first, second) = rig.crdb()["instances"]  # type: ignore[index]
    assert "certificate_auth" not in first["cluster"]
    assert second["db_uid"] == ""
