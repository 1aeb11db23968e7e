"""Reading YAML: the same values as PyYAML where text is ordinary, with places, and writing that reads back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler import yaml12
from reconciler.errors import InputError
from reconciler.yaml12.parser_limits import PARSER_LIMITS
from reconciler.yaml12.positions import documents_with_positions
from reconciler.yaml12.scalars import resolve
from reconciler.yaml12.writer import write


def quoted_or_clear(text: str) -> bool:
    """Leave out strings that PyYAML writes without quotes and YAML 1.2 reads as something else."""
    return type(resolve(text)) is str or yaml.safe_dump(text)[0] in "'\""


characters = st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"], include_characters="\n\t")
strings = st.text(characters, max_size=40).filter(quoted_or_clear)
keys = st.text(characters, min_size=1, max_size=20).filter(quoted_or_clear)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | strings
)
values = st.recursive(
    scalars, lambda below: st.lists(below, max_size=4) | st.dictionaries(keys, below, max_size=4), max_leaves=12
)


def read(text: str | bytes) -> list[Any]:
    return [document.value for document in yaml12.read(text, "f.yaml")]


@given(st.lists(values, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_ordinary_values_read_as_pyyaml_reads_them(documents: list[Any], flow: bool, unicode: bool) -> None:
    text = yaml.safe_dump_all(documents, default_flow_style=flow, allow_unicode=unicode)
    assert list(yaml.load_all(text, yaml.CSafeLoader)) == read(text)


@given(st.lists(values, min_size=1, max_size=3))
def test_what_is_written_reads_back_here_and_elsewhere(documents: list[Any]) -> None:
    text = write(documents)
    assert documents == read(text)
    assert documents == list(yaml.load_all(text, yaml.CSafeLoader))


@given(st.text(max_size=60))
def test_any_string_is_written_so_that_it_reads_back_or_is_refused(text: str) -> None:
    try:
        written = write([[text]])
        back = read(written)
    except (InputError, UnicodeEncodeError):
        assert any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in text)
    else:
        assert [[text]] == back


@given(values)
def test_both_builders_agree(value: Any) -> None:
    text = write([value])
    found = documents_with_positions(text.encode(), "f", PARSER_LIMITS)
    assert found.problems == []
    assert [tree.value for tree in found.trees] == read(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_problem(data: bytes) -> None:
    reading = yaml12.parse(data, "f")
    assert reading.documents or reading.problems or not data.strip() or b"#" in data or b"---" in data or b"%" in data


@given(st.text("ab:-&*!|>[]{},'\"#%?~ \n\t01", max_size=60))
def test_any_text_made_of_indicators_is_read_or_refused(text: str) -> None:
    documents, problems = yaml12.parse(text, "f")
    for problem in problems:
        assert 0 <= problem.line <= text.count("\n") + 1
    if not problems:
        assert all(document.place() >= (1, 1) for document in documents)


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(found for step, item in below for found in paths_of(item, (*path, step)))]


@given(st.lists(values, min_size=1, max_size=3), st.booleans())
def test_a_place_is_where_the_text_begins(documents: list[Any], flow: bool) -> None:
    text = yaml.safe_dump_all(documents, default_flow_style=flow, allow_unicode=True)
    lines = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n").split("\n")
    for document in yaml12.read(text, "f"):
        for path, _ in paths_of(document.value):
            line, column = document.place(path)
            rest = lines[line - 1][column - 1 :]
            assert document.holds(path)
            if path and isinstance(path[-1], str) and path[-1].isalpha() and rest[0] not in "'\"?":
                assert rest.startswith(path[-1])


def test_places_of_members_are_their_keys_and_of_items_their_beginning() -> None:
    text = "# first\na: 1\nb:\n  - x\n  - {c: 2, d: [3]}\n---\ne: 5\n"
    one, two = yaml12.read(text, "f.yaml")
    assert one.place(("a",)) == (2, 1)
    assert one.place(("b",)) == (3, 1)
    assert one.place(("b", 0)) == (4, 5)
    assert one.place(("b", 1, "c")) == (5, 6)
    assert one.place(("b", 1, "d", 0)) == (5, 16)
    assert two.place(("e",)) == (7, 1)
    assert yaml12.Place("f.yaml", 7, 1) == two.locate(("e", "nothing", 3))


def test_a_value_under_an_alias_is_at_its_anchor_and_the_alias_is_at_its_key() -> None:
    text = "a: &x {one: 1}\nb: *x\nc:\n  <<: *x\n  two: 2\n"
    (document,) = yaml12.read(text, "f")
    assert document.value == {"a": {"one": 1}, "b": {"one": 1}, "c": {"one": 1, "two": 2}}
    assert document.place(("b",)) == (2, 1)
    assert document.place(("b", "one")) == (1, 8)
    assert document.place(("c", "one")) == (1, 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: {<<: {x: 1}, x: 2}", {"a": {"x": 2}}),
        ("a: {x: 2, <<: {x: 1}}", {"a": {"x": 2}}),
        ("<<: [{x: 1}, {x: 2, z: 3}]\n", {"x": 1, "z": 3}),
        ('"<<": 5\n', {"<<": 5}),
        ("a: &a 1\nb: *a\n", {"a": 1, "b": 1}),
        ("%YAML 1.2\n---\na: 1\n", {"a": 1}),
        ("a: |\n  no\nb: >-\n  on\n", {"a": "no\n", "b": "on"}),
        ("a: !ignored", None),
        ("? a\n: b\n", {"a": "b"}),
        ("a:\r\n  b: 1\r\n", {"a": {"b": 1}}),
        ("{a: , b}", {"a": None, "b": None}),
        ("a: été\n", {"a": "été"}),
        ("a: \U0001f600\n", {"a": "\U0001f600"}),
    ],
)
def test_less_usual_text(text: str, value: Any) -> None:
    documents, problems = yaml12.parse(text, "f")
    if value is None:
        assert problems
    else:
        assert ([value], []) == ([document.value for document in documents], problems)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "--- \n...\n"])
def test_text_without_content_has_no_problem(text: str) -> None:
    assert all(value is None for value in read(text))


def test_every_problem_of_a_document_is_reported_and_those_of_earlier_ones_too() -> None:
    with pytest.raises(InputError) as caught:
        read("a: no\nb: 012\na: 1\n---\nc: !x 1\n---\nd: [\n")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3, 5, 7]


def test_documents_before_a_syntax_error_are_read() -> None:
    documents, problems = yaml12.parse("a: 1\n---\nb: [\n", "f")
    assert [document.value for document in documents] == [{"a": 1}]
    assert len(problems) == 1


def test_problems_of_one_file_are_counted_and_cut() -> None:
    _, problems = yaml12.parse("a: no\n" + "".join(f"k{i}: no\n" for i in range(500)), "f")
    assert len(problems) == 101
    assert problems[-1].message == "100 problems in this file; the rest of it was not read"


def test_the_pure_parser_gives_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, {b: 'x'}]\n---\nc: &y {d: |\n    text\n  }\n".replace("|\n    text\n  ", '"t"') + "e: *y\n"
    expected = read(text)
    monkeypatch.setattr("reconciler.yaml12.events._parser", yaml12.events._PureParser)
    assert expected == read(text)


@pytest.mark.parametrize("text", ["%YAML " + "9" * 5_000 + ".1\n---\na: 1\n", 'a: "\\UFFFFFFFF"\n', "a: [\n", "\ta"])
def test_the_pure_parser_refuses_what_python_cannot_hold(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("reconciler.yaml12.events._parser", yaml12.events._PureParser)
    assert len(yaml12.parse(text, "f").problems) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec", "tags", 0, "key"), "spec.tags[0].key"),
        (("spec", "a.b"), 'spec["a.b"]'),
        (("a\x1b",), '["a\\x1b"]'),
        ((0, "x"), "[0].x"),
    ],
)
def test_paths_are_written_for_people(path: tuple[str | int, ...], text: str) -> None:
    assert text == yaml12.path_text(path)


def test_text_from_the_input_is_cut_and_escaped() -> None:
    assert yaml12.shown("a\x1b[31m") == '"a\\x1b[31m"'
    assert len(yaml12.shown("x" * 1000)) == 62
    assert yaml12.shown("\ud800") == '"\\ud800"'
