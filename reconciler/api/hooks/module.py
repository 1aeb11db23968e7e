"""The hook of user-defined modules: a record and a file on each node (REST `modules/user-defined`, since 8.0).

A name is NAME@VERSION, since several versions of a module can coexist. The file is read and its digest checked right
before it is sent; which nodes have it is read from each of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Created, Hook, Json, Uid, WriteContext
from reconciler.api.protocol import Call, Flow, OwnCluster, OwnClusterInfo, ReadFile, Upload, request
from reconciler.errors import Conflict, ReadIncomplete, Rejected
from reconciler.model import LiveObject

RECORDS = "/v2/modules/user-defined"
FILES = "/v2/local/modules/user-defined/artifacts"
_ALL = "/v1/modules"
EVERYWHERE = "on_every_node"  # added by this tool: whether each node in the project file has the file
_NAME = "@name"


def _full_name(wire: Mapping[str, Any]) -> str:
    return f"{wire.get('module_name', '')}@{wire.get('semantic_version', '')}"


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the modules that are not bundled, each with the nodes that have its file."""
    response = yield Call("GET", _ALL, missing_ok=False, tolerant=True)
    if not isinstance(response.body, list):
        raise ReadIncomplete(f"GET {_ALL}: the response is not a list")
    own = [one for one in response.body if isinstance(one, dict) and one.get("is_bundled") is False]
    named = [{**one, _NAME: _full_name(one)} for one in own]
    if not own or (fields is not None and EVERYWHERE not in fields):
        return named
    home: OwnClusterInfo = yield OwnCluster()
    have = yield from _files(home)
    return [{**one, EVERYWHERE: len(have.get(_key(one), ())) == len(home.urls)} for one in named]


def look(uid: Uid) -> Flow[Any]:
    """Return one module."""
    found = yield from listing(None)
    return next((one for one in found if one.get("uid") == uid), None)


def _key(wire: Mapping[str, Any]) -> tuple[str, str]:
    return str(wire.get("module_name", "")), str(wire.get("version", ""))


def _files(home: OwnClusterInfo) -> Flow[dict[tuple[str, str], list[str]]]:
    found: dict[tuple[str, str], list[str]] = {}
    for url in home.urls:
        response = yield Call("GET", FILES, node=url)
        for one in response.body if isinstance(response.body, list) else ():
            if isinstance(one, Mapping):
                found.setdefault(_key(one), []).append(url)
    return found


def live_wire(live: LiveObject) -> Json:
    """Return the two parts of the name."""
    name, _, version = live.name.rpartition("@")
    return {"module_name": name, "semantic_version": version}


def create(context: WriteContext) -> Flow[Created]:
    """Upload the file to every node, then register the module."""
    name, _, version = context.address.name.rpartition("@")
    yield from _upload_everywhere(context, name)
    body = {**context.wire, "module_name": name, "semantic_version": version}
    response = yield from request("POST", RECORDS, {key: value for key, value in body.items() if key not in _APART})
    uid = response.body.get("uid") if isinstance(response.body, Mapping) else None
    return Created(uid if isinstance(uid, str) else None)


_APART = (_NAME, EVERYWHERE)


def update(context: WriteContext) -> Flow[str]:
    """Upload the file to the nodes that lack it; nothing else of a module can change."""
    yield from _upload_everywhere(context, context.address.name.rpartition("@")[0])
    return ""


def _upload_everywhere(context: WriteContext, name: str) -> Flow[None]:
    artifact = context.separate.get("artifact")
    if not artifact:
        raise Conflict("its file is required: declare artifact, with file and sha256")
    home: OwnClusterInfo = yield OwnCluster()
    nodes = yield from request("GET", "/v1/nodes")
    if isinstance(nodes.body, list) and len(nodes.body) > len(home.urls):
        text = f"the project file has {len(home.urls)} of {len(nodes.body)} nodes"
        raise Conflict(f"{text}, and the file is uploaded to each node; add the others to the cluster's urls")
    data: bytes = yield ReadFile(artifact["file"])
    digest = hashlib.sha256(data).hexdigest()
    if digest != artifact["sha256"].lower():
        raise Conflict(f"{artifact['file']} has the digest {digest}, but its manifest declares {artifact['sha256']}")
    for url in home.urls:
        response = yield Call("GET", FILES, node=url)
        held = response.body if isinstance(response.body, list) else []
        version = str(context.wire.get("version") or context.live.get("version", ""))
        if not any(isinstance(one, Mapping) and _key(one) == (name, version) for one in held):
            yield Call("POST", FILES, Upload("module", f"{name}.zip", data), node=url)


def delete(context: WriteContext) -> Flow[None]:
    """Delete the module from the cluster, then its file from each node."""
    yield from request("DELETE", f"{RECORDS}/{context.uid}")
    home: OwnClusterInfo = yield OwnCluster()
    name, version = _key(context.live)
    for url in home.urls:
        try:
            yield Call("DELETE", f"{FILES}/{name}/{version}", node=url)
        except Rejected as error:
            if error.status != 404:
                raise


HOOK = Hook(
    required_fields=(_NAME,),
    separate_fields=frozenset({"artifact", EVERYWHERE}),
    live_wire=live_wire,
    listing=listing,
    look=look,
    create=create,
    update=update,
    delete=delete,
)
