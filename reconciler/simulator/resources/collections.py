"""Collections of plain objects: one row each. Routes, permissions, snapshots, schema and OpenAPI follow from the row.

A row is registered by `serve`, once, in the module of its area. Fields stand in `data/objects/`, or in the row itself.
What a kind does beyond that is a hook of the row; the defaults are those of a plain object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from reconciler.simulator.api import routes
from reconciler.simulator.api.fields import absent_fields, body_rules, field_rows, missing_field, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.data import tables
from reconciler.simulator.state import actions
from reconciler.simulator.state.model import State
from reconciler.simulator.state.records import Record, Table
from reconciler.simulator.state.snapshots import SECTIONS, add_section

Fields = dict[str, Json]


class Operation(NamedTuple):
    """How one verb of a collection is documented; what is empty follows from the row."""

    permission: str | None = None
    statuses: tuple[int, ...] = ()
    codes: tuple[str, ...] | None = None
    query: tuple[str, ...] = ()
    columns: Mapping[str, Json] = {}  # further columns of `data/endpoints.json`: mixed, mode, source, since …


class Reference(NamedTuple):
    """Where other objects refer to those of a collection: a field with an id, ids, or objects with an id in *item*."""

    kind: str
    field: str
    item: str = ""
    switch: str = ""  # open question whose choice is refuse or cascade; without one a delete is refused

    def values(self, record: Record) -> list[Json]:
        """Return what the field of *record* holds, as a list."""
        value = record.fields.get(self.field)
        return list(value) if isinstance(value, list) else [] if value is None else [value]

    def id_of(self, value: Json) -> Json:
        """Return the id that one of the values refers to."""
        return value.get(self.item) if self.item else value

    def holders(self, state: State, identity: Json) -> list[Record]:
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
    referenced_by: Sequence[Reference] = ()
    reference_code: str = "in_use"  # of deleting an object that others refer to (406)
    computed: frozenset[str] = frozenset()  # fields that `view` adds and nothing keeps
    dry_run: bool = False
    delayed: bool = False  # a delete takes a while and answers with an action
    machine: str = ""  # name of the object in the names of its actions; "" for none on create and update
    since: str = ""
    fields: Sequence[Mapping[str, Json]] = ()  # as in `data/objects/`, where they do not stand there
    grants: Mapping[str, Sequence[str]] = {}  # permission -> roles, where `data/permissions.json` lacks it
    # hooks
    initial: Callable[[State], Iterable[Fields]] = lambda state: ()  # objects that exist without being created
    defaults: Callable[[State], Fields] = lambda state: {}  # fields that the server gives to a new object
    parse: Callable[[Collection, State, Json, Record | None], Fields] | None = None
    check: Callable[[State, Fields, Record | None], None] = lambda state, sent, record: None
    store: Callable[[State, Record, Fields], None] = lambda state, record, sent: record.set(**sent)
    view: Callable[[State, Fields], Fields] = lambda state, fields: fields
    guard: Callable[[State, Record, str], None] = lambda state, record, verb: None  # before update and delete
    builtin: Callable[[Table, Json], set[Json]] = _builtin  # of the objects in a snapshot

    def table(self, state: State) -> Table:
        """Return the objects of the collection."""
        table = state.collection(self.kind)
        if not table:
            for fields in self.initial(state):
                table[fields[self.id_field]] = Record(dict(fields))
        return table

    def shown(self, state: State, record: Record) -> Fields:
        """Return what a read of *record* shows."""
        later = absent_fields(self.kind, state.settings.server_version)
        return self.view(state, {name: value for name, value in record.fields.items() if name not in later})

    def found(self, state: State, text: str) -> Record:
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


# What the API does


def list_all(collection: Collection, state: State, request: Request) -> Response:
    """Show all objects."""
    return json_response([collection.shown(state, record) for record in collection.table(state).values()])


def get(collection: Collection, state: State, request: Request, text: str) -> Response:
    """Show one object."""
    return json_response(collection.shown(state, collection.found(state, text)))


def _parsed(collection: Collection, state: State, body: Json, record: Record | None) -> Fields:
    if collection.parse is not None:
        return collection.parse(collection, state, body, record)
    return validate(collection.kind, body, body_rules(state.settings))


def _check(collection: Collection, state: State, sent: Fields, record: Record | None) -> None:
    for field, code in collection.unique.items():
        other = collection.table(state).named(field, sent[field]) if sent.get(field) else None
        if other is not None and other is not record:
            raise ApiError(409, code, f"the {field} is taken")
    collection.check(state, sent, record)


def _missing(collection: Collection, state: State, sent: Fields) -> str | None:
    if collection.required is None:
        return missing_field(collection.kind, sent, body_rules(state.settings))
    return next((name for name in collection.required if name not in sent), None)


def create(collection: Collection, state: State, request: Request, body: Json) -> Response:
    """Create an object."""
    sent, table = _parsed(collection, state, body, None), collection.table(state)
    if (lacking := _missing(collection, state, sent)) is not None:
        raise ApiError(400, collection.required_code, f"{lacking} is needed")
    if sent.get(collection.id_field) in table:
        raise ApiError(409, "uid_exists", f"{collection.id_field} {sent[collection.id_field]} is taken")
    _check(collection, state, sent, None)
    key = sent.get(collection.id_field, table.next_uid)
    record = Record({**collection.defaults(state), collection.id_field: key})
    _store(collection, state, record, sent)
    if collection.dry_run and is_dry_run(request):
        return json_response(collection.shown(state, record))
    table[table.claim(key) if isinstance(key, int) else key] = record
    state.changed(table)
    return json_response({**collection.shown(state, record), **_action(collection, state, "Create", key)})


def _store(collection: Collection, state: State, record: Record, sent: Fields) -> None:
    collection.store(state, record, sent)
    record.fields = dict(sorted(record.fields.items()))


def _action(collection: Collection, state: State, verb: str, key: Json) -> Fields:
    if not collection.machine or state.settings.on("access_actions", "off"):
        return {}
    action = actions.begin_action(state, f"SM{verb}{collection.machine}", collection.kind, key)
    actions.finish_action(state, action)
    return {"action_uid": action.fields["action_uid"]}


def update(collection: Collection, state: State, request: Request, text: str, body: Json) -> Response:
    """Change an object in part."""
    record = collection.found(state, text)
    collection.guard(state, record, "update")
    sent, key = _parsed(collection, state, body, record), record.fields[collection.id_field]
    if sent.pop(collection.id_field, key) != key:
        raise ApiError(400, "invalid_param", f"{collection.id_field} is fixed")
    _check(collection, state, sent, record)
    if collection.dry_run and is_dry_run(request):
        copy = Record(record.fields, dict(record.hidden))
        _store(collection, state, copy, sent)
        return json_response(collection.shown(state, copy))
    _store(collection, state, record, sent)
    state.changed(collection.table(state))
    return json_response({**collection.shown(state, record), **_action(collection, state, "Update", key)})


def delete(collection: Collection, state: State, request: Request, text: str) -> Response:
    """Delete an object that nothing refers to, at once or after a while."""
    record, table = collection.found(state, text), collection.table(state)
    key = record.fields[collection.id_field]
    collection.guard(state, record, "delete")
    _release(collection, state, key)
    if collection.dry_run and is_dry_run(request):
        return json_response(None)
    if not collection.delayed:
        del table[key]
        state.changed(table)
        return json_response(None)
    action = actions.begin_action(state, f"SMDelete{collection.machine}", collection.kind, key)

    def finish() -> None:
        actions.finish_action(state, action)
        if table.get(key) is record:
            del table[key]
            table.version += 1

    record.hidden["gone"] = True
    state.changed(table)
    state.later(state.settings.access_delete_seconds, finish)
    return json_response({"action_uid": action.fields["action_uid"]})


def _release(collection: Collection, state: State, key: Json) -> None:
    """Refuse to delete what others refer to, or remove the references, as the switches say."""
    held = [(reference, reference.holders(state, key)) for reference in collection.referenced_by]
    for reference, holders in held:
        if holders and (not reference.switch or state.settings.on(reference.switch, "refuse")):
            raise ApiError(406, collection.reference_code, f"the {collection.label} is in use")
    for reference, holders in held:
        for record in holders:
            rest = [value for value in reference.values(record) if reference.id_of(value) != key]
            record.set(**{reference.field: rest})
        if holders and reference.kind == "bdb":
            state.changed(state.bdbs)


# What follows from a row

_VERBS: Mapping[str, tuple[str, Callable[..., Response], tuple[int, ...]]] = {
    "list": ("GET", list_all, (200,)),
    "get": ("GET", get, (200, 404)),
    "create": ("POST", create, (200, 400, 409)),
    "update": ("", update, (200, 400, 404, 409)),
    "delete": ("DELETE", delete, (200, 404, 406)),
}


def _codes(collection: Collection, verb: str) -> list[str]:
    """Return the error codes that a verb answers with, where its row lists none."""
    found = set() if verb in ("list", "create") else {collection.missing_code}
    if verb in ("create", "update"):
        found.update(collection.unique.values())
    if verb == "create":
        found.add(collection.required_code)
    if verb == "delete" and collection.referenced_by:
        found.add(collection.reference_code)
    return sorted(found - {"not_found"})


def _endpoint(collection: Collection, verb: str, operation: Operation) -> dict[str, Json]:
    method, _, statuses = _VERBS[verb]
    below = collection.item_path or f"{collection.path}/{{{collection.id_field}}}"
    shapes = {"list": f"array:{collection.kind}", "delete": "action_uid" if collection.delayed else "empty"}
    row: dict[str, Json] = {
        "method": method or collection.update_method,
        "path": collection.path if verb in ("list", "create") else below,
        "permission": operation.permission,
        "mode": "sync",
        "query": list(operation.query),
        "statuses": list(operation.statuses or statuses),
        "codes": list(_codes(collection, verb) if operation.codes is None else operation.codes),
        "answer": shapes.get(verb, f"object:{collection.kind}"),
    }
    if collection.since:
        row["since"] = collection.since
    if verb in ("create", "update"):
        row["body"] = collection.kind
    return {**row, **operation.columns}


def serve(collection: Collection) -> None:
    """Serve *collection*: add its routes, fields, permissions and its section of snapshots."""
    if collection.fields:
        tables.table("objects")[collection.kind] = {"fields": [dict(row) for row in collection.fields]}
    tables.table("permissions").update({name: list(roles) for name, roles in collection.grants.items()})
    for verb, operation in collection.operations.items():
        row = _endpoint(collection, verb, operation)
        tables.table("endpoints").append(row)
        routes.add_handler([f"{row['method']} {row['path']}"], partial(_VERBS[verb][1], collection))
    add_section(collection.path, partial(_load, collection), partial(_save, collection))
    tables.changed()


def _load(collection: Collection, state: State, body: Json) -> None:
    table = collection.table(state)
    builtin = collection.builtin(table, body)
    table.clear()
    for item in body:
        key = item[collection.id_field]
        kept = {name: value for name, value in item.items() if name not in collection.computed}
        table[table.claim(key) if isinstance(key, int) else key] = Record(
            kept, {"builtin": True} if key in builtin else None
        )


def _save(collection: Collection, state: State) -> Json:
    return [collection.shown(state, record) for record in collection.table(state).values()]


@contextmanager
def serving(collection: Collection) -> Iterator[None]:
    """Serve *collection* by the servers that are made inside of this context, for tests."""
    routes.load_handlers()
    known = {name: dict(tables.table(name)) for name in ("objects", "permissions")}
    endpoints, handlers = list(tables.table("endpoints")), dict(routes.HANDLERS)
    serve(collection)
    try:
        yield
    finally:
        for name, rows_ in known.items():
            _restore(tables.table(name), rows_)
        tables.table("endpoints")[:] = endpoints
        _restore(routes.HANDLERS, handlers)
        SECTIONS.pop(collection.path)
        tables.changed()


def _restore(table: dict[str, Any], rows_: Mapping[str, Any]) -> None:
    table.clear()
    table.update(rows_)
