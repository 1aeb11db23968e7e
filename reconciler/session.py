"""The context of one run: clusters, clients, the ledger, secrets.

A command, or a reconciliation of the agent, creates one for the functions of `reconcile`. Clients and the ledger are
opened on first use and closed at the end. It must not know plans.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.errors import (
    ClusterError,
    ClusterIncarnationChanged,
    ClustersFailed,
    InputError,
    Locked,
    Problem,
    ReconcilerError,
    Refused,
)
from reconciler.kinds import load_kinds
from reconciler.model import Address
from reconciler.runtime import Runtime, utc_text
from reconciler.secrets import Secret, resolve

if TYPE_CHECKING:
    from reconciler.client import Client
    from reconciler.client.shared_reads import SharedReads
    from reconciler.ledger import Intent, Ledger, Logins
    from reconciler.ledger.login_table import LoginTable
    from reconciler.manifests import Resource
    from reconciler.model import ClusterIdentity, Owned
    from reconciler.plan import Plan
    from reconciler.secrets import PublicSources
    from reconciler.settings import Settings, Target
    from reconciler.telemetry import Observer
    from reconciler.yaml12 import Path


# An error of these says nothing about the other clusters: it is unreachable or refuses, it lacks a secret or a CA file,
# it is being upgraded or is in use, or its manifests are wrong for its version.
CONCERNS_ONE_CLUSTER = (ClusterError, InputError, Refused)


class SessionOverrides(NamedTuple):
    """What the agent and tests give a session besides settings."""

    ledger: Ledger | None = None  # shared, and left open; None: the session opens its own
    connect: Callable[..., Client] | None = None  # creates a client; same arguments as the class
    other_clusters: tuple[Target, ...] = ()  # further clusters that the resources refer to or are members of
    absent: Mapping[str, str] = MappingProxyType({})  # by such a cluster that is not part of this run: why


class Session:
    """The clusters of one run; a context manager that closes what it opened."""

    def __init__(
        self,
        settings: Settings,
        targets: Sequence[Target],
        *,
        runtime: Runtime | None = None,
        overrides: SessionOverrides | None = None,
    ) -> None:
        overrides = overrides or SessionOverrides()
        self.settings = settings
        self.runtime = runtime or Runtime()
        self.targets = tuple(targets)
        self.kinds = load_kinds()
        self.other_clusters = overrides.other_clusters
        self.absent: dict[str, str] = dict(overrides.absent)  # by cluster that is not part of this run: why
        self.failures: dict[str, ReconcilerError] = {}  # by cluster that was left out: why
        self._reported: set[str] = set()  # of them
        self.selected = frozenset(target.name for target in targets)  # the clusters of the run, left out or not
        self.identities: dict[str, ClusterIdentity | None] = {}  # by cluster, as far as it is known in this run
        self._readers: dict[str, SharedReads] = {}
        self._accepts_change = False
        self._clients: dict[str, Client] = {}
        self._ledger = overrides.ledger
        self._ledger_lock = threading.Lock()
        self._logins = overrides.ledger.logins if overrides.ledger else self._own_logins()
        self._connect = overrides.connect
        self._public: PublicSources | None = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._open.close()

    @property
    def now(self) -> str:
        """The current time, as 2026-01-31T00:00:00Z."""
        return utc_text(self.runtime.now())

    def observe(self, observer: Observer) -> None:
        """Report events to *observer* from now on."""
        self.runtime = replace(self.runtime, observe=observer)

    def only(self, names: Iterable[str]) -> None:
        """Limit the run to these clusters; raises InputError where one is not configured."""
        known = {target.name: target for target in self.targets}
        unknown = [
            Problem("the plan file", 0, 0, "", f"cluster {name or 'default'} is not configured here")
            for name in names
            if name not in known
        ]
        if unknown:
            raise InputError(unknown)
        self.targets = tuple(known[name] for name in names)
        self.selected = frozenset(target.name for target in self.targets)

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        """Return the secret that `{valueFrom: …}`, or its content, names."""
        return resolve(value_from, self.settings.sources)

    def read_file(self, path: str) -> bytes:
        """Return a file of the project that is uploaded to a cluster; raises InputError."""
        from reconciler.manifests.artifacts import load

        return load(self.settings.root, path, self.settings.public.refusal)

    def public_text(self, value_from: Mapping[str, Any]) -> str:
        """Return the public text that the content of a `valueFrom` names; it is not masked. Raises InputError."""
        if self._public is None:
            self._public = self.settings.public.fresh()
        return self._public.text(value_from)

    @property
    def several(self) -> bool:
        """Whether the run covers several clusters, left out or not: output then names the cluster of each object."""
        return len(self.selected) > 1

    @property
    def names(self) -> frozenset[str]:
        """The clusters of the run that are not left out."""
        return frozenset(target.name for target in self.targets)

    def check_addresses(self, resources: Iterable[Resource]) -> None:
        """Raise InputError where resources make a cluster connect to a host that is denied, by whatever source."""
        from reconciler.yaml12 import path_text

        problems = []
        for one in resources:
            for path, why, hint in self._denied(one.address, one.spec):
                problems.append(Problem(*one.place(path), path_text(path), why, hint, one.address.cluster))
        if problems:
            raise InputError(problems)

    def check_plan_addresses(self, plan: Plan) -> None:
        """Raise Refused where changes make a cluster connect to a host that is denied: a saved plan may be edited."""
        from reconciler.yaml12 import path_text

        for change in plan.changes:
            for path, why, hint in self._denied(change.address, change.body):
                raise Refused(f"{change.address}: {path_text(path)}: {why}; nothing was written ({hint})")

    def _denied(self, address: Address, spec: Mapping[str, Any]) -> Iterator[tuple[Path, str, str]]:
        from reconciler.manifests.hosts import denied

        hosts = {target.name: target.hosts for target in self.settings.targets}
        yield from denied(self.kinds[address.kind], spec, hosts.get(address.cluster), self.reveal)

    def clients(self) -> Mapping[str, Client]:
        """Return a client for each cluster; looks up the credentials, sends nothing.

        A cluster without a usable login or CA certificate is left out.
        """
        for target in (*self.targets, *self.other_clusters):
            try:
                self.client_of(target)
            except CONCERNS_ONE_CLUSTER as error:
                self.leave_out(target.name, error)
        return self._clients

    def client_of(self, target: Target) -> Client:
        """Return the client for one cluster."""
        from reconciler.client import Client, ClientOptions

        if target.name not in self._clients:
            credentials = self.settings.credentials(target)
            login = self._logins.of(target.urls, *credentials)
            client = (self._connect or Client)(
                target,
                credentials,
                replace(self.runtime, sleep=self.runtime.stop.wait, observe=lambda event: self.runtime.observe(event)),
                ClientOptions(redact=self.settings.redactor.redact, login=login),
            )
            self._open.callback(client.close)
            self._clients[target.name] = client
        return self._clients[target.name]

    def leave_out(self, name: str, error: ReconcilerError) -> None:
        """Continue without a cluster: only what concerns it is held. Raises *error* if it is the only one of the run.

        Raises ClustersFailed where none of several is left.
        """
        if self.selected == {name}:
            raise error
        self.other_clusters = tuple(one for one in self.other_clusters if one.name != name)
        self.targets = tuple(one for one in self.targets if one.name != name)
        self.failures[name] = error
        self.absent[name] = str(error)
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()
        if not self.targets:
            raise ClustersFailed({one: self.failures[one] for one in sorted(self.selected)}) from error

    def unreported_failures(self) -> dict[str, ReconcilerError]:
        """Return the clusters that were left out since the last call, with the reasons."""
        found = {name: error for name, error in self.failures.items() if name not in self._reported}
        self._reported.update(found)
        return found

    def ledger(self) -> Ledger:
        """Return the ledger; create it where it does not exist."""
        from reconciler.ledger import Ledger

        with self._ledger_lock:
            if self._ledger is None:
                redact = self.settings.redactor.redact_all
                self._ledger = self._open.enter_context(Ledger.open(self.settings.state_dir, redact=redact))
                for target in (*self.targets, *self.other_clusters):
                    self._bind(self._ledger, target)
            return self._ledger

    def state_problem(self) -> str:
        """Return why an apply could not use the state folder, "" where it could. Creates nothing."""
        folder = self.settings.state_dir
        if ledger := self.known_ledger():
            return "" if ledger.writable() else f"the ledger in {folder} cannot be written"
        if os.path.lexists(folder):
            return f"the state folder {folder} is not a folder"
        above = next(path for path in folder.absolute().parents if path.exists())
        if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
            return ""
        return f"the state folder {folder} cannot be created: {above} cannot be written"

    def known_ledger(self) -> Ledger | None:
        """Return the ledger if it exists: a read-only command must not create one."""
        return self.ledger() if self._ledger is not None or self.settings.state_dir.is_dir() else None

    def owned(self) -> Mapping[Address, Owned]:
        """Return the owned objects of these clusters."""
        ledger = self.known_ledger()
        return {k: v for target in self.targets for k, v in ledger.owned(target.name).items()} if ledger else {}

    def started_ports(self) -> Mapping[Address, int]:
        """Return the ports of creates whose outcome is unknown, and of unfinished replacements."""
        intents = self._open_intents("create", "replace")
        return {one.address: one.body["port"] for one in intents if one.body.get("port")}

    def unfinished_replacements(self) -> frozenset[Address]:
        """Return what an earlier run may have deleted without creating its successor."""
        return frozenset(intent.address for intent in self._open_intents("replace"))

    def _open_intents(self, *actions: str) -> list[Intent]:
        ledger = self.known_ledger()
        intents = [intent for target in self.targets for intent in ledger.open_intents(target.name)] if ledger else []
        return [intent for intent in intents if intent.action in actions]

    def _own_logins(self) -> Logins:
        """Return what is known of rejected logins; the first rejection creates the ledger where there is none."""
        from reconciler.ledger import Logins

        def known() -> LoginTable | None:
            ledger = self.known_ledger()
            return ledger.login_table if ledger else None

        return Logins(self.settings.state_dir, self.runtime.now, known, lambda: self.ledger().login_table)

    def retry_logins(self) -> None:
        """Let rejected credentials be sent once more."""
        self._logins.retry()

    def readers(self) -> dict[str, SharedReads]:
        """Return for each client what reads each shared list once, until `take_readers`."""
        from reconciler.client.shared_reads import SharedReads

        for name, client in self.clients().items():
            self._readers.setdefault(name, SharedReads(client))
        return self._readers

    def take_readers(self) -> dict[str, SharedReads]:
        """Return the `readers`, for one read of the clusters: the next one reads again."""
        taken, self._readers = self.readers(), {}
        return taken

    def identify(self, resources: Iterable[Resource] = ()) -> None:
        """Learn which cluster is behind each name of the run, before anything else is read; once in a session.

        Clusters that fail, or that are others than the ledger knows, are left out. *resources* are those declared: a
        cluster that is to be bootstrapped has no identity yet.
        """
        from reconciler.api.identity import identify

        kinds = ((one.address.cluster, self.kinds[one.address.kind]) for one in resources)
        new = {cluster: kind for cluster, kind in kinds if kind.traits.creates_cluster}
        known = {name for name, identity in self.identities.items() if identity is not None or name not in new}
        targets = [target for target in (*self.targets, *self.other_clusters) if target.name not in known]
        readers = self.readers() if targets else {}

        def ask(target: Target) -> ClusterIdentity | ReconcilerError | None:
            try:
                return identify(readers[target.name], new.get(target.name))
            except CONCERNS_ONE_CLUSTER as error:
                return error

        targets = [target for target in targets if target.name in readers]
        with ThreadPoolExecutor(max_workers=min(8, len(targets)) or 1) as pool:
            found = list(pool.map(ask, targets))
        for target, one in zip(targets, found, strict=True):
            try:
                if isinstance(one, ReconcilerError):
                    raise one
                self._identified(target, one)
            except CONCERNS_ONE_CLUSTER as error:
                self.leave_out(target.name, error)

    def _identified(self, target: Target, identity: ClusterIdentity | None) -> None:
        """Take note of which cluster is behind *target*: what the ledger has of others does not count.

        Raises ClusterIncarnationChanged where the ledger knows another one there, and that was not accepted.
        """
        ledger = self.known_ledger()
        known = ledger.identities.expected(_places(target)) if ledger else ""
        if known and known != str(identity) and not self._accepts_change:
            raise ClusterIncarnationChanged(_change_text(target, known, identity))
        self.identities[target.name] = identity
        if ledger:
            self._bind(ledger, target)

    def _bind(self, ledger: Ledger, target: Target) -> None:
        identity = self.identities.get(target.name)
        if identity is not None:
            ledger.identities.bind(target.name, str(identity), _places(target))
        if target.name in self._clients:
            self._clients[target.name].require_state_id(ledger.state_id(target.name))

    def accept_restored(self) -> None:
        """Accept that the clusters were restored or rebuilt: an older cluster-state-id, or another identity."""
        self._accepts_change = True
        ledger = self.known_ledger()
        for target in self.targets if ledger else ():
            self.ledger().forget_state_id(target.name)

    @contextlib.contextmanager
    def locked(self, clusters: Iterable[str], *, leave_out: bool = False) -> Iterator[None]:
        """Hold the lock of each cluster, always in the same order; with *leave_out*, leave out those in use."""
        with contextlib.ExitStack() as stack:
            for name in sorted(clusters):
                try:
                    stack.enter_context(self.ledger().lock(name))
                except Locked as error:
                    if not leave_out:
                        raise
                    self.leave_out(name, error)
            yield


def _places(target: Target) -> tuple[str, ...]:
    """Return where the cluster of *target* is expected: behind its name, or behind each URL of one without a name."""
    return (target.name,) if target.name else target.urls


def _change_text(target: Target, known: str, identity: ClusterIdentity | None) -> str:
    where, now = target.name or ", ".join(target.urls), identity or "one that reports no identity"
    return (
        f"{where}: another cluster responds than before: it was {known}, and is {now}; nothing else was read. "
        "If that is intended, accept it with `reconciler plan --restored`; what was recorded of the other one is kept, "
        "and does not count"
    )
