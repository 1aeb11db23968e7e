"""One simulated cluster, a ledger and the engine, in one process and in virtual time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.api.codec import decode, natural_key
from reconciler.api.driver import drive
from reconciler.api.read import listing
from reconciler.apply import ExecutionContext, execute, recover, unfinished_creates
from reconciler.apply.report import Report
from reconciler.diff.normalize import canonical
from reconciler.kinds import load_kinds
from reconciler.ledger import Ledger
from reconciler.ledger.secret_status import secret_statuses
from reconciler.manifests import Resource
from reconciler.model import Address, LiveObject, LiveState
from reconciler.plan import Options, Plan
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.core import LogEntry
from reconciler.simulator.testing import Caller
from reconciler.telemetry import Event
from reconciler.yaml12 import Place
from tests.support.inprocess import World
from tests.support.planning import make_plan

KINDS = load_kinds()
CANARY = "canary-5Yq8vTz2-password"


def declared(
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    *,
    absent: bool = False,
    protect: bool | None = None,
    renamed_from: str | None = None,
) -> Resource:
    """Return a resource as the manifests give it."""
    return Resource(
        address=Address("dc1", kind, name),
        spec=canonical(KINDS[kind], spec),
        absent=absent,
        protect=protect,
        renamed_from=renamed_from,
        ignore=(),
        labels={},
        place=lambda path: Place("shop.yaml", 1, 1),
    )


def shop() -> list[Resource]:
    """Ten objects of all kinds that refer to each other."""
    databases = [
        declared(
            "Database",
            f"db-{number}",
            {
                "memory_size": "100MiB",
                "tags": [{"key": "team", "value": f"t{number}"}],
                "roles_permissions": [{"role": "app", "redis_acl": "app-keys"}],
            },
        )
        for number in range(4)
    ]
    return [
        declared("RedisACL", "app-keys", {"acl": "+@read ~app:*"}),
        declared("RedisACL", "ops-keys", {"acl": "+@all ~*"}),
        declared("Role", "app", {"management": "none"}),
        declared("Role", "ops", {"management": "db_viewer"}),
        declared("User", "anna", user_spec("anna", ["app"])),
        declared("User", "omar", user_spec("omar", ["ops"])),
        *databases,
    ]


def user_spec(name: str, roles: Sequence[str]) -> dict[str, Any]:
    return {
        "email": f"{name}@example.com",
        "roles": list(roles),
        "password": {"valueFrom": {"env": f"{name.upper()}_PASSWORD"}},
    }


def runtime_of(clock: Callable[[], float], chance: random.Random, more: dict[str, Any], **usual: Any) -> Runtime:
    """Return a runtime in virtual time; what *more* has of its fields is taken out of it."""
    own = {name: more.pop(name) for name in [*more] if name in ("sleep", "stop", "observe")}
    fields = {**usual, **own}
    return Runtime(
        clock=clock, now=clock, random=random.Random(11), new_id=lambda: chance.randbytes(16).hex(), **fields
    )


class Rig:
    """Everything that one scenario needs."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        settings.setdefault("nodes", 3)
        self.world = World(**settings)
        self.client = self.world.client()
        self.folder = folder
        self.random = random.Random(7)
        self.ledger = self.open_ledger()
        self.events: list[Event] = []
        self.stop = threading.Event()
        self.passwords: dict[str, str] = {}

    def open_ledger(self) -> Ledger:
        return Ledger.open(self.folder, now=self.world.clock, random_bytes=self.random.randbytes)

    def reopen(self) -> None:
        """Do what a new process does: a new ledger, a new client."""
        self.ledger.disconnect()
        self.ledger = self.open_ledger()
        self.client = self.world.client()
        self.stop = threading.Event()

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        (name,) = value_from.values()
        return Secret(self.passwords.get(name, f"{CANARY}-{name}"))

    def read(self) -> LiveState:
        """Read the cluster whole."""
        lists = {name: drive(listing(kind, None), self.client) for name, kind in KINDS.items()}
        names = {
            name: {wire[KINDS[name].rest.id]: natural_key(KINDS[name], wire) for wire in found}
            for name, found in lists.items()
        }
        objects = {
            name: tuple(
                decode(KINDS[name], wire, names) for wire in sorted(found, key=lambda one: one[KINDS[name].rest.id])
            )
            for name, found in lists.items()
        }
        ports = frozenset(one.spec["port"] for one in objects["Database"] if "port" in one.spec)
        return LiveState("dc1", objects, ports, self.client.state_id)

    def plan(self, resources: Sequence[Resource], live: LiveState | None = None, **options: Any) -> Plan:
        state = live or self.read()
        pinned = {
            address: intent.body["port"]
            for address, intent in unfinished_creates(self.ledger, "dc1").items()
            if "port" in intent.body
        }
        return make_plan(
            KINDS,
            resources,
            {"dc1": state},
            self.ledger.owned("dc1"),
            Options(pinned_ports=pinned, **options),
            self.secrets(resources),
        )

    def secrets(self, resources: Sequence[Resource]) -> dict[tuple[Address, str], str]:
        return secret_statuses(KINDS, resources, self.reveal, self.ledger)

    def apply(self, plan: Plan, *, parallelism: int = 1, **more: Any) -> Report:
        """Execute *plan*; *more* are fields of `ExecutionContext` and of `Runtime`."""
        runtime = runtime_of(
            self.world.clock, self.random, more, sleep=self.world.sleep, observe=self.events.append, stop=self.stop
        )
        fields: dict[str, Any] = {"clients": {"dc1": self.client}, "ledger": self.ledger, **more}
        context = ExecutionContext(KINDS, reveal=self.reveal, runtime=runtime, **fields)
        return execute(plan, context, parallelism=parallelism)

    def converge(self, resources: Sequence[Resource], **more: Any) -> Report:
        """Do one whole pass: read, recover, plan, apply."""
        live = self.read()
        recover(self.ledger, KINDS, live)
        return self.apply(self.plan(resources, live), live={"dc1": live}, **more)

    # --- what the cluster says --------------------------------------------------------------------------------------

    @property
    def writes(self) -> list[LogEntry]:
        """The calls that changed what the cluster holds."""
        return [entry for entry in self.world.log if entry.effect]

    @property
    def sent(self) -> list[LogEntry]:
        """The writes that reached the cluster, whatever became of them."""
        return [entry for entry in self.world.log if entry.method != "GET"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Be somebody else who works on the same cluster."""
        return Caller(self.world.core)(method, path, body)

    def wire(self, kind: str, name: str) -> dict[str, Any]:
        """Return one object as the API gives it."""
        found = [one for one in self.call("GET", KINDS[kind].rest.path).json() if one["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} called {name}"
        return dict(found[0])

    def object(self, kind: str, name: str) -> LiveObject:
        return next(one for one in self.read().objects[kind] if one.name == name)
