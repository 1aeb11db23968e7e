"""The scripts that CI jobs run: plan on the pull request, apply of exactly that plan on merge, drift on a schedule."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.simulator.testing import Caller, Running
from tests.cli.rig import Cli
from tests.cli.test_story import writes
from tests.deploy.fakeforge import TOKEN, FakeForge, archive
from tests.deploy.jobs import ask, script
from tests.deploy.test_forge import merged

CREATES = "## Plan for production\n\n### Plan: 4 to create, 0 to update, 0 to delete.\n"


def plan(checkout: Cli, code: int = 0, **env: str) -> Path:
    """Run the job of a pull request; return where its files are."""
    script(checkout, "plan.sh", code=code, RECONCILER_NAME="production", **env)
    return checkout.folder / "reconciler-plan"


def test_from_the_pull_request_to_the_merge(checkout: Cli, server: Running, github: FakeForge) -> None:
    made = plan(checkout)
    ask(github, "comment", "production", made / "plan.md")
    assert CREATES in github.comments[0]["body"]
    assert writes(server) == []

    merged(github)
    github.files[5] = archive((made / "plan.json").read_bytes())
    ask(github, "fetch", "production", made / "approved.json")
    done = script(checkout, "apply.sh", "reconciler-plan/approved.json")
    assert done.out.splitlines()[-1] == "Apply complete! 4 created, 0 updated, 0 deleted."
    assert "### No changes." in script(checkout, "plan.sh").out


def test_a_plan_is_refused_when_the_cluster_moved(checkout: Cli, server: Running) -> None:
    approved = plan(checkout) / "plan.json"
    Caller(server.core)("POST", "/v1/roles", {"name": "app", "management": "none"})
    done = script(checkout, "apply.sh", str(approved), code=5)
    assert "### Plan: 3 to create, 0 to update, 0 to delete." in done.out
    assert "apply: stale: " in done.err
    assert writes(server) == ["POST /v1/roles"]


def test_a_plan_is_refused_when_the_manifests_moved(checkout: Cli, server: Running) -> None:
    approved = plan(checkout) / "plan.json"
    checkout.edit("manifests/shop.yaml", "1GiB", "2GiB")
    assert "apply: stale: " in script(checkout, "apply.sh", str(approved), code=5).err
    assert writes(server) == []


def test_a_plan_file_that_was_put_in_the_place_of_the_approved_one_does_nothing(checkout: Cli, server: Running) -> None:
    approved = plan(checkout) / "plan.json"
    checkout.edit("manifests/shop.yaml", "management: none", "management: admin")
    checkout("plan", "--out", "forged.json")
    checkout.edit("manifests/shop.yaml", "management: admin", "management: none")
    approved.write_bytes((checkout.folder / "forged.json").read_bytes())
    script(checkout, "apply.sh", str(approved), code=5)
    assert writes(server) == []


def test_a_plan_that_is_missing_is_refused(checkout: Cli, server: Running) -> None:
    assert "there is no approved plan" in script(checkout, "apply.sh", "none.json", code=5).err
    assert writes(server) == []


def test_a_plan_that_failed_is_told_in_the_comment_and_leaves_no_plan(checkout: Cli, github: FakeForge) -> None:
    plan(checkout)
    checkout.edit("manifests/shop.yaml", "management: none", "managment: none")
    made = plan(checkout, code=3)
    ask(github, "comment", "production", made / "plan.md")
    told = github.comments[0]["body"]
    assert "**No plan to apply** (exit code 3):\n\n    error: manifests/shop.yaml:9:8: " in told
    assert not (made / "plan.json").exists()


def test_what_an_error_quotes_stays_text(checkout: Cli) -> None:
    checkout.edit("manifests/shop.yaml", "name: app}", 'name: "```\\n# hidden\\n@everyone"}')
    lines = (plan(checkout, code=3) / "plan.md").read_text().split("(exit code 3):\n\n")[1].splitlines()
    assert lines
    assert [line for line in lines if not line.startswith("    ")] == []


def test_consent_given_as_a_flag_holds_for_plan_and_apply(checkout: Cli, server: Running) -> None:
    checkout("apply", "--yes")
    text = (checkout.folder / "manifests/shop.yaml").read_text()
    checkout.write("manifests/shop.yaml", text.rpartition("---\n")[0])
    made = plan(checkout, code=5, RECONCILER_FLAGS="--prune")
    assert "**No plan to apply** (exit code 5)" in (made / "plan.md").read_text()
    flags = {"RECONCILER_FLAGS": "--prune --allow-destroy Database/sessions"}
    approved = plan(checkout, **flags) / "plan.json"
    assert json.loads(approved.read_text())["changes"][0]["action"] == "delete"
    script(checkout, "apply.sh", str(approved), code=5)
    script(checkout, "apply.sh", str(approved), **flags)
    assert Caller(server.core)("GET", "/v1/bdbs").json() == []


def test_drift_opens_an_issue_and_its_end_closes_it(checkout: Cli, server: Running, github: FakeForge) -> None:
    checkout("apply", "--yes")
    script(checkout, "drift.sh", RECONCILER_NAME="production")
    caller = Caller(server.core)
    (role,) = (role for role in caller("GET", "/v1/roles").json() if role["name"] == "app")
    caller("PUT", f"/v1/roles/{role['uid']}", {"management": "db_viewer"})
    script(checkout, "drift.sh", code=2, RECONCILER_NAME="production")
    found = checkout.folder / "reconciler-drift" / "drift.md"
    ask(github, "issue", "production", found)
    assert "## Drift in production\n\n" in github.issues[0]["body"]
    assert "db_viewer" in github.issues[0]["body"]
    caller("PUT", f"/v1/roles/{role['uid']}", {"management": "none"})
    script(checkout, "drift.sh", RECONCILER_NAME="production")
    ask(github, "close", "production")
    assert github.issues[0]["state"] == "closed"


def test_drift_that_cannot_be_known_is_no_drift_and_no_peace(checkout: Cli) -> None:
    done = script(checkout, "drift.sh", code=4, RECONCILER_NAME="production", REDIS_ENTERPRISE_PASSWORD="wrong-one")
    assert "## Drift check of production failed (exit code 4)" in done.out


def job(checkout: Cli, fake: FakeForge, name: str, code: int = 0, **env: str) -> str:
    """Run a whole job, as the workflows do, and return what it said."""
    given = {**fake.environment(), "RECONCILER_NAME": "production", **env}
    done = script(checkout, "job.sh", name, code=code, **given)
    assert TOKEN not in done.out + done.err
    return done.out + done.err


def test_the_jobs_of_a_forge_from_pull_request_to_drift(checkout: Cli, server: Running, github: FakeForge) -> None:
    summary = checkout.folder / "summary.md"
    job(checkout, github, "plan", GITHUB_STEP_SUMMARY=str(summary))
    assert CREATES in summary.read_text()
    checkout.edit("manifests/shop.yaml", "1GiB", "2GiB")
    job(checkout, github, "plan")
    assert [CREATES in comment["body"] for comment in github.comments] == [True]
    assert "2 GiB" in github.comments[0]["body"]

    merged(github)
    github.files[5] = archive((checkout.folder / "reconciler-plan" / "plan.json").read_bytes())
    assert "Apply complete! 4 created" in job(checkout, github, "apply")
    assert "no issue is open" in job(checkout, github, "drift")
    caller = Caller(server.core)
    (role,) = (role for role in caller("GET", "/v1/roles").json() if role["name"] == "app")
    caller("PUT", f"/v1/roles/{role['uid']}", {"management": "db_viewer"})
    job(checkout, github, "drift", code=2)
    assert len(github.issues) == 1
    caller("PUT", f"/v1/roles/{role['uid']}", {"management": "none"})
    job(checkout, github, "drift")
    assert github.issues[0]["state"] == "closed"


def test_the_jobs_on_gitlab(checkout: Cli, gitlab: FakeForge) -> None:
    job(checkout, gitlab, "plan")
    assert CREATES in gitlab.comments[0]["body"]
    gitlab.pulls.append({"id": 1, "iid": 7, "state": "merged"})
    gitlab.pipelines.append({"id": 900})
    gitlab.jobs.append({"id": 4, "name": "reconciler-plan-production"})
    gitlab.files[4] = (checkout.folder / "reconciler-plan" / "plan.json").read_bytes()
    assert "Apply complete! 4 created" in job(checkout, gitlab, "apply")


def test_a_job_that_fails_says_so_on_the_pull_request_and_by_its_code(checkout: Cli, github: FakeForge) -> None:
    checkout.edit("manifests/shop.yaml", "management: none", "managment: none")
    job(checkout, github, "plan", code=3)
    assert "**No plan to apply** (exit code 3)" in github.comments[0]["body"]


def test_an_apply_without_an_approved_plan_does_nothing(checkout: Cli, server: Running, github: FakeForge) -> None:
    assert "comes from 0 pull requests" in job(checkout, github, "apply", code=5)
    assert writes(server) == []


def test_the_command_never_sees_the_token_of_the_forge(checkout: Cli, github: FakeForge) -> None:
    spy = checkout.write("spy.sh", '#!/bin/sh\necho "$1 ${RECONCILER_OUT:+out} ${FORGE_TOKEN:-unseen}" >>seen\n')
    spy.chmod(0o755)
    for name in ("plan", "drift"):
        job(checkout, github, name, RECONCILER="./spy.sh")
    assert (checkout.folder / "seen").read_text() == "plan out unseen\ndrift out unseen\n"


def test_what_is_no_job_is_refused(checkout: Cli, github: FakeForge) -> None:
    assert "plan, apply or drift" in job(checkout, github, "destroy", code=3)
    assert github.asked == []
