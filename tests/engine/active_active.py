"""Three clusters that can reach each other, and Active-Active databases on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.simulator.databases import links
from tests.support.resources import KINDS, declared
from tests.support.simulation import NAMES, Simulation

CARTS = Address("dc1", "ActiveActiveDatabase", "carts")
GIB = 1 << 30


def instance(cluster: str, **fields: Any) -> dict[str, Any]:
    password = {"valueFrom": {"env": f"{cluster.upper()}_PASSWORD"}}
    return {"cluster": cluster, "credentials": {"username": f"admin@{NAMES[cluster]}", "password": password}, **fields}


def carts(
    *instances: Any, home: str = "dc1", name: str = "carts", config: Mapping[str, Any] | None = None, **spec: Any
) -> Resource:
    """Return an Active-Active database on *instances*: names of clusters, or what a manifest declares of them."""
    items = [instance(one) if isinstance(one, str) else one for one in instances]
    wanted = {"default_db_config": {"memory_size": GIB, **(config or {})}, "instances": items, **spec}
    assert KINDS["ActiveActiveDatabase"].validator.findings(wanted) == []
    return declared("ActiveActiveDatabase", name, wanted, cluster=home)


class ActiveActive(Simulation):
    """A simulation of several clusters that shows their Active-Active databases."""

    def __init__(self, folder: Path, clusters: Sequence[str] = ("dc1", "dc2", "dc3"), **settings: Any) -> None:
        super().__init__(folder, clusters, **settings)

    def local(self, cluster: str, name: str = "carts") -> dict[str, Any] | None:
        """Return the instance on *cluster*, None if it has none."""
        found = [one for one in self.call("GET", "/v1/bdbs", cluster=cluster).json() if one["name"] == name]
        assert len(found) <= 1
        return dict(found[0]) if found else None

    def crdb(self, cluster: str = "dc1") -> dict[str, Any] | None:
        """Return the Active-Active database as *cluster* describes it."""
        found = self.call("GET", "/v1/crdbs", cluster=cluster).json()
        return dict(found[0]) if found else None

    def part(self, one: str, other: str, *, whole: bool = False) -> None:
        """Cut the link between two clusters, or restore it."""
        links.set_connection(self.clusters[one].core.state, self.clusters[other].core.state, connected=whole)
