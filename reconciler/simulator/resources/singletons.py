"""Singletons: objects of which a cluster has exactly one, with GET and partial PUT. One row per kind.

The hooks of a row validate across fields (`check`) and run after a change (`after`). Named settings merge by name,
lists are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from reconciler.simulator.api.fields import FieldRow, body_rules, default_values, field_rows, schema_error, validate
from reconciler.simulator.api.messages import ApiResponse, Json, Request, is_dry_run, json_response
from reconciler.simulator.data.tables import changed, derived, table
from reconciler.simulator.resources.operation import Operation, register
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section

Fields = Mapping[str, Any]


def _own(single: Singleton, state: ClusterState) -> ObjectRecord:
    return state.singletons[single.kind]


class Singleton(NamedTuple):
    """One singleton. *check* gets the proposed object and the sent fields; *after* the sent fields."""

    kind: str
    path: str
    read: Operation
    write: Operation
    since: str = ""
    fields: Sequence[FieldRow] = ()  # as in `data/objects/`, where they do not stand there
    replies: bool = True  # whether the response of a PUT is the object, or empty
    check: Callable[[ClusterState, Fields, Fields], None] = lambda state, new, sent: None
    after: Callable[[ClusterState, Fields], None] = lambda state, sent: None
    adjust: Callable[[ClusterState, dict[str, Json], Fields], None] = lambda state, new, sent: None
    record: Callable[[Singleton, ClusterState], ObjectRecord] = _own
    beside: Callable[[ClusterState], Fields] = lambda state: {}  # shown on read, but stored elsewhere


def initial_fields(kind: str, version: str) -> dict[str, Json]:
    """Return the fields of an object of *kind* on a new cluster of a server *version*."""
    return dict(_initial(kind, version))


@derived
def _initial(kind: str, version: str) -> Fields:
    fields = field_rows(kind, version)
    optional = {name for name, row in fields.items() if row.get("optional")}
    stored = known_fields(fields, table("singles").get(kind, {}), version)
    return {**{name: value for name, value in default_values(kind, version).items() if name not in optional}, **stored}


def known_fields(fields: Mapping[str, FieldRow], values: Fields, version: str) -> dict[str, Json]:
    """Return those of *values* that a server *version* has, also within named settings."""
    found: dict[str, Json] = {}
    for name, value in values.items():
        if name in fields:
            kind = fields[name].get("ref")
            nested = kind is not None and isinstance(value, dict) and field_rows(kind, version)
            found[name] = {key: item for key, item in value.items() if key in nested} if nested else value
    return found


PATHS: dict[str, str] = {}  # of the kinds that are stored in `ClusterState.singletons`


def store_singleton(kind: str, path: str) -> None:
    """Store a single object of *kind* in each cluster, in snapshots under *path*."""
    PATHS[kind] = path
    add_section(
        path,
        lambda state, body: state.singletons[kind].set(**body),
        lambda state: state.singletons[kind].fields or None,
    )


def create_all(state: ClusterState) -> None:
    """Fill *state* with the single objects of a new cluster."""
    for kind in PATHS:
        state.singletons[kind] = ObjectRecord(initial_fields(kind, state.settings.server_version))


def serve_singleton(single: Singleton) -> None:
    """Serve a single object at its path."""
    if single.fields:
        table("objects")[single.kind] = {"fields": [dict(row) for row in single.fields]}
        changed()
    shape, since = f"object:{single.kind}", {"since": single.since} if single.since else {}
    read = {"statuses": [200], "codes": [], "answer": shape, **since}
    write = {"statuses": [200, 400], "codes": [], "answer": shape if single.replies else "empty", **since}
    register(f"GET {single.path}", single.read, partial(get, single), read)
    register(f"PUT {single.path}", single.write, partial(update, single), {**write, "body": single.kind})


def singleton_view(single: Singleton, state: ClusterState, fields: Fields | None = None) -> dict[str, Json]:
    """Return what a read shows."""
    known = field_rows(single.kind, state.settings.server_version)
    found: dict[str, Json] = dict(single.beside(state))
    for name, value in (single.record(single, state).fields if fields is None else fields).items():
        row = known.get(name, {})
        if not row.get("write_only"):
            found[name] = row["mask"] if "mask" in row and value else value
    return dict(sorted(found.items()))


def merged(old: Json, new: Json) -> Json:
    """Return the named settings *old* recursively updated by *new*."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: merged(old.get(name), value) for name, value in new.items()}}
    return new


def _accepted(single: Singleton, state: ClusterState, body: Json) -> dict[str, Json]:
    """Return the writable fields of *body*; unknown fields of a snapshot accept any value."""
    if not isinstance(body, dict):
        raise schema_error("body", "expected an object")
    fields, record = field_rows(single.kind, state.settings.server_version), single.record(single, state).fields
    foreign = {name: value for name, value in body.items() if name not in fields and name in record}
    sent = validate(
        single.kind, {name: value for name, value in body.items() if name not in foreign}, body_rules(state.settings)
    )
    same = [name for name, value in sent.items() if "mask" in fields[name] and value == fields[name]["mask"]]
    return {**{name: value for name, value in sent.items() if name not in same}, **foreign}


def _overlaid(single: Singleton, state: ClusterState, old: Fields, sent: Fields) -> dict[str, Json]:
    fields, new = field_rows(single.kind, state.settings.server_version), dict(old)
    deep = state.settings.on("nested_settings", "merge")
    for name, value in sent.items():
        named = "ref" in fields.get(name, {}) and isinstance(value, dict) and value
        if named and deep:
            new[name] = merged(old.get(name), value)
        elif named and fields[name].get("named"):
            new[name] = {**old.get(name, {}), **value}
        else:
            new[name] = value
    return new


def get(single: Singleton, state: ClusterState, request: Request) -> ApiResponse:
    """GET"""
    return json_response(singleton_view(single, state))


def update(single: Singleton, state: ClusterState, request: Request, body: Json) -> ApiResponse:
    """PUT: partial."""
    sent = _accepted(single, state, body)
    record = single.record(single, state)
    new = _overlaid(single, state, record.fields, sent)
    single.adjust(state, new, sent)
    single.check(state, new, sent)
    if is_dry_run(request):
        return json_response(singleton_view(single, state, new) if single.replies else None)
    if new != record.fields:
        record.set(**new)
        state.changed()
    single.after(state, sent)
    return json_response(singleton_view(single, state) if single.replies else None)
