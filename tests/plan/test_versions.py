"""What a version of the software lacks of what is declared, and what a cluster says of its own objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.diff.normalize import canonical
from reconciler.errors import InputError
from reconciler.kinds import Field, Kind, Support, server_schema, versions
from reconciler.manifests import Resource
from reconciler.model import Level, LiveObject, LiveState, Note, Reason
from reconciler.plan import Options, Plan
from reconciler.render.reasons import note_text
from tests.support.planning import make_plan
from tests.support.resources import KINDS, declared

DATABASE = KINDS["Database"]


def version(text: str) -> versions.ServerVersion:
    found = versions.parse(text)
    assert found is not None
    return found


def plan(
    resource: Resource,
    text: str,
    *,
    kinds: Mapping[str, Kind] = KINDS,
    schema: Mapping[str, Any] | None = None,
    live: tuple[LiveObject, ...] = (),
) -> Plan:
    kind = resource.address.kind
    state = LiveState(
        "dc1",
        {kind: live},
        version=versions.parse(text),
        schemas={kind: server_schema.ServerSchema(schema)} if schema else {},
    )
    return make_plan(kinds, [resource], {"dc1": state}, {}, Options(), {})


def problems(resource: Resource, text: str, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        plan(resource, text, **more)
    return [str(problem) for problem in caught.value.problems]


def database(**spec: Any) -> Resource:
    return declared("Database", "a", {"memory_size": "1GiB", **spec})


# --- versions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8.0", (8, 0, "")),
        ("8.0.2-17", (8, 0, ".2-17")),
        ("7.22.0-95", (7, 22, ".0-95")),
        (" 7.4.2 ", (7, 4, ".2")),
        ("8", None),
        ("v8.0", None),
        ("8.0; rm", None),
        ("", None),
        ("99999.1", None),
        ("８.0", None),
    ],
)
def test_a_version_is_two_numbers_and_what_follows(text: str, found: tuple[int, int, str] | None) -> None:
    assert versions.parse(text) == found


def test_numbers_are_compared_as_numbers() -> None:
    ladder = ["7.4", "7.8", "7.22", "8.0", "8.2"]
    for place, mine in enumerate(ladder):
        for other, text in enumerate(ladder):
            assert versions.reached(version(f"{mine}.9-1"), text) == (place >= other)
            assert versions.passed(version(mine), text) == (place > other)


def test_of_an_unknown_version_everything_is_believed() -> None:
    assert versions.reached(None, "8.2")
    assert not versions.passed(None, "7.4")
    assert list(versions.findings(DATABASE, {"audit_settings": {}}, None)) == []


# --- what is declared ------------------------------------------------------------------------------------------------


def test_a_field_that_is_too_new_is_a_problem_that_names_the_version_with_it() -> None:
    (problem,) = problems(database(maxclients=100), "7.8.6-13")
    assert problem == (
        "shop.yaml:1:1: spec.maxclients: dc1:Database/a: requires version 7.22 or later; the cluster "
        "runs 7.8.6-13 (remove it, or upgrade the cluster first)"
    )
    assert len(plan(database(maxclients=100), "7.22.0-95").changes) == 1


def test_the_place_of_a_field_inside_lists_and_objects_is_named() -> None:
    seen: list[tuple[str | int, ...]] = []
    source = {
        "type": "s3",
        "bucket_name": "b",
        "filename": "f",
        "access_key_id": "k",
        "secret_access_key": {"valueFrom": {"env": "K"}},
    }
    resource = database(dataset_import_sources=[source])

    def place(path: tuple[str | int, ...]) -> Any:
        seen.append(path)
        return resource.place(path)

    assert len(problems(replace(resource, place=place), "7.4")) == 1
    assert seen == [("spec", "dataset_import_sources", 0, "filename")]


def test_of_what_is_too_new_only_the_outermost_is_told() -> None:
    (problem,) = problems(database(search={"search-timeout": 100, "search-on-oom": "fail"}), "7.22")
    assert "spec.search: " in problem


def test_a_value_that_is_too_new_is_a_problem_too() -> None:
    (problem,) = problems(database(eviction_policy="allkeys-lrm"), "7.22")
    assert "allkeys-lrm requires version 8.0 or later; the cluster runs 7.22" in problem
    plan(database(eviction_policy="allkeys-lru"), "7.22")
    plan(database(eviction_policy="allkeys-lrm"), "8.0")


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(database(maxclients=1, use_selective_flush=True, eviction_policy="allkeys-lrm"), "7.4")) == 3


def with_field(name: str, **words: Any) -> Mapping[str, Kind]:
    fields: dict[str, Field] = {**DATABASE.fields, name: replace(DATABASE.fields[name], support=Support(**words))}
    return {**KINDS, "Database": replace(DATABASE, fields=fields)}


def test_a_field_that_was_taken_away_is_a_problem_that_names_its_successor() -> None:
    kinds = with_field("port", until="8.0")
    (problem,) = problems(database(port=12000), "8.2", kinds=kinds)
    assert "removed after version 8.0; the cluster runs 8.2 (remove it)" in problem
    plan(database(port=12000), "8.0", kinds=kinds)
    (problem,) = problems(database(port=12000), "8.2", kinds=with_field("port", until="8.0", instead="ports"))
    assert problem.endswith("(use ports)")


def test_what_is_ignored_is_no_problem() -> None:
    plan(replace(database(maxclients=100), ignore=("maxclients",)), "7.4")


def kind_since(text: str) -> Mapping[str, Kind]:
    return {**KINDS, "RedisACL": replace(KINDS["RedisACL"], support=Support(since=text))}


def test_a_kind_that_is_too_new_is_a_problem_and_its_tombstone_is_none() -> None:
    resource = declared("RedisACL", "a", {"acl": "+@read ~*"})
    (problem,) = problems(resource, "7.22", kinds=kind_since("8.0"))
    assert problem.startswith(
        "shop.yaml:1:1: kind: dc1:RedisACL/a: requires version 8.0 or later; the cluster runs 7.22"
    )
    assert plan(declared("RedisACL", "a", {}, absent=True), "7.22", kinds=kind_since("8.0")).changes == ()
    assert len(plan(resource, "8.0", kinds=kind_since("8.0")).changes) == 1


def test_a_deprecated_field_is_warned_of_where_the_cluster_deprecates_it() -> None:
    resource = database(gradual_src_mode="enabled")
    assert Note(
        Level.WARNING,
        resource.address,
        Reason.DEPRECATED,
        ("gradual_src_mode", "deprecated since 8.2; use gradual_sync_policy"),
    ) in (plan(resource, "8.2").notes)
    assert plan(resource, "8.0").notes == ()
    nested = database(module_list=[{"module_name": "search", "module_args": "A 1"}])
    (note,) = (note for note in plan(nested, "8.0").notes if "deprecated" in note_text(note))
    assert note_text(note) == (
        "module_list[module_name=search].module_args: deprecated since 8.0; "
        "use the fields search, timeseries and probabilistic"
    )


# --- what may be read ------------------------------------------------------------------------------------------------


def test_only_what_a_version_has_is_read_and_always_by_the_same_kind() -> None:
    kinds = versions.available(kind_since("8.0"), version("7.22"), {})
    assert "RedisACL" not in kinds
    assert "maxclients" in kinds["Database"].fields
    assert "search" not in kinds["Database"].fields
    assert versions.available(KINDS, version("7.22"), {})["Database"] is kinds["Database"]
    assert versions.available(KINDS, version("8.2"), {})["Database"] is DATABASE
    assert (
        "search" in versions.available(KINDS, version("7.22"), {"Database": frozenset({"search"})})["Database"].fields
    )


# --- the cluster's own schema ----------------------------------------------------------------------------------------

SCHEMA: Mapping[str, Any] = {
    "properties": {
        "memory_size": {"type": "integer", "minimum": 1},
        "port": {"type": "integer"},
        "max_connections": {"type": ["integer", "null"], "maximum": 100},
        "eviction_policy": {"enum": ["noeviction", "allkeys-lrm"]},
        "tags": {"type": "array", "maxItems": 1, "items": {"properties": {"key": {"maxLength": 3}, "value": {}}}},
        "replication": {"type": "string"},
        "data_persistence": {"$ref": "https://evil.example/schema.json"},
        "proxy_policy": {"anyOf": [{"enum": ["single"]}, {"const": "all-nodes"}]},
        "shards_count": {"not": {"enum": [7]}, "minimum": "many"},
        "maxclients": {"type": "integer"},
    }
}


def said(**spec: Any) -> list[str]:
    notes = plan(database(**spec), "8.2", schema=SCHEMA).notes
    tail = "; it may reject or ignore this"
    return [note_text(note).removesuffix(tail) for note in notes if note_text(note).endswith(tail)]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("max_connections", 101, "max_connections: the cluster's own schema accepts at most 100"),
        ("max_connections", 100, ""),
        (
            "eviction_policy",
            "volatile-ttl",
            "eviction_policy: the cluster's own schema accepts only noeviction, allkeys-lrm",
        ),
        ("eviction_policy", "noeviction", ""),
        ("replication", True, "replication: the cluster's own schema expects string"),
        ("data_persistence", "aof", ""),
        ("proxy_policy", "all-nodes", ""),
        ("proxy_policy", "all-master-shards", "proxy_policy: the cluster's own schema accepts only single"),
        ("shards_count", 7, "shards_count: the cluster's own schema does not accept this value"),
        ("shards_count", 1, ""),
        ("oss_cluster", True, "oss_cluster: the cluster's own schema has no such field"),
        ("tags", [{"key": "abc", "value": "x"}], ""),
        (
            "tags",
            [{"key": "abcd", "value": "x"}],
            "tags[key=abcd].key: the cluster's own schema accepts at most 3 characters",
        ),
        (
            "tags",
            [{"key": "a", "value": ""}, {"key": "b", "value": ""}],
            "tags: the cluster's own schema accepts at most 1 items",
        ),
    ],
)
def test_a_value_that_the_clusters_own_schema_does_not_take_is_warned_of(name: str, value: Any, why: str) -> None:
    assert said(**{name: value}) == ([why] if why else [])


def test_only_what_is_to_be_sent_is_compared() -> None:
    there = LiveObject("Database", 1, "a", canonical(DATABASE, {"memory_size": "1GiB", "max_connections": 200}))
    resource = database(max_connections=200)
    assert plan(resource, "8.2", schema=SCHEMA, live=(there,)).notes == ()
    moved = replace(there, spec={**there.spec, "max_connections": 1})
    assert len(plan(resource, "8.2", schema=SCHEMA, live=(moved,)).notes) == 1


def test_secrets_and_references_are_not_held_against_a_schema() -> None:
    schema = {"properties": {"password": {"enum": []}, "email": {}, "role_uids": {"items": {"type": "integer"}}}}
    user = {"email": "a@example.com", "roles": ["app"], "password": {"valueFrom": {"env": "A"}}}
    assert (
        list(server_schema.refusals(KINDS["User"], canonical(KINDS["User"], user), server_schema.ServerSchema(schema)))
        == []
    )


def test_the_clusters_own_word_turns_the_error_about_its_version_into_a_warning() -> None:
    (note,) = plan(database(maxclients=100), "7.8", schema=SCHEMA).notes
    assert (note.level.value, note_text(note)) == (
        "warning",
        "maxclients: requires version 7.22 or later; the cluster runs 7.8, according to its documentation; "
        "its own schema has it",
    )
    assert len(plan(database(eviction_policy="allkeys-lrm"), "7.8", schema=SCHEMA).notes) == 1
    assert len(problems(database(use_selective_flush=True, eviction_policy="volatile-lrm"), "7.8", schema=SCHEMA)) == 2


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", {}, {"properties": []}, {"properties": {}}, {"bdb": 1}, {"anyOf": [1, None]}, {"error": "no"}],
)
def test_an_answer_that_is_no_schema_says_nothing(answer: Any) -> None:
    assert server_schema.parse_answer(answer, "bdb") is None


def test_a_schema_may_stand_under_its_name_or_among_choices() -> None:
    for answer in (SCHEMA, {"bdb": SCHEMA}, {"anyOf": [{"maxProperties": 0}, SCHEMA]}):
        found = server_schema.parse_answer(answer, "bdb")
        assert found is not None
        assert {"maxclients", "tags"} <= server_schema.known_fields(DATABASE, found)


@pytest.mark.parametrize("rubbish", [None, 3, "x", [], {"enum": 3}, {"type": {}}, {"type": [None, 7]}, {"anyOf": "x"}])
def test_what_makes_no_sense_inside_a_schema_says_nothing(rubbish: Any) -> None:
    schema = {"properties": {"memory_size": rubbish, "port": {"minimum": rubbish, "enum": rubbish, "not": rubbish}}}
    found = dict(server_schema.refusals(DATABASE, {"port": 12000}, server_schema.ServerSchema(schema)))
    assert found == ({"port": "accepts only "} if rubbish == [] else {})


def test_a_schema_with_references_is_never_taken_for_complete() -> None:
    schema = {"properties": {"memory_size": {}}, "allOf": [{"$ref": "#/definitions/more"}]}
    assert list(server_schema.refusals(DATABASE, {"port": 12000}, server_schema.ServerSchema(schema))) == []
    assert dict(
        server_schema.refusals(DATABASE, {"port": 1}, server_schema.ServerSchema({"properties": {"name": {}}}))
    ) == {"port": "has no such field"}


def test_what_is_no_part_of_the_object_in_the_api_is_not_looked_for_in_its_schema() -> None:
    served = server_schema.parse_answer({"properties": {"port": {}}}, "bdb", ("alerts",))
    assert served is not None
    body = {"alerts": {}, "replica_sources": [{"database": "other"}], "port": 12000}
    assert [path for path, _ in server_schema.refusals(DATABASE, body, served)] == ["replica_sources"]
    listed = server_schema.ServerSchema({"properties": {"replica_sources": {"items": {"properties": {"uri": {}}}}}})
    assert list(server_schema.refusals(DATABASE, {"replica_sources": [{"database": "other"}]}, listed)) == []
