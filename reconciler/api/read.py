"""Reads objects of any kind: from a list, from a fixed path, or through a hook.

`live` drives these flows for a plan; the flows that write use them. A sub-resource is read from its own endpoint and
put into the object, so that callers see no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.api.codec import Uid
from reconciler.api.endpoints import endpoint, list_path
from reconciler.api.hooks import hook_of
from reconciler.api.protocol import Call, Flow, Response
from reconciler.errors import ReadIncomplete
from reconciler.kinds import MISSING, SINGLETON, Kind


def listing(kind: Kind, fields: frozenset[str] | None = frozenset(), also: Iterable[str] = ()) -> Flow[list[Any]]:
    """Return the wire objects of *kind*, each with its id and what *fields* need (None: all), and *also* wire names."""
    hook = hook_of(kind)
    if hook.listing is not None:
        wires = yield from hook.listing(fields)
    elif kind.singleton:
        found = yield from _single(kind)
        wires = [] if found is None else [found]
    else:
        response: Response = yield Call("GET", list_path(kind, fields, also), missing_ok=False, tolerant=True)
        wires = _elements(kind, response.body)
    for name, sub_resource in hook.sub_resources.items():
        if name in kind.fields and sub_resource.read is not None and (fields is None or name in fields) and wires:
            values = yield from sub_resource.read()
            for wire in wires:
                value = values.get(str(wire.get(kind.rest.id)), MISSING) if isinstance(wire, dict) else MISSING
                if value is not MISSING:
                    wire[kind.fields[name].wire] = value
    return wires


def one(kind: Kind, uid: Uid, fields: frozenset[str] = frozenset()) -> Flow[dict[str, Any] | None]:
    """Return one wire object with what *fields* need; None where it does not exist."""
    hook = hook_of(kind)
    wire: Any
    if hook.look is not None:
        wire = yield from hook.look(uid)
    elif kind.singleton:
        wire = yield from _single(kind)
    else:
        extended = hook.extended & fields & kind.fields.keys()
        _, path = endpoint(kind, "read", uid)
        response: Response = yield Call("GET", path + ("?extended=true" if extended else ""))
        wire = None if response.status == 404 else response.body
    if wire is None:
        return None
    if not isinstance(wire, dict):
        raise ReadIncomplete(f"reading one {kind.name} at {kind.rest.path} gave no object")
    for name, sub_resource in hook.sub_resources.items():
        if sub_resource.look is not None and name in fields:
            value = yield from sub_resource.look(uid)
            if value is not MISSING:
                wire = {**wire, kind.fields[name].wire: value}
    whole: dict[str, Any] = wire
    return whole


def _elements(kind: Kind, body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise ReadIncomplete(f"GET {kind.rest.path}: the response is not a list")
    return list(body)


def _single(kind: Kind) -> Flow[dict[str, Any] | None]:
    """Read the one object of its kind; its id, which the API does not have, is put in."""
    response: Response = yield Call("GET", kind.rest.path)
    if response.status == 404:
        return None
    body = response.body
    within = hook_of(kind).within
    if within and isinstance(body, dict):
        body = body.get(within)
    if not isinstance(body, dict):
        raise ReadIncomplete(f"GET {kind.rest.path}: an object was expected")
    if any(all(body.get(name, value) == value for name, value in nothing.items()) for nothing in kind.rest.absent):
        return None
    return {**body, kind.rest.id: SINGLETON}
