"""Reads an Active-Active database: its shared configuration on one cluster, its instances on their clusters.

Part of the hook `activeactive`. The API has the clusters' own names and URLs; here they get the names of the project.
The effective settings of an instance are read on its cluster, since a change made there overrides the shared value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.api.hooks.base import Json, Uid
from reconciler.api.protocol import Call, Flow, ProjectCluster, ProjectClusters, Response, request
from reconciler.errors import ReadIncomplete

PATH = "/v1/crdbs"
PARTS, OVERRIDES, SHARED = "@instances", "@overrides", "@shared"  # what a read adds to the object, for the writes
STATUS = "@status"  # of the first instance that is not ready, else that of all; absent where none could be read
OVERRIDABLE = (  # settings that can be changed on one instance, and that mean the same there
    "aof_policy",
    "data_persistence",
    "eviction_policy",
    "max_aof_file_size",
    "max_aof_load_time",
    "memory_size",
    "proxy_policy",
)
_REPORTED = (  # settings that the shared object may omit; any instance has them
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
    *OVERRIDABLE,
)
ACCESS = ("roles_permissions", "default_user")  # of an instance; only its cluster has them
_OF_DATABASE = ("uid", "crdt_guid", "status", "port", "endpoints", *ACCESS, *_REPORTED)
_API_PORT = "9443"


class Part(NamedTuple):
    """One live instance: its id, its cluster, what the shared object reports, and the local database."""

    id: int
    cluster: str  # its name in the project; "#name" where the project does not have it
    name: str  # the cluster's own name
    reported: Mapping[str, Any]
    local: Mapping[str, Any] | None  # None where it could not be read

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of this instance alone."""
        found = self.reported.get("db_config")
        return found if isinstance(found, Mapping) else {}


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return all Active-Active databases; reads the other clusters where *fields* include instances."""
    response: Response = yield Call("GET", PATH, missing_ok=False)
    body = response.body.get("crdbs") if isinstance(response.body, Mapping) else response.body
    if not isinstance(body, list):
        raise ReadIncomplete(f"GET {PATH}: the response is not a list")
    if fields is not None and not fields & {"instances", "default_db_config"}:
        return list(body)
    return (yield from _whole([one for one in body if isinstance(one, dict)]))


def look(uid: Uid) -> Flow[Any]:
    """Return one Active-Active database; None where it does not exist."""
    response = yield from request("GET", f"{PATH}/{uid}")
    if response.status == 404:
        return None
    if not isinstance(response.body, dict):
        raise ReadIncomplete(f"GET {PATH}/{uid}: an object was expected")
    return (yield from _whole([response.body]))[0]


def name_on(cluster: str) -> Flow[str]:
    """Return the own name of *cluster*."""
    response = yield from request("GET", "/v1/cluster", cluster=cluster)
    name = response.body.get("name") if isinstance(response.body, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ReadIncomplete(f"cluster {cluster} does not report its name")
    return name


def _whole(bodies: list[Json]) -> Flow[list[Any]]:
    """Return *bodies* with their instances in the form of a manifest."""
    if not bodies:
        return []
    project_clusters: Mapping[str, ProjectCluster] = yield ProjectClusters()
    reported = [item for body in bodies for item in _items(body)]
    titles = yield from _titles(reported, project_clusters)
    asked = sorted(
        title for title in set(titles.values()) if title in project_clusters and project_clusters[title].joins
    )
    databases = {}
    for title in asked:
        databases[title] = yield from _databases(title, {str(body.get("guid")) for body in bodies})
    return [_assembled(body, titles, databases) for body in bodies]


def _items(body: Mapping[str, Any]) -> list[Json]:
    items = body.get("instances")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _cluster(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = item.get("cluster")
    return found if isinstance(found, Mapping) else {}


def _titles(items: Iterable[Mapping[str, Any]], project_clusters: Mapping[str, ProjectCluster]) -> Flow[dict[str, str]]:
    """Return the project's name of each cluster by its own name: identified by its URL, or else by a request."""
    places = {place(url): title for title, one in sorted(project_clusters.items()) if title for url in one.urls}
    titles: dict[str, str] = {}
    for item in items:
        title = places.get(place(str(_cluster(item).get("url", ""))))
        if title:
            titles[str(_cluster(item).get("name"))] = title
    unknown = {str(_cluster(item).get("name")) for item in items} - titles.keys()
    for title in sorted(project_clusters) if unknown else ():
        if title and project_clusters[title].joins and title not in titles.values():
            name = yield from name_on(title)
            if name in unknown:
                titles[name] = title
    return {**{name: f"#{name}" for name in unknown}, **titles}


