"""What the API does with the objects of a collection: list, get, create, update and delete, as its row says."""

from __future__ import annotations

from reconciler.simulator.api.fields import body_rules, missing_field, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.resources.collection import Collection, Fields
from reconciler.simulator.state import actions
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord


def list_all(collection: Collection, state: ClusterState, request: Request) -> Response:
    """Show all objects."""
    return json_response([collection.shown(state, record) for record in collection.table(state).values()])


def get(collection: Collection, state: ClusterState, request: Request, text: str) -> Response:
    """Show one object."""
    return json_response(collection.shown(state, collection.found(state, text)))


def _parsed(collection: Collection, state: ClusterState, body: Json, record: ObjectRecord | None) -> Fields:
    if collection.parse is not None:
        return collection.parse(collection, state, body, record)
    return validate(collection.kind, body, body_rules(state.settings))


def _check(collection: Collection, state: ClusterState, sent: Fields, record: ObjectRecord | None) -> None:
    for field, code in collection.unique.items():
        other = collection.table(state).named(field, sent[field]) if sent.get(field) else None
        if other is not None and other is not record:
            raise ApiError(409, code, f"the {field} is taken")
    collection.check(state, sent, record)


def _missing(collection: Collection, state: ClusterState, sent: Fields) -> str | None:
    if collection.required is None:
        return missing_field(collection.kind, sent, body_rules(state.settings))
    return next((name for name in collection.required if name not in sent), None)


def create(collection: Collection, state: ClusterState, request: Request, body: Json) -> Response:
    """Create an object."""
    sent, table = _parsed(collection, state, body, None), collection.table(state)
    if (lacking := _missing(collection, state, sent)) is not None:
        raise ApiError(400, collection.required_code, f"{lacking} is needed")
    if sent.get(collection.id_field) in table:
        raise ApiError(409, "uid_exists", f"{collection.id_field} {sent[collection.id_field]} is taken")
    _check(collection, state, sent, None)
    key = sent.get(collection.id_field, table.next_uid)
    record = ObjectRecord({**collection.defaults(state), collection.id_field: key})
    _store(collection, state, record, sent)
    if collection.dry_run and is_dry_run(request):
        return json_response(collection.shown(state, record))
    table[table.claim(key) if isinstance(key, int) else key] = record
    state.changed(table)
    return json_response({**collection.shown(state, record), **_action(collection, state, "Create", key)})


def _store(collection: Collection, state: ClusterState, record: ObjectRecord, sent: Fields) -> None:
    collection.store(state, record, sent)
    record.fields = dict(sorted(record.fields.items()))


def _action(collection: Collection, state: ClusterState, verb: str, key: Json) -> Fields:
    if not collection.machine or state.settings.on("access_actions", "off"):
        return {}
    action = actions.begin_action(state, f"SM{verb}{collection.machine}", collection.kind, key)
    actions.finish_action(state, action)
    return {"action_uid": action.fields["action_uid"]}


def update(collection: Collection, state: ClusterState, request: Request, text: str, body: Json) -> Response:
    """Change an object in part."""
    record = collection.found(state, text)
    collection.guard(state, record, "update")
    sent, key = _parsed(collection, state, body, record), record.fields[collection.id_field]
    if sent.pop(collection.id_field, key) != key:
        raise ApiError(400, "invalid_param", f"{collection.id_field} is fixed")
    _check(collection, state, sent, record)
    if collection.dry_run and is_dry_run(request):
        copy = ObjectRecord(record.fields, dict(record.hidden))
        _store(collection, state, copy, sent)
        return json_response(collection.shown(state, copy))
    _store(collection, state, record, sent)
    state.changed(collection.table(state))
    return json_response({**collection.shown(state, record), **_action(collection, state, "Update", key)})


def delete(collection: Collection, state: ClusterState, request: Request, text: str) -> Response:
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


def _release(collection: Collection, state: ClusterState, key: Json) -> None:
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
