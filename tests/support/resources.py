"""Resources as the manifests give them, for tests that read no manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.diff.normalize import canonical
from reconciler.kinds import load_kinds
from reconciler.manifests import Resource
from reconciler.model import Address
from reconciler.yaml12 import Place

KINDS = load_kinds()


def declared(kind: str, name: str, spec: Mapping[str, Any], *, cluster: str = "dc1", **more: Any) -> Resource:
    """Return a resource; *more* are other fields of it."""
    fields: dict[str, Any] = {"absent": False, "protect": False, "renamed_from": None, "ignore": (), "labels": {}}
    place = Place("shop.yaml", 1, 1)
    return Resource(
        Address(cluster, kind, name), canonical(KINDS[kind], spec), place=lambda path: place, **{**fields, **more}
    )


def shop() -> list[Resource]:
    """Return ten objects of several kinds that refer to each other."""
    databases = [
        declared(
            "Database",
            f"db-{number}",
            {
                "memory_size": "100MiB",
                "tags": [{"key": "team", "value": f"t{number}"}],
                "roles_permissions": [{"role": "app", "redis_acl": "app-keys"}],
            },
        )
        for number in range(4)
    ]
    return [
        declared("RedisACL", "app-keys", {"acl": "+@read ~app:*"}),
        declared("RedisACL", "ops-keys", {"acl": "+@all ~*"}),
        declared("Role", "app", {"management": "none"}),
        declared("Role", "ops", {"management": "db_viewer"}),
        declared("User", "anna", user_spec("anna", ["app"])),
        declared("User", "omar", user_spec("omar", ["ops"])),
        *databases,
    ]


def user_spec(name: str, roles: Sequence[str]) -> dict[str, Any]:
    """Return the spec of a user whose password is in the environment."""
    return {
        "email": f"{name}@example.com",
        "roles": list(roles),
        "password": {"valueFrom": {"env": f"{name.upper()}_PASSWORD"}},
    }
