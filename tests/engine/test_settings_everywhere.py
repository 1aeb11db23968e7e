"""All fields of a settings kind at once, under every server version and every reading of what the facts leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.diff.normalize import hidden_values
from reconciler.kinds import Kind, kind_source
from reconciler.kinds.vocabulary import is_value_from
from reconciler.manifests import Resource
from reconciler.simulator.settings import SWITCHES
from tests.engine.test_settings import FIXED, LEAST, VALUES, cases, values_through
from tests.kinds.facts import of_fields, of_kinds
from tests.kinds.samples import name_of
from tests.kinds.test_simulator import VERSIONS, has
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY, Simulation

READINGS = [
    (name, choice)
    for name in ("ldap_pairs", "nested_settings", "read_only_fields", "unknown_fields")
    for choice in SWITCHES[name].choices
]
FIELDS = list(cases(old=True))
PORTS = 20000  # two fields of one kind must not take the same one
ALONE = of_kinds("alone")
LATER = of_fields("apart")  # these are in test_settings.py


def ages(words: Mapping[str, Any]) -> dict[str, Any]:
    return {word: words.get(f"x-{word}") for word in ("since", "until")}


def whole(kind: Kind, turn: int, version: str = "8.2") -> Resource:
    """Declare every field of *kind* that a server *version* has: each with its first value, or the next in turn."""
    properties = kind_source(kind.name)["properties"]
    names = [name for other, name in FIELDS if other == kind.name and (kind.name, name) not in LATER]
    spec: dict[str, Any] = {}
    for place, name in enumerate(names):
        values = values_through(kind, name)[0]
        value = values[turn % len(values)]
        if properties[name].get("minimum") == 1024:
            value = PORTS + 2 * place + turn
        if has(ages(properties[name]), version):
            spec[name] = _known(properties[name], value, version)
    return declared(kind.name, name_of(kind), spec if kind.name not in ALONE else _example(kind, turn, version))


def _known(schema: Mapping[str, Any], value: Any, version: str) -> Any:
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    return {name: part for name, part in value.items() if has(ages(schema["properties"][name]), version)}


def _example(kind: Kind, turn: int, version: str) -> dict[str, Any]:
    properties = kind_source(kind.name)["properties"]
    spec = {**LEAST[kind.name], **kind_source(kind.name)["examples"][turn]}
    spec.pop("audit_port", None) if spec.get("audit_protocol") == "local" else None
    for one, other in (("user_dn_template", "user_dn_query"), ("dn_group_attr", "dn_group_query")):
        spec |= {other: {}} if spec.get(one) else {one: ""} if spec.get(other) else {}
    known = {name: _known(properties[name], value, version) for name, value in spec.items()}
    return {name: value for name, value in known.items() if has(ages(properties[name]), version)}


def there_and_on(rig: Simulation, kind: Kind, version: str) -> Iterator[list[str]]:
    """Apply one set of values and another; yield what went wrong each time: not sent, not done, not as declared."""
    for turn in (0, 1):
        resource = whole(kind, turn, version)
        begun = len(rig.sent)
        report = rig.apply(rig.plan([resource]))
        sent = "".join(str(entry.body) for entry in rig.sent[begun:])
        secrets = {name for _, value in hidden_values(kind, resource.spec) for name in _names(value)}
        yield [f"{name} was never sent" for name in sorted(secrets) if f"{CANARY}-{name}" not in sent]
        yield [outcome.why for outcome in report.outcomes if outcome.why]
        yield [field.path for change in rig.plan([resource]).changes for field in change.fields]


def _names(value: Any) -> Iterator[str]:
    """Yield the names of the secret that *value* refers to."""
    return iter(value["valueFrom"].values() if is_value_from(value) else ())


def rig_of(folder: Path, kind: Kind, **settings: Any) -> Simulation:
    rig = Simulation(folder / "state", **settings)
    rig.call("POST", "/v1/bdb_groups", {"memory_size": 2**30})
    return rig


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: kind.name)
def test_all_settings_of_a_version_go_there_and_on(tmp_path: Path, kind: Kind, version: str) -> None:
    if has({"since": kind.support.since, "until": kind.support.until}, version):
        rig = rig_of(tmp_path, kind, server_version=version)
        assert [*there_and_on(rig, kind, version)] == [[]] * 6


@pytest.mark.parametrize(("switch", "choice"), READINGS)
@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: kind.name)
def test_all_settings_go_there_and_on_whatever_the_facts_leave_open(
    tmp_path: Path, kind: Kind, switch: str, choice: str
) -> None:
    rig = rig_of(tmp_path, kind, switches={switch: choice})
    assert [*there_and_on(rig, kind, "8.2")] == [[]] * 6


def test_values_and_kinds_of_the_tables_exist() -> None:
    assert {kind for kind, _ in VALUES} | set(ALONE) | set(LEAST) <= KINDS.keys()
