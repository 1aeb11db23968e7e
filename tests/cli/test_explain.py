"""`explain` and `kinds`: what people read of a kind and of a field, and that every example that they show is valid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.commands.knowledge import below, field_about, find, kind_about
from reconciler.kinds import envelope_validator, kind_source, load_kinds
from tests.cli.conftest import Cli

KINDS = load_kinds()


def paths(schema: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, step in below(schema).items():
        yield (*above, name)
        yield from paths(step.schema, (*above, name))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_example_that_is_shown_is_valid(kind: Any) -> None:
    shown = [kind_about(kind)]
    shown += [field_about(kind, find(kind, ".".join(path))) for path in paths(kind_source(kind.name))]
    for about in shown:
        assert envelope_validator().findings(about["example"]) == []
        assert kind.validator.findings(about["example"]["spec"]) == [], about.get("field")
        assert about["documented"].startswith("https://redis.io/docs/")


def test_the_example_of_a_field_shows_the_field() -> None:
    for kind in KINDS.values():
        for path in paths(kind_source(kind.name)):
            value = field_about(kind, find(kind, ".".join(path)))["example"]["spec"]
            for name in path:
                value = value[0] if isinstance(value, list) else value
                value = value[name]


def test_a_field_is_explained(cli: Cli) -> None:
    assert (
        cli("explain", "Database.memory_size").out
        == """\
Database.memory_size
  Memory limit of primaries and replicas together; 0 for no limit.

  type        integer in bytes, or text such as 2GiB or 512MB
  range       at least 0
  impact      may lose data when it is decreased below used_memory: below what is used it evicts
              keys or runs out of memory
  API         /v1/bdbs memory_size
  documented  https://redis.io/docs/latest/operate/rs/references/rest-api/objects/bdb/

  apiVersion: reconciler/v1
  kind: Database
  metadata: {name: orders}
  spec: {memory_size: "2GiB"}
"""
    )


def test_a_reference_inside_a_list_is_explained(cli: Cli) -> None:
    assert (
        cli("explain", "Database.roles_permissions.role").out
        == """\
Database.roles_permissions.role
  Name of a Role.

  type        string
  impact      drops clients: applications can lose access
  refers to   Role
  API         /v1/bdbs roles_permissions.role_uid
  documented  https://redis.io/docs/latest/operate/rs/references/rest-api/objects/bdb/

  apiVersion: reconciler/v1
  kind: Database
  metadata: {name: orders}
  spec:
    roles_permissions:
      - {role: app-writer, redis_acl: app-keys}
"""
    )


def test_a_field_that_is_gone_names_its_successor(cli: Cli) -> None:
    lines = cli("explain", "Cluster.use_ipv6").out.splitlines()
    assert "  deprecated  use use_external_ipv6" in lines
    assert "  until       8.0" in lines


def test_a_kind_is_explained(cli: Cli) -> None:
    assert (
        cli("explain", "PasswordHashing").out
        == """\
PasswordHashing
  How the cluster keeps the passwords of its users.

  shape       singleton; called cluster
  verbs       update
  API         /v1/cluster
  since       7.8
  documented  https://redis.io/docs/latest/operate/rs/references/rest-api/requests/cluster/change_password_hashing_algorithm/
  fields      password_hashing_algorithm

  apiVersion: reconciler/v1
  kind: PasswordHashing
  metadata: {name: cluster}
  spec: {password_hashing_algorithm: PBKDF2}
"""
    )


def test_a_field_as_data(cli: Cli) -> None:
    about = json.loads(cli("explain", "ClusterAlerts.node_memory.threshold", "-o", "json").out)
    assert about["wire"] == "alert_settings.node_memory.threshold"
    assert (about["path"], about["type"], about["unit"]) == ("/v1/cluster", "string", "percent")
    assert about["example"]["spec"] == {"node_memory": {"enabled": True, "threshold": "70"}}


def test_kinds_are_listed_with_shape_key_verbs_and_path(cli: Cli) -> None:
    rows = [line.split() for line in cli("kinds").out.splitlines()]
    assert rows[0] == ["kind", "shape", "key", "verbs", "path"]
    assert ["ClusterAlerts", "singleton", "-", "update", "/v1/cluster", "alert_settings"] in rows
    assert ["Node", "adopt-only", "uid", "update", "/v1/nodes"] in rows
    assert ["User", "collection", "name,email", "create,update,delete", "/v1/users"] in rows
    listed = json.loads(cli("kinds", "-o", "json").out)
    assert [row["kind"] for row in listed] == list(KINDS) == [row[0] for row in rows[1:]]
    assert listed[0].keys() >= {"about", "shape", "key", "verbs", "path", "documented"}