def place(url: str) -> str:
    """Return host and port of *url*, normalised."""
    host = url.rpartition("//")[2].partition("/")[0].lower()
    return host if host.rpartition("]")[2].count(":") else f"{host}:{_API_PORT}"


def _databases(cluster: str, guids: set[str]) -> Flow[dict[str, Json]]:
    """Return the instances on *cluster* by guid, with names for the uids of that cluster."""
    response = yield from request("GET", f"/v1/bdbs?fields={','.join(sorted(_OF_DATABASE))}", cluster=cluster)
    if not isinstance(response.body, list):
        raise ReadIncomplete(f"cluster {cluster}: GET /v1/bdbs: the response is not a list")
    found = {str(one["crdt_guid"]): one for one in response.body if isinstance(one, dict) and one.get("crdt_guid")}
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
    response = yield from request("GET", path, cluster=cluster)
    return {
        one["uid"]: one["name"]
        for one in (response.body if isinstance(response.body, list) else ())
        if isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("uid"), int | str)
    }


def _assembled(body: Json, titles: Mapping[str, str], databases: Mapping[str, Mapping[str, Json]]) -> Json:
    config = body.get("default_db_config")
    shared = {name: value for name, value in config.items() if name != "name"} if isinstance(config, dict) else {}
    parts = []
    for item in _items(body):
        name = str(_cluster(item).get("name"))
        local = databases.get(titles[name], {}).get(str(body.get("guid")))
        parts.append(Part(item.get("id", 0), titles[name], name, item, local))
    seen, overrides = dict(shared), {part.cluster: _overrides(part, shared) for part in parts}
    for part in reversed(parts):  # the first override is shown
        seen.update(overrides[part.cluster])
    for part in parts:
        for name in _REPORTED:
            if part.local and name in part.local and name not in part.config:
                seen.setdefault(name, part.local[name])
    instances = [_instance(part, shared) for part in parts]
    more = {PARTS: parts, OVERRIDES: {name: one for name, one in overrides.items() if one}, SHARED: shared}
    statuses = [str(part.local["status"]) for part in parts if part.local and part.local.get("status")]
    if statuses:
        more[STATUS] = next((status for status in statuses if status != "active"), "active")
    return {**body, "default_db_config": seen, "instances": instances, **more}


def _overrides(part: Part, shared: Mapping[str, Any]) -> Json:
    """Return the shared settings that this instance overrides: they were changed on its cluster."""
    local = part.local or {}
    return {
        name: local[name]
        for name in OVERRIDABLE
        if name in shared and name in local and name not in part.config and local[name] != shared[name]
    }


def _instance(part: Part, shared: Mapping[str, Any]) -> Json:
    """Return an instance in the form of a manifest."""
    about, local = _cluster(part.reported), part.local or {}
    config = {name: local.get(name, value) if name in OVERRIDABLE else value for name, value in part.config.items()}
    port = _port(local)
    if port and not config.get("port") and not shared.get("port"):
        config["port"] = port
    kept = {name: about[name] for name in ("replication_endpoint", "replication_tls_sni") if name in about}
    kept.update({name: part.reported[name] for name in ("compression",) if name in part.reported})
    kept.update({name: local[name] for name in ACCESS if name in local})
    return {"cluster": part.cluster, **kept, "db_config": config}


def _port(local: Mapping[str, Any]) -> int:
    ends = local.get("endpoints")
    ports = [end.get("port") for end in ends if isinstance(end, Mapping)] if isinstance(ends, list) else []
    return next((port for port in (local.get("port"), *ports) if isinstance(port, int) and port), 0)
