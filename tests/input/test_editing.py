"""One value of a YAML text, exchanged: every other byte stays, or nothing is done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.yaml12 import read
from reconciler.yaml12.editing import CannotEdit, replaced

TEXT = """\
# the shop
a: 1   # one
---
b:
  text: 'it''s'   # said
  deep: {x: 1, "y z": [1, 2]}
  list:
    - one
    - {name: two, n: 2}
  after: true
c: &anchor 5
d: *anchor
e: |
  several
  lines
f:
  - x
  # why
  - y
g: "\\u00e4 #no comment"
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("b", "text"), "it is", "'it''s'", "it is"),
        (("b", "text"), "yes", "'it''s'", '"yes"'),
        (("b", "text"), "a: b # c", "'it''s'", '"a: b # c"'),
        (("b", "text"), 7, "'it''s'", "7"),
        (("b", "text"), None, "'it''s'", "null"),
        (("b", "deep", "x"), 2.5, "x: 1", "x: 2.5"),
        (("b", "deep", "y z"), [3, "a,b"], "[1, 2]", '[3, "a,b"]'),
        (("b", "deep"), {"k": []}, '{x: 1, "y z": [1, 2]}', "{k: []}"),
        (("b", "list", 1, "n"), 3, "n: 2", "n: 3"),
        (("b", "list"), ["un"], "- one\n    - {name: two, n: 2}", "- un"),
        (
            ("b", "list"),
            [{"name": "x", "n": 1}, "y"],
            "- one\n    - {name: two, n: 2}",
            "- name: x\n      n: 1\n    - y",
        ),
        (("b", "list"), [], "- one\n    - {name: two, n: 2}", "[]"),
        (("b", "after"), False, "true", "false"),
        (("g",), "ö", '"\\u00e4 #no comment"', "ö"),
    ],
)
def test_only_the_value_changes(path: tuple[str | int, ...], value: Any, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert replaced(TEXT, "shop.yaml", 1, path, value) == TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("c",), 6, "anchor"),
        (("d",), 6, "elsewhere"),
        (("e",), "x", "several lines"),
        (("f",), ["y"], "comment"),
        (("b", "text"), ["a"], "a list or an object"),
        (("b", "nothing"), 1, "is not written there"),
        (("b", "list", 5), 1, "is not written there"),
    ],
)
def test_what_is_not_safe_is_refused(path: tuple[str | int, ...], value: Any, why: str) -> None:
    with pytest.raises(CannotEdit, match=why):
        replaced(TEXT, "shop.yaml", 1, path, value)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.text(st.characters(min_codepoint=32, max_codepoint=591)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab c:#", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([("b", "text"), ("b", "deep"), ("b", "list"), ("b", "deep", "y z")]))
def test_whatever_is_written_reads_back_as_it_is(value: Any, path: tuple[str, ...]) -> None:
    try:
        edited = replaced(TEXT, "shop.yaml", 1, path, value)
    except CannotEdit:
        return
    found: Any = read(edited, "shop.yaml")[1].value
    for step in path:
        found = found[step]
    assert found == value
    assert edited.splitlines()[:3] == TEXT.splitlines()[:3]
    assert edited.endswith(TEXT[TEXT.index("  after: true") :])
