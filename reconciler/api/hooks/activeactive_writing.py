"""Creates, updates and deletes an Active-Active database: which tasks are requested, in which order.

Part of the hook `activeactive`. Nothing is sent while a task runs or an instance is busy, and no instance is added or
removed while a link is down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.api.hooks.activeactive_reading import ACCESS, PARTS, PATH, Part, name_on, place
from reconciler.api.hooks.activeactive_settings import (
    LOGINS,
    by_cluster,
    overrides_to_reset,
    patch,
    same_value,
    without_resets,
)
from reconciler.api.hooks.activeactive_tasks import SECONDS, run_task, wait_until_idle
from reconciler.api.hooks.base import Created, Json, WriteContext
from reconciler.api.protocol import Backoff, Call, Flow, ProjectCluster, ProjectClusters, clock_time, request, wait
from reconciler.errors import ActionFailed, Ambiguous, ChangedUnderneath, ClusterError, Conflict, Refused, Rejected
from reconciler.model import Address

_MAX_SENDS = 4
_SETTLED = ("commit-completed", "committed")


def create(context: WriteContext) -> Flow[Created]:
    """Create it, with an instance on each cluster."""
    wire = {name: value for name, value in context.wire.items() if name != "instances"}
    wire["instances"] = yield from _new_instances(context.wire.get("instances", ()))
    guid = yield from run_task(context, "POST", PATH, wire)
    return Created(guid or None)


def update(context: WriteContext) -> Flow[str]:
    """Update it: first remove lost instances, then change settings, then add and remove instances."""
    assert context.uid is not None  # noqa: S101 - an update is of something
    path, wanted = f"{PATH}/{context.uid}", by_cluster(context.wire)
    live = yield from _read_idle(context)
    gone = [part for part in live[PARTS] if wanted and part.cluster not in wanted]
    forced = [part for part in gone if part.cluster in context.separate.get("force_remove", ())]
    if forced:
        body = {"remove_instances": [part.id for part in forced], "force_remove": True}
        yield from run_task(context, "POST", f"{path}/updates", body)
        live = yield from _read_idle(context)
    there = {part.cluster: part for part in live[PARTS]}
    added = [item for name, item in wanted.items() if name not in there]
    removed = [part.id for name, part in there.items() if wanted and name not in wanted]
    if added or removed:
        yield from _check_health(path)
    yield from _configure(context, live)
    if added:
        yield from run_task(context, "POST", f"{path}/updates", {"add_instances": (yield from _new_instances(added))})
        live = yield from _read_idle(context)
    if removed:
        leaving = [part for part in live[PARTS] if part.id in removed]
        yield from run_task(context, "POST", f"{path}/updates", {"remove_instances": removed})
        yield from _wait_until_removed(leaving)
    return ""


def delete(context: WriteContext) -> Flow[None]:
    """Delete every instance, with its data, on every cluster."""
    live = yield from wait_until_idle(context.uid or "")
    if live is not None:
        yield from run_task(context, "DELETE", f"{PATH}/{context.uid}", None)
        yield from _wait_until_removed(live[PARTS])


def _wait_until_removed(parts: Iterable[Part]) -> Flow[None]:
    """Wait until the databases of *parts* are deleted, where they can be read: their names and ports are free then."""
    for part in parts:
        until = (yield from clock_time()) + SECONDS
        backoff = Backoff()
        while part.local is not None:
            response = yield from request("GET", f"/v1/bdbs/{part.local['uid']}", cluster=part.cluster)
            status = response.body.get("status") if isinstance(response.body, Mapping) else None
            if response.status == 404 or "delete" not in str(status):
                break
            if (yield from wait(backoff, f"{part.cluster}: {status}")) > until:
                raise ActionFailed(f"the instance on {part.cluster} is still {status} after {SECONDS:.0f} s")


def after_write(context: WriteContext) -> Flow[None]:
    """Write the access to each instance, which only its cluster keeps."""
    wanted, live = by_cluster(context.wire), (yield from _read_idle(context))
    for part in live[PARTS]:
        access = {name: wanted[part.cluster][name] for name in ACCESS if name in wanted.get(part.cluster, ())}
        if part.local is None and access:
            raise Conflict(f"cluster {part.cluster} has no instance of it, or cannot be read")
        if part.local is not None and any(
            not same_value(part.local.get(name), value) for name, value in access.items()
        ):
            yield from _local(context, part, access)


def _read_idle(context: WriteContext) -> Flow[Json]:
    live: Json | None = yield from wait_until_idle(context.uid or "")
    if live is None:
        raise ChangedUnderneath("it no longer exists; plan again")
    return live


# --- settings ------------------------------------------------------------------------------------------------------


def _configure(context: WriteContext, live: Mapping[str, Any]) -> Flow[None]:
    """Change the shared settings and those of instances; reset overrides of shared settings."""
    path, wire = f"{PATH}/{context.uid}", context.wire
    body = patch(context, live)
    if body:
        yield from _patched(context, body)
    version = wire.get("default_db_config", {}).get("redis_version")
    if version and version != live["default_db_config"].get("redis_version"):
        yield from run_task(context, "POST", f"{path}/upgrade", {"redis_version": version})
    if not body and not version:
        return
    live = yield from _read_idle(context)
    if overrides_to_reset(wire, live):  # a shared setting changed, and an instance still overrides it
        yield from _patched(context, patch(context, live))
        yield from _read_idle(context)


def _patched(context: WriteContext, body: Json) -> Flow[None]:
    """Send a change of settings; where a server cannot reset one, send its value instead."""
    path = f"{PATH}/{context.uid}"
    try:
        yield from run_task(context, "PATCH", path, body)
    except Rejected as error:
        plain = without_resets(body, context.wire.get("default_db_config", {}))
        if error.status != 400 or plain == body:
            raise
        yield from run_task(context, "PATCH", path, plain)


# --- instances ----------------------------------------------------------------------------------------------------


def _new_instances(items: Iterable[Mapping[str, Any]]) -> Flow[list[Json]]:
    """Return *items* as new instances: each with its cluster's own name, URL and login."""
    project_clusters: Mapping[str, ProjectCluster] = yield ProjectClusters()
    found = []
    for item in items:
        title = str(item["cluster"])
        if not any(name in item for name in LOGINS):
            raise Refused(f"the instance on {title} has no credentials, which a new instance needs")
        name = yield from name_on(title)
        cluster = {"name": name, "url": (yield from _url(title, project_clusters[title].urls, name))}
        cluster.update(
            {key: item[key] for key in (*LOGINS, "replication_endpoint", "replication_tls_sni") if key in item}
        )
        rest = {key: item[key] for key in ("compression", "db_config") if key in item}
        found.append({"cluster": cluster, **rest})
    return found


