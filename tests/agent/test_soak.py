"""Thirty days in virtual time: commits, people, broken calls, restarts and failovers; in the end all is as in git."""

from __future__ import annotations

import gc
import os
import random
from collections import Counter
from pathlib import Path

from reconciler.agent.status import Phase
from tests.agent.rig import Fleet

DAY = 86_400
STEP = 3 * 3600  # between two events
HEAD = "apiVersion: reconciler/v1\n"


class Git:
    """What the repository says: databases by name with their memory, roles with their rights; None: a tombstone."""

    def __init__(self) -> None:
        self.databases: dict[str, int | None] = {"db-0": 100, "db-1": 100}
        self.roles: dict[str, str] = {"app": "none", "ops": "db_viewer"}

    def text(self) -> str:
        acl = "kind: RedisACL\nmetadata: {name: keys}\nspec: {acl: +@read ~app:*}\n"
        documents = [acl]
        for name, management in self.roles.items():
            documents.append(
                f"kind: Role\nmetadata: {{name: {name}, allow: [may-cut-off]}}\nspec: {{management: {management}}}\n"
            )
        for name, size in self.databases.items():
            if size is None:
                documents.append(f"kind: Database\nmetadata: {{name: {name}, state: absent, allow: [loses-data]}}\n")
            else:
                spec = f"{{memory_size: {size}MiB, roles_permissions: [{{role: app, redis_acl: keys}}]}}"
                documents.append(f"kind: Database\nmetadata: {{name: {name}}}\nspec: {spec}\n")
        return "---\n".join(HEAD + document for document in documents)


