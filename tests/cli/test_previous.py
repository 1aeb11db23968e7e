"""`--previous REV`: what may be pruned comes from git, so that a pipeline needs no record of its own."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from reconciler.simulator.testing import Caller, Running
from tests.cli.rig import SHOP, Cli
from tests.cli.test_story import writes

ROLE = "---\napiVersion: reconciler/v1\nkind: Role\nmetadata: {name: ops}\nspec: {management: none}\n"
CACHE = "---\napiVersion: reconciler/v1\nkind: Database\nmetadata: {name: cache}\nspec: {memory_size: 100MiB}\n"
HELD = 6  # without a ledger nothing shows whether the secrets of the shop were sent


def git(cli: Cli, *words: str) -> str:
    identity = ("-c", "user.name=ana", "-c", "user.email=ana@example.com")
    done = subprocess.run(["git", *identity, *words], cwd=cli.folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(cli: Cli, message: str) -> str:
    git(cli, "add", "manifests")
    git(cli, "commit", "-q", "-m", message)
    return git(cli, "rev-parse", "HEAD")


def forget_everything(cli: Cli) -> None:
    """Be the next pipeline: a fresh checkout, no ledger."""
    shutil.rmtree(cli.folder / ".reconciler", ignore_errors=True)


@pytest.fixture
def repository(cli: Cli) -> Cli:
    """The shop, a role and a database more, committed as v1 and applied; then the two are taken out, as v2."""
    git(cli, "init", "-q", "-b", "main")
    cli.write("manifests/shop.yaml", SHOP + ROLE + CACHE)
    commit(cli, "one")
    git(cli, "tag", "v1")
    cli("apply", "--yes")
    cli.write("manifests/shop.yaml", SHOP)
    commit(cli, "two")
    forget_everything(cli)
    return cli


def test_what_was_declared_before_and_is_gone_is_pruned_without_a_ledger(repository: Cli, server: Running) -> None:
    before = len(writes(server))
    plan = repository("plan", "--prune", "--previous", "v1", code=5)
    assert "- Role/ops" in plan.out
    assert "- Database/cache" in plan.out
    assert "--allow-destroy here:Database/cache" in plan.err
    allow = ("--allow-destroy", "Database/cache")
    repository("apply", "--yes", "--prune", "--previous", "v1", *allow, code=HELD)
    assert [write for write in writes(server)[before:] if write.startswith("DELETE")] == writes(server)[before:]
    assert len(writes(server)) == before + 2
    assert "No changes." in repository("plan", "--prune", "--previous", "v1").out


def test_what_holds_data_needs_consent(repository: Cli, server: Running) -> None:
    before = writes(server)
    done = repository("apply", "--yes", "--prune", "--previous", "v1", code=5)
    assert "Database/cache" in done.err
    assert writes(server) == before


def test_without_the_option_nothing_is_pruned(repository: Cli) -> None:
    assert "No changes." in repository("plan", "--prune").out


def test_a_cancelled_pipeline_is_made_up_for_by_the_next(repository: Cli, server: Running) -> None:
    before = len(writes(server))
    allow = ("--prune", "--previous", "v1", "--allow-destroy", "Database/cache")
    repository("apply", "--yes", "--target", "Role/ops", *allow)  # got only so far
    forget_everything(repository)
    repository("apply", "--yes", *allow, code=HELD)
    assert len(writes(server)) == before + 2


def test_a_saved_plan_carries_its_deletes(repository: Cli) -> None:
    allow = ("--allow-destroy", "Database/cache")
    repository("plan", "--prune", "--previous", "v1", "--out", "plan.json", *allow)
    forget_everything(repository)
    done = repository("apply", "plan.json", "--yes", *allow, code=HELD)
    assert done.out.endswith("Apply complete! 0 created, 0 updated, 2 deleted.\n")


def test_what_the_revision_did_not_declare_is_not_touched(repository: Cli, server: Running) -> None:
    caller = Caller(server.core)
    assert caller("POST", "/v1/roles", {"name": "foreign", "management": "none"}).status == 200
    plan = repository("plan", "--prune", "--previous", "v1", code=5)
    assert "foreign" not in plan.out


def test_a_name_that_two_live_objects_have_is_left_alone(repository: Cli, server: Running) -> None:
    caller = Caller(server.core)
    assert caller("POST", "/v1/bdbs", {"name": "cache", "memory_size": 100 * 1024**2}).status == 200
    plan = repository("plan", "--prune", "--previous", "v1")
    assert "- Database/cache" not in plan.out
    assert "2 live objects have this name" in " ".join(plan.out.split())


def test_a_tombstone_at_the_revision_is_no_declaration(repository: Cli) -> None:
    tombstone = "---\napiVersion: reconciler/v1\nkind: Role\nmetadata: {name: ops, state: absent}\n"
    repository.write("manifests/shop.yaml", SHOP + tombstone)
    commit(repository, "three")
    repository("apply", "--yes", code=HELD)
    repository.write("manifests/shop.yaml", SHOP)
    commit(repository, "four")
    assert "No changes." in repository("plan", "--prune", "--previous", "HEAD~1").out


def test_a_folder_that_did_not_exist_then_declared_nothing(repository: Cli) -> None:
    repository.write("more/role.yaml", ROLE)
    plan = repository("plan", "-f", "manifests", "-f", "more", "--prune", "--previous", "v1", code=5)
    assert "Role/ops" not in plan.out


def test_a_later_revision_than_what_is_checked_out_is_refused(repository: Cli, server: Running) -> None:
    """A pipeline of an old commit that runs late must not delete what a newer one made."""
    newer = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "v1")
    before = writes(server)
    done = repository("apply", "--yes", "--prune", "--previous", newer, code=5)
    assert "is not an ancestor of HEAD" in done.err
    assert writes(server) == before


def test_what_is_no_commit_is_refused(bare: Cli) -> None:
    git(bare, "init", "-q")
    bare.write("manifests/role.yaml", ROLE)
    commit(bare, "one")
    url = {"REDIS_ENTERPRISE_URL": "https://127.0.0.1:1"}
    for revision in ("nowhere", "0" * 40, "--output=x", "-v1", "HEAD\n", "HEAD:manifests", "@{-1}", ""):
        done = bare("plan", "-f", "manifests", "--prune", f"--previous={revision}", code=3, **url)
        assert ": no commit" in done.err
    assert not (bare.folder / "x").exists()


def test_problems_of_the_earlier_manifests_name_the_revision(repository: Cli) -> None:
    repository.write("manifests/shop.yaml", SHOP.replace("memory_size", "memory_sizes"))
    commit(repository, "broken")
    repository.write("manifests/shop.yaml", SHOP)
    commit(repository, "mended")
    done = repository("plan", "--prune", "--previous", "HEAD~1", code=3)
    assert "HEAD~1:manifests/shop.yaml:" in done.err


def test_it_needs_prune_and_files_and_a_plan_to_make(repository: Cli) -> None:
    assert "add --prune" in repository("plan", "--previous", "v1", code=3).err
    assert "must be files" in repository("plan", "-f", "-", "--prune", "--previous", "v1", code=3, stdin=SHOP).err
    repository("plan", "--out", "plan.json")
    saved = repository("apply", "plan.json", "--yes", "--prune", "--previous", "v1", code=3)
    assert "has its deletes already" in saved.err


def test_outside_of_a_repository_there_is_no_revision(cli: Cli) -> None:
    assert "is not in a git repository" in cli("plan", "--prune", "--previous", "v1", code=3).err


def test_nothing_of_the_repository_is_run(repository: Cli) -> None:
    """Its own configuration and hooks could start programs in commands that are less careful."""
    trap = repository.write("trap.sh", f"#!/bin/sh\ntouch {repository.folder}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.alternateRefsCommand", "diff.external"):
        git(repository, "config", name, str(trap))
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "remote.origin.url", "ext::" + str(trap))
    git(repository, "config", "remote.origin.promisor", "true")
    repository("plan", "--prune", "--previous", "v1", code=5)
    assert not (repository.folder / "sprung").exists()


def test_a_link_to_a_folder_of_manifests_is_found_where_it_leads(repository: Cli) -> None:
    (repository.folder / "link").symlink_to("manifests")
    assert "- Role/ops" in repository("plan", "-f", "link", "--prune", "--previous", "v1", code=5).out
