"""What a database does that data cannot say: ports that the server picks, and tags that carry marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.hooks.base import Hook, Json, Marks

OP_TAG = "reconciler_op"
OPERATOR_TAGS = ("managed_by", "redb_name")  # set by the vendor's Kubernetes operator


def _tags(wire: Mapping[str, Any]) -> list[Json]:
    tags = wire.get("tags")
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def _is_mark(tag: Mapping[str, Any]) -> bool:
    return tag.get("key") == OP_TAG or tag.get("key") in OPERATOR_TAGS or tag.get("isSystem") is True


def decode(spec: Json, wire: Mapping[str, Any]) -> Marks:
    """Put the real port for 0 and take our mark out of the tags.

    A database without a port of its choice reads 0 at the top; the endpoint has the number (REST object `bdb`).
    """
    if spec.get("port") == 0:
        endpoints = wire.get("endpoints")
        ports = [end["port"] for end in endpoints or () if isinstance(end, dict) and end.get("port")]
        if ports:
            spec["port"] = ports[0]
        else:
            del spec["port"]
    tags, guid = _tags(wire), wire.get("crdt_guid")
    if guid and isinstance(guid, str):
        return Marks(owner=f"the Active-Active database {wire.get('name')} ({guid}), of which it is an instance")
    if not any(map(_is_mark, tags)):
        return Marks()
    if isinstance(spec.get("tags"), list):
        spec["tags"] = [tag for tag in spec["tags"] if not _is_mark(tag)]
    values = {str(tag.get("key")): str(tag.get("value", "")) for tag in tags}
    owners = [f"{key}={values[key]}" for key in OPERATOR_TAGS if key in values]
    owner = f"a Kubernetes operator (tag {', '.join(owners)})" if owners else ""
    return Marks(operation=values.get(OP_TAG, ""), owner=owner)


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


HOOK = Hook(
    needs=("endpoints", "tags", "crdt_guid"),
    decode=decode,
    stamp=stamp,
    complete=complete,
)
