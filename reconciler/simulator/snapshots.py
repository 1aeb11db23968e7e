"""A cluster's content as one JSON object, `{"GET path": body}`: exactly what reads return, unknown fields kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import parts
from .access import ACLS, MAPPINGS, ROLES, USERS, shown
from .messages import Json
from .modules import every
from .singles import PATHS
from .state import Record, State, Table, digest

_TABLES = ("/v1/bdbs", "/v1/roles", "/v1/users", "/v1/redis_acls", "/v1/ldap_mappings", "/v1/bdb_groups")
_SINGLES = {path: kind for kind, path in PATHS.items()}


def _tables(state: State) -> Mapping[str, Table]:
    return dict(
        zip(_TABLES, (state.bdbs, state.roles, state.users, state.acls, state.mappings, state.groups), strict=True)
    )


def load(state: State, snapshot: Mapping[str, Any]) -> None:
    """Replace the parts of *state* that *snapshot* has; the rest stays as it is on a fresh cluster."""
    tables = _tables(state)
    builtin = {path: _builtin(table) for path, table in tables.items()}
    for path in sorted(snapshot):
        body = snapshot[path]
        if path in tables:
            _fill(tables[path], body, builtin[path] if path != "/v1/redis_acls" else _predefined(body))
        elif path == "/v1/nodes":
            _fill(state.nodes, body, set())
        elif path == "/v1/cluster":
            state.cluster = Record(dict(body))
        elif path in _SINGLES:
            state.singles[_SINGLES[path]].set(**body)
        elif path == "/v1/modules":
            state.custom = {item["uid"]: Record(dict(item)) for item in body if not item.get("is_bundled", True)}
        elif path == "/v1/license":
            state.license = Record(dict(body))
        elif path in parts.PARTS:
            continue
        else:
            state.extra[path] = body
    parts.load(state, snapshot)
    _index(state)
    if "/v1/users" in snapshot:
        operator(state)
    state.changed(*tables.values())


def _builtin(table: Table) -> set[int]:
    return {uid for uid, record in table.items() if record.hidden.get("builtin")}


def _predefined(body: Json) -> set[int]:
    return {item["uid"] for item in body if item.get("name") == "Full Access"}


def _fill(table: Table, body: Json, builtin: set[int]) -> None:
    table.clear()
    for item in body:
        table[table.claim(item["uid"])] = Record(dict(item), {"builtin": True} if item["uid"] in builtin else None)


def _index(state: State) -> None:
    """Find again what the server keeps beside the objects: ports, shard and source numbers, unfinished work."""
    state.ports = {}
    for uid, record in state.bdbs.items():
        ports = [end["port"] for end in record.fields.get("endpoints", ())] or [record.fields.get("port", 0)]
        if ports[0]:
            record.hidden["port"] = ports[0]
            state.ports[ports[0]] = uid
        state.next_shard = max([state.next_shard, *(int(shard) + 1 for shard in record.fields.get("shard_list", ()))])
        sources = record.fields.get("replica_sources", ())
        state.next_source = max([state.next_source, *(source.get("uid", 0) + 1 for source in sources)])
        if record.fields.get("status") in ("pending", "active-change-pending", "import-pending"):
            record.set(status="active")
            record.drop("action_uid")


def operator(state: State) -> None:
    """Make sure that the configured account can log in: as itself, or as the first admin of the snapshot."""
    settings = state.settings
    user = state.users.named("email", settings.username) or state.users.named("name", settings.username)
    if user is None:
        admin = {uid for uid, role in state.roles.items() if role.fields.get("management") == "admin"}
        admins = [record for record in state.users.values() if admin & set(record.fields.get("role_uids", ()))]
        user = admins[0] if admins else _new_admin(state)
    user.hidden.update(operator=True, password=digest(settings.password))


def _new_admin(state: State) -> Record:
    email = state.settings.username if "@" in state.settings.username else ""
    fields = {
        "auth_method": "regular",
        "certificate_subject_line": "",
        "email": email,
        "email_alerts": True,
        "name": "Administrator" if email else state.settings.username,
        "password_issue_date": state.stamp(),
        "role_uids": [1],
        "status": "active",
    }
    uid = state.users.claim()
    state.users[uid] = Record({**fields, "uid": uid})
    return state.users[uid]


_FAMILIES = (
    ("/v1/roles", ROLES),
    ("/v1/users", USERS),
    ("/v1/redis_acls", ACLS),
    ("/v1/ldap_mappings", MAPPINGS),
)


def save(state: State) -> dict[str, Json]:
    """Return the content of *state*, each part under the path that reads it."""
    found: dict[str, Json] = {**state.extra, **parts.save(state)}
    found["/v1/bdbs"] = [record.fields for record in state.bdbs.values()]
    for path, family in _FAMILIES:
        found[path] = [shown(state, family, record) for record in family.table(state).values()]
    found["/v1/nodes"] = [record.fields for record in state.nodes.values()]
    found["/v1/cluster"] = state.cluster.fields
    found["/v1/bdb_groups"] = [record.fields for record in state.groups.values()]
    found["/v1/modules"] = list(every(state))
    for kind, path in PATHS.items():
        if state.singles[kind].fields:
            found[path] = state.singles[kind].fields
    found["/v1/license"] = state.license.fields
    return found
