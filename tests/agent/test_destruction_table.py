"""Every destructive change × no consent, by flag, in git, in git beyond the limit × apply, apply FILE, the agent.

One process and virtual time: the commands get a session on simulated clusters. Kinds that hold data are found by
themselves; what replaces one, and how one is declared, has to be added to the tables below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconciler.commands import apply, plan
from reconciler.commands.console import Console
from reconciler.errors import ReconcilerError
from reconciler.kinds.vocabulary import API_VERSION, CONSENT
from reconciler.session import Session, SessionOverrides
from tests.agent.rig import PASSWORD, Fleet
from tests.support.resources import KINDS

Manifest = dict[str, Any]
LOGIN = {"username": "admin@example.com", "password": {"valueFrom": {"env": "PEER"}}}
BOTH = [{"cluster": name, "credentials": LOGIN} for name in ("east", "west")]
CARTS = {"default_db_config": {"memory_size": "1GiB"}, "instances": BOTH}
HASHED = {"memory_size": "1GiB", "sharding": True, "oss_sharding": True, "shards_count": 2}

SPECS: Mapping[str, Mapping[str, Any]] = {"Database": {"memory_size": "100MiB"}, "ActiveActiveDatabase": CARTS}
REPLACED: Mapping[str, Mapping[str, Any]] = {
    "Database": {"memory_size": "100MiB", "type": "memcached"},
    "ActiveActiveDatabase": {**CARTS, "default_db_config": HASHED},
}
HOLDING = [name for name, kind in KINDS.items() if kind.policy.protect]


class Row(NamedTuple):
    """A destructive change of one object: the spec before and after, None for a tombstone, "" for no manifest."""

    kind: str
    what: str
    before: Mapping[str, Any]
    after: Mapping[str, Any] | str | None
    impact: str = "loses-data"
    name: str = "carts"

    @property
    def destroys(self) -> bool:
        """Whether --allow-destroy consents to it."""
        return self.what != "update"

    def __str__(self) -> str:
        return f"{self.kind}-{self.what}-{self.impact}"


UPDATES = (
    Row("Database", "update", {"memory_size": "100MiB", "replication": True},
        {"memory_size": "100MiB", "replication": False}, "may-lose-data"),
    Row("Database", "update", {"memory_size": "100MiB", "sharding": True, "shards_count": 1},
        {"memory_size": "100MiB", "sharding": True, "shards_count": 2}, "irreversible"),
    Row("Database", "update", {"memory_size": "100MiB", "replica_read_only": False},
        {"memory_size": "100MiB", "replica_read_only": True}, "loses-data"),
    Row("ActiveActiveDatabase", "update", {**CARTS, "default_db_config": {"memory_size": "2GiB", "replication": True}},
        {**CARTS, "default_db_config": {"memory_size": "2GiB", "replication": False}}, "may-lose-data"),
    Row("ClusterPolicy", "update", {"acl_pubsub_default": "allchannels"},
        {"acl_pubsub_default": "resetchannels"}, "irreversible", "cluster"),
    Row("Role", "update", {"management": "cluster_viewer"}, {"management": "none"}, "may-cut-off"),
)  # fmt: skip
ROWS = [
    *(Row(name, "tombstone", SPECS.get(name, {}), None) for name in HOLDING),
    *(Row(name, "prune", SPECS.get(name, {}), "") for name in HOLDING),
    *(Row(name, "replace", SPECS.get(name, {}), REPLACED.get(name, {})) for name in HOLDING),
    Row("ActiveActiveDatabase", "departure", {**CARTS, "instances": [*BOTH, {**BOTH[0], "cluster": "north"}]}, CARTS),
    *UPDATES,
]


def test_every_kind_that_holds_data_and_every_class_has_rows() -> None:
    assert SPECS.keys() == REPLACED.keys() == set(HOLDING)
    assert {row.impact for row in ROWS} == set(CONSENT)


class World:
    """Clusters on which the object of a row is as it was before; git says what it should be from now on."""

    def __init__(self, folder: Path, row: Row) -> None:
        self.row = row
        self.names = ("east", "west", "north") if row.kind == "ActiveActiveDatabase" else ("east",)
        self.fleet = Fleet(folder, *self.names, agent="mode: apply, interval: 5m")
        self.fleet.environ["PEER"] = PASSWORD
        self.fleet.restart()
        self.declare(row.before)
        self.fleet.run(900)
        assert [self.fleet.status(name).failure for name in self.names] == [None] * len(self.names)
        self.before = self.state()

    def state(self) -> Any:
        """Return what the row is about: which objects of the kind there are, or what an update of it changes."""
        found = [(name, one) for name in self.names for one in self.objects(name)]
        if self.row.what in ("tombstone", "prune", "replace"):
            return [(name, one.get("uid") or one.get("guid")) for name, one in found]
        return [(name, {field: one.get(field) for field in self.row.before}) for name, one in found]

    def objects(self, cluster: str) -> list[dict[str, Any]]:
        """Return what a cluster has of the kind."""
        answer = self.fleet.call("GET", KINDS[self.row.kind].rest.path, cluster=cluster)
        return answer if isinstance(answer, list) else [answer]

    @property
    def changed(self) -> bool:
        return bool(self.state() != self.before)

    def declare(self, spec: Mapping[str, Any] | str | None, *, allow: bool = False) -> None:
        """Let git say this, with consent or without."""
        other: Manifest = {"kind": "Role", "metadata": {"name": "other", "cluster": "east"}}
        documents = [{**other, "spec": {"management": "none"}}]
        if spec != "":
            metadata = {"name": self.row.name, "cluster": "east"} | ({"allow": [self.row.impact]} if allow else {})
            mine: Manifest = {"kind": self.row.kind, "metadata": metadata}
            documents.append(
                {**mine, "metadata": {**metadata, "state": "absent"}} if spec is None else {**mine, "spec": spec}
            )
        text = "\n---\n".join(json.dumps({"apiVersion": API_VERSION, **one}) for one in documents)
        self.fleet.source.commit(base=text)
        (self.fleet.folder / "base").mkdir(exist_ok=True)
        (self.fleet.folder / "base" / "all.yaml").write_text(text)

    def limit(self, *impacts: str) -> None:
        """Let the operator permit manifests to consent to these."""
        self.fleet.own = dict.fromkeys(self.fleet.own, f"allowedImpacts: {json.dumps(impacts)}")
        self.fleet.settings()

    def command(self, monkeypatch: pytest.MonkeyPatch, command: Any, *words: str) -> int:
        """Run *command* in this process; return its exit code."""

        @contextmanager
        def session(flags: Mapping[str, Any], console: Console) -> Iterator[Session]:
            settings = self.fleet.settings()
            overrides = SessionOverrides(ledger=self.fleet.ledger, connect=self.fleet.connect)
            with Session(settings, settings.selected, runtime=self.runtime(), overrides=overrides) as opened:
                yield opened

        module = {"apply": apply, "plan": plan}[command]
        monkeypatch.setattr(module, "open_session", session)
        prune = ("--prune",) if self.row.what == "prune" and words[:1] != ("plan.json",) else ()
        try:
            return int(module.command.main([*words, *prune], standalone_mode=False) or 0)
        except ReconcilerError as error:
            return error.exit_code

    def runtime(self) -> Any:
        return replace(self.fleet.context.runtime, observe=lambda event: None)

    def consent_flag(self) -> tuple[str, str]:
        address = f"east:{self.row.kind}/{self.row.name}"
        return ("--allow-destroy", address) if self.row.destroys else ("--allow-impact", f"{address}={self.row.impact}")


@pytest.fixture(params=ROWS, ids=str)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, request.param)
    made.declare(made.row.after)
    return made


def test_apply(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.command(monkeypatch, "apply", "--yes") == 5
    world.limit()
    world.declare(world.row.after, allow=True)
    assert world.command(monkeypatch, "apply", "--yes") == 5
    assert not world.changed
    if world.row.after == "":
        assert world.command(monkeypatch, "apply", "--yes", *world.consent_flag()) == 0
    else:
        world.limit(world.row.impact)
        assert world.command(monkeypatch, "apply", "--yes") == 0
    assert world.changed


def test_apply_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.command(monkeypatch, "plan", "--out", "plan.json") == 5
    assert not Path("plan.json").exists()
    if world.row.after != "":
        world.declare(world.row.after, allow=True)
        assert world.command(monkeypatch, "plan", "--out", "plan.json") == 0
        world.limit()
        assert world.command(monkeypatch, "apply", "plan.json", "--yes") == 5
    assert world.command(monkeypatch, "plan", "--out", "plan.json", *world.consent_flag()) == 0
    assert not world.changed
    assert world.command(monkeypatch, "apply", "plan.json", "--yes") == 0
    assert world.changed


def test_the_agent(world: World) -> None:
    fleet = world.fleet
    fleet.agent = f"mode: apply, interval: 5m, prune: {json.dumps(world.row.what == 'prune')}"
    fleet.loop.reload()
    fleet.run(900)
    assert any(f"{world.row.kind}/{world.row.name}" in one for one in fleet.status("east").held)
    if world.row.after != "":
        world.limit()
        fleet.loop.reload()
        world.declare(world.row.after, allow=True)
        fleet.run(900)
        assert not world.changed
        assert fleet.status("east").why.startswith("reconciler approve ")
        fleet.ledger.memory.remember("east", "approved", fleet.status("east").plan_digest)
        fleet.run(900)
        assert world.changed
    else:
        assert not world.changed
