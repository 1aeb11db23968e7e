"""Blueprints: where a client wants the shards of a database to be. Pure: knows no cluster, only names of nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

SLOTS = 16384


def unfit(blueprint: Sequence[Mapping[str, Any]], fields: Mapping[str, Any], nodes: Collection[str]) -> str:
    """Return why *blueprint* does not fit a database with *fields* on *nodes*, empty where it does.

    It has an item for each shard: a slot range, and the nodes that hold its master and its copy.
    """
    if len(blueprint) != fields["shards_count"]:
        return "it has not as many items as the database has shards"
    ranges = sorted(tuple(int(end) for end in item["slot_range"].split("-")) for item in blueprint)
    if [first for first, _ in ranges] != [0, *(last + 1 for _, last in ranges[:-1])] or ranges[-1][1] != SLOTS - 1:
        return "its slot ranges do not make up all slots"
    wanted = ["master", "slave"] if fields["replication"] else ["master"]
    for item in blueprint:
        places = [str(node["node_uid"]) for node in item["nodes"]]
        if sorted(node["role"] for node in item["nodes"]) != wanted:
            return f"each range needs {' and '.join(wanted)}"
        if len(set(places)) < len(places) or not set(places) <= set(nodes):
            return "a node is given twice, or is none of the cluster"
    return ""
