"""The YAML of the documents is valid as it is written."""

from __future__ import annotations

import re

from tests.cli.rig import ROOT, Cli

NO_DECLARATION = "east:Database/catalogue is not declared"


def blocks(name: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def test_the_manifests_and_settings_of_the_reference_are_valid(bare: Cli) -> None:
    manifests, clusters, agent = blocks("manifests/README.md")
    bare.write("reconciler.yaml", clusters + agent)
    bare.write("manifests/reference.yaml", manifests)
    done = bare("validate")
    assert done.out == "Valid: 13 resources for east, west.\n"
    assert [line for line in done.err.splitlines() if NO_DECLARATION not in line] == []


def test_the_manifest_of_the_readme_is_valid(bare: Cli) -> None:
    (manifest,) = blocks("README.md")
    bare.write("manifests/readme.yaml", manifest)
    done = bare("validate", "-f", "manifests")
    assert done.out == "Valid: 1 resource.\n"
    assert done.err == ""
