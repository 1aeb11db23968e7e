"""Advice quotes a value as it stands in the file, and what it advises is accepted."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from reconciler import yaml12
from reconciler.errors import InputError, Problem
from reconciler.kinds import load_kinds
from reconciler.manifests import load
from reconciler.settings.project import read
from reconciler.yaml12.scalars import RejectedScalar, resolve

DATABASE = """\
apiVersion: reconciler/v1
kind: Database
metadata: {{name: v}}
spec: {spec}
"""
WRITTEN = ("7.10", "2.0", "1.50", "10", "1.0e+3", "-0", "+1", "0x1F", "true", "True", "FALSE", ".5", "5.")


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as refused:
        load(["-"], load_kinds(), stdin=io.BytesIO(text.encode()))
    return list(map(str, refused.value.problems))


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize(
    "spec",
    [
        "{{redis_version: {}}}",
        "{{module_list: [{{module_name: search, semantic_version: {}}}]}}",
        "{{tags: [{{key: a, value: {}}}]}}",
        "{{avoid_nodes: [{}]}}",
        "{{redis_version: &v {}, tags: [{{key: a, value: x}}]}}",
    ],
)
def test_a_number_where_text_is_expected_is_quoted_as_written(spec: str, written: str) -> None:
    (found,) = problems(DATABASE.format(spec=spec.format(written)))
    assert f'put it in quotes: "{written}"' in found
    assert f"got {written}" in found


@pytest.mark.parametrize("written", WRITTEN)
def test_what_is_merged_in_is_quoted_as_written(written: str) -> None:
    text = DATABASE.format(spec="{<<: *base}").replace("spec:", f"x-base: &base {{redis_version: {written}}}\nspec:")
    assert any(f'put it in quotes: "{written}"' in one for one in problems(text))


def test_labels_and_choices_are_quoted_as_written() -> None:
    text = DATABASE.format(spec="{eviction_policy: 7.10}").replace("name: v", "name: v, labels: {version: 2.10}")
    first, second = problems(text)
    assert 'put it in quotes: "2.10"' in first
    assert "got 7.10" in second


def test_a_project_file_is_quoted_as_written(tmp_path: Path) -> None:
    (tmp_path / "reconciler.yaml").write_text(
        "apiVersion: reconciler/v1\nclusters:\n  - {name: 1.10, urls: [https://x.example:9443]}\n"
    )
    found: list[Problem] = []
    read(tmp_path / "reconciler.yaml", found)
    assert any('put it in quotes: "1.10"' in str(one) for one in found)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("007", 'write "007" in quotes, or 7'),
        ("1e3", 'write "1e3" in quotes, or 1000'),
        ("0o17", 'write "0o17" in quotes, or 15'),
        ("0b101", 'write "0b101" in quotes, or 5'),
        ("1_000", 'write "1_000" in quotes, or 1000'),
        ("0_12", 'write "0_12" in quotes'),
        ("1_0e5", 'write "1_0e5" in quotes'),
        ("0o" + "7" * 60, f'write "0o{"7" * 60}" in quotes'),
        ("2024-01-01", 'write "2024-01-01" in quotes'),
        ("12:30", 'write "12:30" in quotes'),
        ("yes", 'write "yes" in quotes, or true'),
        ("Off", 'write "Off" in quotes, or false'),
    ],
)
def test_what_is_ambiguous_is_quoted_as_written_and_its_alternative_is_accepted(text: str, hint: str) -> None:
    rejected = resolve(text)
    assert isinstance(rejected, RejectedScalar)
    assert rejected.hint == hint
    other = re.search(r", or (\S+)$", hint)
    assert other is None or not isinstance(resolve(other[1]), RejectedScalar | str)


@pytest.mark.parametrize("text", ["7.10", "yes", "a, b", "*", "1_000", "admin", "~", "10.0.0.1", "a: b", ""])
def test_a_text_that_is_to_be_a_list_is_advised_as_that_text(text: str) -> None:
    (found,) = problems(DATABASE.format(spec=f'{{avoid_nodes: "{text}"}}'))
    advice = re.search(r"write it as a list: (\[.*\])", found)
    assert advice is not None
    assert [one.value for one in yaml12.read(advice[1], "x.yaml")] == [[text]]


@pytest.mark.parametrize(
    ("text", "advised"), [("12", True), ("0", True), ("012", False), ("\u0663", False), ("1e3", False)]
)
def test_quotes_are_to_be_left_out_only_of_what_is_a_number_without(text: str, advised: bool) -> None:
    found = problems(DATABASE.format(spec=f'{{shards_count: "{text}"}}'))
    assert any("leave the quotes out" in one for one in found) is advised
