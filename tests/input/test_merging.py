"""Layers: RFC 7386, and the laws that follow from it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.manifests.layers import merge

scalars = st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
names = st.sampled_from("abcd")
values = st.recursive(scalars, lambda b: st.lists(b, max_size=3) | st.dictionaries(names, b, max_size=4), max_leaves=8)
objects = st.dictionaries(names, values, max_size=4)
nulls = st.none() | values
patches = st.dictionaries(names, nulls | st.dictionaries(names, nulls, max_size=3), max_size=4)


@given(objects)
def test_merged_with_itself_is_itself(value: dict[str, Any]) -> None:
    assert merge(value, value) == value


@given(objects)
def test_an_empty_layer_changes_nothing(value: dict[str, Any]) -> None:
    assert merge(value, {}) == value
    assert merge({}, value) == value


@given(objects, patches)
def test_merging_the_same_layer_again_changes_nothing(value: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge(merge(value, patch), patch) == merge(value, patch)


@given(objects, patches)
def test_merging_changes_neither_side(value: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((value, patch))
    merge(value, patch)
    assert before == (value, patch)


@given(objects, patches)
def test_what_a_layer_says_holds_and_what_it_leaves_out_stays(value: dict[str, Any], patch: dict[str, Any]) -> None:
    merged = merge(value, patch)
    for name in value.keys() - patch.keys():
        assert merged[name] == value[name]
    for name, said in patch.items():
        if said is None:
            assert name not in merged
        elif not isinstance(said, dict):
            assert merged[name] == said


# The table of the RFC, appendix A.
@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_table_of_the_rfc(base: Any, patch: Any, result: Any) -> None:
    assert merge(base, patch) == result
