"""Everything in deploy/ is checked by the tool that knows its form, and each tool is seen to find a fault.

Not collected by `make test`, since the tools have to be installed: `make deploy-checks` does that and runs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.container import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "reconciler"
TOOLS = Path(os.environ["DEPLOY_TOOLS"])
ENV = {**os.environ, "PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}"}
KUBERNETES = "1.34.0"
WORKFLOWS = sorted((*(DEPLOY / "github" / "workflows").glob("*.yml"), *(ROOT / ".github" / "workflows").glob("*.yml")))
KINDS = {"ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Deployment", "Service", "NetworkPolicy"}
KINDS |= {"PodDisruptionBudget"}


def tool(*words: str | Path, code: int = 0, stdin: str = "") -> str:
    """Run a tool and return what it printed."""
    done = subprocess.run(
        [str(word) for word in words], env=ENV, input=stdin, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, f"{words[0]}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + (done.stderr if code else "")


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schemas of Kubernetes that kubernetes-validate ships, so that kubeconform finds them without a network."""
    shipped = next(TOOLS.glob("venv/lib/python*/site-packages/kubernetes_validate/kubernetes-json-schema"))
    minor = KUBERNETES.rpartition(".")[0]
    (source,) = shipped.glob(f"v{minor}.*-local-strict")
    folder = tmp_path_factory.mktemp("schemas")
    for path in source.glob("*.json"):
        schema = json.loads(path.read_text().replace('"/api/_definitions.json', '"_definitions.json'))
        schema.pop("$id", None)  # a URL, from which everything else would be fetched
        (folder / path.name).write_text(json.dumps(schema))
    return folder


def conform(schemas: Path, manifests: str, code: int = 0) -> str:
    """Hold manifests against the schemas of Kubernetes; ServiceMonitor is a kind of the Prometheus operator's."""
    where = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    words = ("kubeconform", "-strict", "-summary", "-skip", "ServiceMonitor", "-schema-location", where)
    return tool(*words, stdin=manifests, code=code)


def template(*words: str, code: int = 0) -> str:
    return tool("helm", "template", "reconciler", CHART, "--kube-version", KUBERNETES, *words, code=code)


