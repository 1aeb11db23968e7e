"""Compiled tests and jsonschema agree on any schema and value; text that is too long is never matched."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry
from referencing.exceptions import Unresolvable

from reconciler.kinds import envelope_validator, load_kinds, schema_folder
from reconciler.kinds.validation import Validator
from reconciler.kinds.validation.messages import Finding
from reconciler.kinds.validation.rules import LONGEST
from tests.kinds.samples import values_of

KINDS = load_kinds()
SOURCES = {name: json.loads((schema_folder() / f"{name.lower()}.json").read_text("utf-8")) for name in KINDS}

NAMES = st.sampled_from(["a", "b", "type"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 5, 1.0, 1.5, 0.0, -0.0, 10**30, math.inf, -math.inf])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.just(math.nan),
    st.sampled_from(["", "a", "b", "ab", "1", "1KiB", "2 GB", "1.5KiB", "yes", "a\n", "é", "\ud800"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


def schemas(*, standard: bool) -> st.SearchStrategy[Any]:
    """Return schemas; *standard* ones mean to plain jsonschema exactly what they mean to us."""
    types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
    small = st.integers(0, 3)
    leaf: dict[str, st.SearchStrategy[Any]] = {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(SCALARS.filter(lambda value: value == value), min_size=1, max_size=3),
        "const": SCALARS.filter(lambda value: value == value),
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), small),
        "uniqueItems": st.booleans(),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "description": st.just("words"),
    }
    if not standard:
        leaf |= {
            "pattern": st.sampled_from(["^a$", "^[ab]*$", "b", r"^\$?[$]?$"]),
            "x-unit": st.sampled_from(["bytes", "seconds", "percent"]),
            "x-key": st.lists(NAMES, max_size=2, unique=True),
        }

    def branch(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=1, max_size=3)
        words = leaf | {
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "additionalProperties": inner,
            "propertyNames": inner,
            "items": inner,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        }
        return st.fixed_dictionaries({}, optional=words) | st.booleans()

    quantity = st.just({"type": ["integer", "string"], "x-unit": "bytes", "minimum": 1, "maximum": 2000})
    start = st.fixed_dictionaries({}, optional=leaf)
    return st.recursive(start if standard else start | quantity, branch, max_leaves=6)


def is_valid(schema: Any, value: Any) -> bool:
    return jsonschema.Draft202012Validator(schema, registry=Registry()).is_valid(value)


@settings(max_examples=400, deadline=None)
@given(schemas(standard=True), VALUES)
def test_standard_words_mean_what_they_mean_to_jsonschema(schema: Any, value: Any) -> None:
    assert Validator(schema).check(value) == is_valid(schema, value)


@settings(max_examples=400, deadline=None)
@given(schemas(standard=False), VALUES)
def test_check_and_explain_never_disagree(schema: Any, value: Any) -> None:
    validator = Validator(schema)
    assert validator.check(value) == (validator.explain(value) == [])


@settings(max_examples=200, deadline=None)
@given(
    schemas(standard=True), VALUES, st.sampled_from(["$ref", "patternProperties", "contains", "prefixItems", "x-new"])
)
def test_a_word_that_the_compiled_test_does_not_know_is_left_to_jsonschema(schema: Any, value: Any, word: str) -> None:
    if isinstance(schema, dict):
        known = {"$ref": "#/$defs/a", "patternProperties": {}, "contains": True, "prefixItems": [True], "x-new": 1}
        outer = {"allOf": [{**schema, word: known[word]}], "$defs": {"a": True}}
        assert not Validator(outer).check(value)
        assert (Validator(outer).findings(value) == []) == is_valid(outer, value)


@st.composite
def specs(draw: st.DrawFn, kind: str, *, broken: bool) -> dict[str, Any]:
    """Return a spec of valid values, with something foreign put in where it is *broken*."""
    source = SOURCES[kind]["properties"]
    names = draw(st.lists(st.sampled_from(sorted(source)), max_size=12, unique=True))
    spec = {name: draw(st.sampled_from(values_of(source[name]))) for name in names}
    if broken:
        spec[draw(st.sampled_from([*source, "unknown"]))] = draw(VALUES)
    return spec


@pytest.mark.parametrize("kind", KINDS)
def test_the_compiled_test_settles_ordinary_specs_by_itself(kind: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(specs(kind, broken=False))
    def law(spec: dict[str, Any]) -> None:
        validator = KINDS[kind].validator
        assert validator.check(spec) == (validator.explain(spec) == [])

    law()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_compiled_test_accepts_jsonschema_accepts(kind: str) -> None:
    plain = jsonschema.Draft202012Validator(KINDS[kind].schema, registry=Registry())

    @settings(max_examples=100, deadline=None)
    @given(specs(kind, broken=True))
    def law(spec: dict[str, Any]) -> None:
        if KINDS[kind].validator.check(spec):
            assert KINDS[kind].validator.explain(spec) == []
            assert plain.is_valid(spec)

    law()


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"type": "integer"}, 1.0, True),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, False, False),
        ({"type": "integer"}, math.inf, False),
        ({"minimum": 5}, math.nan, True),
        ({"enum": [1]}, True, False),
        ({"enum": [1]}, 1.0, True),
        ({"const": {"a": [0]}}, {"a": [False]}, False),
        ({"uniqueItems": True}, [1, True], True),
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"pattern": "^a$"}, "a\n", False),
        ({"pattern": r"^a\$$"}, "a$", True),
        ({"pattern": "^[$]$"}, "$", True),
    ],
)
def test_values_that_look_alike_are_told_apart(schema: Any, value: Any, valid: bool) -> None:
    assert Validator(schema).check(value) is valid
    assert (Validator(schema).explain(value) == []) is valid


def test_long_text_is_refused_before_any_pattern_is_tried() -> None:
    slow = Validator({"type": "string", "pattern": "^(a+)+$"})
    assert slow.findings("a" * 100_000 + "!") == [Finding((), f"must be at most {LONGEST} characters long, got 100001")]


def test_long_text_is_refused_where_no_length_is_given() -> None:
    assert Validator({"type": "string"}).findings("x" * LONGEST) == []
    assert Validator({"type": "string"}).findings("x" * (LONGEST + 1)) != []
    assert Validator({"type": "string", "maxLength": 9000}).findings("x" * 9000) == []


def test_certificates_may_be_long() -> None:
    chain = "-----BEGIN CERTIFICATE-----\n" + "A" * 20_000 + "\n-----END CERTIFICATE-----\n"
    assert KINDS["Database"].validator.findings({"authentication_ssl_client_certs": [{"client_cert": chain}]}) == []


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema.json", "file:///etc/hostname"])
def test_nothing_is_fetched_for_a_reference(reference: str) -> None:
    with pytest.raises(Unresolvable, match="Unresolvable"):
        Validator({"$ref": reference}).findings({})


@pytest.mark.parametrize("word", ["$ref", "$schema", "$id"])
def test_a_manifest_cannot_carry_words_of_a_schema(word: str) -> None:
    envelope = {"apiVersion": "reconciler/v1", "kind": "Role", "metadata": {"name": "a"}, "spec": {}, word: "x"}
    assert envelope_validator().findings(envelope) == [Finding((word,), "unknown field")]
    assert KINDS["Role"].validator.findings({word: "x"}) == [Finding((word,), "unknown field")]


def test_valid_input_does_not_load_jsonschema() -> None:
    program = (
        "import sys; from reconciler.kinds import load_kinds, envelope_validator\n"
        "kind = load_kinds()['Database']; assert kind.validator.findings(kind.examples[0]) == []\n"
        "assert envelope_validator().findings({'apiVersion': 'reconciler/v1', 'kind': 'Database',"
        " 'metadata': {'name': 'a'}, 'spec': {}}) == []\n"
        "print(sorted({'jsonschema', 'referencing', 'attrs', 'difflib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
