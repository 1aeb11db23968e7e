"""`explain` and `kinds`: what they say about kinds, metadata, the project file and fields; every example is valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.commands.kind_docs import field_about, find, kind_about
from reconciler.commands.schema_docs import completions, explained, topics
from reconciler.commands.schema_paths import paths
from reconciler.kinds import envelope_schema, envelope_validator, kind_source, load_kinds
from reconciler.settings import project
from tests.cli.conftest import Cli

KINDS = load_kinds()
DOCUMENTS = {
    "metadata": envelope_schema()["properties"]["metadata"],
    "project": project.schema(),
}
MINIMAL = {
    "apiVersion": "reconciler/v1",
    "clusters": [
        {
            "name": "west",
            "urls": ["https://redis-1.west.example.com:9443"],
            "username": "reconciler@example.com",
            "password": {"valueFrom": {"env": "WEST_PASSWORD"}},
            "manifests": ["base"],
        }
    ],
}


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
  impact      drops clients when an existing entry is changed or removed: applications can lose
              access
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


# --- metadata and the project file -----------------------------------------------------------------------------------

ALL = [(name, ".".join((name, *path))) for name, schema in DOCUMENTS.items() for path in ((), *paths(schema))]


@pytest.mark.parametrize(("document", "topic"), ALL, ids=[topic for _, topic in ALL])
def test_every_field_of_metadata_and_of_the_project_file_has_a_description_and_an_example(
    document: str, topic: str
) -> None:
    about = explained(topic)
    assert about["about"] != ""
    value: Any = about["example"] if document == "project" else about["example"]["metadata"]
    for name in topic.split(".")[1:]:
        value = value[0] if isinstance(value, list) else value
        value = value[name]


@pytest.mark.parametrize("topic", [topic for document, topic in ALL if document == "project"])
def test_every_example_of_the_project_file_is_valid(topic: str, tmp_path: Path) -> None:
    example = explained(topic)["example"]
    clusters = [{**MINIMAL["clusters"][0], **cluster} for cluster in example.get("clusters", [{}])]
    path = tmp_path / "reconciler.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **example, "clusters": clusters}), encoding="utf-8")
    problems: list[Any] = []
    project.read(path, problems)
    assert problems == []


@pytest.mark.parametrize("topic", [topic for document, topic in ALL if document == "metadata"])
def test_every_example_of_metadata_is_valid(topic: str) -> None:
    manifest = {"apiVersion": "reconciler/v1", "kind": "Database", **explained(topic)["example"]}
    assert envelope_validator().findings({**manifest, "spec": {}}) == []


def test_a_group_of_settings_is_explained(cli: Cli) -> None:
    assert (
        cli("explain", "project.source.limits").out
        == """\
project.source.limits
  How much a repository may take.

  type  object

  fields
    size: integer or string; default 256MiB
        Bytes that one fetch may add on disk.
    commits: integer; default 10000
        Commits that are checked between two revisions.

  source:
    url: "https://git.example.com/platform/redis.git"
    tag: v1.2.3
    depth: 100
    https: {username: git, password: {valueFrom: {file: secrets/git}}, caCert: git-ca.pem}
    allowRewind: false
    timeout: "2m"
    limits: {size: "256MiB", commits: 10000}
"""
    )


def test_a_field_of_metadata_is_explained_with_its_values_and_an_example(cli: Cli) -> None:
    shown = cli("explain", "metadata.allow").out
    assert "  type    list of string\n  one of  may-lose-data, loses-data, irreversible, may-cut-off\n" in shown
    assert "\n  metadata:\n    name: sessions\n    allow:\n      - may-lose-data\n" in shown


@pytest.mark.parametrize(
    ("topic", "default"),
    [
        ("project.limits.updatePercent", 30),
        ("project.limits.fileSize", "1MiB"),
        ("project.agent.mode", "observe"),
        ("project.agent.retryInterval.max", "10m"),
        ("project.agent.maxFailing", 16),
        ("project.agent.listen.port", 8080),
        ("project.agent.notify.quiet", "15m"),
        ("project.source.interval", "1m"),
        ("project.source.limits.commits", 10000),
    ],
)
def test_a_setting_is_explained_with_its_default(topic: str, default: Any) -> None:
    assert explained(topic)["default"] == default


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("projcet", "projcet: unknown kind or topic projcet (did you mean project?)"),
        ("Project", "did you mean project?"),
        ("memory_size", "did you mean Database.memory_size?"),
        ("limits", "did you mean project.limits?"),
        ("freeze", "did you mean metadata.freeze?"),
        ("xyzzy", "`reconciler explain` lists the topics"),
        ("project.limts", "project: there is no field limts (did you mean limits?)"),
        ("project.updateFloor", "did you mean project.limits.updateFloor?"),
        ("project.state.xyzzy", "project.state: there is no field xyzzy (it has no fields)"),
        ("metadata.fuse", "metadata: there is no field fuse"),
        ("Role.xyzzy", "Role: there is no field xyzzy (fields: management"),
    ],
)
def test_an_unknown_topic_gets_a_suggestion(bare: Cli, topic: str, text: str) -> None:
    done = bare("explain", topic, code=3)
    assert text in done.err


def test_without_a_topic_all_topics_are_listed(bare: Cli) -> None:
    lines = bare("explain").out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["metadata", "project", *KINDS]
    assert json.loads(bare("explain", "-o", "json").out) == topics()


def test_help_names_the_topics(bare: Cli) -> None:
    text = bare("explain", "--help").out
    assert "metadata[.field]" in text
    assert "project[.field]" in text


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("me", ["metadata"]),
        ("LDAP", ["LDAP", "LDAPMapping"]),
        ("project.s", ["project.state", "project.source", "project.secrets"]),
        ("metadata.freeze.c", ["metadata.freeze.cron"]),
        ("Database.eviction", ["Database.eviction_policy"]),
        ("Nothing.a", []),
    ],
)
def test_topics_are_completed(start: str, found: list[str]) -> None:
    assert completions(start) == found


def test_the_shell_completes_topics(bare: Cli) -> None:
    done = bare(_RECONCILER_COMPLETE="bash_complete", COMP_WORDS="reconciler explain Pass", COMP_CWORD="2")
    assert done.out == "plain,PasswordHashing\n"