def objects(manifests: str) -> dict[str, dict[str, Any]]:
    """Return the objects by kind, as far as they do not say how they were made."""
    found = {}
    for item in yaml.safe_load_all(manifests):
        text = json.dumps(item)
        text = re.sub(r"reconciler-[0-9a-z]{10}\b", "reconciler", text)  # kustomize's digest of a ConfigMap
        found[item["kind"]] = _plain(json.loads(text))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = ("annotations", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart")
    made = (*made, "app.kubernetes.io/version", "imagePullPolicy")
    return {name: _plain(item) for name, item in value.items() if name not in made}


def test_kustomize_builds_what_kubernetes_takes(schemas: Path) -> None:
    for folder in ("base", "overlays/example"):
        built = tool("kustomize", "build", DEPLOY / "kubernetes" / folder)
        assert "Valid: 7, Invalid: 0, Errors: 0" in conform(schemas, built)
    assert objects(built).keys() == KINDS | {"ServiceMonitor"}


def test_the_chart_renders_what_kubernetes_takes(schemas: Path) -> None:
    tool("helm", "lint", "--strict", CHART)
    everything = (
        "--set=serviceMonitor.enabled=true,networkPolicy.clusters={10.0.0.0/8},networkPolicy.forge={fd00::/8}",
        "--set=storage.className=fast,image.tag=1.2.3,imagePullSecrets[0].name=pull,nodeSelector.disk=ssd",
        "--set=env[0].name=ANA,env[0].valueFrom.secretKeyRef.name=people,env[0].valueFrom.secretKeyRef.key=ana",
    )
    for words in ((), everything, ("--set=storage.existingClaim=mine,networkPolicy.enabled=false",)):
        made = template(*words)
        assert "Invalid: 0, Errors: 0" in conform(schemas, made)
    assert objects(template(*everything)).keys() == KINDS | {"ServiceMonitor"}
    assert objects(made).keys() == KINDS - {"PersistentVolumeClaim", "NetworkPolicy"}


def test_the_chart_and_the_base_say_the_same() -> None:
    base = objects(tool("kustomize", "build", DEPLOY / "kubernetes" / "base"))
    chart = objects(template())
    projects = [yaml.safe_load(found.pop("ConfigMap")["data"]["reconciler.yaml"]) for found in (base, chart)]
    assert projects[0] == projects[1]
    assert base == chart


@pytest.mark.parametrize(
    "wrong",
    [
        "replicas=2",
        "project.clusters[0].name=x,project.clusters[0].urls={https://x:9443},project.clusters[0].password=open",
        "project.state=/tmp",
        "storage.accessModes={ReadWriteMany}",
        "image.digest=latest",
        "env[0].name=PASSWORD,env[0].value=open",
    ],
)
def test_the_chart_refuses_values_that_would_do_harm(wrong: str) -> None:
    assert "values don't meet the specifications of the schema" in template(f"--set={wrong}", code=1)


def test_scripts_and_workflows_are_sound() -> None:
    scripts = [*(DEPLOY / "ci").glob("*.sh"), *(DEPLOY / "checks").glob("*.sh"), ROOT / ".ci" / "run"]
    tool("shellcheck", "--severity=style", *scripts)
    assert len(WORKFLOWS) >= 4
    tool("actionlint", *WORKFLOWS)
    schema = ("check-jsonschema", "--builtin-schema")
    tool(*schema, "vendor.github-workflows", *WORKFLOWS)
    tool(*schema, "vendor.github-actions", DEPLOY / "github" / "action.yml")
    tool(*schema, "vendor.gitlab-ci", "--data-transform", "gitlab-ci", DEPLOY / "gitlab" / "reconciler.gitlab-ci.yml")
    tool(*schema, "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_the_dockerfile_is_sound() -> None:
    tool("hadolint", DEPLOY / "Dockerfile")


def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = DEPLOY / "systemd" / "reconciler.service"
    here = tmp_path / unit.name
    # The command and its user are not installed here; everything else is as it will be.
    here.write_text(unit.read_text().replace("/opt/reconciler/bin/reconciler", "/bin/true"))
    assert tool("systemd-analyze", "verify", here) == ""
    said = tool("systemd-analyze", "security", "--offline=true", "--threshold=15", here)
    assert "exposure level for reconciler.service" in said


def test_the_bill_of_materials_lists_what_the_lock_names(tmp_path: Path) -> None:
    bill = tmp_path / "sbom.json"
    tool("make", "-C", ROOT, "--no-print-directory", "sbom", f"SBOM={bill}")
    parts = json.loads(bill.read_text())["components"]
    locked = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert sorted((part["name"].lower(), part["version"]) for part in parts) == sorted(locked)


def test_install_leaves_a_command_and_nothing_that_builds(tmp_path: Path) -> None:
    tool(DEPLOY / "ci" / "install.sh", tmp_path / "there")
    assert tool(tmp_path / "there" / "bin" / "reconciler", "--version").startswith("reconciler ")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not (tmp_path / "there" / "bin" / "pip").exists()


def test_each_tool_finds_a_fault(schemas: Path, tmp_path: Path) -> None:
    base = tool("kustomize", "build", DEPLOY / "kubernetes" / "base")
    assert "'stratgy' not allowed" in conform(schemas, base.replace("strategy:", "stratgy:"), code=1)

    def broken(path: Path, old: str, new: str) -> Path:
        copy = tmp_path / path.name
        text = path.read_text()
        assert old in text
        copy.write_text(text.replace(old, new))
        return copy

    tool("hadolint", broken(DEPLOY / "Dockerfile", "WORKDIR /src", "WORKDIR src"), code=1)
    tool("shellcheck", broken(DEPLOY / "ci" / "job.sh", '"$out/plan.md"', "$out/plan.md"), code=1)
    tool("actionlint", broken(DEPLOY / "github" / "workflows" / "plan.yml", "timeout-minutes", "timeout"), code=1)
    unit = broken(DEPLOY / "systemd" / "reconciler.service", "ProtectSystem=strict", "ProtectSystem=sure")
    assert "Failed to parse protect system" in tool("systemd-analyze", "verify", unit, code=1)
    schema = ("check-jsonschema", "--builtin-schema")
    compose = broken(DEPLOY / "compose.yaml", "read_only: true", "read_only: [1]")
    tool(*schema, "vendor.compose-spec", compose, code=1)
    gitlab = broken(DEPLOY / "gitlab" / "reconciler.gitlab-ci.yml", "script:", "scripts:")
    tool(*schema, "vendor.gitlab-ci", "--data-transform", "gitlab-ci", gitlab, code=1)
