"""The bodies that were seen live or are shown in the documentation, as shapes: the simulator's have every field.

`data/bodies.json` has for each its operation, status and shape: a word is a JSON type, `a|b` either, a list holds the
shape of its items, `*` stands for every key, `name?` for a field that only some objects of that body have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.simulator.api.routes import routes
from tests.simulator.cases import SPECIAL
from tests.simulator.clusters import MEMBERS, SPANNING, Case, FilledCluster, generic_cases, run
from tests.simulator.request_bodies import CREATE

BODIES = json.loads((Path(__file__).parent / "data" / "bodies.json").read_text(encoding="utf-8"))
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "any": (object,),
}


def _strangers(cluster: FilledCluster) -> None:
    """Begin a database that spans clusters, of which one refuses the login."""
    member = {**MEMBERS[0]["cluster"], "credentials": {"username": "a@example.com", "password": "wrong"}}
    cluster.task = cluster("POST", "/v1/crdbs", {**SPANNING, "instances": [{"cluster": member}, MEMBERS[1]]}).json()[
        "id"
    ]


def _badly_joined(cluster: FilledCluster) -> None:
    """Let a machine ask for a cluster that knows nothing of its login."""
    body = {**CREATE, "cluster": {"name": "cluster.local", "nodes": ["10.20.0.11"]}}
    cluster.send("POST", "/v1/bootstrap/join_cluster", body, node=4)


RECORD = {"name": "new", "management": "db_member", "resources": [{"type": "db", "uids": ["1"]}]}
# What shows fields that only some objects have.
MORE: Mapping[str, Case] = {
    "actions_bdb": Case(
        before=(lambda cluster: cluster.clock.sleep(4000), ("PUT", "/v1/bdbs/1", {"max_connections": 5}))
    ),
    "bdb_alerts": Case(before=(("POST", "/v1/bdbs/alerts/1", {"bdb_size": {"enabled": True, "threshold": "80"}}),)),
    "bdb_extended": Case(query={"extended": "true"}),
    "bdb_revamp_dry_run": Case({}, query={"dry_run": "true"}),
    "bootstrap_error": Case(before=(_badly_joined,), node=4, wait=60, settings={"outside": 1}),
    "bootstrap_idle": Case(node=4, settings={"outside": 1}),
    "cluster_alerts": Case(query={"ignore_settings": "true"}),
    "crdb_task_failed": Case(before=(_strangers,), wait=60),
    "crdb_task_finished": Case(before=(FilledCluster.span,), wait=60),
    "license_trial": Case(settings={"license": "trial"}),
    "no_cluster": Case(node=4, settings={"outside": 1}),
    "role_create": Case(RECORD),
}


def differences(shape: Any, value: Any, where: str = "") -> Iterator[str]:
    """Yield the differences of *value* from *shape*; additional fields are none."""
    if isinstance(shape, dict):
        yield from _fields(shape, value, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where}: {type(value).__name__} instead of a list"
        elif shape:
            for place, item in enumerate(value):
                yield from differences(shape[0], item, f"{where}[{place}]")
    else:
        types = {kind for word in shape.split("|") for kind in TYPES[word]}
        wrong = isinstance(value, bool) and bool not in types and object not in types
        if value is not None and (wrong or not isinstance(value, tuple(types))):
            yield f"{where}: {type(value).__name__} instead of {shape}"


def _fields(shape: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {type(value).__name__} instead of an object"
        return
    for name, inner in shape.items():
        if name == "*":
            for key, item in value.items():
                yield from differences(inner, item, f"{where}.{key}")
        elif name.endswith("?"):
            if name[:-1] in value:
                yield from differences(inner, value[name[:-1]], f"{where}.{name[:-1]}")
        elif name not in value:
            yield f"{where}.{name}: missing"
        else:
            yield from differences(inner, value[name], f"{where}.{name}")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["name"])
def test_the_body_has_every_field_that_was_seen(body: dict[str, Any]) -> None:
    version = body.get("version", "8.2")
    endpoint = next(item for item in routes(version).endpoints if f"{item.method} {item.path}" == body["operation"])
    code = body["shape"].get("error_code") if body["status"] >= 400 else None
    more = (MORE[body["name"]],) if body["name"] in MORE else ()
    cases: tuple[Case, ...] = (*more, *SPECIAL.get(body["operation"], ()), *generic_cases(endpoint))
    found = []
    for case in cases:
        response = run(version, endpoint, case)
        if response.status == body["status"] and response.body:
            found.append(list(differences(body["shape"], response.json())))
    assert found, (code, "no case gives this status")
    assert [] in found, min(found, key=len)
