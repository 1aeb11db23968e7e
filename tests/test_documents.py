"""The documents agree with the code: commands, exit codes, fields, kinds, layers, keywords of kind files, links."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.cli import COMMANDS
from reconciler.commands.schema_docs import default_of
from reconciler.commands.schema_paths import paths
from reconciler.kinds import envelope_schema, kind_source, load_kinds
from reconciler.kinds.reference_page import markdown
from reconciler.kinds.vocabulary import API_VERSION, CONSENT, IMPACTS
from reconciler.settings import project
from tests.test_layers import HOMES, LAYERS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MANIFESTS = (ROOT / "manifests" / "README.md").read_text(encoding="utf-8")
KINDS = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "deploy/README.md",
    "deploy/observability/README.md",
    "manifests/README.md",
    "schemas/README.md",
    "reconciler/simulator/README.md",
    "tests/benchmarks/README.md",
)
META = json.loads((ROOT / "schemas" / "meta" / "kind.json").read_bytes())


def kind_files() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "schemas").glob("*.json")):
        loaded = json.loads(path.read_bytes())
        if "x-rest" in loaded:
            yield loaded


def row(kind: dict[str, Any]) -> str:
    """Return the row of a kind in the table of `schemas/README.md`."""
    rest = kind["x-rest"]
    called = {("uid",): "number", ("@name",): "NAME@VERSION"}.get(tuple(rest.get("key", ())), "name")
    called = "`cluster`" if rest.get("singleton") else called
    link = f"[`{kind['title']}`](#{kind['title'].lower()})"
    return f"| {link} | {kind['description']} | {called} | {rest.get('since', '')} |"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_reference_of_kinds_is_up_to_date() -> None:
    assert markdown() == KINDS, "schemas/README.md is out of date; run: make schemas"


def test_the_reference_has_every_kind_as_its_file_says() -> None:
    rows = sorted((row(kind) for kind in kind_files()), key=str.lower)
    assert re.findall(r"^\| \[`[A-Z]\w+`\].*$", KINDS, re.MULTILINE) == rows


@pytest.mark.parametrize("kind", load_kinds())
def test_the_reference_has_every_field_of_a_kind_once(kind: str) -> None:
    section = KINDS.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert sorted(row.replace("[]", "") for row in rows) == sorted(".".join(path) for path in paths(kind_source(kind)))


def test_the_readme_has_every_command_and_no_other() -> None:
    table = README.partition("## Commands")[2].partition("###")[0]
    assert sorted(re.findall(r"^\| `(\w+)", table, re.MULTILINE)) == sorted(COMMANDS)


def test_the_readme_has_every_exit_code() -> None:
    table = README.partition("### Exit codes")[2].partition("##")[0]
    codes = {value.exit_code for value in vars(errors).values() if hasattr(value, "exit_code")}
    assert {int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)} == codes | {0, 2}


def test_the_reference_of_manifests_has_every_impact_from_mild_to_harsh() -> None:
    text = MANIFESTS.partition("### Impacts and consent")[2].partition("##")[0]
    assert tuple(name for name in re.findall(r"`([a-z-]+)`", text) if name in IMPACTS) == IMPACTS[1:]
    assert "last four" in " ".join(text.split())
    assert len(CONSENT) == 4


def rows_of(heading: str) -> dict[str, list[str]]:
    """Return the first table below *heading* of `manifests/README.md`: cells by the field in the first one."""
    section = re.split(r"^##", MANIFESTS.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `([\w.\[\]]+)` \| (.*) \|$", section, re.MULTILINE)
    return {name.replace("[]", ""): cells.split(" | ") for name, cells in rows}


HEADINGS = {
    "## The project file": "",
    "### clusters": "clusters.",
    "### clusterDefaults and groups": "",
    "### secrets": "",
    "### public": "",
    "### limits": "limits.",
    "### source": "source.",
    "### agent": "agent.",
    "### agent.listen": "agent.listen.",
    "### agent.webhook": "agent.webhook.",
    "### agent.notify": "agent.notify.",
}


def test_the_reference_of_manifests_has_every_field_of_metadata() -> None:
    metadata = envelope_schema()["properties"]["metadata"]
    assert set(rows_of("### metadata")) == {".".join(path) for path in paths(metadata)}


def test_the_reference_of_manifests_has_every_field_of_the_project_file() -> None:
    described = {prefix + name for heading, prefix in HEADINGS.items() for name in rows_of(heading)}
    fields = {".".join(path) for path in paths(project.schema())}
    cluster = {name.removeprefix("clusters.") for name in fields if name.startswith("clusters.")}
    agent = {name.removeprefix("agent.") for name in fields if name.startswith("agent.")}
    for name in fields - described:
        # Described with its fields, or where the same settings are described for all clusters.
        top, _, rest = name.partition(".")
        inner = rest.partition(".")[2]
        has_fields = any(other.startswith(f"{name}.") for other in described)
        as_for_clusters = top in ("clusterDefaults", "groups") and rest in cluster
        as_for_the_agent = top == "clusters" and rest.startswith("agent.") and inner in agent
        assert has_fields or as_for_clusters or as_for_the_agent, f"manifests/README.md: {name} is missing"
    assert described - fields == set()


def test_the_reference_of_manifests_has_every_default_of_the_project_file() -> None:
    for heading, prefix in HEADINGS.items():
        for name, cells in rows_of(heading).items():
            default = default_of((prefix + name).split("."))
            if default is not None:
                text = json.dumps(default) if isinstance(default, bool) else str(default)
                assert cells[1] == f"`{text}`", f"{heading}: {name}"


def test_the_reference_of_manifests_has_the_variables_of_a_single_cluster() -> None:
    names = {project.URL, project.USER, project.PASSWORD, project.CA_CERT, project.INSECURE, project.SECRETS_ENV}
    names |= {project.LOGIN, project.CLIENT_CERT, project.CLIENT_KEY}
    assert set(rows_of("## A single cluster without a project file")) == names


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings in a document, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")):
        target = path.parent / link if link else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_files_that_the_documents_name_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|schemas|deploy|reconciler)/[\w./-]+)`", text)
    assert [each for each in named if each != API_VERSION and not (ROOT / each).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nobody_is_asked_to_install_a_package_that_is_not_published(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"pip install '?redis[-_]reconciler", text) == []


def test_the_layers_are_those_of_the_test() -> None:
    block = CONTRIBUTING.partition("```\n")[2].partition("```")[0]
    documented = [sorted(part.split()) for part in block.split("<")]
    assert documented == [sorted(name for name in layer if not name.startswith("__")) for layer in LAYERS]


def test_every_library_is_documented_with_its_home() -> None:
    rows = re.findall(r"^  \| (`.*`) \| (.*) \|$", CONTRIBUTING, re.MULTILINE)
    documented = {
        library: tuple(sorted(re.findall(r"`(\w+)`", homes))) for homes, names in rows for library in names.split(", ")
    }
    assert documented == {library: tuple(sorted(homes)) for library, homes in HOMES.items()}


def test_every_keyword_of_kind_files_is_explained() -> None:
    definitions = META["$defs"]
    words = {
        *definitions["rest"]["properties"],
        *(word for word in definitions["value"]["properties"] if word.startswith("x-")),
        *(word for word in META["properties"] if word.startswith("x-")),
        *definitions["reference"]["properties"],
        *definitions["conditionalImpact"]["properties"],
    }
    section = re.sub(r"```.*?```", "", CONTRIBUTING.partition("## How to add")[2], flags=re.DOTALL)
    explained = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`]+)`", section))))
    assert words - explained == set()
