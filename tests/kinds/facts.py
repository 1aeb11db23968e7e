"""The facts of the API that tests compare with: fields by place, and where each object of the API is.

`settable.json` and the pages of `coverage/` hold them. A page of a kind may state the objects of its kind too, in
`objects`; those that belong to no kind of their own are in `coverage/objects.json`. `tests` is what the tests that hold
for every kind have to know of a kind, because its file cannot say it:

    least         what an object needs before anything else can be said of it
    alone         its fields exclude each other: an example at a time
    ours          place -> properties that a manifest has and the API has not: a hook makes of them what the API takes
    fields        by field:
      beside      what a value needs beside it; null: without this field
      values      values where those of the schema do not say enough
      once        has one value, or can be set once; each value is tried on an object of its own
      grows       only grows
      apart       needs another field that needs this one: not set with all others
      unset       not in a response while nobody has set it
      elsewhere   why it has a test of its own
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.kinds import load_kinds

HERE = Path(__file__).parent
_PAGES: Mapping[str, Mapping[str, Any]] = {
    page.name: json.loads(page.read_text("utf-8"))
    for page in (HERE / "settable.json", *sorted((HERE / "coverage").glob("*.json")))
}
_ELSE = ("objects", "tests")  # keys of a page that are no place of fields

TABLE: Mapping[str, Any] = {
    place: rows
    for name, page in _PAGES.items()
    if name != "objects.json"
    for place, rows in page.items()
    if place not in _ELSE
}
OBJECTS: Mapping[str, Any] = {
    **_PAGES["objects.json"],
    **{name: where for page in _PAGES.values() for name, where in page.get("objects", {}).items()},
}


def places_of(where: Any) -> list[str]:
    """Return the places that an object of the API is at, as `Database.tags[]`."""
    return [] if isinstance(where, dict) else [where] if isinstance(where, str) else where


PLACES = [(name, place) for name, where in OBJECTS.items() for place in places_of(where)]
HELD = [(name, where["kind"]) for name, where in OBJECTS.items() if isinstance(where, dict) and "kind" in where]


@functools.cache
def exceptions() -> Mapping[str, Mapping[str, Any]]:
    """Return what the page of each kind has in `tests`; read on demand, because a kind file may be broken."""
    return {kind: _PAGES.get(f"{kind.lower()}.json", {}).get("tests", {}) for kind in load_kinds()}


def of_kinds(word: str) -> dict[str, Any]:
    """Return what `tests` says of kinds: `least`, `alone` or `ours`, by kind."""
    return {kind: tests[word] for kind, tests in exceptions().items() if word in tests}


def of_fields(word: str) -> dict[tuple[str, str], Any]:
    """Return what `tests` says of fields, by (kind, field)."""
    return {
        (kind, name): words[word]
        for kind, tests in exceptions().items()
        for name, words in tests.get("fields", {}).items()
        if word in words
    }
