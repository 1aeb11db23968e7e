"""Placement of shards: node, role and slots. Knows no HTTP.

The shards of a database are stored in its record (`hidden["shards"]`) and are placed on first use, so that large
snapshots load fast. On the loss of a node replicas are promoted; shards are moved away from a node to be emptied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.simulator.api.messages import Json
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

SLOTS = 16384


class Shard(NamedTuple):
    """One shard: *role* is master or slave, *slots* a range such as 0-8191."""

    uid: int
    bdb: int
    node: int
    role: str
    slots: str


def eligible_nodes(state: ClusterState) -> list[int]:
    """Return the uids of the nodes that accept shards."""
    return [uid for uid, node in state.nodes.items() if node.fields["status"] == "active" and accepts_shards(node)]


def accepts_shards(node: ObjectRecord) -> bool:
    """Return whether *node* accepts shards: not quorum-only, not in maintenance, not being removed."""
    return bool(node.fields.get("accept_servers", True)) and not node.hidden.get("closed")


def has_quorum(state: ClusterState) -> bool:
    """Return whether more than half of the nodes are up."""
    up = sum(node.fields["status"] != "down" for node in state.nodes.values())
    return bool(2 * up > len(state.nodes))


def shards(state: ClusterState, record: ObjectRecord) -> list[Shard]:
    """Return the shards of a database, placed again if its list of shards has changed."""
    held: Mapping[int, Shard] = record.hidden.get("shards", {})
    wanted = record.fields.get("shard_list", ())
    if list(held) != list(wanted):
        held = record.hidden["shards"] = _lay_out(state, record, held, wanted)
    return list(held.values())


def slot_range(place: int, count: int) -> str:
    """Return the slots of master number *place* of *count*."""
    return f"{place * SLOTS // count}-{(place + 1) * SLOTS // count - 1}"


def _lay_out(
    state: ClusterState, record: ObjectRecord, held: Mapping[int, Shard], wanted: Iterable[int]
) -> dict[int, Shard]:
    uids = list(wanted)
    count = min(int(record.fields.get("shards_count", 1)), len(uids))
    masters = [uid for uid in uids if uid in held and held[uid].role == "master"][:count]
    fresh = [uid for uid in uids if uid not in held] + [uid for uid in uids if uid in held and uid not in masters]
    masters += fresh[: count - len(masters)]
    slaves = [uid for uid in uids if uid not in masters]
    allowed = _allowed(state, record)
    laid: dict[int, Shard] = {}
    for place, uid in enumerate(masters):
        node = held[uid].node if uid in held else allowed[uid % len(allowed)]
        laid[uid] = Shard(uid, record.fields["uid"], node, "master", slot_range(place, count))
    for place, uid in enumerate(slaves):
        master = laid[masters[place % count]]
        node = (
            held[uid].node if uid in held and held[uid].node != master.node else other_node(allowed, master.node, uid)
        )
        laid[uid] = Shard(uid, record.fields["uid"], node, "slave", master.slots)
    return {uid: laid[uid] for uid in uids}


def _allowed(state: ClusterState, record: ObjectRecord) -> list[int]:
    avoided = {str(uid) for uid in record.fields.get("avoid_nodes", ())}
    found = eligible_nodes(state)
    return [uid for uid in found if str(uid) not in avoided] or found or list(state.nodes) or [1]


def other_node(allowed: list[int], taken: int, seed: int) -> int:
    """Return one of the nodes *allowed* that is not *taken*, if there is one."""
    rest = [uid for uid in allowed if uid != taken] or allowed
    return rest[seed % len(rest)]


def all_shards(state: ClusterState) -> list[Shard]:
    """Return the shards of all databases."""
    return [shard for record in state.bdbs.values() for shard in shards(state, record)]


def shards_by_node(state: ClusterState) -> dict[int, list[Shard]]:
    """Return the shards of each node."""
    spread: dict[int, list[Shard]] = {uid: [] for uid in state.nodes}
    for shard in all_shards(state):
        spread.setdefault(shard.node, []).append(shard)
    return spread


def store_shards(state: ClusterState, record: ObjectRecord, *changed: Shard) -> None:
    """Store *changed* shards of a database and rebind its endpoints."""
    held = {shard.uid: shard for shard in shards(state, record)}
    held.update({shard.uid: shard for shard in changed})
    record.hidden["shards"] = held
    rebind_endpoints(state, record)


def endpoint_addresses(state: ClusterState, record: ObjectRecord, policy: str) -> list[str]:
    """Return the addresses at which a database with the proxy *policy* is served."""
    live = {uid: node.fields["addr"] for uid, node in state.nodes.items() if node.fields["status"] == "active"}
    live = live or {uid: node.fields["addr"] for uid, node in state.nodes.items()}
    if policy == "all-nodes":
        return list(live.values())
    masters = dict.fromkeys(shard.node for shard in shards(state, record) if shard.role == "master")
    found = [live[uid] for uid in masters if uid in live] or list(live.values())
    return found[:1] if policy == "single" else found


def rebind_endpoints(state: ClusterState, record: ObjectRecord) -> None:
    """Bind the endpoints of a database to the nodes of its shards."""
    old = record.fields.get("endpoints", ())
    new = [{**end, "addr": endpoint_addresses(state, record, end.get("proxy_policy", "single"))} for end in old]
    if new != list(old):
        record.set(endpoints=new)
        state.bdbs.version += 1


def set_node_status(state: ClusterState, uid: int, up: bool) -> None:
    """Mark node *uid* as up or down; if it is down, another node becomes primary and replicas are promoted."""
    node = state.nodes.get(uid)
    if node is None or (node.fields["status"] == "down") is not up:
        return
    node.set(status="active" if up else "down")
    state.event("node_up" if up else "node_down", "INFO" if up else "CRITICAL", node_uid=uid)
    alive = [other for other in sorted(state.nodes) if state.nodes[other].fields["status"] == "active"]
    if alive and state.primary not in alive:
        state.primary = alive[0]
    for record in state.bdbs.values():
        if up:
            rebind_endpoints(state, record)
        else:
            _fail_over(state, record, uid)


def _fail_over(state: ClusterState, record: ObjectRecord, lost: int) -> None:
    """Promote replicas of the masters on the node *lost*."""
    for master in shards(state, record):
        if master.node == lost and master.role == "master":
            promote_replica(state, record, master)
    rebind_endpoints(state, record)


def promote_replica(state: ClusterState, record: ObjectRecord, master: Shard) -> bool:
    """Promote a replica of *master* on an active node; return whether there is one."""
    for slave in shards(state, record):
        alive = slave.node in state.nodes and state.nodes[slave.node].fields["status"] == "active"
        if slave.role == "slave" and slave.slots == master.slots and alive and slave.node != master.node:
            store_shards(state, record, slave._replace(role="master"), master._replace(role="slave"))
            return True
    return False


def evacuate(state: ClusterState, uid: int, *, only: Iterable[int] | None = None) -> list[Shard]:
    """Move shards away from node *uid*, of the databases *only* if given; return those that cannot be placed."""
    allowed, stuck = [home for home in eligible_nodes(state) if home != uid], []
    for record in state.bdbs.values():
        if only is not None and record.fields["uid"] not in only:
            continue
        for shard in shards(state, record):
            if shard.node != uid:
                continue
            mates = {mate.node for mate in shards(state, record) if mate.slots == shard.slots and mate is not shard}
            rest = [home for home in allowed if home not in mates]
            if rest:
                store_shards(state, record, shard._replace(node=rest[shard.uid % len(rest)]))
            else:
                stuck.append(shard)
    return stuck


def redistribute(state: ClusterState, record: ObjectRecord) -> None:
    """Distribute the shards of a database evenly over the nodes."""
    record.hidden["shards"] = _lay_out(state, record, {}, record.fields.get("shard_list", ()))
    rebind_endpoints(state, record)


def propose_blueprint(state: ClusterState, record: ObjectRecord, fields: Mapping[str, Json]) -> list[Json]:
    """Return the placement of a database with other *fields*, as a blueprint."""
    count, allowed = int(fields.get("shards_count", 1)), _allowed(state, record)
    laid = []
    for place in range(count):
        master = allowed[place % len(allowed)] if fields.get("shards_placement") == "sparse" else allowed[0]
        nodes = [{"node_uid": str(master), "role": "master"}]
        if fields.get("replication"):
            nodes.append({"node_uid": str(other_node(allowed, master, place)), "role": "slave"})
        laid.append({"nodes": nodes, "slot_range": slot_range(place, count)})
    return laid


SLOTS = 16384


def blueprint_problem(blueprint: Sequence[Mapping[str, Any]], fields: Mapping[str, Any], nodes: Collection[str]) -> str:
    """Return why *blueprint* does not fit a database with *fields* on *nodes*, empty if it does.

    It has an item for each shard: a slot range, and the nodes of its master and its replica.
    """
    if len(blueprint) != fields["shards_count"]:
        return "the number of items differs from the number of shards"
    ranges = sorted(tuple(int(end) for end in item["slot_range"].split("-")) for item in blueprint)
    if [first for first, _ in ranges] != [0, *(last + 1 for _, last in ranges[:-1])] or ranges[-1][1] != SLOTS - 1:
        return "its slot ranges do not cover all slots"
    wanted = ["master", "slave"] if fields["replication"] else ["master"]
    for item in blueprint:
        places = [str(node["node_uid"]) for node in item["nodes"]]
        if sorted(node["role"] for node in item["nodes"]) != wanted:
            return f"each range needs {' and '.join(wanted)}"
        if len(set(places)) < len(places) or not set(places) <= set(nodes):
            return "a node is given twice or is not in the cluster"
    return ""
