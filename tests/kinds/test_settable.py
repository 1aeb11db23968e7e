"""Every settable field of the API is in a schema, or stands in the table with the reason why not.

The table (`facts.py`) is written from the API's facts, by place and field: what the API takes, or why it is no field of
ours; `test_coverage.py` checks where each object of the API is.
`ours` in a row is where the schema differs from the facts on purpose, and `why` says for what reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from reconciler.api.hooks import hook_of
from reconciler.kinds import load_kinds, schema_folder
from tests.kinds.facts import TABLE, of_kinds

PLAIN = (
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "default",
    "writeOnly",
    "deprecated",
)
UNSTATED = {"minimum": 0}  # where the facts are silent these may still be said …
UNSTATED_ANY = ("minLength", "maxLength", "maxItems")  # … and any bound on size


def shape_of(path: str) -> Mapping[str, Any]:
    """Return the schema at `Database.tags[]` or `Database.backup_location:s3`."""
    kind, _, rest = path.partition(".")
    schema: Any = json.loads((schema_folder() / f"{kind.lower()}.json").read_text("utf-8"))
    for step in rest.split(".") if rest else ():
        name, _, shape = step.partition(":")
        schema = schema["properties"][name.removesuffix("[]")]
        schema = schema["items"] if name.endswith("[]") else schema
        schema = next((each for each in schema["oneOf"] if each["title"] == shape), {}) if shape else schema
    return dict(schema)


def wire_fields(path: str) -> dict[str, Any]:
    """Return the properties at *path* by the names that they have in the API."""
    found = {}
    for name, schema in shape_of(path).get("properties", {}).items():
        reference = schema.get("x-ref") or schema.get("items", {}).get("x-ref") or {}
        found[reference.get("wire", name)] = schema
    return found


def said(schema: Mapping[str, Any], nested: bool) -> dict[str, Any]:
    """Return what a property of a kind file says, in the columns of the table."""
    words: dict[str, Any] = {"type": schema["type"]} | {word: schema[word] for word in PLAIN if word in schema}
    for word, column in (("x-immutable", "immutable"), ("x-unit", "unit")):
        if word in schema:
            words[column] = schema[word]
    if "x-since" in schema and not nested:
        words["since"] = schema["x-since"]
    if "x-secret" in schema:
        words["secret"] = schema["x-secret"]
    if schema.get("x-impact") == "restart":
        words["restart"] = True
    if "enum" in schema.get("not", {}):
        words["not"] = schema["not"]["enum"]
    return words


OURS: Mapping[str, Sequence[str]] = {
    place: names for ours in of_kinds("ours").values() for place, names in ours.items()
}
OBJECTS = [path for path, rows in TABLE.items() if isinstance(rows, dict)]
ROWS = [(path, name) for path in OBJECTS for name, row in TABLE[path].items() if isinstance(row, dict)]


@pytest.mark.parametrize("path", OBJECTS)
def test_schemas_and_table_name_the_same_fields(path: str) -> None:
    settable = {name for name, row in TABLE[path].items() if isinstance(row, dict)}
    ours = OURS.get(path, ())
    behind_doors = hook_of(load_kinds()[path]).sub_resources.keys() if path in load_kinds() else set()
    assert set(wire_fields(path)) - (behind_doors - settable) - set(ours) == settable


@pytest.mark.parametrize(("path", "name"), ROWS, ids=[f"{path} {name}" for path, name in ROWS])
def test_a_schema_says_of_a_field_what_the_api_says(path: str, name: str) -> None:
    row = dict(TABLE[path][name])
    why, ours = row.pop("why", ""), row.pop("ours", {})
    expected = {column: value for column, value in (row | ours).items() if value is not None}
    found = said(wire_fields(path)[name], nested="." in path)
    for column in found.keys() - row.keys() - ours.keys():
        if column in UNSTATED_ANY or UNSTATED.get(column) == found[column]:
            del found[column]
    hook = hook_of(load_kinds()[path.partition(".")[0]])
    if "." not in path and name in hook.extended:
        found["extended"] = True
    assert found == expected
    assert bool(ours) == bool(why)


def test_everything_left_out_has_a_reason() -> None:
    reasons = [row for path in OBJECTS for row in TABLE[path].values() if isinstance(row, str)]
    assert all(len(reason) > 10 for reason in reasons)
    assert not shape_of("Database.backup_location:swift")


def test_every_shape_of_a_place_is_in_the_table() -> None:
    for path in ("Database.backup_location", "Database.dataset_import_sources[]"):
        shapes = {f"{path}:{shape['title']}" for shape in shape_of(path)["oneOf"]}
        assert shapes == {each for each in OBJECTS if each.startswith(f"{path}:")}
