"""Small stories with a plan each; `golden/` holds how each of them reads."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model import Address, Level, Note, Owned, Reason
from reconciler.plan import Plan
from tests.plan.worlds import declared, found, plan_of, secrets_are, state

PASSWORD = {"valueFrom": {"env": "ANNA_PASSWORD"}}
PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUEXAMPLE\nAAAAAAAAAAAAAAAAAAAAAAAA\n-----END CERTIFICATE-----\n"


def new_shop() -> Plan:
    """Everything is new."""
    return plan_of(
        [
            declared("RedisACL", "app-keys", {"acl": "+@read   +@write ~app:*"}),
            declared("Role", "app", {"management": "none"}),
            declared("User", "anna", {"email": "anna@shop.example", "roles": ["app"], "password": PASSWORD}),
            declared(
                "Database",
                "orders",
                {
                    "memory_size": "2GiB",
                    "sharding": True,
                    "shards_count": 2,
                    "backup": True,
                    "backup_interval": "12h",
                    "backup_location": {
                        "type": "s3",
                        "bucket_name": "shop-backups",
                        "access_key_id": {"valueFrom": {"env": "S3_ID"}},
                        "secret_access_key": {"valueFrom": {"env": "S3_KEY"}},
                    },
                    "roles_permissions": [{"role": "app", "redis_acl": "app-keys"}],
                    "authentication_ssl_client_certs": [{"client_cert": PEM}],
                    "tags": [{"key": "team", "value": "checkout"}],
                },
            ),
        ]
    )


def updates() -> Plan:
    """Numbers, lists, maps and secrets change."""
    resources = [
        declared(
            "Database",
            "orders",
            {
                "memory_size": "4GiB",
                "eviction_policy": "allkeys-lru",
                "proxy_policy": "all-nodes",
                "backup_interval": "1d",
                "snapshot_policy": [{"secs": 3600, "writes": 1}, {"secs": 60, "writes": 10}],
                "roles_permissions": [{"role": "app", "redis_acl": "all"}, {"role": "ops", "redis_acl": "all"}],
                "avoid_nodes": ["2", "3"],
            },
        ),
        declared("User", "anna", {"email": "anna@shop.example", "roles": ["ops"], "password": PASSWORD}),
    ]
    live = state(
        found("RedisACL", 9, "all", {"acl": "+@all ~*"}),
        found("RedisACL", 10, "app-keys", {"acl": "+@read ~app:*"}),
        found("Role", 7, "app"),
        found("Role", 8, "ops"),
        found("User", 3, "anna", {"email": "anna@shop.example", "roles": ["app", "ops"]}),
        found(
            "Database",
            1,
            "orders",
            {
                "memory_size": "2GiB",
                "eviction_policy": "volatile-lru",
                "proxy_policy": "single",
                "backup_interval": 43200,
                "snapshot_policy": [{"secs": 3600, "writes": 1}, {"secs": 900, "writes": 5}],
                "roles_permissions": [{"role": "app", "redis_acl": "app-keys"}],
                "avoid_nodes": ["1", "2"],
            },
        ),
    )
    return plan_of(resources, live, secrets=secrets_are("changed", resources))


def ring() -> Plan:
    """A role and a database, both new, refer to each other."""
    return plan_of(
        [
            declared(
                "Role", "viewer", {"management": "db_viewer", "resources": [{"type": "db", "databases": ["orders"]}]}
            ),
            declared(
                "Database",
                "orders",
                {"memory_size": "1GiB", "port": 12000, "roles_permissions": [{"role": "viewer", "redis_acl": "all"}]},
            ),
        ],
        state(found("RedisACL", 9, "all", {"acl": "+@all ~*"})),
    )


def destruction() -> Plan:
    """Replacement, tombstone, prune and forget, with and without consent."""
    return plan_of(
        [
            declared("Database", "sessions", {"type": "memcached", "memory_size": "1GiB"}),
            declared("Database", "old", absent=True),
            declared("Role", "old-role", absent=True),
        ],
        state(
            found("Database", 1, "sessions", {"type": "redis", "memory_size": "1GiB", "port": 12001}),
            found(
                "Database",
                2,
                "old",
                {"memory_size": "1GiB", "roles_permissions": [{"role": "old-role", "redis_acl": "a"}]},
            ),
            found("Database", 3, "left", {"memory_size": "1GiB"}),
            found("Role", 7, "old-role"),
            found("RedisACL", 8, "unused", {"acl": "+@all ~*"}),
            found("RedisACL", 9, "a", {"acl": "+@all ~*"}),
        ),
        owned={
            Address("", "Database", "left"): Owned(3, "", {}),
            Address("", "RedisACL", "unused"): Owned(8, "", {}),
            Address("", "RedisACL", "vanished"): Owned(11, "", {}),
        },
        prune=True,
    )


def held() -> Plan:
    """What is never written_clusters, and what needs a look."""
    resources = [
        declared("Role", "Admin", {"management": "none"}),
        declared("Role", "twin", {"management": "none"}),
        declared("Database", "theirs", {"memory_size": "1GiB"}),
        declared("Database", "tiny", {"memory_size": "100KiB"}),
        declared("Database", "broken", {"memory_size": "1GiB"}),
        declared("User", "anna", {"email": "anna@shop.example", "roles": ["Admin"], "password": PASSWORD}),
        declared("RedisACL", "still-used", absent=True),
    ]
    live = state(
        found("Role", 1, "Admin", {"management": "admin"}, builtin=True),
        found("Role", 7, "twin", {"management": "none"}),
        found("Role", 8, "twin", {"management": "none"}),
        found("Database", 1, "theirs", {"memory_size": "2GiB"}, owner="a Kubernetes operator (tag redb_name=theirs)"),
        found("Database", 2, "unmanaged", {"roles_permissions": [{"role": "Admin", "redis_acl": "still-used"}]}),
        found("Database", 3, "broken", {"memory_size": "1GiB"}, status="creation-failed"),
        found("User", 3, "anna", {"email": "anna@shop.example", "roles": ["Admin"]}),
        found("RedisACL", 9, "still-used", {"acl": "+@all ~*"}),
        notes=(
            Note(
                Level.WARNING,
                Address("", "Database", "odd"),
                Reason.REJECTED,
                ("its name holds \x1b[31m and \u202e marks",),
            ),
        ),
    )
    return plan_of(resources, live)


def two_clusters() -> Plan:
    """Production and staging in one plan; one of them is right already."""
    return plan_of(
        [
            declared("Database", "orders", {"memory_size": "8GiB"}, "production"),
            declared("Database", "orders", {"memory_size": "1GiB"}, "staging"),
            declared("RedisACL", "all", {"acl": "+@all ~*"}, "staging", renamed_from="everything"),
        ],
        state(found("Database", 1, "orders", {"memory_size": "4GiB"}), cluster="production"),
        state(
            found("Database", 1, "orders", {"memory_size": "1GiB"}),
            found("RedisACL", 7, "everything", {"acl": "+@all ~*"}),
            cluster="staging",
        ),
    )


def how() -> Plan:
    """What is sent along says how a change is made; a key goes with its certificate, whoever knows it."""
    resources = [
        declared("Proxy", "1", {"threads": 2, "allow_restart": True}),
        declared("NodeMaintenance", "3", {"enabled": True, "evict_ha_replica": True, "skip_shards_restore": True}),
        declared("Certificate", "proxy", {"certificate": PEM, "key": {"valueFrom": {"file": "proxy.key"}}}),
        declared(
            "User",
            "anna",
            {"passwords": [{"valueFrom": {"env": "NEW"}}], "retire": {"passwords": [{"valueFrom": {"env": "OLD"}}]}},
        ),
    ]
    live = state(
        found("Proxy", 1, "1", {"threads": 6}),
        found("NodeMaintenance", 3, "3", {"enabled": False}),
        found("Certificate", 1, "proxy", {"certificate": PEM.replace("EXAMPLE", "ANOTHER")}),
        found("User", 3, "anna", {}),
    )
    statuses = {**secrets_are("unknown", resources), (Address("", "User", "anna"), "passwords[0]"): "changed"}
    return plan_of(resources, live, secrets=statuses)


def nothing() -> Plan:
    """Live is as declared."""
    return plan_of(
        [declared("RedisACL", "all", {"acl": "+@all ~*"})], state(found("RedisACL", 9, "all", {"acl": "+@all   ~*"}))
    )


def long_values() -> Plan:
    """Values that do not fit on a line, and hostile ones."""
    return plan_of(
        [
            declared("RedisACL", "long", {"acl": "+@all " + " ".join(f"~service-{n}:*" for n in range(30))}),
            declared("RedisACL", "hostile", {"acl": "+@all ~\x1b[2Jkeys\u202e:*"}),
            declared(
                "Database",
                "tags",
                {"memory_size": 1, "tags": [{"key": f"key_{n}", "value": f"some-longer-value-{n}"} for n in range(8)]},
            ),
        ],
        state(found("RedisACL", 9, "long", {"acl": "+@all " + " ".join(f"~other-{n}:*" for n in range(30))})),
    )


SCENARIOS: dict[str, Callable[[], Plan]] = {
    one.__name__: one for one in (new_shop, updates, ring, destruction, held, two_clusters, how, nothing, long_values)
}
