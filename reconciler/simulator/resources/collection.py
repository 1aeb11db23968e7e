"""The row of a collection: what is particular to one kind of plain objects. Everything else follows from it.

`collection_handlers` has what the API does with a row, `collection_registry` registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from reconciler.simulator.api.fields import absent_fields, field_rows
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, Table

Fields = dict[str, Json]


class ReferencedBy(NamedTuple):
    """Where other objects refer to those of a collection: a field with an id, ids, or objects with an id in *item*."""

    kind: str
    field: str
    item: str = ""
    switch: str = ""  # open question whose choice is refuse or cascade; without one a delete is refused

    def values(self, record: ObjectRecord) -> list[Json]:
        """Return what the field of *record* holds, as a list."""
        value = record.fields.get(self.field)
        return list(value) if isinstance(value, list) else [] if value is None else [value]

    def id_of(self, value: Json) -> Json:
        """Return the id that one of the values refers to."""
        return value.get(self.item) if self.item else value

    def holders(self, state: ClusterState, identity: Json) -> list[ObjectRecord]:
        """Return the objects that refer to *identity*."""
        records = state.collection(self.kind).values()
        return [record for record in records if any(self.id_of(value) == identity for value in self.values(record))]


def _builtin(table: Table, body: Json) -> set[Json]:
    return {key for key, record in table.items() if record.hidden.get("builtin")}


class Collection(NamedTuple):
    """One collection. Ids are numbers given by the server unless the field `id_field` is a text."""

    kind: str
    path: str
    label: str  # the noun in error descriptions
    operations: Mapping[str, Operation]  # list, get, create, update, delete; a verb that is missing is not served
    item_path: str = ""  # of one object, where it is not below `path`
    id_field: str = "uid"
    update_method: str = "PUT"
    required: tuple[str, ...] | None = None  # by a creation; None: what the fields say
    unique: Mapping[str, str] = {}  # field -> error code of a value that is taken (409)
    missing_code: str = "not_found"  # of an unknown id (404)
    required_code: str = "missing_field"  # of a creation that lacks a field (400)
    referenced_by: Sequence[ReferencedBy] = ()
    reference_code: str = "in_use"  # of deleting an object that others refer to (406)
    computed: frozenset[str] = frozenset()  # fields that `view` adds and nothing keeps
    dry_run: bool = False
    delayed: bool = False  # a delete takes a while and answers with an action
    machine: str = ""  # name of the object in the names of its actions; "" for none on create and update
    since: str = ""
    fields: Sequence[Mapping[str, Json]] = ()  # as in `data/objects/`, where they do not stand there
    grants: Mapping[str, Sequence[str]] = {}  # permission -> roles, where `data/permissions.json` lacks it
    # hooks
    initial: Callable[[ClusterState], Iterable[Fields]] = lambda state: ()  # objects that exist without being created
    defaults: Callable[[ClusterState], Fields] = lambda state: {}  # fields that the server gives to a new object
    parse: Callable[[Collection, ClusterState, Json, ObjectRecord | None], Fields] | None = None
    check: Callable[[ClusterState, Fields, ObjectRecord | None], None] = lambda state, sent, record: None
    store: Callable[[ClusterState, ObjectRecord, Fields], None] = lambda state, record, sent: record.set(**sent)
    view: Callable[[ClusterState, Fields], Fields] = lambda state, fields: fields
    guard: Callable[[ClusterState, ObjectRecord, str], None] = lambda state, record, verb: (
        None
    )  # before update and delete
    builtin: Callable[[Table, Json], set[Json]] = _builtin  # of the objects in a snapshot

    def table(self, state: ClusterState) -> Table:
        """Return the objects of the collection."""
        table = state.collection(self.kind)
        if not table:
            for fields in self.initial(state):
                table[fields[self.id_field]] = ObjectRecord(dict(fields))
        return table

    def shown(self, state: ClusterState, record: ObjectRecord) -> Fields:
        """Return what a read of *record* shows."""
        later = absent_fields(self.kind, state.settings.server_version)
        return self.view(state, {name: value for name, value in record.fields.items() if name not in later})

    def found(self, state: ClusterState, text: str) -> ObjectRecord:
        """Return the object whose id is *text* in a path, or raise 404."""
        table = self.table(state)
        key: Json = int(text) if self._numbered and text.isdecimal() else text
        if key not in table:
            raise ApiError(404, self.missing_code, f"no {self.label} with {self.id_field} {text[:80]}")
        return table[key]

    @property
    def _numbered(self) -> bool:
        field = field_rows(self.kind).get(self.id_field)
        return field is None or field["type"] == "integer"
