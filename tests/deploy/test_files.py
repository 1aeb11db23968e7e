"""What deploys the agent: least rights, pinned parts, one version, no value of a secret. Forms are for `checks.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import __version__

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
WORKFLOWS = sorted((*(DEPLOY / "github").rglob("*.yml"), *(ROOT / ".github" / "workflows").glob("*.yml")))


def load(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


def below(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in *value*."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from below(item)


def test_the_pod_can_do_as_little_as_possible() -> None:
    pod = load("kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]
    (agent,) = pod["containers"]
    assert agent["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    inherited = pod["securityContext"]
    assert (inherited["runAsNonRoot"], inherited["runAsUser"]) == (True, 65532)
    assert inherited["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert [mount["mountPath"] for mount in agent["volumeMounts"] if not mount.get("readOnly")] == [
        "/var/lib/reconciler"
    ]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_there_is_never_a_second_agent() -> None:
    spec = load("kubernetes/base/deployment.yaml")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert load("kubernetes/base/storage.yaml")["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_the_network_policy_is_about_the_agent_and_opens_no_more_than_it_needs() -> None:
    spec = load("kubernetes/base/networkpolicy.yaml")["spec"]
    assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "reconciler"}
    assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [[53, 53], [9443], [443, 22]]
    assert [port["port"] for rule in spec["ingress"] for port in rule["ports"]] == ["http"]
    assert all(rule["from"] for rule in spec["ingress"])


def test_the_containers_of_the_trial_are_held_as_tightly() -> None:
    services = load("compose.yaml")["services"]
    assert services
    for service in services.values():
        assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "65532:65532")
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")
    assert services["simulator"]["ports"] == ["127.0.0.1:8080:8080"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (\S+)(.*)$", path.read_text(), re.MULTILINE)
    assert used
    for action, comment in used:
        if not action.startswith("your-org/"):
            assert re.fullmatch(r"[a-z]+/[a-z-]+(/[a-z]+)?@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v[0-9]+\.[0-9]+\.[0-9]+", comment), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_from_outside_is_pasted_into_a_script(path: Path) -> None:
    scripts = [step["run"] for step in below(yaml.safe_load(path.read_text())) if isinstance(step.get("run"), str)]
    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("path", [path for path in WORKFLOWS if path.name != "action.yml"], ids=lambda path: path.name)
def test_workflows_ask_for_rights_one_by_one(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"]["contents"] == "read"
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    for step in below(workflow):
        if str(step.get("uses", "")).startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_a_pull_request_from_a_fork_gets_no_secret() -> None:
    plan = load("github/workflows/plan.yml")
    assert plan[True].keys() == {"pull_request"}  # YAML 1.1 reads `on` as true
    assert all(
        job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
        for job in plan["jobs"].values()
    )


def test_an_apply_is_never_cut_off_or_run_twice_at_once() -> None:
    assert load("github/workflows/apply.yml")["concurrency"]["cancel-in-progress"] is False
    gitlab = load("gitlab/reconciler.gitlab-ci.yml")["reconciler-apply-production"]
    assert (gitlab["interruptible"], gitlab["resource_group"]) == (False, "reconciler-production")
    assert "disableConcurrentBuilds()" in (DEPLOY / "jenkins" / "Jenkinsfile").read_text()


def test_every_script_that_a_job_names_is_there() -> None:
    for path in ("gitlab/reconciler.gitlab-ci.yml", "jenkins/Jenkinsfile", "github/action.yml"):
        named = re.findall(
            r"(?:/opt/reconciler|\$GITHUB_ACTION_PATH/\.\.)/ci/([a-z]+\.sh)", (DEPLOY / path).read_text()
        )
        assert named, path
        for name in named:
            assert (DEPLOY / "ci" / name).stat().st_mode & 0o111, name


def test_one_version_stands_everywhere() -> None:
    chart = load("helm/reconciler/Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix != ".lock":
            text = path.read_text(encoding="utf-8")
            pattern = r"your-org/reconciler(?:/deploy/github@v|:)([0-9][0-9.]*[0-9])|newTag: (\S+)"
            for found in re.finditer(pattern, text):
                assert (found[1] or found[2]) == __version__, path


def test_no_value_of_a_secret_stands_in_what_others_copy() -> None:
    for path in (*(DEPLOY / "kubernetes").rglob("*.yaml"), DEPLOY / "helm" / "reconciler" / "values.yaml"):
        for part in yaml.safe_load_all(path.read_text()):
            for item in below(part):
                assert item.get("kind") != "Secret", path
                for name in {"password", "token"} & item.keys():
                    assert item[name].keys() == {"valueFrom"}, path
