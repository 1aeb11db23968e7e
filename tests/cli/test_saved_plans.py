"""Plans that fit their digest and nothing else: of another cluster or a later version, or made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.plan import plan_file
from reconciler.simulator.testing import Running
from tests.cli.rig import Cli
from tests.cli.test_story import writes

NO_PLAN = "error: the plan file: it cannot be read as a plan (plan again)\n"


def forge(cli: Cli, edit: Callable[[dict[str, Any]], object]) -> None:
    """Save a plan, edit it, and give it the digest that it should have."""
    cli("plan", "--out", "plan.json")
    document = json.loads((cli.folder / "plan.json").read_text())
    del document["digest"]
    edit(document)
    cli.write("plan.json", json.dumps({**document, "digest": plan_file._digest(document)}))


def elsewhere(document: dict[str, Any]) -> None:
    document["clusters"] = ["there"]
    for change in document["changes"]:
        change["address"]["cluster"] = "there"
    for resource in document["input"]["resources"]:
        resource["address"][0] = "there"


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (elsewhere, "error: the plan file: cluster there is not configured here\n"),
        (lambda d: d.update(clusters=[]), NO_PLAN),
        (lambda d: d["changes"][0].update(number="1"), NO_PLAN),
        (lambda d: d["changes"][1].update(number=1), NO_PLAN),
        (lambda d: d["changes"][0].update(after=[1]), NO_PLAN),
        (lambda d: d["changes"][0].update(after=[99]), NO_PLAN),
        (lambda d: d["changes"][0].update(after=["x"]), NO_PLAN),
        (lambda d: d["changes"][0].update(body=["acl"]), NO_PLAN),
        (lambda d: d["changes"][0].update(action="explode"), NO_PLAN),
        (
            lambda d: d["changes"][0]["address"].update(kind="Gadget"),
            "error: the plan file: here:Gadget/app-keys: this version does not know the kind Gadget "
            "(plan again with this version)\n",
        ),
        (
            lambda d: d["changes"][0]["body"].update(colour="red"),
            "error: the plan file: here:RedisACL/app-keys: this version does not know colour "
            "(plan again with this version)\n",
        ),
    ],
)
def test_what_cannot_have_come_from_plan_is_refused(
    cli: Cli, server: Running, edit: Callable[[dict[str, Any]], object], error: str
) -> None:
    forge(cli, edit)
    assert cli("apply", "plan.json", "--yes", code=3).err == error
    assert writes(server) == []


def test_an_apply_is_bound_to_the_digest_that_was_reviewed(cli: Cli, server: Running) -> None:
    cli("plan", "--out", "plan.json")
    reviewed = json.loads((cli.folder / "plan.json").read_text())["digest"]
    cli.edit("manifests/shop.yaml", "management: none", "management: admin")
    assert f"--digest {reviewed}" not in cli("plan", "--out", "plan.json").err
    begun = len(server.log)
    refused = cli("apply", "plan.json", "--digest", reviewed, "--yes", code=5)
    assert f"not {reviewed}" in refused.err
    assert len(server.log) == begun
    cli.edit("manifests/shop.yaml", "management: admin", "management: none")
    assert f"--digest {reviewed}" in cli("plan", "--out", "plan.json").err
    cli("apply", "plan.json", "--digest", reviewed[:12], "--yes")


@pytest.mark.parametrize("digest", ["", "0123456789a", "0123456789xy", "0" * 65])
def test_a_digest_has_12_to_64_digits(cli: Cli, digest: str) -> None:
    cli("plan", "--out", "plan.json")
    assert "is not 12 to 64 hexadecimal digits" in cli("apply", "plan.json", "--digest", digest, code=3).err


def test_a_digest_without_a_saved_plan_is_a_mistake(cli: Cli) -> None:
    assert "--digest is of a saved plan" in cli("apply", "--digest", "0" * 64, code=3).err


def test_the_answer_to_another_plan_is_what_differs(cli: Cli, server: Running) -> None:
    def worse(document: dict[str, Any]) -> None:
        document["changes"][1]["body"]["management"] = "admin"

    forge(cli, worse)
    refused = cli("apply", "plan.json", "--yes", code=5).err
    assert "nothing was written; plan again\n  here:Role/app body.management: is admin, should be none\n" in refused
    assert writes(server) == []


def test_a_file_with_millions_of_lists_is_no_plan(bare: Cli) -> None:
    bare.write("p.json", "[" + "[]," * 5_000_000 + "[]]")
    refused = bare("apply", "p.json", code=3, REDIS_ENTERPRISE_URL="https://127.0.0.1:9")
    assert refused.err == "error: p.json: is too large for a plan\n"
