"""What README and CONTRIBUTING say of the code is so: kinds, commands, exit codes, layers, words of kinds, links."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.cli import COMMANDS
from reconciler.kinds.vocabulary import CONSENT, IMPACTS
from tests.test_layers import HOMES, LAYERS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
META = json.loads((ROOT / "schemas" / "meta" / "kind.json").read_bytes())


def kind_files() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "schemas").glob("*.json")):
        loaded = json.loads(path.read_bytes())
        if "x-rest" in loaded:
            yield loaded


def row(kind: dict[str, Any]) -> str:
    """Return the row of a kind in the README's table."""
    rest = kind["x-rest"]
    called = {("uid",): "number", ("@name",): "NAME@VERSION"}.get(tuple(rest.get("key", ())), "name")
    called = "`cluster`" if rest.get("singleton") else called
    return f"| `{kind['title']}` | {kind['description']} | {called} | {rest.get('since', '')} |"


def test_the_readme_has_every_kind_as_its_file_says() -> None:
    rows = sorted((row(kind) for kind in kind_files()), key=str.lower)
    assert re.findall(r"^\| `[A-Z]\w+` \| .*$", README, re.MULTILINE) == rows


def test_the_readme_has_every_command_and_no_other() -> None:
    table = README.partition("## Commands")[2].partition("###")[0]
    assert sorted(re.findall(r"^\| `(\w+)", table, re.MULTILINE)) == sorted(COMMANDS)


def test_the_readme_has_every_exit_code() -> None:
    table = README.partition("### Exit codes")[2].partition("##")[0]
    codes = {value.exit_code for value in vars(errors).values() if hasattr(value, "exit_code")}
    assert {int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)} == codes | {0, 2}


def test_the_readme_has_every_impact_from_mild_to_harsh() -> None:
    text = README.partition("### What a change does")[2].partition("##")[0]
    assert tuple(name for name in re.findall(r"`([a-z-]+)`", text) if name in IMPACTS) == IMPACTS[1:]
    assert "last four" in text
    assert len(CONSENT) == 4


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md"])
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    links = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_files_that_the_documents_name_are_there() -> None:
    for text in (README, CONTRIBUTING):
        named = re.findall(r"`((?:tests|schemas|deploy|reconciler)/[\w./-]+)`", text)
        assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_layers_are_those_of_the_test() -> None:
    block = CONTRIBUTING.partition("```\n")[2].partition("```")[0]
    told = [sorted(part.split()) for part in block.split("<")]
    assert told == [sorted(name for name in layer if not name.startswith("__")) for layer in LAYERS]


def test_every_library_is_told_with_its_home() -> None:
    rows = re.findall(r"^  \| (`.*`) \| (.*) \|$", CONTRIBUTING, re.MULTILINE)
    told = {
        library: tuple(sorted(re.findall(r"`(\w+)`", homes))) for homes, names in rows for library in names.split(", ")
    }
    assert told == {library: tuple(sorted(homes)) for library, homes in HOMES.items()}


def test_every_word_of_kind_files_is_explained() -> None:
    definitions = META["$defs"]
    words = {
        *definitions["rest"]["properties"],
        *(word for word in definitions["value"]["properties"] if word.startswith("x-")),
        *(word for word in META["properties"] if word.startswith("x-")),
        *definitions["reference"]["properties"],
        *definitions["conditionalImpact"]["properties"],
    }
    told = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`]+)`", CONTRIBUTING.partition("## How to add")[2]))))
    assert words - told == set()