def _url(title: str, urls: Sequence[str], name: str) -> Flow[str]:
    """Return the URL of cluster *title* for the others: the one with its own name, else the first that responds."""
    own = next((url for url in urls if place(url).rpartition(":")[0] == name.lower()), "")
    for url in urls if not own and len(urls) > 1 else ():
        try:
            yield Call("GET", "/v1/cluster", cluster=title, node=url)
        except ClusterError:
            continue
        return url
    return own or urls[0]


def _check_health(path: str) -> Flow[None]:
    """Raise Refused while clusters cannot reach each other, or the last change is not applied everywhere."""
    response = yield from request("GET", f"{path}/health_report")
    reports = [one for one in response.body if isinstance(one, Mapping)] if isinstance(response.body, list) else []
    wrong = sorted({text for report in reports for text in _wrong(report)})
    if wrong:
        raise Refused(f"instances cannot be added or removed while {'; '.join(wrong)[:300]}; nothing was sent")


def _wrong(report: Mapping[str, Any]) -> Iterator[str]:
    here = report.get("cluster_name", "a cluster")
    if report.get("connection_error"):
        yield f"{here} cannot be reached ({report['connection_error']})"
    active = report.get("active_config_version")
    for one in _maps(report.get("configurations")):
        if one.get("version") == active and one.get("status") not in (*_SETTLED, None):
            yield f"the configuration of {here} is {one.get('status')}"
    for link in _maps(report.get("connections")):
        down = any(one.get("status") == "down" for one in _maps(link.get("replication_links")))
        if down:
            yield f"the link from {here} to {link.get('name', 'another')} is down"


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


# --- access to one instance ----------------------------------------------------------------------------------------


def _local(context: WriteContext, part: Part, access: Mapping[str, Any]) -> Flow[None]:
    """Write *access* to the local database of the instance; repeating it does no harm."""
    uid, body = (part.local or {})["uid"], dict(access)
    if "roles_permissions" in body:
        body["roles_permissions"] = [
            {
                "role_uid": context.uid_of(Address(part.cluster, "Role", entry["role_uid"])),
                "redis_acl_uid": context.uid_of(Address(part.cluster, "RedisACL", entry["redis_acl_uid"])),
            }
            for entry in body["roles_permissions"]
        ]
    backoff = Backoff()
    for left in range(_MAX_SENDS, 0, -1):
        try:
            yield from request("PUT", f"/v1/bdbs/{uid}", body, cluster=part.cluster)
        except Ambiguous:
            if left == 1:
                raise
            yield from wait(backoff, "the response was lost")
        else:
            break
    live = yield from _read_idle(context)
    found = next((one.local for one in live[PARTS] if one.cluster == part.cluster), None) or {}
    if any(not same_value(found.get(name), value) for name, value in access.items()):
        raise ActionFailed(f"cluster {part.cluster} accepted the access, but returns something else")
