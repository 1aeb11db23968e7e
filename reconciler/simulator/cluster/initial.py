"""The content of a new cluster: nodes, built-in roles and ACLs, settings, and a licence."""

from __future__ import annotations

from reconciler.simulator.api.fields import VERSIONS, field_rows
from reconciler.simulator.api.messages import Json
from reconciler.simulator.cluster import licenses
from reconciler.simulator.data.tables import table
from reconciler.simulator.resources.singletons import create_all, initial_fields, known_fields
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

BUILTIN_ROLES = (
    ("Admin", "admin"),
    ("Cluster Member", "cluster_member"),
    ("Cluster Viewer", "cluster_viewer"),
    ("DB Member", "db_member"),
    ("DB Viewer", "db_viewer"),
    ("None", "none"),
)
BUILTIN_ACLS = (("Full Access", "+@all ~*"), ("Not Dangerous", "+@all -@dangerous ~*"), ("Read Only", "+@read ~*"))


def create_cluster(state: ClusterState) -> None:
    """Fill *state* with the content of a cluster right after its bootstrap."""
    settings = state.settings
    _singletons(state)
    for uid in range(1, settings.nodes + 1):
        state.nodes[state.nodes.claim(uid)] = ObjectRecord(new_node(state, uid, f"{state.site.network}.{10 + uid}"))
    for name, management in BUILTIN_ROLES:
        uid = state.roles.claim()
        state.roles[uid] = ObjectRecord({"management": management, "name": name, "uid": uid}, {"builtin": True})
    if settings.on("user_manager_builtin", "present"):
        uid = state.roles.claim()
        state.roles[uid] = ObjectRecord(
            {"management": "user_manager", "name": "User Manager", "uid": uid}, {"builtin": True}
        )
    for name, acl in BUILTIN_ACLS:
        uid = state.acls.claim()  # the first uids are reserved even where a build has only one predefined ACL
        if name == "Full Access" or settings.on("older_acls", "present"):
            versions = {"min_version": "6.2", "max_version": "9999"}
            state.acls[uid] = ObjectRecord({"acl": acl, "name": name, "uid": uid, **versions}, {"builtin": True})
    state.license = licenses.initial_license(state)


def _singletons(state: ClusterState) -> None:
    """Fill *state* with the settings of a new cluster."""
    settings, version = state.settings, state.settings.server_version
    cluster = {
        **initial_fields("cluster", version),
        **known_fields(field_rows("cluster", version), table("cluster"), version),
    }
    cluster.update(name=settings.cluster_name, created_time=state.stamp(), reserved_ports=[])
    cluster.update(handle_redirects=settings.handle_redirects, rack_aware=settings.rack_aware)
    state.cluster = ObjectRecord(cluster)
    create_all(state)
    state.singletons["cluster_settings"].set(
        rack_aware=settings.rack_aware,
        default_provisioned_redis_version=state.version["default_redis_version"],
        login_lockout_threshold=settings.login_attempts,
        login_lockout_counter_reset_after=int(settings.login_window),
        login_lockout_duration=int(settings.lockout_seconds),
    )
    address = f"https://{settings.cluster_name}:{cluster['cm_port']}"
    paths = {"acs_url": f"{address}/cluster/sso/saml/acs", "slo_url": f"{address}/cluster/sso/saml/slo"}
    state.singletons["sso"].set(service={"address": address, "saml2": {"entity_id": f"{address}/sp", **paths}})
    state.singletons["db_conns_auditing_config"] = ObjectRecord({})


def new_node(state: ClusterState, uid: int, address: str) -> dict[str, Json]:
    """Return the fields of a node that has just joined the cluster."""
    known, version = field_rows("node", state.settings.server_version), state.version
    if state.settings.nodes - state.settings.older_nodes < uid <= state.settings.nodes:
        place = VERSIONS.index(state.settings.server_version)
        version = table("versions")[VERSIONS[max(0, place - 1)]]
    return {
        **{name: value for name, value in table("node").items() if name in known},
        "uid": uid,
        "rack_id": f"rack-{uid}" if state.settings.rack_aware else "",
        "addr": address,
        "software_version": version["software_version"],
        "supported_database_versions": version["databases"],
        "total_memory": state.settings.node_memory,
        "status": "active",
    }
