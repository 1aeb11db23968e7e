"""What one command, or one pass of the agent, works with: its clusters, its clients, the ledger, secrets.

It opens clients and the ledger when they are first asked for and closes them at the end. The use cases of `reconcile`
take one; it knows nothing of plans.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.errors import InputError, Problem, ReconcilerError
from reconciler.kinds import load_kinds
from reconciler.model import Address
from reconciler.runtime import Runtime, utc_text
from reconciler.secrets import Redactor, Secret, resolve

if TYPE_CHECKING:
    from reconciler.client import Client
    from reconciler.ledger import Ledger
    from reconciler.model import Owned
    from reconciler.settings import Settings, Target
    from reconciler.telemetry import Observer


class SessionOverrides(NamedTuple):
    """What the agent and tests give a session beside settings."""

    ledger: Ledger | None = None  # shared, and left open; None: the session opens its own
    connect: Callable[..., Client] | None = None  # creates a client, with the arguments of its class
    neighbours: tuple[Target, ...] = ()  # further clusters that the resources refer to or are members of
    absent: Mapping[str, str] = MappingProxyType({})  # by such a cluster that is not part of this run: why


class Session:
    """The clusters that one command works on; a context manager that closes what it opened."""

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
        self.neighbours = overrides.neighbours
        self.absent: dict[str, str] = dict(overrides.absent)  # by cluster that is not part of this run: why
        self.missed: dict[str, ReconcilerError] = {}  # neighbours that could not be met
        self._clients: dict[str, Client] = {}
        self._ledger = overrides.ledger
        self._connect = overrides.connect
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
        """Work on these clusters alone; raises InputError where one is not configured."""
        known = {target.name: target for target in self.targets}
        unknown = [
            Problem("the plan file", 0, 0, "", f"cluster {name or 'default'} is not configured here")
            for name in names
            if name not in known
        ]
        if unknown:
            raise InputError(unknown)
        self.targets = tuple(known[name] for name in names)

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        """Return the secret that `{valueFrom: …}` or what stands in it names."""
        return resolve(value_from, self.settings.sources)

    def load(self, path: str) -> bytes:
        """Return a file beside the project file that goes to a cluster; raises InputError."""
        from reconciler.manifests.artifacts import load

        return load(self.settings.root, path)

    def text(self, value_from: Mapping[str, Any]) -> str:
        """Return public text that `valueFrom` gives: it may be shown, so it is treated as no secret."""
        return resolve(value_from, replace(self.settings.sources, redactor=Redactor(), warn=lambda text: None)).reveal()

    def clients(self) -> Mapping[str, Client]:
        """Return a client for each cluster; credentials are looked up now, nothing is sent yet."""
        for target in (*self.targets, *self.neighbours):
            self.client_of(target)
        return self._clients

    def client_of(self, target: Target) -> Client:
        """Return the client for one cluster."""
        from reconciler.client import Client, ClientOptions

        if target.name not in self._clients:
            ledger = self.known_ledger()
            state_id = ledger.state_id(target.name) if ledger else 0
            client = (self._connect or Client)(
                target,
                self.settings.credentials(target),
                replace(self.runtime, sleep=self.runtime.stop.wait, observe=lambda event: self.runtime.observe(event)),
                ClientOptions(redact=self.settings.redactor.redact, state_id=state_id),
            )
            self._open.callback(client.close)
            self._clients[target.name] = client
        return self._clients[target.name]

    def leave_out(self, name: str, error: ReconcilerError) -> None:
        """Go on without a neighbour: what concerns it is held, and nothing else."""
        self.neighbours = tuple(one for one in self.neighbours if one.name != name)
        self.missed[name] = error
        self.absent[name] = str(error)
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()

    def ledger(self) -> Ledger:
        """Return the ledger, made where there is none yet."""
        from reconciler.ledger import Ledger

        if self._ledger is None:
            self._ledger = self._open.enter_context(Ledger.open(self.settings.state_dir))
        return self._ledger

    def known_ledger(self) -> Ledger | None:
        """Return the ledger if there is one: reading must leave no trace."""
        return self.ledger() if self._ledger is not None or self.settings.state_dir.is_dir() else None

    def owned(self) -> Mapping[Address, Owned]:
        """Return what we own on these clusters."""
        ledger = self.known_ledger()
        return {k: v for target in self.targets for k, v in ledger.owned(target.name).items()} if ledger else {}

    def begun_ports(self) -> Mapping[Address, int]:
        """Return the ports that were chosen for creates whose outcome is still unknown."""
        ledger = self.known_ledger()
        intents = [intent for target in self.targets for intent in ledger.open_intents(target.name)] if ledger else []
        return {one.address: one.body["port"] for one in intents if one.action == "create" and one.body.get("port")}

    def believe(self) -> None:
        """Take the clusters as they are now, however old: somebody says that they were restored or rebuilt."""
        ledger = self.known_ledger()
        for target in self.targets if ledger else ():
            self.ledger().forget_state_id(target.name)

    @contextlib.contextmanager
    def locked(self, clusters: Iterable[str]) -> Iterator[None]:
        """Hold the lock of each cluster, always in the same order."""
        with contextlib.ExitStack() as stack:
            for name in sorted(clusters):
                stack.enter_context(self.ledger().lock(name))
            yield
