"""Comments and issues are found again and overwritten in place; the plan that was approved is found by its commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.fakeforge import FakeForge, archive
from tests.deploy.jobs import ask

MARK = "<!-- reconciler plan production -->"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "plan.md"
    path.write_text("## Plan\n\n```diff\n+ Role/app\n```\n")
    return path


def test_a_second_run_overwrites_the_comment_of_the_first(any_forge: FakeForge, text: Path) -> None:
    ask(any_forge, "comment", "production", text)
    text.write_text('## Plan\n\n"No changes." \\ ü \u2028\n')
    ask(any_forge, "comment", "production", text)
    assert [comment["body"] for comment in any_forge.comments] == [f"{MARK}\n{text.read_text()}"]
    assert [method for method, _ in any_forge.writes] == ["POST", "PUT" if any_forge.kind == "gitlab" else "PATCH"]


def test_a_comment_that_is_right_is_not_written_again(any_forge: FakeForge, text: Path) -> None:
    ask(any_forge, "comment", "production", text)
    ask(any_forge, "comment", "production", text)
    assert len(any_forge.writes) == 1


def test_plans_of_different_names_have_comments_of_their_own(any_forge: FakeForge, text: Path) -> None:
    for name in ("production", "production-2", "production"):
        ask(any_forge, "comment", name, text)
    assert len(any_forge.comments) == 2


def test_what_others_wrote_is_not_overwritten_whatever_it_says(any_forge: FakeForge, text: Path) -> None:
    theirs = any_forge.by("mallory", id=1, body=f"{MARK}\nlooks fine")
    quoted = any_forge.by(any_forge.account, id=2, body=f"> {MARK}")
    any_forge.comments += [theirs, quoted]
    ask(any_forge, "comment", "production", text)
    assert [comment["body"] for comment in any_forge.comments[:2]] == [f"{MARK}\nlooks fine", f"> {MARK}"]
    assert any_forge.comments[2]["body"] == f"{MARK}\n{text.read_text()}"


def test_a_comment_on_a_later_page_is_found(any_forge: FakeForge, text: Path) -> None:
    any_forge.page = 30
    any_forge.comments += [any_forge.by("ana", id=number, body="hm") for number in range(75)]
    any_forge.comments.append(any_forge.by(any_forge.account, id=99, body=f"{MARK}\nold"))
    ask(any_forge, "comment", "production", text)
    assert any_forge.comments[75]["body"] == f"{MARK}\n{text.read_text()}"


def test_a_text_that_is_too_long_is_cut_and_its_fence_closed(github: FakeForge, text: Path) -> None:
    text.write_text("````diff\n" + "+ Role/app\n" * 10_000 + "````\n")
    ask(github, "comment", "production", text)
    (written,) = github.comments
    assert len(written["body"]) < 65_536
    assert written["body"].count("\n````") == 2
    assert "**Truncated:**" in written["body"].rpartition("````")[2]


def test_an_issue_is_opened_once_then_overwritten_then_closed(any_forge: FakeForge, text: Path) -> None:
    key = "description" if any_forge.kind == "gitlab" else "body"
    any_forge.issues.append(any_forge.by("ana", id=1, number=1, iid=1, **{key: None}))
    ask(any_forge, "issue", "production", text)
    text.write_text("## Drift in other things\n")
    ask(any_forge, "issue", "production", text)
    assert [issue[key] for issue in any_forge.issues[1:]] == [
        "<!-- reconciler drift production -->\n## Drift in other things\n"
    ]
    assert ask(any_forge, "close", "production").out == "issue 101 was closed\n"
    assert any_forge.issues[1]["state"] == "closed"
    assert ask(any_forge, "close", "production").out == "no issue is open\n"


def merged(github: FakeForge, **more: Any) -> dict[str, Any]:
    """Let pull request 7 be merged as c0ffee, with a plan; return its artifact."""
    github.pulls.append({"id": 70, "number": 7, "merged_at": "2026-01-01", "head": {"sha": "abc123"}})
    run = {"head_sha": "abc123", "repository_id": 1, "head_repository_id": 1}
    artifact = {"id": 5, "name": "reconciler-plan-production-abc123", "expired": False, "workflow_run": run, **more}
    github.artifacts.append(artifact)
    github.files[5] = archive(b'{"digest": "1"}')
    return artifact


def test_the_plan_of_the_merged_pull_request_is_found(github: FakeForge, tmp_path: Path) -> None:
    merged(github)
    ask(github, "fetch", "production", tmp_path / "approved" / "plan.json")
    assert (tmp_path / "approved" / "plan.json").read_bytes() == b'{"digest": "1"}'


def test_the_newest_plan_counts(github: FakeForge, tmp_path: Path) -> None:
    older = merged(github)
    github.artifacts.append({**older, "id": 12})
    github.files[12] = archive(b'{"digest": "2"}')
    ask(github, "fetch", "production", tmp_path / "plan.json")
    assert (tmp_path / "plan.json").read_bytes() == b'{"digest": "2"}'


def test_the_token_does_not_follow_to_where_artifacts_are_stored(github: FakeForge, tmp_path: Path) -> None:
    merged(github)
    ask(github, "fetch", "production", tmp_path / "plan.json")
    assert [call.authorized for call in github.asked if call.path == "/storage/5"] == [False]
    assert all(call.authorized for call in github.asked if call.path != "/storage/5")


FORK = {"head_sha": "abc123", "repository_id": 1, "head_repository_id": 2}
OLDER = {"head_sha": "def456", "repository_id": 1, "head_repository_id": 1}


@pytest.mark.parametrize("more", [{"expired": True}, {"workflow_run": FORK}, {"workflow_run": OLDER}])
def test_a_plan_that_was_not_approved_here_is_refused(github: FakeForge, tmp_path: Path, more: dict[str, Any]) -> None:
    merged(github, **more)
    error = "pull request 7 has no artifact reconciler-plan-production-abc123, or it expired: plan again"
    assert ask(github, "fetch", "production", tmp_path / "plan.json", code=5).err == f"forge: {error}\n"
    assert not (tmp_path / "plan.json").exists()


def test_a_commit_that_no_pull_request_brought_has_no_plan(github: FakeForge, tmp_path: Path) -> None:
    error = "commit c0ffee comes from 0 pull requests: no plan was approved for this commit"
    assert ask(github, "fetch", "production", tmp_path / "plan.json", code=5).err == f"forge: {error}\n"


def test_an_artifact_without_a_plan_is_refused(github: FakeForge, tmp_path: Path) -> None:
    merged(github)
    github.files[5] = archive(b"x", name="../plan.json")
    ask(github, "fetch", "production", tmp_path / "plan.json", code=5)
    github.files[5] = b"no archive"
    ask(github, "fetch", "production", tmp_path / "plan.json", code=5)


def test_gitlab_gives_the_plan_of_the_last_job_that_made_one(gitlab: FakeForge, tmp_path: Path) -> None:
    gitlab.pulls.append({"id": 1, "iid": 7, "state": "merged"})
    ask(gitlab, "fetch", "production", tmp_path / "plan.json", code=5)
    gitlab.pipelines += [{"id": 900}, {"id": 800}]
    gitlab.jobs += [{"id": 3, "name": "lint"}, {"id": 4, "name": "reconciler-plan-production"}]
    gitlab.files[4] = b'{"digest": "3"}'
    ask(gitlab, "fetch", "production", tmp_path / "plan.json")
    assert (tmp_path / "plan.json").read_bytes() == b'{"digest": "3"}'


@pytest.mark.parametrize("name", ["", "a b", "-->", "../x", "x" * 64])
def test_a_name_cannot_become_anything_else(github: FakeForge, text: Path, name: str) -> None:
    ask(github, "comment", name, text, code=1)
    assert github.asked == []


def test_the_token_is_not_sent_in_the_clear(github: FakeForge, text: Path) -> None:
    done = ask(github, "comment", "production", text, code=1, FORGE_API="http://forge.example/api")
    assert done.err == "forge: FORGE_API: must begin with https://, since the token is sent there\n"


def test_a_refused_token_is_told_without_the_token(any_forge: FakeForge, text: Path) -> None:
    done = ask(any_forge, "comment", "production", text, code=1, FORGE_TOKEN="wrong-token")
    assert ": 401 " in done.err
    assert "wrong-token" not in done.err
    assert len(any_forge.asked) == 1


def test_what_is_missing_is_named(github: FakeForge, text: Path) -> None:
    assert ask(github, "comment", "x", text, code=1, FORGE_TOKEN="").err == "forge: FORGE_TOKEN: is missing\n"
    missing = "forge: FORGE_PULL: the number of the pull request is missing\n"
    assert ask(github, "comment", "x", text, code=1, GITHUB_REF="refs/heads/main").err == missing


def test_a_command_that_is_not_known_is_explained(github: FakeForge) -> None:
    assert "forge.py comment NAME FILE" in ask(github, "delete", "x", code=3).err
