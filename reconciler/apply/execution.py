"""What an execution works with: the whole of it, and its part for one cluster.

`reconcile` creates an `ExecutionContext`; `executor` derives one `ClusterContext` for each cluster from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.api.codec import Reveal, Uid
from reconciler.api.driver import Connection, Connections, Host, no_files
from reconciler.api.protocol import ProjectCluster
from reconciler.api.task import SETTLE_WINDOW
from reconciler.apply.uid_index import UidIndex
from reconciler.errors import Conflict
from reconciler.kinds import Kind
from reconciler.ledger import Intent, Ledger
from reconciler.model import Address, LiveState, Owned
from reconciler.runtime import Runtime


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """What a plan is executed with.

    *live* is what the plan was made from, by cluster: it saves listing the kinds that are referred to.
    """

    kinds: Mapping[str, Kind]
    clients: Mapping[str, Connection]  # of every cluster of the run
    ledger: Ledger
    reveal: Reveal
    runtime: Runtime = field(default_factory=Runtime)
    live: Mapping[str, LiveState] = field(default_factory=dict)
    project_clusters: Mapping[str, ProjectCluster] = field(default_factory=dict)
    read_file: Callable[[str], bytes] = no_files  # a file that is sent to a cluster, by its path in the project
    settle_window: float = SETTLE_WINDOW
    absent: Mapping[str, str] = field(default_factory=dict)  # by cluster of the plan that is left out: why


@dataclass(frozen=True, slots=True)
class ClusterContext:
    """One cluster while a plan is executed."""

    name: str
    execution: ExecutionContext
    indexes: Mapping[str, UidIndex]  # of every cluster of the run
    owned: Mapping[Address, Owned]  # as of the start
    unfinished: Mapping[Address, Intent]  # creates of an earlier run whose outcome is not known
    replaced: Mapping[Address, Intent]  # replacements of an earlier run that did not create the new object
    run: str

    @property
    def ledger(self) -> Ledger:
        return self.execution.ledger

    @property
    def uids(self) -> UidIndex:
        return self.indexes[self.name]

    def kind_of(self, address: Address) -> Kind:
        return self.execution.kinds[address.kind]

    def uid_of(self, address: Address) -> Uid:
        """Return the uid of an object that a manifest refers to, on any cluster."""
        index = self.indexes.get(address.cluster)
        if index is None:
            raise Conflict(f"it refers to {address}, and that cluster is not part of this run")
        return index.uid(address.kind, address.name)

    @property
    def client(self) -> Connection:
        return self.execution.clients[self.name]

    @property
    def connections(self) -> Connections:
        return Connections(self.execution.clients, self.execution.project_clusters)

    def host(self, on_wait: Callable[[str], None]) -> Host:
        return Host(self.execution.runtime, self.execution.read_file, on_wait)
