"""Long values: what differs is visible in text, Markdown and page, and nothing is cut."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.diff import FieldChange
from reconciler.kinds import MISSING
from reconciler.model import Address, Reason
from reconciler.plan import Plan
from reconciler.plan.drift import Ahead, Drift
from reconciler.render.drift import drift_text
from reconciler.render.escape import clean
from reconciler.render.long_values import change_rows
from reconciler.render.markdown import plan_markdown
from reconciler.render.text import plan_text
from reconciler.web.plan_view import plan_view
from tests.plan.scenarios import SCENARIOS
from tests.plan.worlds import declared, found, plan_of, state

ACL = "+@read +@write -@dangerous " + " ".join(f"~service-{number}:*" for number in range(40)) + " {}"
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
QUERY = "(&(objectClass=person)(memberOf:1.2.840.113556.1.4.1941:=cn=redis,ou={},dc=example,dc=com)(!(disabled=TRUE)))"
LICENCE = "\n".join(
    ["----- LICENSE START -----", *("abcdef0123" * 7 for _ in range(6)), "{}", "----- LICENSE END -----"]
)
ENV = {"valueFrom": {"env": "X"}}


def rows(before: Any, after: Any, width: int = 90, path: str = "x") -> list[tuple[str, str]]:
    return [tuple(row) for row in change_rows("Database", FieldChange(path, before, after), width)]


def everywhere(plan: Plan) -> list[str]:
    view = plan_view(plan)
    assert view is not None
    return [plan_text(plan, 80), plan_text(plan, 100), plan_markdown(plan), re.sub(r"\x1b\[\d+m", "", view.text)]


@pytest.mark.parametrize(
    ("kind", "field", "text", "before", "after"),
    [
        ("RedisACL", "acl", ACL, "~z:*", "~*"),
        ("LDAP", "dn_group_query", QUERY, "groups", "everybody"),
        ("Certificate", "certificate", PEM, "MIIB" + "A" * 60, "MIIB" + "A" * 59 + "B"),
        ("License", "license", LICENCE, "Q" * 70, "Q" * 69 + "R"),
    ],
)
def test_what_changes_within_a_long_text_is_shown(kind: str, field: str, text: str, before: str, after: str) -> None:
    old, new = text.format(before), text.format(after)
    shown = rows(old, new)
    assert [mark for mark, _ in shown if mark] == ["-", "+"]
    assert [line.strip('"| ') for mark, line in shown if mark] == [before, after]


def test_a_changed_acl_rule_shows_in_text_markdown_and_page() -> None:
    plan = plan_of(
        [declared("RedisACL", "keys", {"acl": ACL.format("~*")})],
        state(found("RedisACL", 9, "keys", {"acl": ACL.format("~z:*")})),
    )
    for text in everywhere(plan):
        assert re.findall(r'^([-+ ]) *([-+]?) *"(~z:\*|~\*)"$', text, re.MULTILINE) in (
            [(" ", "-", "~z:*"), (" ", "+", "~*")],
            [("-", "", "~z:*"), ("+", "", "~*")],
        )
        assert "(40 unchanged words)" in text


def test_nested_fields_have_a_line_each() -> None:
    spec = {
        "default_db_config": {"memory_size": "1GB", "data_persistence": "aof"},
        "instances": [
            {
                "cluster": "east",
                "credentials": {"username": "admin", "password": ENV},
                "db_config": {"data_persistence": "disabled"},
                "roles_permissions": [{"role": "Admin", "redis_acl": "Full Access"}],
            },
            {"cluster": "west", "credentials": {"username": "admin", "password": ENV}},
        ],
    }
    there = [found("RedisACL", 9, "Full Access", {"acl": "+@all"}), found("Role", 9, "Admin")]
    plan = plan_of(
        [declared("ActiveActiveDatabase", "shop", spec, "east")], state(*there, cluster="east"), state(cluster="west")
    )
    for text in everywhere(plan):
        assert (
            "          - cluster: east\n"
            "            credentials: {username: admin, password: (secret)}\n"
            "            db_config: {data_persistence: disabled}\n"
            '            roles_permissions: [{role: Admin, redis_acl: "Full Access"}]\n'
            "          - cluster: west\n"
            "            credentials: {username: admin, password: (secret)}"
        ) in text


def test_equal_items_of_a_list_are_counted_not_repeated() -> None:
    regexes = [{"regex": f"^tenant-{number}:(?<tag>.*)$"} for number in range(20)]
    plan = plan_of(
        [declared("Database", "orders", {"memory_size": "1GiB", "shard_key_regex": [{"regex": "new"}, *regexes]})],
        state(found("Database", 1, "orders", {"memory_size": "1GiB", "shard_key_regex": regexes})),
    )
    (change,) = plan.changes
    (field,) = change.fields
    assert list(change_rows("Database", field, 80)) == [("+", "- {regex: new}"), ("", "(20 unchanged)")]


def test_drift_of_a_long_text_shows_what_differs_and_names_the_cluster() -> None:
    address = Address("east", "RedisACL", "keys")
    one = Drift(address, "acl", Ahead.CLUSTER, Reason.CHANGED_OUTSIDE, (), ACL.format("~*"), ACL.format("~z:*"))
    assert drift_text([one], width=80) == (
        """\
  east:RedisACL/keys
      acl
          cluster (-), declared (+)
          (40 unchanged words)
          "~service-37:* ~service-38:* ~service-39:*"
        - "~*"
        + "~z:*"
          changed on the cluster since the last apply

Drift: 1 on the cluster, 0 in the manifests, 0 on both sides.
"""
    )


words = st.lists(
    st.sampled_from(["+@read", "~a:*", "~b:*", "-@all", "&*", "x" * 130, "é\x1b[2J"]), min_size=1, max_size=60
)


@settings(deadline=None, max_examples=200)
@given(words, words, st.sampled_from([" ", "\n"]), st.integers(30, 120))
def test_the_rows_of_a_text_lead_from_one_to_the_other(old: list[str], new: list[str], joint: str, width: int) -> None:
    before, after = joint.join(old), joint.join(new)
    shown = rows(before, after, width)
    assert all(len(text) <= width and clean(text) == text for _, text in shown)
    if before != after:
        assert any(mark for mark, _ in shown) or len(shown) == 2
    for side, own, other in (("-", old, new), ("+", new, old)):
        only = {word for word in own if word not in other and word.isprintable()}
        text = "".join(line for mark, line in shown if mark in (side, "") or len(shown) == 2)
        assert [word for word in only if len(word) < 20 and word not in text] == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=200)
@given(values, values | st.just(MISSING), st.integers(40, 120))
def test_no_value_breaks_a_line_or_is_cut(before: Any, after: Any, width: int) -> None:
    shown = rows(before, after, width)
    assert all(clean(text) == text for _, text in shown)
    assert "…" in f"{before}{after}" or not any("…" in text for _, text in shown)


def test_a_long_text_without_likeness_is_compared_at_a_bounded_cost() -> None:
    before, after = (" ".join(f"~{letter}{number}" for number in range(20_000)) for letter in "ab")
    assert {mark for mark, _ in rows(before, after)} == {"-", "+"}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_no_ellipsis_hides_a_part_of_a_plan(name: str) -> None:
    assert [text for text in everywhere(SCENARIOS[name]()) if "…" in text] == []
