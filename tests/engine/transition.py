"""Methods of `Simulation` under the names and with the arguments that test_fields.py, test_every_kind.py and
test_calls.py use; to be removed with their last use.
"""

from __future__ import annotations

from typing import Any

from reconciler.simulator.core import Core, LogEntry
from tests.engine.active_active import ActiveActive
from tests.support.simulation import Simulation


class OneCluster(Simulation):
    @property
    def world(self) -> Any:
        return self.cluster

    @world.setter
    def world(self, cluster: Any) -> None:
        self.clusters["dc1"] = cluster


class ManyClusters(ActiveActive):
    @property
    def cores(self) -> dict[str, Core]:
        return {name: cluster.core for name, cluster in self.clusters.items()}

    def call(self, cluster: str, method: str, path: str, body: Any = None) -> Any:  # type: ignore[override]
        return super().call(method, path, body, cluster=cluster)

    def sent(self, cluster: str = "dc1") -> list[LogEntry]:  # type: ignore[override]
        return [entry for entry in self.clusters[cluster].log if entry.method != "GET"]
