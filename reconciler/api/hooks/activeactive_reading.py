"""How an Active-Active database is read: its shared configuration on one cluster, its instances on each of theirs.

The hook `activeactive` is made of this and `activeactive_writing`. The API names clusters by their own names and URLs;
here they get the names of the project. What an instance really has is asked on its cluster, since a change made there
shadows what all share. Flows only: knows no client, file or plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.api.hooks.base import Json, Uid
from reconciler.api.protocol import Answer, Around, Call, Flow, Neighbour, ask
from reconciler.errors import ReadIncomplete

PATH = "/v1/crdbs"
PARTS, SHADOWS, SHARED = "@instances", "@shadows", "@shared"  # what a read adds to the object, for the writes
SHADOWED = (  # settings that somebody can change on one instance alone, and that mean the same there
    "aof_policy",
    "data_persistence",
    "eviction_policy",
    "max_aof_file_size",
    "max_aof_load_time",
    "memory_size",
    "proxy_policy",
)
_SAID = (  # settings that a read of the whole may leave out; any instance can tell them then
    "oss_cluster",
    "oss_sharding",
    "rack_aware",
    "redis_version",
    "replication",
    "shard_key_regex",
    "sharding",
    "shards_count",
    "shards_placement",
    "tls_mode",
    *SHADOWED,
)
ACCESS = ("roles_permissions", "default_user")  # of an instance, and kept by its cluster alone
_OF_DATABASE = ("uid", "crdt_guid", "status", "port", "endpoints", *ACCESS, *_SAID)
_API_PORT = "9443"


class Part(NamedTuple):
    """One instance as it is: its number, the cluster that has it, what was said of it, and the database that it is."""

    id: int
    cluster: str  # as the project calls it; "#name" where the project does not have it
    name: str  # as the cluster calls itself
    said: Mapping[str, Any]
    local: Mapping[str, Any] | None  # None where nobody could look

    @property
    def config(self) -> Mapping[str, Any]:
        """What was said of this instance alone."""
        found = self.said.get("db_config")
        return found if isinstance(found, Mapping) else {}


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return all Active-Active databases; the other clusters are asked where *fields* speak of instances."""
    answer: Answer = yield Call("GET", PATH, missing_ok=False)
    body = answer.body.get("crdbs") if isinstance(answer.body, Mapping) else answer.body
    if not isinstance(body, list):
        raise ReadIncomplete(f"GET {PATH}: the list is no list")
    if fields is not None and not fields & {"instances", "default_db_config"}:
        return list(body)
    return (yield from _whole([one for one in body if isinstance(one, dict)]))


def look(uid: Uid) -> Flow[Any]:
    """Return one Active-Active database; None where it is not there."""
    answer = yield from ask("GET", f"{PATH}/{uid}")
    if answer.status == 404:
        return None
    if not isinstance(answer.body, dict):
        raise ReadIncomplete(f"GET {PATH}/{uid}: an object was expected")
    return (yield from _whole([answer.body]))[0]


