"""Every field of what is always there or stands alone, there and back: settings, policy, nodes, proxies, licence …

What `test_fields.py` shows for objects that are made and deleted, this shows for the others, by the same data. The
facts (`tests/kinds/facts.py`) say what a value needs beside it, and which fields want a test of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import SINGLETON, Kind, kind_source
from reconciler.kinds.vocabulary import is_value_from
from reconciler.manifests import Resource
from reconciler.model import Level
from reconciler.simulator.cluster.licenses import make
from tests.engine.test_fields import APART, journeys
from tests.kinds.facts import of_fields, of_kinds
from tests.kinds.samples import name_of
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY, Simulation

FIXED = [kind for kind in KINDS.values() if (kind.singleton or kind.rest.key == ("uid",)) and kind.name not in APART]

LEAST: Mapping[str, Mapping[str, Any]] = of_kinds("least")
NEEDS: Mapping[tuple[str, str], Mapping[str, Any]] = of_fields("beside")
VALUES: Mapping[tuple[str, str], list[Any]] = {
    **of_fields("values"),
    ("License", "license"): [make(shards_limit=100), make(shards_limit=200)],
}
ONE = of_fields("once")
ELSEWHERE: Mapping[tuple[str, str], str] = of_fields("elsewhere")


def cases(*, old: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (kind, field); the *old* ones too, which the newest server has no more."""
    for kind in FIXED:
        for name, field in kind.fields.items():
            left = field.access.read_only or field.access.option_of is not None or (kind.name, name) in ELSEWHERE
            if not left and (old or not field.support.until):
                yield kind.name, name


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Simulation]:
    rig = Simulation(tmp_path / "state")
    rig.call("POST", "/v1/bdb_groups", {"memory_size": 2**30})
    yield rig
    rig.client.close()
    rig.ledger.disconnect()


def values_through(kind: Kind, name: str) -> list[list[Any]]:
    """Return the values to go through, each list from a fresh start."""
    if (kind.name, name) in VALUES:
        values = VALUES[kind.name, name]
        return [[*values, values[0]] if values[1:] else values]
    if (kind.name, name) in ONE:
        return [kind_source(kind.name)["properties"][name]["examples"][:1]]
    return journeys(kind, name)


def wanted(kind: Kind, name: str, value: Any) -> Resource:
    spec = {**LEAST.get(kind.name, {}), **NEEDS.get((kind.name, name), {}), name: value}
    if kind.name == "LDAP":
        for one, other in (("user_dn_template", "user_dn_query"), ("dn_group_attr", "dn_group_query")):
            spec |= {other: {}} if spec.get(one) else {one: ""} if spec.get(other) else {}
    if spec.get("audit_protocol") == "local":
        del spec["audit_port"]
    assert kind.validator.findings(spec) == []
    return declared(kind.name, name_of(kind), spec)


@pytest.mark.parametrize(("kind_name", "name"), list(cases()))
def test_a_setting_goes_there_and_back(rig: Simulation, kind_name: str, name: str) -> None:
    kind = KINDS[kind_name]
    for values in values_through(kind, name):
        writes = 0
        for value in values:
            resource = wanted(kind, name, value)
            begun = len(rig.sent)
            alone = is_value_from(value) and not writes and not rig.plan([resource]).changes
            if alone:  # nothing shows that there was none, and no other change sends it
                assert [note.level for note in rig.plan([resource]).notes] == [Level.HELD]
            plan = rig.plan([resource], resend_secrets=frozenset({str(resource.address)} if alone else ()))
            report = rig.apply(plan)
            assert [outcome.why for outcome in report.outcomes if outcome.why] == []
            assert rig.plan([resource]).changes == ()
            assert len(rig.sent) - begun == len(plan.changes)
            writes += len(plan.changes)
            if is_value_from(value):
                assert f"{CANARY}-{value['valueFrom']['env']}" in str(rig.sent[-1].body)
        assert writes >= min(1, len(values) - 1)


def test_a_single_object_has_one_name() -> None:
    assert {name_of(kind) for kind in FIXED if kind.singleton} == {SINGLETON}
