"""What a database does that data cannot say: ports that the server picks, tags that carry marks, named sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks import replica_sources
from reconciler.api.hooks.base import Hook, Json, Marks, Posted, Writing
from reconciler.api.hooks.database_doors import DOORS, TRAFFIC_FIELD
from reconciler.api.protocol import Flow, ask

OP_TAG = "reconciler_op"
OPERATOR_TAGS = ("managed_by", "redb_name")  # set by the vendor's Kubernetes operator


def _tags(wire: Mapping[str, Any]) -> list[Json]:
    tags = wire.get("tags")
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def _is_mark(tag: Mapping[str, Any]) -> bool:
    return tag.get("key") == OP_TAG or tag.get("key") in OPERATOR_TAGS or tag.get("isSystem") is True


def decode(spec: Json, wire: Mapping[str, Any]) -> Marks:
    """Put the real port for 0, say whether traffic flows, and take our mark out of the tags.

    A database without a port of its choice reads 0 at the top; the endpoint has the number (REST object `bdb`).
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
        return Marks("", f"the Active-Active database {wire.get('name')} ({guid})", reached)
    tags = _tags(wire)
    if not any(map(_is_mark, tags)):
        return Marks(addresses=reached)
    if isinstance(spec.get("tags"), list):
        spec["tags"] = [tag for tag in spec["tags"] if not _is_mark(tag)]
    values = {str(tag.get("key")): str(tag.get("value", "")) for tag in tags}
    owners = [f"{key}={values[key]}" for key in OPERATOR_TAGS if key in values]
    owner = f"a Kubernetes operator (tag {', '.join(owners)})" if owners else ""
    return Marks(values.get(OP_TAG, ""), owner, reached)


def stamp(body: Mapping[str, Any], operation: str) -> Json:
    """Return *body* with a tag that tells our create apart from any other."""
    tags = [tag for tag in _tags(body) if tag.get("key") != OP_TAG]
    return {**body, "tags": [*tags, {"key": OP_TAG, "value": operation}]}


def complete(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return *body* with the marks of *live* in its tags: a PUT replaces the whole list."""
    if "tags" not in body:
        return dict(body)
    declared = {tag.get("key") for tag in _tags(body)}
    kept = [tag for tag in _tags(live) if _is_mark(tag) and tag.get("key") not in declared]
    return {**body, "tags": [*_tags(body), *kept]}


def post(writing: Writing) -> Flow[Posted]:
    """Create a database; sources that are named get their URI now."""
    answer = yield from ask("POST", writing.kind.rest.path, (yield from replica_sources.with_uris(writing)))
    made = answer.body if isinstance(answer.body, Mapping) else {}
    uid = made.get("uid")
    return Posted(uid if isinstance(uid, int) else None, str(made.get("action_uid") or ""))


def put(writing: Writing) -> Flow[str]:
    """Change a database; sources that are named get their URI now."""
    body = yield from replica_sources.with_uris(writing)
    answer = yield from ask("PUT", f"{writing.kind.rest.path}/{writing.uid}", body)
    return str((answer.body.get("action_uid") if isinstance(answer.body, Mapping) else None) or "")


HOOK = Hook(
    narrows=True,
    extended=frozenset({"probabilistic", "query_performance_factor", "search", "timeseries"}),
    needs=("endpoints", "tags", "crdt_guid"),
    figures={"used_memory": "/v1/bdbs/stats/last"},
    decode=decode,
    stamp=stamp,
    complete=complete,
    apart=frozenset({"retire", "upgrade"}),
    doors=DOORS,
    post=post,
    put=put,
)
