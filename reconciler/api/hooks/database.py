"""The hook of a database: ports that the server chooses, tags with operation ids, replication sources by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks import replica_sources
from reconciler.api.hooks.base import Created, Hook, Json, LiveMetadata, WriteContext
from reconciler.api.hooks.database_sub_resources import SUB_RESOURCES, TRAFFIC_FIELD
from reconciler.api.protocol import Flow, request
from reconciler.model import LiveObject

OP_TAG = "reconciler_op"
OPERATOR_TAGS = ("managed_by", "redb_name")  # set by the vendor's Kubernetes operator


def _tags(wire: Mapping[str, Any]) -> list[Json]:
    tags = wire.get("tags")
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def _is_reserved(tag: Mapping[str, Any]) -> bool:
    return tag.get("key") == OP_TAG or tag.get("key") in OPERATOR_TAGS or tag.get("isSystem") is True


def decode(spec: Json, wire: Mapping[str, Any]) -> LiveMetadata:
    """Replace port 0 with the real one, set the state of the traffic, and remove our operation id from the tags.

    A database whose port the server chose has port 0; its endpoint has the number (REST object `bdb`).
    """
    if spec.get("port") == 0:
        endpoints = wire.get("endpoints")
        ports = [end["port"] for end in endpoints or () if isinstance(end, dict) and end.get("port")]
        if ports:
            spec["port"] = ports[0]
        else:
            del spec["port"]
    if TRAFFIC_FIELD in wire:
        spec["traffic"] = "stopped" if wire[TRAFFIC_FIELD] else "running"
    replica_sources.show(spec, wire)
    reached = tuple(replica_sources.addresses(wire))
    guid = wire.get("crdt_guid")
    if guid and isinstance(guid, str):
        return LiveMetadata("", f"the Active-Active database {wire.get('name')} ({guid})", reached)
    tags = _tags(wire)
    if not any(map(_is_reserved, tags)):
        return LiveMetadata(addresses=reached)
    if isinstance(spec.get("tags"), list):
        spec["tags"] = [tag for tag in spec["tags"] if not _is_reserved(tag)]
    values = {str(tag.get("key")): str(tag.get("value", "")) for tag in tags}
    owners = [f"{key}={values[key]}" for key in OPERATOR_TAGS if key in values]
    owner = f"a Kubernetes operator (tag {', '.join(owners)})" if owners else ""
    return LiveMetadata(values.get(OP_TAG, ""), owner, reached)


def stamp(body: Mapping[str, Any], operation: str) -> Json:
    """Return *body* with a tag that identifies our create."""
    tags = [tag for tag in _tags(body) if tag.get("key") != OP_TAG]
    return {**body, "tags": [*tags, {"key": OP_TAG, "value": operation}]}


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* with the reserved tags of *live*: a PUT replaces the whole list."""
    if "tags" not in body:
        return dict(body)
    declared = {tag.get("key") for tag in _tags(body)}
    kept = [tag for tag in _tags(live) if _is_reserved(tag) and tag.get("key") not in declared]
    return {**body, "tags": [*_tags(body), *kept]}


def live_wire(live: LiveObject) -> Json:
    """Return the state of the traffic and the endpoints, from which `decode` sets further values."""
    ends = [address.rpartition(":") for address in live.addresses]
    return {
        TRAFFIC_FIELD: live.spec.get("traffic") == "stopped",
        "endpoints": [{"dns_name": host, "port": int(port)} for host, _, port in ends],
    }


def create(context: WriteContext) -> Flow[Created]:
    """Create a database; sources that are referred to by name get their URI now."""
    response = yield from request("POST", context.kind.rest.path, (yield from replica_sources.with_uris(context)))
    made = response.body if isinstance(response.body, Mapping) else {}
    uid = made.get("uid")
    return Created(uid if isinstance(uid, int) else None, str(made.get("action_uid") or ""))


def update(context: WriteContext) -> Flow[str]:
    """Update a database; sources that are referred to by name get their URI now."""
    body = yield from replica_sources.with_uris(context)
    response = yield from request("PUT", f"{context.kind.rest.path}/{context.uid}", body)
    return str((response.body.get("action_uid") if isinstance(response.body, Mapping) else None) or "")


HOOK = Hook(
    narrows=True,
    extended=frozenset({"probabilistic", "query_performance_factor", "search", "timeseries"}),
    required_fields=("endpoints", "tags", "crdt_guid"),
    metrics={"used_memory": "/v1/bdbs/stats/last"},
    decode=decode,
    live_wire=live_wire,
    stamp=stamp,
    complete=complete,
    separate_fields=frozenset({"retire", "upgrade"}),
    sub_resources=SUB_RESOURCES,
    create=create,
    update=update,
)
