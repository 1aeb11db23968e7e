"""The canonical form, the projection on what is declared, and the field changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.diff import SECRET, FieldChange, changes, masked
from reconciler.diff.compare import _compare
from reconciler.diff.normalize import canonical, canonical_live, comparable, hidden_values, project
from reconciler.kinds import MISSING, Field, Kind, Usual
from tests.plan.worlds import KINDS, NAMES, found, specs

DATABASE, ACL, USER = KINDS["Database"], KINDS["RedisACL"], KINDS["User"]
ENV = {"valueFrom": {"env": "X"}}
A, B = {"regex": "a"}, {"regex": "b"}


@pytest.mark.parametrize(
    ("kind", "written", "form"),
    [
        (DATABASE, {"memory_size": "2GiB"}, {"memory_size": 2147483648}),
        (DATABASE, {"memory_size": "512MB"}, {"memory_size": 512_000_000}),
        (DATABASE, {"memory_size": 5.0}, {"memory_size": 5}),
        (DATABASE, {"memory_size": "much"}, {"memory_size": "much"}),
        (DATABASE, {"backup_interval": "12h"}, {"backup_interval": 43200}),
        (DATABASE, {"active_defrag_ignore_bytes": "100mb"}, {"active_defrag_ignore_bytes": "104857600"}),
        (DATABASE, {"active_defrag_ignore_bytes": 7}, {"active_defrag_ignore_bytes": "7"}),
        (DATABASE, {"port": 0}, {}),
        (DATABASE, {"port": 12000}, {"port": 12000}),
        (DATABASE, {"avoid_nodes": ["3", "1", "3"]}, {"avoid_nodes": ["1", "3"]}),
        (DATABASE, {"shard_key_regex": [B, A]}, {"shard_key_regex": [B, A]}),
        (DATABASE, {"tags": [{"key": "b"}, {"key": "a"}]}, {"tags": [{"key": "a"}, {"key": "b"}]}),
        (ACL, {"acl": "  +@all   ~*\t"}, {"acl": "+@all ~*"}),
        (USER, {"password": ENV}, {"password": ENV}),
    ],
)  # fmt: skip
def test_canonical(kind: Kind, written: dict[str, Any], form: dict[str, Any]) -> None:
    assert canonical(kind, written) == form


def test_pem_loses_carriage_returns_blank_lines_and_trailing_space() -> None:
    messy = "\r\n-----BEGIN X-----  \r\nAAAA\r\n\r\n-----END X-----"
    certs = canonical(DATABASE, {"authentication_ssl_client_certs": [{"client_cert": messy}]})
    assert certs == {"authentication_ssl_client_certs": [{"client_cert": "-----BEGIN X-----\nAAAA\n-----END X-----\n"}]}


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_canonical_form_of_a_canonical_form_is_itself(kind: str, data: st.DataObject) -> None:
    spec = canonical(KINDS[kind], data.draw(specs(kind, NAMES)))
    assert canonical(KINDS[kind], spec) == spec
    assert canonical_live(KINDS[kind], canonical_live(KINDS[kind], spec)) == canonical_live(KINDS[kind], spec)


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_is_live_as_declared_is_no_difference_whatever_else_is_live(kind: str, data: st.DataObject) -> None:
    spec = canonical(KINDS[kind], data.draw(specs(kind, NAMES)))
    more = data.draw(specs(kind, NAMES))
    live = found(kind, 1, "x", {**more, **comparable(KINDS[kind], spec)}).spec
    assert changes(KINDS[kind], spec, live) == ()
    cut = project(KINDS[kind], comparable(KINDS[kind], spec), live)
    assert project(KINDS[kind], comparable(KINDS[kind], spec), cut) == cut


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(DATABASE.fields)), json_values, max_size=6), st.data())
def test_odd_live_values_stop_nothing(odd: dict[str, Any], data: st.DataObject) -> None:
    spec = canonical(DATABASE, data.draw(specs("Database", NAMES)))
    live = canonical_live(DATABASE, odd)
    paths = [change.path for change in changes(DATABASE, spec, live)]
    assert paths == sorted(paths)


def test_live_secrets_and_uris_with_userinfo_go() -> None:
    wire = {
        "authentication_redis_pass": "hunter2",
        "replica_sources": [{"uri": "redis://:hunter2@a.example:1"}, {"uri": "redis://a.example:1"}],
        "unknown": 1,
    }
    assert canonical_live(DATABASE, wire) == {"replica_sources": [{}, {"uri": "redis://a.example:1"}]}


def test_the_paths_of_hidden_values_count_items() -> None:
    spec = canonical(
        DATABASE,
        {
            "replica_sources": [{"uri": "redis://a:1"}, {"uri": ENV}],
            "backup_location": {"type": "s3", "secret_access_key": ENV},
        },
    )
    assert list(hidden_values(DATABASE, spec)) == [
        ("backup_location.secret_access_key", ENV),
        ("replica_sources[1].uri", ENV),
    ]


def test_a_documented_default_that_the_server_leaves_out_is_there() -> None:
    default = DATABASE.fields["eviction_policy"].usual.default
    assert changes(DATABASE, {"eviction_policy": default}, {}) == ()
    assert changes(DATABASE, {"eviction_policy": "allkeys-lfu"}, {}) == (
        FieldChange("eviction_policy", MISSING, "allkeys-lfu"),
    )


def test_an_inserted_item_of_a_keyed_list_is_one_change() -> None:
    def policy(*seconds: int) -> list[dict[str, int]]:
        return [{"secs": number, "writes": 1} for number in seconds]

    before = canonical(DATABASE, {"snapshot_policy": policy(60, 900)})
    after = canonical(DATABASE, {"snapshot_policy": policy(30, 60, 900)})
    assert changes(DATABASE, after, before) == (
        FieldChange("snapshot_policy[secs=30]", MISSING, {"secs": 30, "writes": 1}),
    )


def test_names_that_begin_with_two_underscores_are_compared() -> None:
    text = Field("", "", type="string")
    kind = replace(DATABASE, fields={"map": Field("map", "map", properties={"__a": text})})
    assert changes(kind, {"map": {"__a": "1"}}, {"map": {"__a": "2"}}) == (FieldChange("map.__a", "2", "1"),)


def test_a_whole_float_is_the_same_number() -> None:
    assert changes(DATABASE, {"search": {"a": 1, "b": "x"}}, {"search": {"a": 1.0, "b": "y"}}) == (
        FieldChange("search.b", "y", "x"),
    )


def test_masked_hides_references_to_secrets_at_any_depth() -> None:
    assert masked({"a": [{"uri": ENV}], "b": 1}) == {"a": [{"uri": SECRET}], "b": 1}
    assert repr(SECRET) == "(secret)"


SINGLES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.5]) | st.text("ab[.", max_size=3)


@settings(deadline=None, max_examples=200)
@given(
    wanted=st.dictionaries(st.sampled_from(["memory_size", "name", "port", "type"]), SINGLES, max_size=4),
    there=st.dictionaries(st.sampled_from(["memory_size", "name", "port", "type"]), SINGLES, max_size=4),
)
def test_of_single_values_deepdiff_says_the_same(wanted: dict[str, Any], there: dict[str, Any]) -> None:
    after = {name: value for name, value in wanted.items() if name not in there or there[name] != value}
    before = {name: there[name] for name in after if name in there}
    fields = {name: replace(DATABASE.fields["port"], usual=Usual()) for name in wanted}
    kind = replace(DATABASE, fields=fields)
    assert sorted(changes(kind, wanted, there)) == sorted(_compare(before, after))
