"""Prepared clusters for tests of single operations, and generic cases for any operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import ApiResponse, encode
from reconciler.simulator.api.routes import Endpoint
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.resources.collection import Collection
from reconciler.simulator.testing import Caller, VirtualClock, basic

GIB = 1 << 30


class FilledCluster(Caller):
    """A cluster with objects of every kind; `NAMED` fills in the parameters of paths."""

    def __init__(self, version: str, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.settings = {"server_version": version, "nodes": 3, **settings}
        super().__init__(Core(SimulatorSettings(**self.settings), clock=self.clock, seed=4))
        self("PUT", "/v1/cluster", {"allow_modules_upload": True})
        one = {"name": "one", "memory_size": GIB, "replication": True, "module_list": [{"module_name": "search"}]}
        one["replica_sources"] = [{"uri": "redis://admin:x@10.0.0.1:10000"}]
        made = self("POST", "/v1/bdbs", one).json()
        self("POST", "/v1/bdbs", {"name": "two", "memory_size": GIB, "sharding": False})
        self("POST", "/v1/roles", {"name": "nothing", "management": "none"})
        self("POST", "/v1/users", {"name": "weak", "email": "w@example.com", "password": "weak", "role_uids": [7]})
        self("POST", "/v1/redis_acls", {"name": "acl", "acl": "+@read ~*"})
        self("POST", "/v1/ldap_mappings", {"name": "one", "dn": "cn=one,dc=example", "role_uids": [2]})
        self("POST", "/v1/bdb_groups", {"memory_size": GIB})
        self("POST", "/v1/nodes/1/snapshots/kept", {})
        self.action = made["action_uid"]
        self.guid = self.task = "none"
        self.clock.sleep(60)
        self("GET", "/v1/cluster")  # runs the events that are due

    def span(self) -> None:
        """Create an Active-Active database in this cluster and another one, and a queued task."""
        Core(SimulatorSettings(cluster_name="other.local", **self.settings), world=self.core.world, seed=5)
        self.guid = self("GET", f"/v1/crdb_tasks/{self('POST', '/v1/crdbs', SPANNING).json()['id']}").json()[
            "crdb_guid"
        ]
        self.clock.sleep(60)
        self.task = self("PUT", f"/v1/crdbs/{self.guid}/flush", {}).json()["id"]

    def fill(self, path: str) -> str:
        """Return *path* with parameters of existing objects."""
        for prefix, value in NAMED:
            if re.match(prefix, path):
                path = re.sub(r"{\w+}", value(self), path, count=1)
        return re.sub(r"{(\w+)}", lambda match: OTHERS.get(match.group(1), "1"), path)

    def first(self, path: str, field: str = "") -> str:
        """Return *field* of the first item of the list at *path*, or the first key of the map there."""
        items = self("GET", path).json()
        return str(items[0][field] if field else next(iter(items), "none"))

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> ApiResponse:
        """Make one call; *more*: `query`, `login` (None for nobody), `content` (the Content-Type), `node`."""
        headers = {"content-type": more.get("content", "application/json"), **more.get("headers", {})}
        login = more.get("login", (self.core.settings.username, self.core.settings.password))
        if login:
            headers["authorization"] = login if isinstance(login, str) else basic(*login)
        data = body if isinstance(body, bytes) else encode(body).encode() if body is not None else b""
        return self.core.handle(Request(method, path, more.get("query", {}), headers, data, more.get("node", 1)))


LOGIN = {"username": SimulatorSettings.username, "password": SimulatorSettings.password}
MEMBERS = [
    {"cluster": {"name": name, "url": f"https://{name}:9443", "credentials": LOGIN}}
    for name in ("cluster.local", "other.local")
]
SPANNING = {"name": "wide", "default_db_config": {"memory_size": GIB, "port": 12000}, "instances": MEMBERS}
OTHERS = {"role": "admin", "replica_src_id": "1", "crdt_src_id": "1", "alert": "bdb_size"}
NAMED: tuple[tuple[str, Callable[[FilledCluster], str]], ...] = (
    (r"/v[12]/actions/{uid}", lambda cluster: cluster.action),
    (r"/v1/crdbs/{crdb_guid}", lambda cluster: cluster.guid),
    (r"/v1/crdb_tasks/{task_id}", lambda cluster: cluster.task),
    (r"/v1/modules/{uid}", lambda cluster: cluster.first("/v1/modules", "uid")),
    (r"/v1/suffix/", lambda cluster: cluster.first("/v1/suffixes", "name")),
    (r"/v1/cluster/alerts/", lambda cluster: cluster.first("/v1/cluster/alerts")),
)


class Case(NamedTuple):
    """One call of an operation, and its preparation. `FilledCluster.fill` fills in the parameters of paths."""

    body: Any = None
    path: str | Callable[[FilledCluster], str] = ""  # instead of the operation's path
    before: tuple[Any, ...] = ()  # calls (method, path, body), or functions of the cluster
    query: Mapping[str, str] = {}
    login: Any = ("", "")  # None: nobody; ("", ""): the account; a function of the cluster that returns the header
    content: str = "application/json"
    wait: float = 0  # seconds between the preparation and the call
    settings: Mapping[str, Any] = {}
    node: int = 1
    headers: Mapping[str, str] = {}


def run(version: str, endpoint: Endpoint, case: Case) -> ApiResponse:
    """Run *case* on a new cluster."""
    cluster = FilledCluster(version, **case.settings)
    for step in case.before:
        if callable(step):
            step(cluster)
        else:
            method, path, body = step
            assert cluster(method, cluster.fill(path), body).status == 200, step
    cluster.clock.sleep(case.wait)
    path = case.path(cluster) if callable(case.path) else cluster.fill(case.path or endpoint.path)
    body = case.body(cluster) if callable(case.body) else case.body
    more: dict[str, Any] = {
        "query": case.query,
        "content": case.content,
        "node": case.node,
        "headers": case.headers,
    }
    if case.login != ("", ""):
        more["login"] = case.login(cluster) if callable(case.login) else case.login
    return cluster.send(endpoint.method, path, body, **more)


def plain_body(kind: str, word: str) -> dict[str, Any]:
    """Return what a create needs, with *word* as each text; it is refused where texts have a form."""
    rows = {name: row for name, row in field_rows(kind).items() if row.get("required")}
    return {
        name: row["enum"][0] if "enum" in row else row.get("min", 1) if row["type"] == "integer" else word
        for name, row in rows.items()
    }


def collection_cases(collection: Collection, method: str) -> Iterator[Case]:
    """Yield cases for an operation of a plain collection: its objects, and values that are taken."""
    one, two = (plain_body(collection.kind, word) for word in ("first", "second"))
    before = tuple(lambda cluster, body=body: cluster("POST", collection.path, body) for body in (one, two))
    taken = {name: two[name] for name in collection.unique if name in two}
    for body in (one, taken, {"unknown": 1}) if method in ("POST", collection.update_method) else (None,):
        yield Case(body)
        yield Case(body, before=before)


def generic_cases(endpoint: Endpoint) -> Iterator[Case]:
    """Yield generic cases for an operation."""
    if isinstance(endpoint.handler, partial) and isinstance(endpoint.handler.args[0], Collection):
        yield from collection_cases(endpoint.handler.args[0], endpoint.method)
    row, unknown = endpoint.row, re.sub(r"{\w+}", "9999", endpoint.path)
    empty = {} if "body" in row else None
    yield Case(empty)
    yield Case(empty, login=None)
    yield Case(empty, login=("weak", "weak"))
    if "body" in row:
        yield Case([])
    if "content" in row:
        yield Case(b"nothing", content=row["content"])
    if "{" in endpoint.path:
        yield Case(empty, unknown)
        yield Case({"unknown": 1}, unknown)
    for status in row["statuses"]:
        if status >= 500 and status != 501:
            yield Case(empty, before=(lambda cluster, status=status: cluster.core.faults.add(str(status)),))
    if "mixed" in row:
        yield Case(empty, before=(lambda cluster: cluster.core.state.nodes[2].set(software_version="6.4.2-1"),))
