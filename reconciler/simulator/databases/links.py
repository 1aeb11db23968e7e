"""Replication between databases: sources, their health, and what the destination shows of them.

Sources are Redis URIs. For a cluster of the same world, address, password and state are checked. Any other source is
considered healthy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from reconciler.simulator.api.messages import Json
from reconciler.simulator.state.model import ClusterState, World, reachable
from reconciler.simulator.state.records import ObjectRecord, digest

_BYTES = 1434144  # size of the initial sync of a small database


class LinkHealth(NamedTuple):
    """Health of a link: its status and the last error, "" for none."""

    status: str
    error: str


def _ends(world: World, uri: SplitResult) -> Iterator[tuple[ClusterState, ObjectRecord]]:
    """Yield the databases that are served at the host and port of *uri*."""
    for state in world.states():
        for record in state.bdbs.values():
            for end in record.fields.get("endpoints", ()):
                hosts = (end.get("dns_name"), *end.get("addr", ()))
                if end.get("port") == uri.port and uri.hostname in hosts:
                    yield state, record


def _known(world: World, host: str) -> bool:
    """Return whether *host* is in one of the clusters of the world."""
    names = [str(state.cluster.fields.get("name", "")) for state in world.states()]
    return any(name and host.endswith(f".{name}") for name in names) or world.machine(host) is not None


def link_health(state: ClusterState, uri: str) -> LinkHealth:
    """Return the health of a link from *uri* into a database of *state*."""
    world = state.site.world
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return LinkHealth("out-of-sync", "the URI cannot be read")
    if port is None or not _known(world, host):
        return LinkHealth("in-sync", "")
    for there, record in _ends(world, parts):
        if not reachable(state, there):
            return LinkHealth("out-of-sync", "cannot connect to the source")
        if not str(record.fields["status"]).startswith("active") or record.hidden.get("stopped"):
            return LinkHealth("out-of-sync", "the source does not serve clients")
        if not _accepts_password(record, unquote(parts.password or "")):
            return LinkHealth("out-of-sync", "the source refuses the password")
        return LinkHealth("in-sync", "")
    return LinkHealth("out-of-sync", "cannot connect to the source")


def _accepts_password(record: ObjectRecord, password: str) -> bool:
    given = record.hidden.get("authentication_redis_pass")
    held = record.hidden.get("passwords", [digest(given)] if given else [])
    return not held or digest(password) in held or password == record.fields.get("authentication_admin_pass")


def database_changed(state: ClusterState, record: ObjectRecord) -> None:
    """Update the links of a changed database, and those of databases that replicate from it."""
    world, key = state.site.world, (id(state), record.fields["uid"])
    if any(record.fields.get(field) for field in ("replica_sources", "crdt_sources")):
        world.linked[key] = (state, record)
    else:
        world.linked.pop(key, None)
    refresh_links(world)


def refresh_links(world: World) -> None:
    """Update what databases show of their sources; call it when either side changes."""
    for key, (state, record) in list(world.linked.items()):
        if state.bdbs.get(record.fields["uid"]) is not record:
            del world.linked[key]
            continue
        before = record.fields
        _refresh_sources(state, record)
        _refresh_peers(state, record)
        if record.fields is not before:
            state.bdbs.version += 1


def _refresh_sources(state: ClusterState, record: ObjectRecord) -> None:
    sources = record.fields.get("replica_sources", ())
    if not sources:
        return
    running = record.fields.get("replica_sync", "disabled") == "enabled"
    seen = [_source_view(state, source, running) for source in sources]
    if seen != sources:
        record.set(replica_sources=seen)


def _source_view(state: ClusterState, source: Json, running: bool) -> Json:
    found = link_health(state, source["uri"]) if running else LinkHealth("out-of-sync", "")
    if not running and not _inside(state, source["uri"]):
        return source
    copied = _BYTES if found.status == "in-sync" and _inside(state, source["uri"]) else source.get("rdb_transferred", 0)
    lag = 12 if copied and found.status == "in-sync" else source.get("lag", 0)
    changed = {"lag": lag, "last_error": found.error, "rdb_size": copied, "rdb_transferred": copied}
    if all(source.get(name) == value for name, value in {**changed, "status": found.status}.items()):
        return source
    return {**source, **changed, "last_update": state.stamp(), "status": found.status}


def _inside(state: ClusterState, uri: str) -> bool:
    return _known(state.site.world, urlsplit(uri).hostname or "")


def _refresh_peers(state: ClusterState, record: ObjectRecord) -> None:
    """Update the connectivity of an Active-Active instance to its peers."""
    sources, seen = record.fields.get("crdt_sources", ()), []
    for source in sources:
        there = state.site.world.cluster("", (urlsplit(source["uri"]).hostname or "").partition(".")[2])
        fine = there is None or reachable(state, there)
        error = "" if fine else "cannot connect to the peer"
        seen.append({**source, "last_error": error, "status": "in-sync" if fine else "out-of-sync"})
    if seen != list(sources):
        record.set(crdt_sources=seen)


def set_connection(here: ClusterState, there: ClusterState, *, connected: bool = False) -> None:
    """Cut the connection between two clusters, or restore it."""
    name = str(there.cluster.fields.get("name", ""))
    (here.broken.discard if connected else here.broken.add)(name)
    there.broken.discard(str(here.cluster.fields.get("name", "")))
    refresh_links(here.site.world)
