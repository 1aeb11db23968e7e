"""A cluster's content as one JSON object, `{"GET path": body}`: exactly what reads return, unknown fields kept.

A module that stores something registers a `Section`. Sections are loaded in the order of their paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from reconciler.simulator.api.messages import Json
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, Table, digest


class Section(NamedTuple):
    """One path of a snapshot. *save* returns None to omit it."""

    load: Callable[[ClusterState, Any], None]
    save: Callable[[ClusterState], Json]


SECTIONS: dict[str, Section] = {}


def add_section(path: str, load: Callable[[ClusterState, Any], None], save: Callable[[ClusterState], Json]) -> None:
    """Register *load* and *save* for the part of snapshots under *path*."""
    SECTIONS[path] = Section(load, save)


def load(state: ClusterState, snapshot: Mapping[str, Any]) -> None:
    """Replace the parts of *state* that are in *snapshot*; the rest is that of a new cluster."""
    for path in sorted(snapshot):
        if path in SECTIONS:
            SECTIONS[path].load(state, snapshot[path])
        else:
            state.extra[path] = snapshot[path]
    if "/v1/users" in snapshot:
        ensure_operator(state)
    state.changed(*state.tables())


def save(state: ClusterState) -> dict[str, Json]:
    """Return the content of *state*, each part under the path that reads it."""
    saved = {path: section.save(state) for path, section in sorted(SECTIONS.items())}
    return {**state.extra, **{path: body for path, body in saved.items() if body is not None}}


def fill(table: Table, body: Json, builtin: set[int]) -> None:
    """Replace the records of *table* by the objects in *body*."""
    table.clear()
    for item in body:
        table[table.claim(item["uid"])] = ObjectRecord(
            dict(item), {"builtin": True} if item["uid"] in builtin else None
        )


def ensure_operator(state: ClusterState) -> None:
    """Make sure that the configured account can log in: as itself, or as the first admin of the snapshot."""
    settings = state.settings
    user = state.users.named("email", settings.username) or state.users.named("name", settings.username)
    if user is None:
        admin = {uid for uid, role in state.roles.items() if role.fields.get("management") == "admin"}
        admins = [record for record in state.users.values() if admin & set(record.fields.get("role_uids", ()))]
        user = admins[0] if admins else _new_admin(state)
    user.hidden.update(operator=True, password=digest(settings.password))


def _new_admin(state: ClusterState) -> ObjectRecord:
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
    state.users[uid] = ObjectRecord({**fields, "uid": uid})
    return state.users[uid]
