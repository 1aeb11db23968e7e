"""Examples of `metadata` and of the project file, for `explain`.

Called by `schema_docs`. A test checks that each field has an example and that each example is valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

METADATA: Mapping[str, Any] = MappingProxyType(
    {
        "name": "sessions",
        "labels": {"team": "checkout"},
        "cluster": "east",
        "clusters": ["east", "west"],
        "clusterSelector": {"tier": "primary"},
        "protect": True,
        "allow": ["may-lose-data"],
        "state": "absent",
        "renamedFrom": "web-sessions",
        "ignore": ["memory_size"],
        "suspend": True,
        "freeze": [
            {
                "name": "saturday sale",
                "cron": "0 6 * * SAT",
                "duration": "12h",
                "timeZone": "Europe/Berlin",
                "effect": "deny",
            }
        ],
    }
)
"""One value of each field of `metadata`."""


def _env(name: str) -> dict[str, Any]:
    return {"valueFrom": {"env": name}}


def _file(name: str) -> dict[str, Any]:
    return {"valueFrom": {"file": name}}


_EAST = {"name": "east", "urls": ["https://redis-1.east.example.com:9443"]}
_WINDOW = {
    "name": "weekend",
    "cron": "0 18 * * FRI",
    "duration": "62h",
    "timeZone": "Europe/Berlin",
    "effect": "deny",
}
_AGENT = {
    "mode": "apply",
    "suspend": False,
    "interval": "5m",
    "retryInterval": {"base": "10s", "max": "10m"},
    "prune": True,
    "maxDeletes": 10,
    "freeze": [_WINDOW],
}
_COMMON = {
    "caCert": "cluster-ca.pem",
    "username": "reconciler@example.com",
    "password": _env("EAST_PASSWORD"),
    "login": "jwt",
    "hosts": ["*.backup.example.com"],
    "allowedImpacts": ["may-lose-data", "irreversible"],
    "manifests": ["base", "east"],
}
_BY_CERTIFICATE = {"login": "certificate", "clientCert": "tls/reconciler.pem", "clientKey": "tls/reconciler.key"}
_LABELS = {"region": "east", "tier": "primary"}
_PIN = "sha256:" + "5f" * 32

_FRAGMENTS: Sequence[Mapping[str, Any]] = (
    {"apiVersion": "reconciler/v1", "clusters": [{**_EAST, **_COMMON, "labels": _LABELS}]},
    {"clusters": [{**_EAST, "pin": _PIN}]},
    {"clusters": [{**_EAST, **_BY_CERTIFICATE}]},
    {"clusters": [{**_EAST, "insecure": False}]},
    {"clusters": [{**_EAST, "agent": _AGENT}]},
    {"clusterDefaults": {**_COMMON, "labels": _LABELS}},
    {"clusterDefaults": {"pin": _PIN}},
    {"clusterDefaults": _BY_CERTIFICATE},
    {"clusterDefaults": {"insecure": False}},
    {"clusterDefaults": {"agent": _AGENT}},
    {"groups": [{"selector": {"region": "east"}, **_COMMON}]},
    {"groups": [{"selector": {"region": "east"}, "pin": _PIN}]},
    {"groups": [{"selector": {"region": "east"}, **_BY_CERTIFICATE}]},
    {"groups": [{"selector": {"region": "east"}, "insecure": False}]},
    {"groups": [{"selector": {"region": "east"}, "agent": _AGENT}]},
    {
        "limits": {
            "updatePercent": 30,
            "updateFloor": 10,
            "fileSize": "1MiB",
            "totalSize": "16MiB",
            "files": 5000,
            "depth": 32,
            "expandedNodes": 50000,
        }
    },
    {"agent": _AGENT},
    {"agent": {"parallelism": 8, "maxFailing": 16}},
    {"agent": {"keep": {"runs": 1000, "days": 90}}},
    {
        "agent": {
            "listen": {
                "enabled": True,
                "host": "0.0.0.0",  # noqa: S104 - an example
                "port": 8080,
                "token": _file("secrets/token"),
                "hosts": ["reconciler.example.com"],
                "certificate": "tls/page.pem",
                "key": "tls/page.key",
            }
        }
    },
    *(
        {"agent": {"webhook": {forge: {"secret": _file("secrets/hook")}}}}
        for forge in ("github", "gitlab", "gitea", "generic")
    ),
    {
        "agent": {
            "notify": {
                "link": "https://reconciler.example.com",
                "name": "reconciler",
                "settle": "1m",
                "every": "1m",
                "quiet": "15m",
                "to": [{"type": "webhook", "url": _file("secrets/receiver"), "secret": _file("secrets/key")}],
            }
        }
    },
    {
        "agent": {
            "notify": {
                "to": [
                    {
                        "type": "github",
                        "project": "platform/redis",
                        "token": _file("secrets/forge"),
                        "api": "https://github.example.com/api/v3",
                        "caCert": "forge-ca.pem",
                    }
                ]
            }
        }
    },
    {"state": "/var/lib/reconciler"},
    {
        "source": {
            "url": "ssh://git@git.example.com/platform/redis.git",
            "branch": "main",
            "path": "clusters",
            "ssh": {"key": "secrets/ssh-key", "knownHosts": "secrets/known_hosts"},
            "verify": {"mode": "ssh", "signers": "signers", "since": "2c8f0d7b5a1e4936d0c7b8a9e6f5041328d7c6b5"},
            "interval": "1m",
        }
    },
    {
        "source": {
            "url": "https://git.example.com/platform/redis.git",
            "tag": "v1.2.3",
            "depth": 100,
            "https": {"username": "git", "password": _file("secrets/git"), "caCert": "git-ca.pem"},
            "allowRewind": False,
            "timeout": "2m",
            "limits": {"size": "256MiB", "commits": 10000},
        }
    },
    {"source": {"url": "https://git.example.com/platform/redis.git", "semver": "1.x"}},
    {"source": {"folder": "/etc/reconciler/manifests", "interval": "10s"}},
    {"secrets": {"env": ["SHOP_*"], "files": "secrets"}},
    {"public": {"env": ["SHOP_LICENCE"], "files": "certificates"}},
)
"""Parts of a project file, each valid in one that has the other required fields."""


def fragment(path: Sequence[str]) -> Mapping[str, Any]:
    """Return a part of a project file that has the field at *path*."""
    return next(part for part in _FRAGMENTS if _has(part, path))


def _has(value: Any, path: Sequence[str]) -> bool:
    if not path:
        return True
    found = value[0] if isinstance(value, list) else value
    return isinstance(found, Mapping) and path[0] in found and _has(found[path[0]], path[1:])
