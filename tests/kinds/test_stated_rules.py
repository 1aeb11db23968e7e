"""A rule that a description states is enforced: each has a violation in `stated_rules.txt`, which `validate` reports.

A line is a field and a spec that breaks what its description states, or the keyword that enforces it, or why the
description states no rule for manifests.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from reconciler.errors import InputError
from reconciler.kinds import load_kinds, schema_folder
from reconciler.manifests import load
from reconciler.settings import Target
from tests.kinds.samples import fields_of

KINDS = load_kinds()
SOURCES = {name: json.loads((schema_folder() / f"{name.lower()}.json").read_text("utf-8")) for name in KINDS}
FIELDS = {f"{kind}.{path}": schema for kind, source in SOURCES.items() for path, schema in fields_of(source)}
RULE = re.compile(
    r"; (more than one )?needs? |\bneeded with\b|\bmust\b|at least a|at most a|less than [a-z]+_|goes with|can only"
    r"|only while|can change|cannot be turned|never (lowered|changes)|in place of|ascending|and newer"
    r"|is not disabled|a changed file"
)
LINES = [line.partition(": ") for line in (Path(__file__).parent / "stated_rules.txt").read_text().splitlines()]
VIOLATIONS = [(field, text) for field, _, text in LINES if text.startswith("{")]


def test_every_rule_that_a_description_states_has_a_violation_or_the_keyword_that_enforces_it() -> None:
    stated = {field for field, schema in FIELDS.items() if RULE.search(schema.get("description", ""))}
    assert stated == {field for field, _, _ in LINES}


@pytest.mark.parametrize(("field", "keyword"), [(field, text) for field, _, text in LINES if text.startswith("x-")])
def test_a_keyword_enforces_what_the_description_states(field: str, keyword: str) -> None:
    schema = FIELDS[field]
    assert keyword in schema or keyword in schema.get("items", {})


@pytest.mark.parametrize(("field", "spec"), VIOLATIONS)
def test_validate_reports_what_a_description_rules_out(tmp_path: Path, field: str, spec: str) -> None:
    kind = field.partition(".")[0]
    name = "cluster" if KINDS[kind].singleton else "orders"
    manifest = {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": yaml.safe_load(spec)}
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(manifest))
    clusters = [Target(name="dc1", urls=(), username="", password={})]
    try:
        said = [str(one) for one in load([file], KINDS, clusters=clusters).warnings]
    except InputError as error:
        said = [str(one) for one in error.problems]
    assert any("spec" in one for one in said), said
