"""Every settable field of every kind, there and back: two valid values at least, over TLS, on a real socket.

The values come from the kind files (`examples`, enums, ranges), so a new field is tested by being described. The facts
(`tests/kinds/facts.py`) say what a value needs beside it, and which fields the API lets one set once only.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.hooks import hook_of
from reconciler.client import Client
from reconciler.diff.normalize import canonical
from reconciler.kinds import Field, Kind
from reconciler.kinds.vocabulary import is_value_from
from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.plan import Action
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.testing import running
from tests.kinds.facts import of_fields, of_kinds
from tests.kinds.samples import values_of
from tests.support.cluster import Endpoints
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY, Simulation

LEAST: Mapping[str, Mapping[str, Any]] = of_kinds("least")
NEEDS: Mapping[tuple[str, str], Mapping[str, Any]] = of_fields("beside")
VALUES: Mapping[tuple[str, str], list[Any]] = of_fields("values")
ONCE = of_fields("once")
ONE_WAY = of_fields("grows")


def least(kind: Kind) -> Mapping[str, Any]:
    """Return what an object of *kind* needs before anything else can be said of it."""
    needed = [rule["field"] for rule in kind.required_on_create if rule["field"] in kind.examples[0]]
    return LEAST.get(kind.name) or {name: kind.examples[0][name] for name in needed}


# Kinds that a hook reads and writes whole have tests of their own: test_every_kind.py says where.
APART = {"ActiveActiveDatabase", "Certificate", "ClusterBootstrap", "Module", "NodeMaintenance"}

CASES = [
    (kind.name, name)
    for kind in KINDS.values()
    if not kind.singleton and kind.rest.key != ("uid",) and kind.name not in APART  # singles are in test_settings.py
    for name, field in kind.fields.items()
    if not field.access.read_only
    and field.access.option_of is None
    and (name not in hook_of(kind).sub_resources or name == "redis_version")  # sub-resources: test_sub_resources.py
]


class Server:
    """A simulator on a real socket, in the shape that `Simulation` needs of its cluster."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside
        self.core = inside.core
        self.clock = time.monotonic
        self.sleep = time.sleep

    @property
    def log(self) -> list[Any]:
        return list(self.inside.log)

    def client(self) -> Client:
        where = Endpoints(self.inside.urls, ca_cert=self.inside.ca_file)
        login = (self.inside.username, Secret(self.inside.password))
        return Client(where, login, Runtime(random=random.Random(1)))


class SocketRig(Simulation):
    def __init__(self, folder: Path, server: Server) -> None:
        super().__init__(folder)
        self.clusters["dc1"] = server  # type: ignore[assignment]
        self.client = server.client()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    with running(nodes=3, rack_aware=True) as inside:
        rig = SocketRig(tmp_path_factory.mktemp("fields") / "state", Server(inside))
        yield rig
        rig.client.close()
        rig.ledger.disconnect()


def spec_with(kind: str, name: str, value: Any) -> dict[str, Any]:
    """Return the smallest valid spec that sets *name* to *value*."""
    spec = {**least(KINDS[kind]), **NEEDS.get((kind, name), {}), name: value}
    if kind == "User" and spec.get("auth_method", "regular") != "regular":
        spec["password"] = None
        spec.setdefault("certificate_subject_line", "CN=probe") if spec["auth_method"] == "certificate" else None
    if kind == "Database" and name == "sharding" and value:
        spec["shards_count"] = 2
    spec = {field: part for field, part in spec.items() if part is not None}
    assert KINDS[kind].validator.findings(spec) == []
    return spec


def referred(field: Field, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (kind, name) of what *value* refers to."""
    if isinstance(value, str) and field.reference and value not in field.reference.literals:
        yield field.reference.kind, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            if name in field.properties:
                yield from referred(field.properties[name], part)
    elif isinstance(value, list):
        for part in value:
            yield from referred(field.items or field, part)


def beside(kind: Kind, spec: Mapping[str, Any]) -> list[Resource]:
    """Return the objects that *spec* refers to."""
    found = {pair for name, value in spec.items() for pair in referred(kind.fields[name], value)}
    return [declared(other, name, {**least(KINDS[other])}) for other, name in sorted(found) if other != kind.name]


def converge(rig: Simulation, kind: Kind, name: str, spec: Mapping[str, Any]) -> Any:
    """Apply *spec*, and show that the plan is empty afterwards; return the plan of the object itself."""
    others = beside(kind, spec)
    rig.converge(others)
    wanted = [declared(kind.name, name, spec), *others]
    plan = rig.plan(wanted)
    report = rig.apply(plan)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(wanted).changes == ()
    return plan


def sent(rig: Simulation, begun: int, field: Field) -> list[Any]:
    """Return what the requests since *begun* said of *field*."""
    bodies = [json.loads(entry.body) for entry in rig.sent[begun:] if entry.body]
    return [body[field.wire] for body in bodies if field.wire in body]


def distinct(kind: Kind, name: str, values: list[Any]) -> list[Any]:
    """Return *values* without those that mean the same: 100mb and 104857600."""
    forms = [json.dumps(canonical(kind, {name: value}), sort_keys=True) for value in values]
    return list(dict(zip(forms, values, strict=True)).values())


def journeys(kind: Kind, name: str) -> list[list[Any]]:
    """Return the values to go through, each list on objects of its own: there, on, and back again."""
    field, schema = kind.fields[name], kind.schema["properties"][name]
    if field.properties and not field.form.variants and name != "gradual_sync_policy_parameters":
        nested = [(child, values_of(part)[:2]) for child, part in schema["properties"].items()]
        nested = [(child, values) for child, values in nested if not isinstance(values[0], dict)]
        return [[{child: value} for value in (*values, values[0])] for child, values in nested]
    values = distinct(kind, name, VALUES.get((kind.name, name)) or values_of(schema))
    assert len(values) >= 2, f"{name} needs two values that differ"
    if field.change.immutable or (kind.name, name) in ONCE:
        return [[value] for value in values]
    return [[*values, values[0]]] if (kind.name, name) not in ONE_WAY else [values]


@pytest.mark.parametrize(("kind_name", "name"), CASES)
def test_a_field_goes_there_and_back(rig: Simulation, kind_name: str, name: str) -> None:
    kind = KINDS[kind_name]
    for number, values in enumerate(journeys(kind, name)):
        label = f"{kind_name}-{name}-{number}".lower().replace("_", "-")
        for step, value in enumerate(values):
            spec = spec_with(kind_name, name, value)
            if kind_name == "User":
                spec["email"] = value if name == "email" else f"{label}@example.com"
            begun = len(rig.sent)
            plan = converge(rig, kind, label, spec)
            own = [change.action for change in plan.changes if change.address == Address("dc1", kind_name, label)]
            assert own == [Action.UPDATE if step else Action.CREATE], value
            arrived = sent(rig, begun, kind.fields[name])
            assert arrived, f"{name} was never sent"
            if is_value_from(value):
                assert arrived == [f"{CANARY}-{value['valueFrom']['env']}"]
