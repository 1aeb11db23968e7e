"""Configuration of a simulated cluster: size, speed, and a switch for every unknown of the API.

`SWITCHES` defines the choices of each switch, the default and the reason; `SimulatorSettings` has the chosen values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Switch(NamedTuple):
    """One unknown of the real API: the possible behaviours, the default, and the reason."""

    choices: tuple[str, ...]
    default: str
    reason: str


SWITCHES: Mapping[str, Switch] = {
    "duplicate_bdb_names": Switch(
        ("allow", "refuse"), "allow", "no documented error code forbids them; the harder case for clients"
    ),
    "unknown_fields": Switch(("refuse", "ignore"), "refuse", "schema rejection is likely for most kinds"),
    "read_only_fields": Switch(("ignore", "refuse"), "ignore", "clients send whole objects back"),
    "content_type": Switch(("require", "lenient"), "require", "documented as required for PUT and POST"),
    "no_cluster_status": Switch(("503", "404", "400"), "503", "the generic status table says 503 for a non-member"),
    "redirect_reads": Switch(
        ("yes", "no"), "yes", "with handle_redirects off, reads at a secondary may redirect as well"
    ),
    "busy_code": Switch(("db_busy", "busy"), "db_busy", "both are listed for an occupied database"),
    "put_echo": Switch(("all", "sent"), "all", "what a PUT of a database returns; a whole object was captured"),
    "put_values": Switch(("at-once", "when-done"), "at-once", "requested values are shown while the change is pending"),
    "put_port": Switch(("refuse", "ignore"), "refuse", "a port is fixed at creation; the answer to a PUT is unknown"),
    "rebind_on_policy": Switch(("yes", "no"), "yes", "whether proxy_policy without `endpoint` moves the endpoints"),
    "placement_hints": Switch(("stored", "one-shot"), "stored", "avoid_nodes and use_nodes may be forgotten after use"),
    "nested_settings": Switch(("merge", "replace"), "merge", "maps of named settings merge by name elsewhere"),
    "default_password_reads": Switch(("empty", "value"), "empty", "authentication_redis_pass was captured as empty"),
    "secrets_on_read": Switch(
        ("value", "masked"), "value", "backup and replica credentials; masking is off by default"
    ),
    "system_tags": Switch(("off", "on"), "off", "reads may add tags marked isSystem"),
    "state_id_guard": Switch(("blueprint", "all"), "blueprint", "documented for shard placement only"),
    "same_password": Switch(("accept", "refuse"), "accept", "resending a password works since 8.0.16"),
    "user_role_field": Switch(("both", "uids"), "both", "captured users show `role` beside `role_uids`"),
    "role_with_users": Switch(("refuse", "cascade"), "refuse", "a 406 without a cause is listed for DELETE"),
    "role_in_bdbs": Switch(
        ("cascade", "refuse"), "cascade", "a known client relies on entries vanishing with the role"
    ),
    "acl_in_use": Switch(("refuse", "cascade"), "refuse", "a 406 without a cause is listed for DELETE"),
    "builtin_roles": Switch(("guarded", "open"), "guarded", "nothing says that they can be changed"),
    "older_acls": Switch(("absent", "present"), "absent", "older clusters also have Not Dangerous and Read Only"),
    "user_manager_builtin": Switch(("absent", "present"), "absent", "own roles start at uid 7 in every sample"),
    "role_put_resources": Switch(("clears", "keeps"), "clears", "prose: a PUT of a role without resources clears them"),
    "access_actions": Switch(("off", "on"), "off", "users, roles and ACLs may answer with an action_uid"),
    "delete_self": Switch(("refuse", "allow"), "refuse", "deleting the account in use is undocumented"),
    "user_put_email_status": Switch(("400", "406", "409"), "400", "PUT of a user lists no 409 for a taken address"),
    "license_failure": Switch(
        ("keep", "remove"), "keep", "one page says that a bad licence leaves the old one, another that none is left"
    ),
    "certificate_and_header": Switch(
        ("certificate", "header"), "certificate", "which login counts where a request has both; a client sends one"
    ),
    "jwt_scheme": Switch(("both", "bearer", "jwt"), "both", "pages differ on the scheme of a token"),
    "scoped_get": Switch(
        ("403", "404"),
        "403",
        "response for a database outside the resources of a role; lists omit it",
    ),
    "health_routes": Switch(("present", "absent"), "present", "/v4 health reports are in the OpenAPI file only"),
    "ldap_pairs": Switch(
        ("replace", "explicit"), "replace", "whether setting one field of an exclusive LDAP pair clears the other"
    ),
    "users_password_routes": Switch(
        ("present", "absent"), "present", "documented, yet 8.x builds did not list /v1/users/password"
    ),
    "users_permissions_routes": Switch(
        ("absent", "present"), "absent", "in the OpenAPI file, yet 8.x builds did not list /v1/users/permissions"
    ),
    "acl_validate_route": Switch(
        ("absent", "present"), "absent", "in the OpenAPI file, yet 8.x builds did not list /v1/redis_acls/validate"
    ),
    "bdb_put_v2": Switch(("absent", "present"), "absent", "two banners name PUT /v2/bdbs/{uid}; it has no page"),
    "crdb_local_delete": Switch(
        ("refuse", "allow"), "refuse", "what DELETE of the local database of an Active-Active one does"
    ),
    "crdb_local_override": Switch(("kept", "replaced"), "kept", "the documentation says both of a later global change"),
    "crdb_credentials": Switch(
        ("kept", "every-time"), "kept", "edits that reach a peer may need its credentials again"
    ),
    "crdb_credentials_read": Switch(("absent", "masked", "value"), "absent", "no sample shows them in a read"),
    "quorum": Switch(("enforced", "ignored"), "enforced", "without a quorum writes fail; the status is a guess"),
    "removed_node": Switch(("reinstall", "rejoin"), "reinstall", "documented: reinstall it"),
    "upgrade_discards": Switch(("needs-leave", "allowed"), "needs-leave", "otherwise may_discard_data has no meaning"),
    "memcached_sasl": Switch(
        ("optional", "required"), "optional", "half of the SASL credentials is an error; none at all may be one"
    ),
    "sharding_single": Switch(("allow", "refuse"), "allow", "a clustered database with one shard is seen in the field"),
}


def _defaults() -> dict[str, str]:
    return {name: switch.default for name, switch in SWITCHES.items()}


@dataclass
class SimulatorSettings:
    """The configuration of one cluster. Times are seconds of a real cluster; they are divided by *time_scale*."""

    nodes: int = 3
    older_nodes: int = 0  # how many of the nodes, the last ones, run the previous version
    outside: int = 0  # additional nodes that are not in a cluster
    username: str = "admin@example.com"
    password: str = "simulator"
    server_version: str = "8.2"
    cluster_name: str = "cluster.local"
    rack_aware: bool = False
    handle_redirects: bool = True  # a secondary proxies calls to the primary; off: it responds with 307
    node_memory: int = 1 << 46
    shards_limit: int = 1_000_000
    license: str = "full"  # or trial, none, expired
    license_expired: bool = False
    create_seconds: float = 2.0
    change_seconds: float = 2.0
    delete_seconds: float = 2.0
    access_delete_seconds: float = 1.0  # duration of deleting users, roles and ACLs
    bootstrap_seconds: float = 16.0  # creating, joining or recovering a cluster
    action_seconds: float = 600.0  # how long the record of a finished action is kept
    time_scale: float = 1.0
    login_attempts: int = 5
    login_window: float = 900.0
    lockout_seconds: float = 1800.0
    log_limit: int = 200_000
    strict: bool = False  # raise `UndocumentedResponse` instead of sending a response that is not documented
    switches: dict[str, str] = field(default_factory=_defaults)

    def __post_init__(self) -> None:
        for name, value in self.switches.items():
            if name not in SWITCHES or value not in SWITCHES[name].choices:
                raise ValueError(f"unknown switch or choice: {name}={value}")
        self.switches = {**_defaults(), **self.switches}

    def on(self, switch: str, choice: str) -> bool:
        """Return whether *switch* is set to *choice*."""
        return self.switches[switch] == choice

    def scaled(self, seconds: float) -> float:
        """Return *seconds* of a real cluster in seconds of this server."""
        return seconds / self.time_scale
