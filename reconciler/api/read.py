"""How objects are read, whatever the shape of their kind: a list, one object at a fixed place, or what a hook knows.

`live` drives these flows for a plan, the other flows and the engine while they work. A field behind a door of its own
is read there and put into the object, so that nobody else sees a difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.api.codec import Uid, endpoint, list_path
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Answer, Call, Flow
from reconciler.errors import ReadIncomplete
from reconciler.kinds import MISSING, SINGLETON, Kind


def listing(kind: Kind, fields: frozenset[str] | None = frozenset(), also: Iterable[str] = ()) -> Flow[list[Any]]:
    """Return the wire objects of *kind*, each with its id; with what is needed for *fields* (None: all).

    *also* are further fields by the names of the API.
    """
    hook = hook_of(kind)
    if hook.listing is not None:
        wires = yield from hook.listing(fields)
    elif kind.singleton:
        found = yield from _single(kind)
        wires = [] if found is None else [found]
    else:
        answer: Answer = yield Call("GET", list_path(kind, fields, also), missing_ok=False, tolerant=True)
        wires = _elements(kind, answer.body)
    for name, door in hook.doors.items():
        if name in kind.fields and door.read is not None and (fields is None or name in fields) and wires:
            values = yield from door.read()
            for wire in wires:
                value = values.get(str(wire.get(kind.rest.id)), MISSING) if isinstance(wire, dict) else MISSING
                if value is not MISSING:
                    wire[kind.fields[name].wire] = value
    return wires


def one(kind: Kind, uid: Uid, fields: frozenset[str] = frozenset()) -> Flow[dict[str, Any] | None]:
    """Return one wire object with what is needed for *fields*; None where there is none."""
    hook = hook_of(kind)
    wire: Any
    if hook.look is not None:
        wire = yield from hook.look(uid)
    elif kind.singleton:
        wire = yield from _single(kind)
    else:
        extended = hook.extended & fields & kind.fields.keys()
        _, path = endpoint(kind, "read", uid)
        answer: Answer = yield Call("GET", path + ("?extended=true" if extended else ""))
        wire = None if answer.status == 404 else answer.body
    if wire is None:
        return None
    if not isinstance(wire, dict):
        raise ReadIncomplete(f"reading one {kind.name} at {kind.rest.path} gave no object")
    for name, door in hook.doors.items():
        if door.look is not None and name in fields:
            value = yield from door.look(uid)
            if value is not MISSING:
                wire = {**wire, kind.fields[name].wire: value}
    whole: dict[str, Any] = wire
    return whole


def _elements(kind: Kind, body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise ReadIncomplete(f"GET {kind.rest.path}: the list is no list")
    return list(body)


def _single(kind: Kind) -> Flow[dict[str, Any] | None]:
    """Read the one object of its kind; its id, which the API does not have, is put in."""
    answer: Answer = yield Call("GET", kind.rest.path)
    if answer.status == 404:
        return None
    body = answer.body
    within = hook_of(kind).within
    if within and isinstance(body, dict):
        body = body.get(within)
    if not isinstance(body, dict):
        raise ReadIncomplete(f"GET {kind.rest.path}: an object was expected")
    if any(all(body.get(name, value) == value for name, value in nothing.items()) for nothing in kind.rest.absent):
        return None
    return {**body, kind.rest.id: SINGLETON}
