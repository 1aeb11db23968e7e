"""Every object of the API, and every field of it that can be set, is declared somewhere or left out for a reason.

`objects` in the facts says of each object where it is: a place whose fields stand in a table (`test_settable.py`), a
kind that holds its fields in a form of its own, or the reason why it is nowhere. What objects and fields there are is
asked of the simulator, which was written from the facts of the API apart from the schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.kinds import kind_source, load_kinds
from reconciler.simulator.api.routes import load_handlers
from reconciler.simulator.data import tables
from tests.kinds.facts import HELD, OBJECTS, PLACES, TABLE, exceptions, of_fields
from tests.kinds.test_settable import shape_of

load_handlers()  # rows of collections and singletons may bring their fields
FACTS: Mapping[str, Any] = dict(tables.table("objects"))


def settable(name: str, shape: str = "") -> set[str]:
    """Return the fields of an object (of one shape of it) that a request can set."""
    facts = FACTS[name]
    fields = facts["variants"].get(shape, ()) if "variants" in facts else facts["fields"]
    return {field["name"] for field in fields if not field.get("read_only")}


def names_in(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield every name, ours and the API's, of a property at any depth."""
    for name, child in schema.get("properties", {}).items():
        reference = child.get("x-ref") or child.get("items", {}).get("x-ref") or {}
        yield from (name, reference.get("wire", name))
        yield from names_in(child)
    for shape in schema.get("oneOf", ()):
        yield from names_in(shape)
    if "items" in schema:
        yield from names_in(schema["items"])


def test_the_table_names_the_objects_of_the_api() -> None:
    assert OBJECTS.keys() == FACTS.keys()


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_every_settable_field_of_an_object_is_in_the_table_of_its_place(name: str, place: str) -> None:
    assert shape_of(place)
    rows = TABLE[place].keys()
    sent_as = {"algorithm": "password_hashing_algorithm"}  # a hook renames it
    assert {sent_as.get(field, field) for field in settable(name, place.partition(":")[2])} <= rows


@pytest.mark.parametrize(("name", "kind"), HELD)
def test_a_kind_names_the_fields_of_what_it_holds(name: str, kind: str) -> None:
    left = OBJECTS[name].get("left", {})
    assert left.keys() <= settable(name)
    assert all(len(reason) > 10 for reason in left.values())
    assert settable(name) - left.keys() <= set(names_in(kind_source(kind)))


def test_what_is_left_out_has_a_reason() -> None:
    reasons = [where["reason"] for where in OBJECTS.values() if isinstance(where, dict) and "kind" not in where]
    assert all(len(reason) > 10 for reason in reasons)


def test_every_kind_is_the_place_of_something() -> None:
    found = {place.partition(".")[0] for _, place in PLACES} | {kind for _, kind in HELD}
    assert found == set(load_kinds())


def test_what_tests_must_know_is_said_of_fields_that_exist() -> None:
    kinds = load_kinds()
    words = ("beside", "values", "once", "grows", "apart", "unset", "elsewhere")
    known = {word for kind in exceptions().values() for said in kind.get("fields", {}).values() for word in said}
    assert known <= set(words)
    assert {word for kind in exceptions().values() for word in kind} <= {"least", "alone", "ours", "fields"}
    for word in words:
        for kind, name in of_fields(word):
            assert name in kinds[kind].fields, f"{kind}.{name}"
