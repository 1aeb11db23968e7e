"""The YAML of the README is taken by the commands as it stands there."""

from __future__ import annotations

import re

from tests.cli.rig import ROOT, Cli

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLUSTERS = """\
apiVersion: reconciler/v1
clusters:
  - name: east
    urls: ["https://redis-1.east.example.com:9443"]
    username: {valueFrom: {env: REDIS_ENTERPRISE_USER}}
    password: {valueFrom: {env: REDIS_ENTERPRISE_PASSWORD}}
    manifests: [manifests]
  - name: west
    urls: ["https://redis-1.west.example.com:9443"]
    username: {valueFrom: {env: REDIS_ENTERPRISE_USER}}
    password: {valueFrom: {env: REDIS_ENTERPRISE_PASSWORD}}
    manifests: [manifests]
"""


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_manifests_and_the_agents_settings_of_the_readme_are_valid(bare: Cli) -> None:
    manifests, agent = blocks()
    bare.write("reconciler.yaml", CLUSTERS + agent)
    bare.write("manifests/readme.yaml", manifests)
    done = bare("validate")
    assert done.out == "Valid: 13 resources for east, west.\n"
    assert [line for line in done.err.splitlines() if "east:Database/catalogue is not declared" not in line] == []
