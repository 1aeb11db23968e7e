"""What people read when a manifest is wrong, word by word; and that no secret is ever among the words.

`bad_specs.txt` holds cases: a line with a kind (or `Envelope`) and a value in YAML, then one indented line a finding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.kinds import envelope_validator, load_kinds, schema_folder
from reconciler.kinds.validation import Validator
from reconciler.kinds.validation.messages import Finding
from tests.kinds.samples import fields_of, put

CORPUS = Path(__file__).parent / "bad_specs.txt"
KINDS = load_kinds()


def cases() -> Iterator[tuple[str, list[str]]]:
    """Yield (the line of a case, the findings expected)."""
    lines: list[str] = []
    for line in [*CORPUS.read_text("utf-8").splitlines(), "end"]:
        if not line.startswith("    ") and line:
            if lines:
                yield lines[0], [each.strip() for each in lines[1:]]
            lines = []
        if line:
            lines.append(line)


def validator_of(name: str) -> Validator:
    return envelope_validator() if name == "Envelope" else KINDS[name].validator


def told(finding: Finding) -> str:
    path = ".".join(map(str, finding.path)) or "(top)"
    return f"{path}: {finding.message}" + (f" ({finding.hint})" if finding.hint else "")


@pytest.mark.parametrize(("case", "expected"), list(cases()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_bad_spec_is_explained(case: str, expected: list[str]) -> None:
    kind, _, text = case.partition(" ")
    assert [told(finding) for finding in validator_of(kind).findings(yaml.safe_load(text))] == expected


def test_a_tombstone_needs_no_spec() -> None:
    tombstone = {"apiVersion": "reconciler/v1", "kind": "Role", "metadata": {"name": "a", "state": "absent"}}
    assert envelope_validator().findings(tombstone) == []


def test_every_case_is_refused() -> None:
    assert all(expected for _, expected in cases())


def test_the_corpus_is_large() -> None:
    assert len(list(cases())) >= 60


CANARY = "s3cr3t-canary"
SHAPES: list[Any] = [
    CANARY,
    f"redis://user:{CANARY}@host:1",
    f"not a form {CANARY}",
    [CANARY],
    {CANARY: 1},
    {"value": CANARY},
    {"valueFrom": CANARY},
    {"valueFrom": {CANARY: "a"}},
    {"valueFrom": {"env": f"{CANARY}!"}},
    {"valueFrom": {"env": "A", "file": CANARY}},
    {"valueFrom": {"file": [CANARY]}},
    {"valueFrom": {"env": "A"}, CANARY: CANARY},
    CANARY * 1000,
]


def hiding_places() -> Iterator[tuple[str, str]]:
    for kind in KINDS:
        source = json.loads((schema_folder() / f"{kind.lower()}.json").read_text("utf-8"))
        yield from ((kind, path) for path, schema in fields_of(source) if "x-secret" in schema)


@pytest.mark.parametrize(("kind", "path"), list(hiding_places()))
def test_what_is_written_into_a_secret_field_is_never_shown(kind: str, path: str) -> None:
    for value in SHAPES:
        findings = KINDS[kind].validator.findings(put(path, value))
        assert findings
        assert CANARY not in repr(findings)


@pytest.mark.parametrize(("kind", "path"), list(hiding_places()))
def test_a_secret_that_stands_in_place_of_what_holds_it_is_never_shown(kind: str, path: str) -> None:
    steps = path.replace("[]", ".[]").split(".")
    for depth in range(1, len(steps)):
        around = ".".join(steps[:depth]).replace(".[]", "[]")
        findings = KINDS[kind].validator.findings(put(around, CANARY))
        assert findings
        assert CANARY not in repr(findings)


def test_control_characters_never_reach_the_terminal() -> None:
    text = "a\x1b[31m\r\n\u202eb\ud800"
    for spec in (
        {"redis_version": text},
        {"eviction_policy": text},
        {"memory_size": text},
        {"tags": [{"key": text, "value": "a"}] * 2},
    ):
        for finding in KINDS["Database"].validator.findings(spec):
            assert (finding.message + finding.hint).isprintable()


def test_a_long_value_is_cut() -> None:
    (finding,) = KINDS["Database"].validator.findings({"eviction_policy": "x" * 3000})
    assert len(finding.message) < 300
