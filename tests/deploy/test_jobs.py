"""The scripts that CI jobs run: plan on the pull request, apply of that very plan on merge, drift on a schedule."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.simulator.testing import Caller, Running
from tests.cli.rig import Cli
from tests.cli.test_story import writes
from tests.deploy.fakeforge import FakeForge, archive
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
    assert "## Drift in production is not known (exit code 4)" in done.out
