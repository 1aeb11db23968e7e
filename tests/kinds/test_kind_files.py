"""The kind files themselves: closed words, valid examples and defaults, harmless patterns, nothing dangling."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from referencing import Registry

from reconciler.api.hooks import hook_of
from reconciler.kinds import (
    MISSING,
    SINGLETON,
    Field,
    Reference,
    envelope_validator,
    load_kinds,
    manifest_schema,
    schema_folder,
    vocabulary,
)
from reconciler.kinds.validation import Validator
from reconciler.kinds.validation.rules import equal
from tests.kinds.samples import fields_of, name_of, values_of

KINDS = load_kinds()
SOURCES = {name: json.loads((schema_folder() / f"{name.lower()}.json").read_text("utf-8")) for name in KINDS}
FIELDS = [(kind, path, schema) for kind, source in SOURCES.items() for path, schema in fields_of(source)]
META = json.loads((schema_folder() / "meta" / "kind.json").read_text("utf-8"))

every_kind = pytest.mark.parametrize("kind", SOURCES)


def problems(source: Any) -> list[str]:
    errors = jsonschema.Draft202012Validator(META, registry=Registry()).iter_errors(source)
    return [f"{list(error.absolute_path)}: {error.message}" for error in errors]


def plain(schema: Any) -> Validator:
    return Validator(vocabulary.spec_schema(schema))


def test_the_vocabulary_is_itself_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(META)


@every_kind
def test_a_kind_file_uses_known_words_only(kind: str) -> None:
    assert problems(SOURCES[kind]) == []


def keywords_of(schema: Any) -> Iterator[str]:
    """Yield the keywords of ours in a kind file: those of x-rest, and each x-…"""
    for word, value in schema.items() if isinstance(schema, dict) else ():
        if word.startswith("x-"):
            yield word
        if word == "x-rest":
            yield from (f"x-rest.{inner}" for inner in value)
        elif word != "examples":
            yield from keywords_of(value)
    for item in schema if isinstance(schema, list) else ():
        yield from keywords_of(item)


def test_a_keyword_has_at_least_two_kinds_that_use_it_and_else_is_a_hook() -> None:
    defined = {f"x-rest.{word}" for word in META["$defs"]["rest"]["properties"]}
    defined |= {word for place in (META, META["$defs"]["value"]) for word in place["properties"] if word[:2] == "x-"}
    users = dict.fromkeys(sorted(defined), 0)
    for source in SOURCES.values():
        for word in set(keywords_of(source)):
            users[word] += 1
    assert {word: number for word, number in users.items() if number < 2} == {}


@every_kind
def test_what_manifests_are_held_against_is_a_valid_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(KINDS[kind].schema)


@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.update({"x-retries": 3}),
        lambda source: source["x-rest"].update({"singelton": True}),
        lambda source: source["properties"]["acl"].update({"x-immutabel": True}),
        lambda source: source["properties"]["acl"].update({"x-unit": "furlongs"}),
        lambda source: source["properties"]["acl"].update({"x-impact": "sometimes bad"}),
        lambda source: source["properties"]["acl"].pop("x-impact"),
        lambda source: source["properties"]["acl"].update({"x-key": []}),
        lambda source: source["properties"]["acl"].update({"x-ref": {"kind": "Role", "wire": "a", "lazy": True}}),
        lambda source: source["properties"]["acl"].pop("description"),
        lambda source: source["properties"].update({"more": {"type": "array", "description": "No items given."}}),
        lambda source: source["properties"].update({"more": {"type": "object", "description": "Open to anything."}}),
        lambda source: source.update({"additionalProperties": True}),
        lambda source: source.pop("x-rest"),
    ],
)
def test_a_word_that_nobody_knows_or_a_misplaced_one_is_refused(change: Any) -> None:
    source = json.loads(json.dumps(SOURCES["RedisACL"]))
    change(source)
    assert problems(source)


@every_kind
def test_every_field_says_what_changing_it_does(kind: str) -> None:
    silent = [name for name, schema in SOURCES[kind]["properties"].items() if not schema.get("x-impact")]
    assert silent == []


@every_kind
def test_what_decides_an_impact_can_be_measured(kind: str) -> None:
    asked = {impact.below for field in KINDS[kind].fields.values() for impact in field.change.impacts if impact.below}
    assert asked <= hook_of(KINDS[kind]).metrics.keys()


@every_kind
def test_what_cannot_be_changed_loses_what_a_replacement_loses(kind: str) -> None:
    if KINDS[kind].policy.protect:
        fixed = [field for field in KINDS[kind].fields.values() if field.change.immutable]
        assert [field.name for field in fixed if "loses-data" not in {one.impact for one in field.change.impacts}] == []


def test_the_impacts_of_code_and_vocabulary_are_the_same() -> None:
    assert list(vocabulary.IMPACTS) == META["$defs"]["impact"]["enum"]


@every_kind
def test_every_example_of_a_kind_is_valid_and_can_be_created(kind: str) -> None:
    for example in SOURCES[kind]["examples"]:
        assert KINDS[kind].validator.explain(example) == []
        assert KINDS[kind].validator.check(example)
        assert KINDS[kind].missing_on_create(example) == ()
        envelope = {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": name_of(KINDS[kind])},
            "spec": example,
        }
        assert envelope_validator().check(envelope)
        assert Validator(manifest_schema()).explain(envelope) == []


@every_kind
def test_examples_of_names_are_valid(kind: str) -> None:
    for name in KINDS[kind].name_schema.get("examples", [SINGLETON]):
        assert Validator(KINDS[kind].name_schema).explain(name) == []


@pytest.mark.parametrize(("kind", "path", "schema"), FIELDS, ids=[f"{kind}.{path}" for kind, path, _ in FIELDS])
def test_every_field_has_two_different_valid_values_and_a_valid_default(kind: str, path: str, schema: Any) -> None:
    validator = plain(schema)
    values = values_of(schema)
    for value in [*values, *(schema[word] for word in ("default", "x-policy-default") if word in schema)]:
        assert validator.explain(value) == []
        assert validator.check(value)
    if "const" not in schema and schema.get("enum", [1, 2])[1:]:
        assert not equal(values[0], values[1])


@pytest.mark.parametrize(("kind", "path", "schema"), FIELDS, ids=[f"{kind}.{path}" for kind, path, _ in FIELDS])
def test_every_example_and_default_of_a_top_level_field_fits_in_a_spec(kind: str, path: str, schema: Any) -> None:
    if re.search(r"[.:\[]", path) is None:
        for value in values_of(schema):
            found = [each for each in KINDS[kind].validator.explain({path: value}) if each.path[:1] == (path,)]
            assert found == []


def patterns() -> Iterator[str]:
    for _, _, schema in FIELDS:
        yield from (schema["pattern"] for schema in (schema, schema.get("items", {})) if "pattern" in schema)
    yield from (kind.name_schema["pattern"] for kind in KINDS.values() if not kind.singleton)
    yield from re.findall(
        r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(vocabulary.envelope({}) | {"v": vocabulary.VALUE_FROM})
    )


@pytest.mark.parametrize("pattern", sorted(set(patterns())))
def test_a_pattern_is_anchored_and_cannot_take_exponential_time(pattern: str) -> None:
    assert pattern.startswith("^")
    assert not pattern.endswith("\\$")
    for group in re.findall(r"\(([^()]*)\)[*+]", pattern):
        assert not re.search(r"[*+]|\{\d+,", group), f"a repeated group repeats inside: ({group})"
    assert not re.search(r"\\[1-9]|\(\?[=!<]", pattern), "back references and look-arounds do not run in linear time"


def test_references_point_to_kinds_that_exist() -> None:
    def references(field: Field) -> Iterator[Reference]:
        if field.reference:
            yield field.reference
        for child in [*field.properties.values(), *([field.items] if field.items else [])]:
            yield from references(child)

    found = {each for kind in KINDS.values() for field in kind.fields.values() for each in references(field)}
    assert {each.kind for each in found} == {"Database", "RedisACL", "Role"}
    assert Reference("Database", as_string=True, literals=("all",)) in found


SETTINGS = [
    name for name, kind in KINDS.items() if kind.singleton or kind.rest.key == ("uid",)
]  # what is there whether we like it or not: a change of it meets all that runs


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_says_what_a_change_of_it_does(kind: str) -> None:
    silent = [name for name, schema in SOURCES[kind]["properties"].items() if "x-impact" not in schema]
    assert silent == []


def test_kinds_that_others_build_on_exist() -> None:
    assert {base for kind in KINDS.values() for base in kind.policy.after} <= KINDS.keys()


def test_keys_of_lists_are_required_fields_of_their_items() -> None:
    for kind, path, schema in FIELDS:
        for name in schema.get("x-key", ()):
            assert name in schema["items"]["required"], f"{kind}.{path}"


def test_required_on_create_names_fields_that_have_no_default() -> None:
    for kind in KINDS.values():
        for rule in kind.required_on_create:
            assert kind.fields[rule["field"]].usual.default is MISSING
            assert set(rule.get("unless", {})) <= kind.fields.keys()


def test_a_user_needs_a_password_only_where_it_logs_in_with_one() -> None:
    user = KINDS["User"]
    assert user.missing_on_create({}) == ("roles", "email", "password")
    assert user.missing_on_create({"roles": ["a"], "auth_method": "certificate"}) == ()
    assert user.missing_on_create({"roles": ["a"], "email": "a@b.c", "auth_method": "sso"}) == ()


def test_the_schema_for_editors_is_up_to_date() -> None:
    stored = json.loads((schema_folder() / vocabulary.MANIFEST_FILE).read_text("utf-8"))
    assert stored == manifest_schema(), "run: python -m reconciler.kinds > schemas/manifest.json"


def test_the_schema_for_editors_has_standard_words_only() -> None:
    jsonschema.Draft202012Validator.check_schema(manifest_schema())
    assert '"x-' not in json.dumps(manifest_schema())


def test_kinds_are_sorted_and_loaded_once() -> None:
    assert list(KINDS) == sorted(KINDS)
    assert {f"{name.lower()}.json" for name in KINDS} == {
        path.name for path in schema_folder().glob("*.json") if path.name != vocabulary.MANIFEST_FILE
    }
    assert load_kinds() is KINDS


def test_fields_carry_what_the_engine_needs() -> None:
    database, user, role = KINDS["Database"].fields, KINDS["User"].fields, KINDS["Role"].fields
    assert database["memory_size"].form.unit == "bytes"
    assert database["memory_size"].change.impacts[0].when == "decrease"
    assert database["port"].change.immutable
    assert "search" in hook_of(KINDS["Database"]).extended
    assert database["tags"].form.key == ("key",)
    assert database["shard_key_regex"].form.key is None
    assert database["module_list"].form.server_adds
    assert database["dataset_import_sources"].access.write_only
    assert database["backup_location"].form.variants
    assert database["backup_location"].access.holds_secret
    assert database["backup_location"].properties["secret_access_key"].access.secret
    assert database["backup_location"].properties["url"].access.embeds_secret
    permissions = database["roles_permissions"].items
    assert permissions is not None
    assert {name: field.wire for name, field in permissions.properties.items()} == {
        "role": "role_uid",
        "redis_acl": "redis_acl_uid",
    }
    assert permissions.properties["role"].reference == Reference("Role", defer=True)
    assert (user["roles"].wire, user["roles"].form.key) == ("role_uids", ())
    assert user["password"].access.secret
    assert user["password"].access.write_only
    resources = role["resources"].items
    assert resources is not None
    assert resources.properties["databases"].wire == "uids"
