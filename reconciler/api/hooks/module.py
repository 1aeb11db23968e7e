"""Modules that users bring along: a record in the cluster, and a file on each node (REST `modules/user-defined`, 8.0).

A name is NAME@VERSION, since several versions of a module stand side by side. The file is read and its digest checked
right before it is sent; which nodes have it is read from each of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Posted, Uid, Writing
from reconciler.api.protocol import Call, Flow, Here, Home, Load, Upload, ask
from reconciler.errors import Conflict, ReadIncomplete, Rejected

RECORDS = "/v2/modules/user-defined"
FILES = "/v2/local/modules/user-defined/artifacts"
_ALL = "/v1/modules"
EVERYWHERE = "on_every_node"  # ours: whether each node that the project file names has the file
_NAME = "@name"


def _title(wire: Mapping[str, Any]) -> str:
    return f"{wire.get('module_name', '')}@{wire.get('semantic_version', '')}"


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the modules that are not bundled, each with the nodes that have its file."""
    answer = yield Call("GET", _ALL, missing_ok=False, tolerant=True)
    if not isinstance(answer.body, list):
        raise ReadIncomplete(f"GET {_ALL}: the list is no list")
    own = [one for one in answer.body if isinstance(one, dict) and one.get("is_bundled") is False]
    named = [{**one, _NAME: _title(one)} for one in own]
    if not own or (fields is not None and EVERYWHERE not in fields):
        return named
    home: Home = yield Here()
    have = yield from _files(home)
    return [{**one, EVERYWHERE: len(have.get(_key(one), ())) == len(home.urls)} for one in named]


def look(uid: Uid) -> Flow[Any]:
    """Return one module."""
    found = yield from listing(None)
    return next((one for one in found if one.get("uid") == uid), None)


def _key(wire: Mapping[str, Any]) -> tuple[str, str]:
    return str(wire.get("module_name", "")), str(wire.get("version", ""))


def _files(home: Home) -> Flow[dict[tuple[str, str], list[str]]]:
    found: dict[tuple[str, str], list[str]] = {}
    for url in home.urls:
        answer = yield Call("GET", FILES, node=url)
        for one in answer.body if isinstance(answer.body, list) else ():
            if isinstance(one, Mapping):
                found.setdefault(_key(one), []).append(url)
    return found


def post(writing: Writing) -> Flow[Posted]:
    """Put the file on every node, then make the module known."""
    name, _, version = writing.address.name.rpartition("@")
    yield from _bring(writing, name)
    body = {**writing.wire, "module_name": name, "semantic_version": version}
    answer = yield from ask("POST", RECORDS, {key: value for key, value in body.items() if key not in _APART})
    uid = answer.body.get("uid") if isinstance(answer.body, Mapping) else None
    return Posted(uid if isinstance(uid, str) else None)


_APART = (_NAME, EVERYWHERE)


def put(writing: Writing) -> Flow[str]:
    """Put the file on the nodes that lack it; nothing else of a module can change."""
    yield from _bring(writing, writing.address.name.rpartition("@")[0])
    return ""


def _bring(writing: Writing, name: str) -> Flow[None]:
    artifact = writing.beside.get("artifact")
    if not artifact:
        raise Conflict("its file is needed now: declare artifact, with file and sha256")
    home: Home = yield Here()
    nodes = yield from ask("GET", "/v1/nodes")
    if isinstance(nodes.body, list) and len(nodes.body) > len(home.urls):
        text = f"the project file names {len(home.urls)} of {len(nodes.body)} nodes"
        raise Conflict(f"{text}, and each node takes the file by itself; add the others to the cluster's urls")
    data: bytes = yield Load(artifact["file"])
    digest = hashlib.sha256(data).hexdigest()
    if digest != artifact["sha256"].lower():
        raise Conflict(f"{artifact['file']} has the digest {digest}, and its manifest says {artifact['sha256']}")
    for url in home.urls:
        answer = yield Call("GET", FILES, node=url)
        held = answer.body if isinstance(answer.body, list) else []
        version = str(writing.wire.get("version") or writing.live.get("version", ""))
        if not any(isinstance(one, Mapping) and _key(one) == (name, version) for one in held):
            yield Call("POST", FILES, Upload("module", f"{name}.zip", data), node=url)


def remove(writing: Writing) -> Flow[None]:
    """Take the module out of the cluster, then its file off each node."""
    yield from ask("DELETE", f"{RECORDS}/{writing.uid}")
    home: Home = yield Here()
    name, version = _key(writing.live)
    for url in home.urls:
        try:
            yield Call("DELETE", f"{FILES}/{name}/{version}", node=url)
        except Rejected as error:
            if error.status != 404:
                raise


HOOK = Hook(
    needs=(_NAME,),
    apart=frozenset({"artifact", EVERYWHERE}),
    listing=listing,
    look=look,
    post=post,
    put=put,
    remove=remove,
)