class Month:
    """One run of events; the same seed, the same month."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.git = Git()
        self.number = 2
        self.own: list[str] = []  # databases that nobody declares
        agent = "mode: apply, interval: 30m, retryInterval: {base: 1m, max: 20m}, keep: {runs: 40, days: 7}"
        self.fleet = Fleet(folder, agent=agent, looks=600.0, nodes=3)
        self.fleet.source.files = {"base.yaml": self.git.text()}
        self.happened: Counter[str] = Counter()

    def commit(self) -> None:
        kind = self.random.choice(["size", "size", "new", "bury", "role", "bad"])
        standing = [name for name, size in self.git.databases.items() if size is not None]
        self.git.databases = {name: size for name, size in self.git.databases.items() if size is not None}
        if kind == "size":
            self.git.databases[self.random.choice(standing)] = self.random.randrange(100, 400, 10)
        elif kind == "new" and len(standing) < 6:
            self.git.databases[f"db-{self.number}"] = 100
            self.number += 1
        elif kind == "bury" and len(standing) > 2:
            self.git.databases[self.random.choice(standing)] = None
        elif kind == "role":
            self.git.roles["ops"] = self.random.choice(["none", "db_viewer", "cluster_viewer"])
        text = self.git.text()
        if kind == "bad":
            self.fleet.source.commit(base=text.replace("MiB", "MuB"))
            self.fleet.run(3600)
        self.fleet.source.commit(base=text)
        self.happened[f"commit {kind}"] += 1

    def person(self) -> None:
        """Let somebody work on the cluster by hand; what befalls the agent's calls spares theirs."""
        rules = self.fleet.clusters["dc1"].faults.rules
        kept = list(rules)
        rules.clear()
        self.by_hand()
        rules.extend(kept)

    def by_hand(self) -> None:
        fleet, kind = self.fleet, self.random.choice(["size", "delete", "role", "own"])
        databases = [one for one in fleet.call("GET", "/v1/bdbs") if one["status"] == "active"]
        ours = [one for one in databases if one["name"].startswith("db-")]
        if kind == "size" and ours:
            one = self.random.choice(ours)
            fleet.call("PUT", f"/v1/bdbs/{one['uid']}", {"memory_size": self.random.randrange(100, 400) * 1024**2})
        elif kind == "delete" and ours:
            fleet.call("DELETE", f"/v1/bdbs/{self.random.choice(ours)['uid']}")
        elif kind == "role":
            found = [one for one in fleet.call("GET", "/v1/roles") if one["name"] == "ops"]
            if found:
                fleet.call("PUT", f"/v1/roles/{found[0]['uid']}", {"management": "admin"})
        elif kind == "own" and len(databases) < 9:
            self.own.append(f"own-{len(self.own)}")
            fleet.call("POST", "/v1/bdbs", {"name": self.own[-1], "memory_size": 100 * 1024**2})
        self.happened[f"person {kind}"] += 1

    def trouble(self) -> None:
        faults = self.fleet.clusters["dc1"].faults
        kind = self.random.choice(["503", "lost", "500_after", "drop", "409", "failover", "429", "dead", "stuck"])
        if kind == "failover":
            faults.add("failover", times=1, seconds=120)
        elif kind == "dead":
            faults.add("refuse", times=60)
        elif kind in ("lost", "500_after", "drop"):
            faults.add(kind, method=self.random.choice(["POST", "PUT", "DELETE"]), times=2)
        elif kind == "stuck":
            faults.add("fail", method="PUT", path="/v1/bdbs/", times=1)
        else:
            faults.add(kind, times=self.random.randrange(1, 12))
        self.happened[f"trouble {kind}"] += 1

    def restart(self) -> None:
        self.fleet.restart()
        self.happened["restart"] += 1

    def day(self) -> None:
        for _ in range(DAY // STEP):
            self.random.choice([self.commit, self.person, self.trouble, self.trouble, self.restart])()
            self.fleet.run(STEP)

    def quiet(self, seconds: float = DAY) -> None:
        self.fleet.clusters["dc1"].faults.clear()
        self.fleet.run(seconds)

    def footprint(self) -> tuple[int, int, int]:
        """Return bytes of the ledger, our objects in memory, and calls of a quiet day."""
        self.quiet()
        before = len(self.fleet.calls())
        self.quiet()
        calls = len(self.fleet.calls()) - before
        self.fleet.events.clear()  # what the test itself keeps
        gc.collect()
        ours = sum(
            str(type(one).__module__).startswith("reconciler.") and "simulator" not in type(one).__module__
            for one in gc.get_objects()
        )
        state = self.fleet.context.settings.state_dir
        return sum(os.path.getsize(state / name) for name in os.listdir(state)), ours, calls


def test_after_a_month_of_everything_the_cluster_is_as_in_git_and_nothing_has_grown(tmp_path: Path) -> None:
    month = Month(tmp_path, seed=11)
    fleet = month.fleet
    for _ in range(10):
        month.day()
    early = month.footprint()
    for _ in range(16):
        month.day()
    late = month.footprint()

    there = {one["name"]: one["memory_size"] // 1024**2 for one in fleet.call("GET", "/v1/bdbs")}
    names = [one["name"] for one in fleet.call("GET", "/v1/bdbs")]
    assert len(names) == len(set(names))
    declared = {name: size for name, size in month.git.databases.items() if size is not None}
    assert {name: size for name, size in there.items() if name.startswith("db-")} == declared
    assert fleet.wire("/v1/roles", "ops")["management"] == month.git.roles["ops"]
    assert {name for name in there if name.startswith("own-")} == set(month.own)
    status = fleet.status()
    assert (status.phase, status.failure, status.drift, status.plan.changes) == (Phase.IDLE, None, (), ())
    assert status.revision == fleet.source.id

    size, objects, calls = (after / before for before, after in zip(early, late, strict=True))
    assert calls <= 1.05
    assert size <= 1.5
    assert objects <= 1.2
    assert len(fleet.ledger.runs(1000)) <= 60
    assert fleet.ledger.open_intents("dc1") == ()
    kinds = {name.split()[0] for name in month.happened}
    assert kinds == {"commit", "person", "trouble", "restart"}
