"""Plans that fit their digest and nothing else: of another cluster or a later version, or made by hand."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

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
    content = copy.deepcopy(document)
    for one in (*content["changes"], *content["notes"]):  # the digest does not cover texts and places
        for name in ("why", "message", "source"):
            one.pop(name, None)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    cli.write("plan.json", json.dumps({**document, "digest": hashlib.sha256(text.encode()).hexdigest()}))


def elsewhere(document: dict[str, Any]) -> None:
    document["clusters"] = ["there"]
    for change in document["changes"]:
        change["address"]["cluster"] = "there"


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
