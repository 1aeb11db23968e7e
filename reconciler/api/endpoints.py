"""Paths and queries of a kind: where it is read and written, and which fields a read asks for.

Flows and `live` call it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.api.codec import Uid, masked_secrets
from reconciler.api.hooks import hook_of
from reconciler.diff.forms import is_unread
from reconciler.errors import ReadIncomplete
from reconciler.kinds import Kind

_UID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def endpoint(kind: Kind, verb: str, uid: Uid | None = None) -> tuple[str, str]:
    """Return method and path of a *verb* of *kind* ("read", "create", "update", "delete"); *uid* of an existing object.

    Raises ReadIncomplete for a uid that cannot be part of a path.
    """
    method, _, path = kind.rest.verbs.get(verb, "GET").partition(" ")
    if uid is not None and not _UID.fullmatch(str(uid)):
        raise ReadIncomplete(f"a {kind.name} has an unusable {kind.rest.id}: {uid!r:.80}")
    if path:
        return method, path.replace("{id}", str(uid))
    return method, kind.rest.path if kind.singleton or uid is None else f"{kind.rest.path}/{uid}"


def list_path(kind: Kind, fields: frozenset[str] | None, also: Iterable[str] = ()) -> str:
    """Return the path and query that list *kind* with *fields* (None: all), and *also* these wire names."""
    query, hook = [], hook_of(kind)
    if hook.narrows and fields is not None:
        query.append("fields=" + ",".join(sorted(wire_names(kind, fields).union(also))))
    extended = hook.extended & kind.fields.keys()
    if extended if fields is None else extended & fields:
        query.append("extended=true")
    return kind.rest.path + ("?" + "&".join(query) if query else "")


def wire_names(kind: Kind, fields: frozenset[str]) -> frozenset[str]:
    """Return the wire names of what is read of each object of *kind* for *fields*."""
    hook = hook_of(kind)
    names = {kind.rest.id, *kind.rest.key, "created_time", *hook.required_fields}
    names.update(
        field.wire
        for name, field in kind.fields.items()
        if name in fields and not (is_unread(field) or field.access.secret or name in hook.sub_resources)
    )
    names.update(wire for wire, name in masked_secrets(kind) if name in fields)
    names.update(
        wire for name, sub_resource in hook.sub_resources.items() if name in fields for wire in sub_resource.read_fields
    )
    names.update(key for rule in kind.policy.builtin for key in rule)
    if kind.traits.readiness is not None:
        names.add(kind.traits.readiness.field)
    return frozenset(names)
