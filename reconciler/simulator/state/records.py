"""Stored objects: a record with what reads show and hide, and the table that holds the records of one kind by uid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from reconciler.simulator.api.messages import Json, encode

_VIEWS = 8  # how many differently narrowed texts of one object are kept


def digest(password: str) -> str:
    """Return what is kept of a password."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()


class ObjectRecord:
    """One stored object: what a read shows, what it hides, and the texts that reads have made of it."""

    __slots__ = ("fields", "hidden", "texts")

    def __init__(self, fields: dict[str, Json], hidden: dict[str, Json] | None = None) -> None:
        self.fields = fields
        self.hidden = hidden or {}
        self.texts: dict[Any, str] = {}

    def set(self, **values: Json) -> None:
        """Replace *values* and forget the texts."""
        self.fields = {**self.fields, **values}
        self.texts = {}

    def drop(self, name: str) -> None:
        """Take the field *name* away."""
        self.fields = {key: value for key, value in self.fields.items() if key != name}
        self.texts = {}

    def text(self, key: Any, view: Callable[[ObjectRecord], Json]) -> str:
        """Return the JSON text of *view*, made once for each *key* until the record changes."""
        found = self.texts.get(key)
        if found is None:
            if len(self.texts) >= _VIEWS:
                self.texts = {}
            found = self.texts[key] = encode(view(self))
        return found


class Table(dict[Any, ObjectRecord]):
    """The objects of one kind by uid, and the next uid."""

    def __init__(self, first: int = 1) -> None:
        super().__init__()
        self.next_uid = first
        self.version = 0

    def claim(self, uid: int | None = None) -> int:
        """Return *uid*, or the next one, and count on from it. Freed uids are never given again."""
        uid = self.next_uid if uid is None else uid
        self.next_uid = max(self.next_uid, uid + 1)
        return uid

    def alive(self) -> dict[int, ObjectRecord]:
        """Return the objects that are not on their way out."""
        return {uid: record for uid, record in self.items() if "gone" not in record.hidden}

    def named(self, field: str, value: str) -> ObjectRecord | None:
        """Return the first object whose *field* is *value*."""
        return next((record for record in self.values() if record.fields.get(field) == value), None)
