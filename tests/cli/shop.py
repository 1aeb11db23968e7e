"""What the tour of `manifests/` declares for a cluster, counted from its files: no test needs a number of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from reconciler.kinds import load_kinds
from tests.cli.rig import ROOT

TOUR = ROOT / "manifests"
_PROJECT = yaml.safe_load((TOUR / "reconciler.yaml").read_text("utf-8"))
_LINES = (
    r"^Plan: (\d+) to create, (\d+) to update, (\d+) to delete\.$",
    r"^Apply complete! (\d+) created, (\d+) updated, (\d+) deleted\.$",
)


def creates(name: str, *, exist: tuple[str, ...] = ()) -> int:
    """Return how many objects a first apply creates on a cluster that has those of the kinds *exist* already."""
    return sum(_is_created(kind) and kind not in exist for kind in _declared(name))


def updates(name: str, *, exist: tuple[str, ...] = (), same: tuple[str, ...] = ()) -> int:
    """Return how many objects it updates: all others, except those of the kinds *same*, which are so already."""
    return sum((kind in exist or not _is_created(kind)) and kind not in same for kind in _declared(name))


def _is_created(kind: str) -> bool:
    return "create" in load_kinds()[kind].rest.verbs


def _declared(name: str) -> list[str]:
    """Return the kind of each object that the tour declares for a cluster, without tombstones."""
    cluster = next(one for one in _PROJECT["clusters"] if one["name"] == name)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for folder in cluster["manifests"]:
        for path in sorted((TOUR / folder).rglob("*.yaml")):
            for document in yaml.safe_load_all(path.read_text("utf-8")):
                address = (document["kind"], document["metadata"]["name"])
                found.setdefault(address, {}).update(document["metadata"])
    return [
        kind
        for (kind, _), metadata in found.items()
        if metadata.get("state") != "absent" and _selected(metadata.get("clusterSelector", {}), cluster["labels"])
    ]


def counts(text: str) -> tuple[int, int, int]:
    """Return what was created, updated and deleted according to an apply: exactly what the plan before it said."""
    planned, done = (re.findall(line, text, re.MULTILINE)[0] for line in _LINES)
    assert planned == done
    created, updated, deleted = map(int, done)
    return created, updated, deleted


def _selected(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()
