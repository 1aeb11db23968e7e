"""The state machine of a database: creation, changes and deletion take time and succeed or fail.

The endpoints validate requests and call these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.databases import links, transfers
from reconciler.simulator.databases.fields import with_defaults
from reconciler.simulator.databases.rules import PORTS, reserved_ports, shard_total
from reconciler.simulator.nodes import placement
from reconciler.simulator.state import actions
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord


def free_port(state: ClusterState) -> int:
    """Return a free port for a new endpoint, or raise 406."""
    closed, first = reserved_ports(state), state.random.randrange(len(PORTS))
    for step in range(len(PORTS)):
        port = PORTS[(first + step) % len(PORTS)]
        if port not in state.ports and port not in closed:
            return port
    raise ApiError(406, "insufficient_resources", "no free port is left")


def build_endpoints(state: ClusterState, record: ObjectRecord) -> Json:
    """Return the endpoints of a database with its current settings."""
    fields, port = with_defaults(record.fields), record.hidden.get("port") or free_port(state)
    record.hidden["port"] = port
    state.ports[port] = fields["uid"]
    addresses = placement.endpoint_addresses(state, record, fields["proxy_policy"])
    return [
        {
            "addr": addresses,
            "addr_type": "external",
            "dns_name": f"redis-{port}.{state.cluster.fields['name']}",
            "oss_cluster_api_preferred_endpoint_type": fields["oss_cluster_api_preferred_endpoint_type"],
            "oss_cluster_api_preferred_ip_type": fields["oss_cluster_api_preferred_ip_type"],
            "port": port,
            "proxy_policy": fields["proxy_policy"],
            "uid": f"{fields['uid']}:1",
        }
    ]


def schedule_completion(
    state: ClusterState,
    seconds: float,
    record: ObjectRecord,
    action: ObjectRecord,
    failed: dict[str, Json],
    after: Callable[[], None] | None = None,
) -> None:
    """Schedule the end of a change of *record*: success, the fields *failed*, or never, as `state.outcome` says now."""
    fate = state.outcome
    action.hidden["seconds"] = seconds
    if fate == "stuck":
        return

    def finish() -> None:
        actions.finish_action(state, action, "the change could not be made" if fate == "fail" else "")
        if state.bdbs.get(record.fields["uid"]) is not record:
            return
        if fate == "fail":
            record.fields = failed
        else:
            activate(state, record)
            if after is not None:
                after()
            links.database_changed(state, record)
            transfers.schedule_backup(state, record, record.fields)
        record.drop("action_uid")
        state.bdbs.version += 1
        state.state_id += 1

    state.later(seconds, finish)


def activate(state: ClusterState, record: ObjectRecord) -> None:
    """Make *record* active with the shards and endpoints of its settings."""
    waiting = record.hidden.pop("waiting", {})
    record.set(status="active", **waiting)
    shards = list(record.fields.get("shard_list", ()))
    total = shard_total(with_defaults(record.fields))
    while len(shards) < total:
        shards.append(state.next_shard)
        state.next_shard += 1
    if total < len(shards):  # replicas are removed first
        shards = [
            shard.uid for shard in sorted(placement.shards(state, record), key=lambda shard: shard.role != "master")
        ]
    record.set(shard_list=shards[:total])
    bound = record.fields.get("endpoints")
    if not bound or state.settings.on("rebind_on_policy", "yes"):
        bound = build_endpoints(state, record)
    record.set(endpoints=bound)


def new_password(state: ClusterState) -> str:
    """Return a random password."""
    return "".join(state.random.choices("abcdefghijkmnpqrstuvwxyz23456789", k=32))


def begin_create(state: ClusterState, fields: dict[str, Json], hidden: dict[str, Json]) -> ObjectRecord:
    """Begin the creation of a database with validated *fields* and return its record."""
    uid = state.bdbs.claim(fields["uid"])
    port = fields["port"] or free_port(state)
    state.ports[port] = uid
    action = actions.begin_action(state, "SMCreateBDB", "bdb", uid)
    fields.setdefault("authentication_admin_pass", new_password(state))
    fields.update(status="pending", action_uid=action.fields["action_uid"])
    record = state.bdbs[uid] = ObjectRecord(dict(sorted(fields.items())), {**hidden, "port": port})
    state.event("cluster_bdb_created", bdb_uid=str(uid), bdb_name=fields["name"])
    state.changed(state.bdbs)
    schedule_completion(
        state, state.settings.create_seconds, record, action, {**record.fields, "status": "creation-failed"}
    )
    return record


def begin_delete(state: ClusterState, record: ObjectRecord) -> ObjectRecord:
    """Begin the deletion of a database and return the action."""
    uid = record.fields["uid"]
    action = actions.begin_action(state, "SMDeleteBDB", "bdb", uid, state.settings.delete_seconds)
    record.set(status="delete-pending", action_uid=action.fields["action_uid"])
    state.changed(state.bdbs)
    fate = state.outcome

    def finish() -> None:
        actions.finish_action(state, action, "the database could not be deleted" if fate == "fail" else "")
        if state.bdbs.get(uid) is not record:
            return
        if fate == "fail":
            record.drop("action_uid")
            record.set(status="active")
        else:
            state.event("cluster_bdb_deleted", bdb_uid=str(uid), bdb_name=record.fields["name"])
            del state.bdbs[uid]
            state.ports.pop(record.hidden.get("port", 0), None)
            links.refresh_links(state.site.world)
        state.bdbs.version += 1
        state.state_id += 1

    if fate != "stuck":
        state.later(state.settings.delete_seconds, finish)
    return action


def begin_change(
    state: ClusterState,
    record: ObjectRecord,
    name: str,
    values: Mapping[str, Json],
    *,
    pending: str = "active-change-pending",
    after: Callable[[], None] | None = None,
) -> ObjectRecord:
    """Begin the state machine *name*, which sets *values* of *record*; *after* is called when it succeeds."""
    old = record.fields
    action = actions.begin_action(state, name, "bdb", old["uid"])
    if state.settings.on("put_values", "at-once"):
        record.set(**values)
    else:
        record.hidden["waiting"] = dict(values)
    changed = {"last_changed_time": state.stamp()} if values else {}
    record.set(status=pending, action_uid=action.fields["action_uid"], **changed)
    record.fields = dict(sorted(record.fields.items()))
    _log_changes(state, old, values)
    state.changed(state.bdbs)
    schedule_completion(state, state.settings.change_seconds, record, action, {**old, "status": "active"}, after)
    return action


def _log_changes(state: ClusterState, old: Mapping[str, Json], values: Mapping[str, Json]) -> None:
    for name, value in values.items():
        before = old.get(name)
        if value != before and isinstance(value, str | int | float) and name not in _NOT_LOGGED:
            state.event(f"bdb_{name}_updated", bdb_uid=str(old["uid"]), old_val=str(before), new_val=str(value))


_NOT_LOGGED = frozenset({"authentication_admin_pass", "authentication_redis_pass"})
