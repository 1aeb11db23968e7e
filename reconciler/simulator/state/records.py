"""Stored objects: a record with shown and hidden fields, and the table of the records of one kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from reconciler.simulator.api.messages import Json, encode

_VIEWS = 8  # how many different serialisations of one object are cached


def digest(password: str) -> str:
    """Return the digest that is stored for a password."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()


class ObjectRecord:
    """One stored object: shown fields, hidden fields, and cached serialisations."""

    __slots__ = ("fields", "hidden", "texts")

    def __init__(self, fields: dict[str, Json], hidden: dict[str, Json] | None = None) -> None:
        self.fields = fields
        self.hidden = hidden or {}
        self.texts: dict[Any, str] = {}

    def set(self, **values: Json) -> None:
        """Set fields and invalidate the cached serialisations."""
        self.fields = {**self.fields, **values}
        self.texts = {}

    def drop(self, name: str) -> None:
        """Remove the field *name*."""
        self.fields = {key: value for key, value in self.fields.items() if key != name}
        self.texts = {}

    def text(self, key: Any, view: Callable[[ObjectRecord], Json]) -> str:
        """Return the JSON text of *view*, cached by *key* until the record changes."""
        found = self.texts.get(key)
        if found is None:
            if len(self.texts) >= _VIEWS:
                self.texts = {}
            found = self.texts[key] = encode(view(self))
        return found


class Table(dict[Any, ObjectRecord]):
    """The objects of one kind by id, and the next uid."""

    def __init__(self, first: int = 1) -> None:
        super().__init__()
        self.next_uid = first
        self.version = 0

    def claim(self, uid: int | None = None) -> int:
        """Reserve *uid*, or the next one, and return it. Uids are never reused."""
        uid = self.next_uid if uid is None else uid
        self.next_uid = max(self.next_uid, uid + 1)
        return uid

    def alive(self) -> dict[int, ObjectRecord]:
        """Return the objects that are not being deleted."""
        return {uid: record for uid, record in self.items() if "gone" not in record.hidden}

    def named(self, field: str, value: str) -> ObjectRecord | None:
        """Return the first object whose *field* is *value*."""
        return next((record for record in self.values() if record.fields.get(field) == value), None)
