"""Every value of a saved plan, edited one at a time, with the digest recomputed: refused, or nothing else is done.

The edits come from a walk through the JSON of a plan that has every action, secrets, a rename, consents and two
clusters. What an apply executes is decided again, so an edit that is not refused must lead to the same changes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconciler import reconcile
from reconciler.errors import ReconcilerError
from reconciler.model import Observed
from reconciler.plan import plan_file
from tests.support.sessions import Runs

BEFORE = """\
apiVersion: reconciler/v1
kind: Cluster
metadata: {name: cluster}
spec: {smtp_host: mail.example.com, smtp_password: {valueFrom: {env: SMTP}}}
---
apiVersion: reconciler/v1
kind: RedisACL
metadata: {name: app-keys}
spec: {acl: +@read ~app:*}
---
apiVersion: reconciler/v1
kind: Role
metadata: {name: app}
spec: {management: none}
---
apiVersion: reconciler/v1
kind: Role
metadata: {name: old}
spec: {management: none}
---
apiVersion: reconciler/v1
kind: User
metadata: {name: anna, cluster: dc1}
spec: {email: anna@example.com, roles: [app], password: {valueFrom: {env: ANNA}}}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: sessions, cluster: dc1}
spec: {memory_size: 100MiB, port: 12001, authentication_redis_pass: {valueFrom: {env: SESSIONS}}}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: old, cluster: dc2}
spec: {memory_size: 100MiB, port: 12002}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: moved, cluster: dc2}
spec: {memory_size: 100MiB, port: 12003, bigstore: false}
"""
AFTER = """\
apiVersion: reconciler/v1
kind: RedisACL
metadata: {name: app-keys}
spec: {acl: +@read +@write ~app:*}
---
apiVersion: reconciler/v1
kind: Role
metadata: {name: app}
spec: {management: db_viewer}
---
apiVersion: reconciler/v1
kind: User
metadata: {name: anne, cluster: dc1, renamedFrom: anna}
spec: {email: anna@example.com, roles: [app], password: {valueFrom: {env: ANNA_NEW}}}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: sessions, cluster: dc1, allow: [may-lose-data]}
spec: {memory_size: 200MiB, eviction_policy: allkeys-lfu, authentication_redis_pass: {valueFrom: {env: SESSIONS}}}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: carts, cluster: dc1, freeze: [{cron: "0 8 * * 6", duration: 1h}]}
spec:
  memory_size: 100MiB
  authentication_redis_pass: {valueFrom: {env: CARTS}}
  roles_permissions: [{role: app, redis_acl: app-keys}]
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: old, cluster: dc2, state: absent}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: moved, cluster: dc2}
spec: {memory_size: 100MiB, port: 12003, bigstore: true}
"""
CONSENT = {"allow_destroy": frozenset({"dc2:Database/old", "dc2:Database/moved"}), "prune": True}
DROPPED: Any = object()
VALUES = ("CARTS", "ANNA", "ANNA_NEW", "SESSIONS", "SMTP")
OTHERS: dict[str, Any] = {"create": "delete", "update": "create", "replace": "update", "delete": "forget", "dc1": "dc2"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    environ = {name: f"canary-7Tq2-{name.lower()}" for name in VALUES}
    runs = Runs(tmp_path_factory.mktemp("tampered"), "dc1", "dc2", environ=environ)
    assert runs.apply(BEFORE).complete
    return runs


@pytest.fixture(scope="module")
def file(runs: Runs) -> bytes:
    return runs.saved(*runs.plan(AFTER, **CONSENT))


def edits(value: Any) -> Iterator[Any]:
    """Yield other values of the same place."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        yield OTHERS.get(value, f"{value}x")
        yield ""
    elif value is None:
        yield "x"
    elif isinstance(value, list):
        yield [*value, value[0] if value else "x"]
        yield value[1:] if value else {"x": 1}
    else:
        yield {**value, "valueFrom": {"env": "LOGIN"}}
        yield {}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value: of every change, and of one of several that have the same form elsewhere."""
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from paths(value[name], (*path, name))
    elif isinstance(value, list):
        forms = set()
        for index, item in enumerate(value):
            form = repr(sorted(item)) if isinstance(item, dict) else type(item)
            if path == ("changes",) or form not in forms:
                yield from paths(item, (*path, index))
            forms.add(form)


def tampered(document: Any) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
    """Yield (path, description, document) for each edit of each value, and without each."""
    for path in paths(document):
        if path in ((), ("digest",)):
            continue
        place = document
        for step in path[:-1]:
            place = place[step]
        for edit in (*edits(place[path[-1]]), DROPPED):
            whole = copy.deepcopy(document)
            place = whole
            for step in path[:-1]:
                place = place[step]
            if edit is DROPPED:
                del place[path[-1]]
            else:
                place[path[-1]] = edit
            yield path, f"{'.'.join(map(str, path))} = {str(edit)[:60]}", whole


def redigested(document: dict[str, Any]) -> bytes:
    """Return *document* with the digest that its content should have."""
    content = {name: value for name, value in document.items() if name != "digest"}
    try:
        return json.dumps({**content, "digest": plan_file._digest(content)}).encode()
    except (AttributeError, KeyError, TypeError):  # no plan at all
        return json.dumps(content).encode()


def test_the_plan_has_every_action(file: bytes) -> None:
    document = json.loads(file)
    assert {change["action"] for change in document["changes"]} == {"create", "update", "replace", "delete", "forget"}
    assert {"dc1", "dc2"} <= {change["address"]["cluster"] for change in document["changes"]}


def test_an_edit_is_refused_or_changes_nothing_that_is_done(
    runs: Runs, file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(file)
    shown = plan_file.plain_changes(runs.decide_again(file))
    observed = reconcile.observe  # the clusters do not change meanwhile: one read for all edits that need the same
    unedited = observed_once(observed)
    seen, done = 0, []
    for path, label, edited in tampered(document):
        seen += 1
        monkeypatch.setattr(reconcile, "observe", observed if path[0] == "input" else unedited)
        try:
            again = runs.decide_again(redigested(edited))
        except ReconcilerError:
            continue
        assert plan_file.plain_changes(again).items() <= shown.items(), label
        done.append(label)
    assert seen > 1000
    assert 0 < len(done) < seen / 4  # of the rest: texts for readers, what says the same, what no decision needs


def test_the_plan_itself_is_done_as_it_is_shown(runs: Runs, file: bytes) -> None:
    shown = [(change["action"], change["address"]["name"]) for change in json.loads(file)["changes"]]
    report = runs.apply_saved(file)
    assert report.complete
    assert sorted((one.change.action.name.lower(), one.change.address.name) for one in report.done) == sorted(shown)


def observed_once(observe: Callable[..., Observed]) -> Callable[..., Observed]:
    found: list[Observed] = []

    def once(*words: Any) -> Observed:
        found.extend(() if found else [observe(*words)])
        return found[0]

    return once
