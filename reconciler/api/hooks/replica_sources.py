"""Replica Of sources that a manifest refers to by name: address and login are read right before the write.

The API has one URI a source, `redis://admin:PASSWORD@HOST:PORT` (REST object `bdb/syncer_sources`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from reconciler.api.hooks.base import Json, WriteContext
from reconciler.api.protocol import Flow, request
from reconciler.errors import Conflict
from reconciler.model import Address

FIELD = "replica_sources"
_OURS = ("database", "cluster", "address", "username", "password")  # properties that the API does not have


def addresses(wire: Mapping[str, Any]) -> Iterator[str]:
    """Yield HOST:PORT of each endpoint of a database."""
    ends = wire.get("endpoints")
    for end in ends if isinstance(ends, list) else ():
        if isinstance(end, dict) and isinstance(end.get("dns_name"), str) and type(end.get("port")) is int:
            yield f"{end['dns_name'].lower().rstrip('.')}:{end['port']}"


def show(spec: Json, wire: Mapping[str, Any]) -> None:
    """Add the address of each source; its URI holds a password and is not compared."""
    shown, known = spec.get(FIELD), wire.get(FIELD)
    if isinstance(shown, list) and isinstance(known, list):
        spec[FIELD] = [_with_address(item) for item in shown]


def _with_address(item: Any) -> Any:
    uri = item.get("uri") if isinstance(item, dict) else None
    if not isinstance(uri, str):
        return item
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return item
    host = f"[{host}]" if ":" in host else host.rstrip(".")
    return {**item, "address": f"{host}:{port}"} if host and port else item


def with_uris(context: WriteContext) -> Flow[Json]:
    """Return the body of *writing* with a URI for each source that has a name or an address."""
    wire = dict(context.wire)
    if isinstance(wire.get(FIELD), list):
        sources = []
        for source in wire[FIELD]:
            uri = source.get("uri") or (yield from _uri(context, source))
            sources.append({**{name: v for name, v in source.items() if name not in _OURS}, "uri": uri})
        wire[FIELD] = sources
    return wire


def _uri(context: WriteContext, source: Mapping[str, Any]) -> Flow[str]:
    address, user, password = source.get("address", ""), source.get("username"), source.get("password")
    if "database" in source:
        home = context.address.cluster
        cluster = source.get("cluster") or home
        named = Address(cluster, "Database", source["database"])
        response = yield from request(
            "GET", f"/v1/bdbs/{context.uid_of(named)}", cluster="" if cluster == home else cluster
        )
        found = response.body if isinstance(response.body, Mapping) else {}
        address = next(addresses(found), "")
        if not address:
            raise Conflict(f"its source {named} has no endpoint yet; run it again when it is active")
        given = found.get("authentication_admin_pass")
        if password is None and isinstance(given, str) and given and set(given) != {"*"}:
            user, password = user or "admin", given
        if password is None:
            raise Conflict(
                f"the cluster does not return the password of its source {named}; "
                f"give username and password in {FIELD} by valueFrom"
            )
    scheme = "rediss" if source.get("encryption") else "redis"
    login = f"{quote(user or 'admin', safe='')}:{quote(password, safe='')}@" if password else ""
    return f"{scheme}://{login}{address}"