def name_on(cluster: str) -> Flow[str]:
    """Return what *cluster* calls itself."""
    answer = yield from ask("GET", "/v1/cluster", cluster=cluster)
    name = answer.body.get("name") if isinstance(answer.body, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ReadIncomplete(f"cluster {cluster} does not say what it is called")
    return name


def _whole(bodies: list[Json]) -> Flow[list[Any]]:
    """Return *bodies* with their instances as a manifest has them."""
    if not bodies:
        return []
    neighbours: Mapping[str, Neighbour] = yield Around()
    said = [item for body in bodies for item in _items(body)]
    titles = yield from _titles(said, neighbours)
    asked = sorted(title for title in set(titles.values()) if title in neighbours and neighbours[title].joins)
    databases = {}
    for title in asked:
        databases[title] = yield from _databases(title, {str(body.get("guid")) for body in bodies})
    return [_understood(body, titles, databases) for body in bodies]


def _items(body: Mapping[str, Any]) -> list[Json]:
    items = body.get("instances")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _cluster(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = item.get("cluster")
    return found if isinstance(found, Mapping) else {}


def _titles(items: Iterable[Mapping[str, Any]], neighbours: Mapping[str, Neighbour]) -> Flow[dict[str, str]]:
    """Return by its own name what the project calls each cluster: known by its URL, or else asked."""
    places = {place(url): title for title, one in sorted(neighbours.items()) if title for url in one.urls}
    titles: dict[str, str] = {}
    for item in items:
        title = places.get(place(str(_cluster(item).get("url", ""))))
        if title:
            titles[str(_cluster(item).get("name"))] = title
    unknown = {str(_cluster(item).get("name")) for item in items} - titles.keys()
    for title in sorted(neighbours) if unknown else ():
        if title and neighbours[title].joins and title not in titles.values():
            name = yield from name_on(title)
            if name in unknown:
                titles[name] = title
    return {**{name: f"#{name}" for name in unknown}, **titles}


def place(url: str) -> str:
    """Return host and port of *url*, in one way."""
    host = url.rpartition("//")[2].partition("/")[0].lower()
    return host if host.rpartition("]")[2].count(":") else f"{host}:{_API_PORT}"


def _databases(cluster: str, guids: set[str]) -> Flow[dict[str, Json]]:
    """Return by guid the databases on *cluster* that are instances, with names for the ids of that cluster."""
    answer = yield from ask("GET", f"/v1/bdbs?fields={','.join(sorted(_OF_DATABASE))}", cluster=cluster)
    if not isinstance(answer.body, list):
        raise ReadIncomplete(f"cluster {cluster}: GET /v1/bdbs: the list is no list")
    found = {str(one["crdt_guid"]): one for one in answer.body if isinstance(one, dict) and one.get("crdt_guid")}
    found = {guid: one for guid, one in found.items() if guid in guids}
    if any(one.get("roles_permissions") for one in found.values()):
        roles = yield from _names(cluster, "/v1/roles")
        acls = yield from _names(cluster, "/v1/redis_acls")
        for one in found.values():
            one["roles_permissions"] = [
                {
                    "role_uid": roles.get(entry.get("role_uid"), f"#{entry.get('role_uid')}"),
                    "redis_acl_uid": acls.get(entry.get("redis_acl_uid"), f"#{entry.get('redis_acl_uid')}"),
                }
                for entry in one.get("roles_permissions") or ()
                if isinstance(entry, dict)
            ]
    return found


def _names(cluster: str, path: str) -> Flow[dict[Any, str]]:
    answer = yield from ask("GET", path, cluster=cluster)
    return {
        one["uid"]: one["name"]
        for one in (answer.body if isinstance(answer.body, list) else ())
        if isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("uid"), int | str)
    }


def _understood(body: Json, titles: Mapping[str, str], databases: Mapping[str, Mapping[str, Json]]) -> Json:
    config = body.get("default_db_config")
    shared = {name: value for name, value in config.items() if name != "name"} if isinstance(config, dict) else {}
    parts = []
    for item in _items(body):
        name = str(_cluster(item).get("name"))
        local = databases.get(titles[name], {}).get(str(body.get("guid")))
        parts.append(Part(item.get("id", 0), titles[name], name, item, local))
    seen, shadows = dict(shared), {part.cluster: _shadows(part, shared) for part in parts}
    for part in reversed(parts):  # the first one that goes its own way is what is shown
        seen.update(shadows[part.cluster])
    for part in parts:
        for name in _SAID:
            if part.local and name in part.local and name not in part.config:
                seen.setdefault(name, part.local[name])
    instances = [_instance(part, shared) for part in parts]
    more = {PARTS: parts, SHADOWS: {name: one for name, one in shadows.items() if one}, SHARED: shared}
    return {**body, "default_db_config": seen, "instances": instances, **more}


def _shadows(part: Part, shared: Mapping[str, Any]) -> Json:
    """Return the settings that this instance should share with all and has of its own: somebody set them there."""
    local = part.local or {}
    return {
        name: local[name]
        for name in SHADOWED
        if name in shared and name in local and name not in part.config and local[name] != shared[name]
    }


def _instance(part: Part, shared: Mapping[str, Any]) -> Json:
    """Return an instance in the form of a manifest."""
    about, local = _cluster(part.said), part.local or {}
    config = {name: local.get(name, value) if name in SHADOWED else value for name, value in part.config.items()}
    port = _port(local)
    if port and not config.get("port") and not shared.get("port"):
        config["port"] = port
    kept = {name: about[name] for name in ("replication_endpoint", "replication_tls_sni") if name in about}
    kept.update({name: part.said[name] for name in ("compression",) if name in part.said})
    kept.update({name: local[name] for name in ACCESS if name in local})
    return {"cluster": part.cluster, **kept, "db_config": config}


def _port(local: Mapping[str, Any]) -> int:
    ends = local.get("endpoints")
    ports = [end.get("port") for end in ends if isinstance(end, Mapping)] if isinstance(ends, list) else []
    return next((port for port in (local.get("port"), *ports) if isinstance(port, int) and port), 0)
