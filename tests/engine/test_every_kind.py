"""What holds for every kind, by tests that know none of them by name: its example is made or set and reads back, it is
taken away or forgotten, and the export of a cluster that has everything plans to nothing.

Fields one by one are in `test_fields.py`, `test_settings.py`, `test_active_active_fields.py` and
`test_sub_resources.py`; that no field is in none of them is shown here. `SPECS` says what an example cannot: what a
cluster really checks.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.hooks.clusterbootstrap import place
from reconciler.errors import InputError
from reconciler.export import Exported, manifests_of
from reconciler.kinds import Kind, kind_source
from reconciler.kinds.vocabulary import API_VERSION
from reconciler.manifests import Resource, load
from reconciler.model import NOT_COMPARABLE, Address, Level
from reconciler.plan import Action
from reconciler.render.reasons import note_text
from reconciler.settings.target import Target
from reconciler.simulator.cluster import pem
from reconciler.simulator.cluster.licenses import make
from reconciler.yaml12.writer import document
from tests.engine import test_active_active_fields, test_fields, test_settings
from tests.engine.active_active import ActiveActive, instance
from tests.engine.test_fields import least, referred
from tests.engine.test_modules import FILE, packed
from tests.kinds.samples import fields_of, name_of, put, wrong_values_of
from tests.support.resources import KINDS, declared
from tests.support.simulation import NAMES

HOME = "dc1"


def certificate(rig: ActiveActive) -> Mapping[str, Any]:
    pair = pem.make("api.local", rig.clock(), 365)
    rig.passwords["API_KEY"] = pair.key
    return {"certificate": pair.certificate, "key": {"valueFrom": {"env": "API_KEY"}}}


SPECS: Mapping[str, Callable[[ActiveActive], Mapping[str, Any]]] = {
    "ActiveActiveDatabase": lambda rig: {
        "default_db_config": {"memory_size": "1GiB"},
        "instances": [instance("dc1"), instance("dc2")],
    },
    "Certificate": lambda rig: certificate(rig),
    "CMSettings": lambda rig: KINDS["CMSettings"].examples[1],  # the first one is the default: nothing to export
    "ClusterBootstrap": lambda rig: {
        "name": NAMES[HOME],
        "machines": [{"address": place(url)} for url in rig.clusters[HOME].core.urls.values()],
    },
    "License": lambda rig: {"license": make(shards_limit=100)},
    "OCSP": lambda rig: {"query_frequency": "2h", "response_timeout": 2},
    "Module": lambda rig: {
        **KINDS["Module"].examples[0],
        "artifact": {"file": FILE, "sha256": hashlib.sha256(packed()).hexdigest()},
    },
}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ActiveActive]:
    yield from new_rig(tmp_path)


def new_rig(folder: Path) -> Iterator[ActiveActive]:
    rig = ActiveActive(folder / "state", ("dc1", "dc2"), nodes=3)
    for name in rig.clusters:
        rig.call("PUT", "/v1/cluster", {"allow_modules_upload": True}, cluster=name)
        rig.call("POST", "/v1/bdb_groups", {"memory_size": 2**30}, cluster=name)
    yield rig
    for client in rig.clients.values():
        client.close()
    rig.ledger.disconnect()


def example(rig: ActiveActive, kind: Kind) -> list[Resource]:
    """Return an object of *kind*, and what it refers to."""
    spec = SPECS[kind.name](rig) if kind.name in SPECS else kind.examples[0]
    assert kind.validator.findings(spec) == []
    found = {pair for name, value in spec.items() for pair in referred(kind.fields[name], value)}
    others = [declared(other, name, least(KINDS[other])) for other, name in sorted(found) if other != kind.name]
    return [declared(kind.name, name_of(kind), spec), *others]


def do(rig: ActiveActive, wanted: Sequence[Resource]) -> list[tuple[Action, Address]]:
    """Make it so, and show that nothing is left to do; return what was done."""
    live = rig.read()
    plan = rig.plan(wanted, live)
    report = rig.apply(plan, live=live, read_file=lambda path: packed())
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(wanted).changes == ()
    return [(change.action, change.address) for change in plan.changes]


every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)


@every_kind
def test_an_example_is_made_or_set_and_reads_back(rig: ActiveActive, kind: Kind) -> None:
    mine, *others = example(rig, kind)
    do(rig, others)
    do(rig, [mine, *others])
    assert mine.address.name in [one.name for one in rig.read()[HOME].objects[kind.name]]


@every_kind
def test_it_is_deleted_by_a_tombstone_or_left_as_it_is(rig: ActiveActive, kind: Kind) -> None:
    mine, *others = example(rig, kind)
    do(rig, [mine, *others])
    begun = len(rig.sent)
    if "delete" in kind.rest.verbs and mine.address.name not in kind.traits.lasting:
        grave = declared(kind.name, mine.address.name, {}, absent=True, protect=False)
        assert do(rig, [grave, *others]) == [(Action.DELETE, mine.address)]
        assert len(rig.sent) > begun
        return
    others = others or [declared("RedisACL", "Full Access", {})]
    plan = rig.plan(others, prune=True)
    assert {(change.action, change.address) for change in plan.changes} <= {(Action.FORGET, mine.address)}
    rig.apply(plan)
    assert len(rig.sent) == begun
    assert rig.plan(others, prune=True).changes == ()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveActive]:
    """A cluster that has something of every kind, and was never seen before: its ledger is empty."""
    for rig in new_rig(tmp_path_factory.mktemp("full")):
        wanted = {str(one.address): one for kind in KINDS.values() for one in reversed(example(rig, kind))}
        do(rig, list(wanted.values()))
        rig.folder = rig.folder.parent / "another"
        rig.reopen()
        yield rig


def exported(rig: ActiveActive, names: Sequence[str]) -> list[tuple[Kind, str]]:
    states, told = rig.read(), Exported()
    return [
        (KINDS[name], manifests_of(KINDS[name], told.new(KINDS[name], states[HOME].objects[name]), cluster=HOME).text)
        for name in names
    ]


def read_back(rig: ActiveActive, text: str) -> list[Resource]:
    """Return what the manifests in *text* declare, as the commands do."""
    cores = {name: cluster.core for name, cluster in rig.clusters.items()}
    where = [Target(name, tuple(core.urls.values()), core.settings.username, {}) for name, core in cores.items()]
    return [*load(["-"], KINDS, stdin=io.BytesIO(text.encode()), clusters=where).resources]


def test_the_export_of_everything_plans_to_nothing(full: ActiveActive) -> None:
    pages = exported(full, list(KINDS))
    resources = read_back(full, "---\n".join(text for _, text in pages if text))
    plan = full.plan(resources)
    assert [(str(change.address), [field.path for field in change.fields]) for change in plan.changes] == []
    held = [note for note in plan.notes if note.level is Level.HELD and note.reason not in NOT_COMPARABLE]
    assert [note_text(note) for note in held] == []  # secrets that were never applied cannot be compared


@every_kind
def test_an_export_holds_every_kind(full: ActiveActive, kind: Kind) -> None:
    ((_, text),) = exported(full, [kind.name])
    assert f"kind: {kind.name}\n" in text


def refused(kind: Kind, path: str, value: Any) -> bool:
    """Say whether a manifest with *value* at *path* is refused, and at that place."""
    name = path.partition(".")[0].partition(":")[0].removesuffix("[]")
    text = document(
        {
            "apiVersion": API_VERSION,
            "kind": kind.name,
            "metadata": {"name": name_of(kind)},
            "spec": put(path, value),
        }
    )
    with pytest.raises(InputError) as caught:
        load(["-"], KINDS, stdin=io.BytesIO(text.encode()))
    return any(problem.path.startswith(f"spec.{name}") for problem in caught.value.problems)


@every_kind
def test_what_a_field_does_not_take_is_refused_with_its_place(kind: Kind) -> None:
    """Manifests are read before any client is made: nothing can have been sent."""
    for path, schema in fields_of(kind_source(kind.name)):
        if not path.endswith("]"):
            for value in wrong_values_of(schema):
                assert refused(kind, path, value), (path, value)


# Where fields are shown to go there and back that the tests of fields leave out.
ELSEWHERE: Mapping[str, str] = {
    "ActiveActiveDatabase": "test_active_active.py",
    "Certificate": "test_special_kinds.py",
    "ClusterBootstrap": "test_bootstrap.py",
    "Database.alerts": "test_sub_resources.py",
    "Database.module_list": "test_sub_resources.py",
    "Database.passwords": "test_sub_resources.py",
    "Database.retire": "test_sub_resources.py",
    "Database.traffic": "test_sub_resources.py",
    "Database.upgrade": "test_sub_resources.py",
    "Module": "test_modules.py",
    "NodeMaintenance": "test_special_kinds.py",
    "Proxy.allow_restart": "test_special_kinds.py",
    "User.passwords": "test_rotation.py",
    "User.retire": "test_rotation.py",
}


@every_kind
def test_every_field_goes_there_and_back_somewhere(kind: Kind) -> None:
    everywhere = {*test_fields.CASES, *test_settings.cases(old=True), *test_settings.ELSEWHERE}
    everywhere |= {("ActiveActiveDatabase", name) for _, name in test_active_active_fields.CASES}
    for name in [name for name in kind.fields if (kind.name, name) not in everywhere]:
        file = ELSEWHERE.get(kind.name) or ELSEWHERE[f"{kind.name}.{name}"]
        assert name in (Path(__file__).parent / file).read_text("utf-8"), name
