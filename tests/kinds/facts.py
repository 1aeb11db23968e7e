"""The facts of the API that tests compare with: fields by place, and where each object of the API is.

`settable.json` and the pages of `coverage/` hold them. A page of a kind may state the objects of its kind too, in
`objects`; those that belong to no kind of their own are in `coverage/objects.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_PAGES: Mapping[str, Mapping[str, Any]] = {
    page.name: json.loads(page.read_text("utf-8"))
    for page in (HERE / "settable.json", *sorted((HERE / "coverage").glob("*.json")))
}
_ELSE = ("objects",)  # keys of a page that are no place of fields

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
