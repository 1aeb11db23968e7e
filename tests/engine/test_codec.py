"""Specs to request bodies, and live JSON to specs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.api.codec import Uid, decode, encode, natural_key, uid_of_unnamed
from reconciler.api.hooks.database import OP_TAG
from reconciler.api.protocol import Call
from reconciler.errors import Conflict, ReadIncomplete
from reconciler.kinds import load_kinds
from reconciler.secrets import Secret

KINDS = load_kinds()
NAMES: Mapping[str, Mapping[Uid, str]] = {
    "Role": {1: "Admin", 7: "app"},
    "RedisACL": {4: "keys"},
    "Database": {1: "orders", 2: "cache"},
}
UIDS = {(kind, name): uid for kind, names in NAMES.items() for uid, name in names.items()}


def ids(kind: str, name: str) -> Uid:
    unnamed = uid_of_unnamed(name)
    if unnamed is not None:
        return unnamed
    if (kind, name) not in UIDS:
        raise Conflict(f"no {kind} called {name}")
    return UIDS[kind, name]


def reveal(value_from: Mapping[str, Any]) -> Secret:
    return Secret(f"value of {value_from['env']}")


PAIRS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Role", {"management": "none"}, {"management": "none"}),
    (
        "Role",
        {"resources": [{"type": "db", "databases": ["cache", "orders"]}]},
        {"resources": [{"type": "db", "uids": ["2", "1"]}]},
    ),
    ("User", {"roles": ["Admin", "app"]}, {"role_uids": [1, 7]}),
    ("User", {"bdbs_email_alerts": ["all"]}, {"bdbs_email_alerts": ["all"]}),
    ("User", {"bdbs_email_alerts": ["orders"]}, {"bdbs_email_alerts": ["1"]}),
    (
        "Database",
        {"roles_permissions": [{"role": "app", "redis_acl": "keys"}], "memory_size": 1},
        {"roles_permissions": [{"role_uid": 7, "redis_acl_uid": 4}], "memory_size": 1},
    ),
    ("Database", {"roles_permissions": []}, {"roles_permissions": []}),
    ("Database", {"tags": [{"key": "a", "value": "b"}]}, {"tags": [{"key": "a", "value": "b"}]}),
    ("Database", {"snapshot_policy": [{"secs": 60, "writes": 1}]}, {"snapshot_policy": [{"secs": 60, "writes": 1}]}),
]


@pytest.mark.parametrize(("kind", "spec", "wire"), PAIRS)
def test_names_become_uids_and_come_back(kind: str, spec: dict[str, Any], wire: dict[str, Any]) -> None:
    assert encode(KINDS[kind], spec, ids, reveal) == wire
    assert decode(KINDS[kind], {**wire, "uid": 9, "name": "x"}, NAMES).spec == spec


def test_an_unknown_uid_has_a_placeholder_that_goes_back_as_it_came() -> None:
    wire = {"roles_permissions": [{"role_uid": 17, "redis_acl_uid": 4}]}
    spec = decode(KINDS["Database"], {**wire, "uid": 1, "name": "x"}, NAMES).spec
    assert spec == {"roles_permissions": [{"role": "#17", "redis_acl": "keys"}]}
    assert encode(KINDS["Database"], spec, ids, reveal) == wire


def test_a_reference_to_nothing_is_an_error() -> None:
    with pytest.raises(Conflict):
        encode(KINDS["User"], {"roles": ["nobody"]}, ids, reveal)


def test_secrets_go_in_and_never_come_out() -> None:
    spec = {"password": {"valueFrom": {"env": "PW"}}, "email": "a@b.example"}
    wire = encode(KINDS["User"], spec, ids, reveal)
    assert wire == {"password": "value of PW", "email": "a@b.example"}
    assert decode(KINDS["User"], {**wire, "uid": 2, "name": "a"}, NAMES).spec == {"email": "a@b.example"}


def test_secrets_inside_objects_and_lists() -> None:
    secret = {"valueFrom": {"env": "KEY"}}
    spec = {
        "backup_location": {"type": "s3", "bucket_name": "b", "access_key_id": "k", "secret_access_key": secret},
        "replica_sources": [{"uri": secret}],
    }
    wire = encode(KINDS["Database"], spec, ids, reveal)
    assert wire["backup_location"]["secret_access_key"] == "value of KEY"
    assert wire["replica_sources"] == [{"uri": "value of KEY"}]
    live = decode(KINDS["Database"], {**wire, "uid": 1, "name": "x"}, NAMES).spec
    assert "value of KEY" not in json.dumps(live["backup_location"])


def test_what_cannot_be_declared_is_dropped_and_what_was_not_read_stays_out() -> None:
    wire = {"uid": 1, "name": "x", "shard_list": [1], "last_changed_time": "t", "no_such_field": 1, "sharding": False}
    live = decode(KINDS["Database"], {**wire, "status": "active", "created_time": "c"}, NAMES)
    assert live.spec == {"sharding": False}
    assert (live.uid, live.name, live.status, live.created, live.builtin) == (1, "x", "active", "c", False)


@pytest.mark.parametrize(
    ("endpoints", "spec"),
    [([{"port": 12345}], {"port": 12345}), ([], {}), (None, {}), ([{"port": 0}, {"port": 7}], {"port": 7})],
)
def test_port_0_reads_as_the_port_of_the_endpoint(endpoints: Any, spec: dict[str, Any]) -> None:
    assert decode(KINDS["Database"], {"uid": 1, "name": "x", "port": 0, "endpoints": endpoints}, NAMES).spec == spec


def test_marks_are_not_tags_of_the_manifest() -> None:
    tags = [
        {"key": "team", "value": "a"},
        {"key": OP_TAG, "value": "0f"},
        {"key": "cluster", "value": "c", "isSystem": True},
        {"key": "redb_name", "value": "r"},
        {"key": "managed_by", "value": "operator"},
    ]
    live = decode(KINDS["Database"], {"uid": 1, "name": "x", "tags": tags}, NAMES)
    assert live.spec == {"tags": [{"key": "team", "value": "a"}]}
    assert live.operation == "0f"
    assert live.owner == "a Kubernetes operator (tag managed_by=operator, redb_name=r)"


@pytest.mark.parametrize(
    ("kind", "wire", "builtin"),
    [
        ("Role", {"uid": 1, "name": "Admin"}, True),
        ("Role", {"uid": 9, "name": "Admin-like"}, False),
        ("RedisACL", {"uid": 1, "name": "Full Access"}, True),
        ("User", {"uid": 1, "name": "root"}, True),
        ("Database", {"uid": 1, "name": "x", "internal": True}, True),
        ("Database", {"uid": 1, "name": "x", "internal": False}, False),
    ],
)
def test_builtin_objects_are_known(kind: str, wire: dict[str, Any], builtin: bool) -> None:
    assert decode(KINDS[kind], wire, NAMES).builtin is builtin


def test_a_user_without_a_name_goes_by_the_email() -> None:
    assert decode(KINDS["User"], {"uid": 3, "name": "", "email": "a@b.example"}, NAMES).name == "a@b.example"
    assert natural_key(KINDS["User"], {"email": "a@b.example", "name": "a"}) == "a"


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"uid": 1},
        {"uid": None, "name": "x"},
        {"uid": True, "name": "x"},
        {"uid": 1, "name": 7},
        {"uid": 1, "name": "\ud800"},
        {"uid": 1, "name": "x", "roles_permissions": {"a": 1}},
        {"uid": 1, "name": "x", "roles_permissions": [{"role_uid": []}]},
        [],
        "x",
        None,
    ],
)
def test_an_object_that_makes_no_sense_is_a_read_that_failed(wire: Any) -> None:
    with pytest.raises(ReadIncomplete):
        decode(KINDS["Database"], wire, NAMES)


@pytest.mark.parametrize("value", [None, 1, "text", [], {}, [None], {"a": None}, 1e400, "\ud800", 10**30])
@pytest.mark.parametrize("field", ["memory_size", "tags", "module_list", "backup_location", "endpoints", "port"])
def test_odd_values_are_a_value_or_a_failed_read_and_never_a_crash(field: str, value: Any) -> None:
    with contextlib.suppress(ReadIncomplete):
        decode(KINDS["Database"], {"uid": 1, "name": "x", field: value}, NAMES)


def test_a_request_body_shows_nothing_of_itself() -> None:
    body = encode(KINDS["User"], {"password": {"valueFrom": {"env": "PW"}}}, ids, reveal)
    assert repr(Call("POST", "/v1/users", body)).startswith("Call(method='POST', path='/v1/users', body={1 fields}")
