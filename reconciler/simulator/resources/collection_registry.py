"""Registers collections: routes, fields, permissions and the section of snapshots follow from the row.

The area that a kind belongs to calls `serve`, once, when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from reconciler.simulator.api import routes
from reconciler.simulator.api.messages import ApiResponse, Json
from reconciler.simulator.data import tables
from reconciler.simulator.resources import collection_handlers as handlers
from reconciler.simulator.resources.collection import Collection
from reconciler.simulator.resources.operation import register
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import SECTIONS, add_section

_VERBS: Mapping[str, tuple[str, Callable[..., ApiResponse], tuple[int, ...]]] = {
    "list": ("GET", handlers.list_all, (200,)),
    "get": ("GET", handlers.get, (200, 404)),
    "create": ("POST", handlers.create, (200, 400, 409)),
    "update": ("", handlers.update, (200, 400, 404, 409)),
    "delete": ("DELETE", handlers.delete, (200, 404, 406)),
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


def _statuses(collection: Collection, verb: str) -> list[int]:
    """Return the statuses that a verb answers with, where its row lists none."""
    causes = {406: collection.referenced_by, 409: collection.unique}
    return [status for status in _VERBS[verb][2] if causes.get(status, True)]


def _derived(collection: Collection, verb: str) -> dict[str, Json]:
    """Return the columns of an endpoint that follow from the row."""
    shapes = {"list": f"array:{collection.kind}", "delete": "action_uid" if collection.delayed else "empty"}
    columns: dict[str, Json] = {
        "statuses": _statuses(collection, verb),
        "codes": _codes(collection, verb),
        "answer": shapes.get(verb, f"object:{collection.kind}"),
    }
    if collection.since:
        columns["since"] = collection.since
    if verb in ("create", "update"):
        columns["body"] = collection.kind
    return columns


def serve(collection: Collection) -> None:
    """Serve *collection*: add its routes, fields, permissions and its section of snapshots."""
    if collection.fields:
        tables.table("objects")[collection.kind] = {"fields": [dict(row) for row in collection.fields]}
    tables.table("permissions").update({name: list(roles) for name, roles in collection.grants.items()})
    add_section(collection.path, partial(_load, collection), partial(_save, collection))
    below = collection.item_path or f"{collection.path}/{{{collection.id_field}}}"
    for verb, operation in collection.operations.items():
        method, handler, _ = _VERBS[verb]
        path = collection.path if verb in ("list", "create") else below
        call = f"{method or collection.update_method} {path}"
        register(call, operation, partial(handler, collection), _derived(collection, verb))


def _load(collection: Collection, state: ClusterState, body: Json) -> None:
    table = collection.table(state)
    builtin = collection.builtin(table, body)
    table.clear()
    for item in body:
        key = item[collection.id_field]
        kept = {name: value for name, value in item.items() if name not in collection.computed}
        table[table.claim(key) if isinstance(key, int) else key] = ObjectRecord(
            kept, {"builtin": True} if key in builtin else None
        )


def _save(collection: Collection, state: ClusterState) -> Json:
    return [collection.shown(state, record) for record in collection.table(state).values()]


@contextmanager
def serving(collection: Collection) -> Iterator[None]:
    """Serve *collection* by the servers that are made inside of this context, for tests."""
    routes.load_handlers()
    known = {name: dict(tables.table(name)) for name in ("objects", "permissions")}
    endpoints, served = list(tables.table("endpoints")), dict(routes.HANDLERS)
    serve(collection)
    try:
        yield
    finally:
        for name, rows_ in known.items():
            _restore(tables.table(name), rows_)
        tables.table("endpoints")[:] = endpoints
        _restore(routes.HANDLERS, served)
        SECTIONS.pop(collection.path)
        tables.changed()


def _restore(table: dict[str, Any], rows_: Mapping[str, Any]) -> None:
    table.clear()
    table.update(rows_)
