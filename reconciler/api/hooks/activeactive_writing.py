"""How an Active-Active database is created, changed and removed: which task is asked for, and in which order.

The hook `activeactive` is made of this and `activeactive_reading`. Nothing is sent while a task runs or an instance is
busy, and no cluster comes or goes while a link is down. Flows only: knows no client, file or plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.api.hooks.activeactive_reading import ACCESS, PARTS, PATH, SHADOWS, SHARED, Part, name_on, place
from reconciler.api.hooks.activeactive_tasks import SECONDS, at_rest, done
from reconciler.api.hooks.base import Json, Posted, Writing
from reconciler.api.protocol import Around, Call, Flow, Neighbour, Pace, ask, clock_time, pause
from reconciler.errors import ActionFailed, Ambiguous, ChangedUnderneath, ClusterError, Conflict, Refused, Rejected
from reconciler.model import Address

_FIXED = frozenset({"sharding", "shard_key_regex", "oss_sharding", "module_list", "redis_version"})
_HIDDEN = frozenset({"authentication_redis_pass", "authentication_admin_pass", "private_key"})  # no read shows them
_LOGINS = ("credentials", "certificate_auth")
_SENDS = 4
_SETTLED = ("commit-completed", "committed")


def post(writing: Writing) -> Flow[Posted]:
    """Create it, with an instance on each cluster."""
    wire = {name: value for name, value in writing.wire.items() if name != "instances"}
    wire["instances"] = yield from _described(writing.wire.get("instances", ()))
    guid = yield from done(writing, "POST", PATH, wire)
    return Posted(guid or None)


def put(writing: Writing) -> Flow[str]:
    """Bring what is there to what is wanted: what is lost goes first, then settings, then who comes and who goes."""
    assert writing.uid is not None  # noqa: S101 - an update is of something
    path, wanted = f"{PATH}/{writing.uid}", _by_cluster(writing.wire)
    live = yield from _rested(writing)
    gone = [part for part in live[PARTS] if wanted and part.cluster not in wanted]
    forced = [part for part in gone if part.cluster in writing.beside.get("force_remove", ())]
    if forced:
        body = {"remove_instances": [part.id for part in forced], "force_remove": True}
        yield from done(writing, "POST", f"{path}/updates", body)
        live = yield from _rested(writing)
    there = {part.cluster: part for part in live[PARTS]}
    coming = [item for name, item in wanted.items() if name not in there]
    going = [part.id for name, part in there.items() if wanted and name not in wanted]
    if coming or going:
        yield from _check_health(path)
    yield from _configure(writing, live)
    if coming:
        yield from done(writing, "POST", f"{path}/updates", {"add_instances": (yield from _described(coming))})
        live = yield from _rested(writing)
    if going:
        leaving = [part for part in live[PARTS] if part.id in going]
        yield from done(writing, "POST", f"{path}/updates", {"remove_instances": going})
        yield from _cleared(leaving)
    return ""


def remove(writing: Writing) -> Flow[None]:
    """Delete every instance, with its data, on every cluster."""
    live = yield from at_rest(writing.uid or "")
    if live is not None:
        yield from done(writing, "DELETE", f"{PATH}/{writing.uid}", None)
        yield from _cleared(live[PARTS])


def _cleared(parts: Iterable[Part]) -> Flow[None]:
    """Wait until the databases of *parts* are gone, as far as anybody can look: their names and ports are free then."""
    for part in parts:
        until = (yield from clock_time()) + SECONDS
        pace = Pace()
        while part.local is not None:
            answer = yield from ask("GET", f"/v1/bdbs/{part.local['uid']}", cluster=part.cluster)
            status = answer.body.get("status") if isinstance(answer.body, Mapping) else None
            if answer.status == 404 or "delete" not in str(status):
                break
            if (yield from pause(pace, f"{part.cluster}: {status}")) > until:
                raise ActionFailed(f"the instance on {part.cluster} is still {status} after {SECONDS:.0f} s")


def after(writing: Writing) -> Flow[None]:
    """Write what each cluster keeps of its own instance: who may use it."""
    wanted, live = _by_cluster(writing.wire), (yield from _rested(writing))
    for part in live[PARTS]:
        access = {name: wanted[part.cluster][name] for name in ACCESS if name in wanted.get(part.cluster, ())}
        if part.local is None and access:
            raise Conflict(f"cluster {part.cluster} has no instance of it, or cannot be asked")
        if part.local is not None and any(not _same(part.local.get(name), value) for name, value in access.items()):
            yield from _local(writing, part, access)


def _rested(writing: Writing) -> Flow[Json]:
    live: Json | None = yield from at_rest(writing.uid or "")
    if live is None:
        raise ChangedUnderneath("it is gone since the plan was made; plan again")
    return live


def _by_cluster(wire: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(item["cluster"]): item for item in wire.get("instances", ())}


# --- settings ------------------------------------------------------------------------------------------------------


def _configure(writing: Writing, live: Mapping[str, Any]) -> Flow[None]:
    """Change the shared settings and those of instances; take back what somebody set on one instance alone."""
    path, wire = f"{PATH}/{writing.uid}", writing.wire
    body = _patch(wire, live)
    if body:
        yield from _patched(writing, body)
    version = wire.get("default_db_config", {}).get("redis_version")
    if version and version != live["default_db_config"].get("redis_version"):
        yield from done(writing, "POST", f"{path}/upgrade", {"redis_version": version})
    if not body and not version:
        return
    live = yield from _rested(writing)
    if _resets(wire, live):  # what is shared changed, and one instance did not follow
        yield from _patched(writing, _patch(wire, live))
        yield from _rested(writing)


def _patched(writing: Writing, body: Json) -> Flow[None]:
    """Send a change of settings; where a server does not know how to reset one, say its value instead."""
    path = f"{PATH}/{writing.uid}"
    try:
        yield from done(writing, "PATCH", path, body)
    except Rejected as error:
        plain = _without_resets(body, writing.wire.get("default_db_config", {}))
        if error.status != 400 or plain == body:
            raise
        yield from done(writing, "PATCH", path, plain)


def _patch(wire: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    """Return what a PATCH has to say so that *live* becomes what *wire* wants."""
    body: Json = {
        name: wire[name]
        for name in ("causal_consistency", "encryption")
        if name in wire and wire[name] != live.get(name)
    }
    shared = _differing(wire.get("default_db_config", {}), live[SHARED])
    if shared:
        body["default_db_config"] = shared
    resets = _resets(wire, live)
    items = [item for part in live[PARTS] if (item := _instance_patch(wire, part, resets.get(part.id, {})))]
    if items:
        body["instances"] = items
    return body


def _instance_patch(wire: Mapping[str, Any], part: Part, reset: Mapping[str, None]) -> Json:
    wanted = _by_cluster(wire).get(part.cluster, {})
    config = {**_differing(wanted.get("db_config", {}), {**part.config, **_own(part)}), **reset}
    said = {"compression": wanted["compression"]} if "compression" in wanted else {}
    found: Json = {name: value for name, value in said.items() if value != part.said.get(name)}
    if config:
        found["db_config"] = config
    about = part.said.get("cluster", {})
    cluster = {name: wanted[name] for name in _LOGINS if name in wanted}
    for name in ("replication_endpoint", "replication_tls_sni"):
        if name in wanted and wanted[name] != about.get(name):
            cluster[name] = wanted[name]
    if cluster:
        found["cluster"] = {**{name: about[name] for name in ("name", "url") if name in about}, **cluster}
    return {"id": part.id, **found} if found else {}


def _own(part: Part) -> Json:
    """Return what the database of an instance has, of that which was said of this instance alone."""
    return {name: part.local[name] for name in part.config if part.local and name in part.local and name != "port"}


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Json:
    return {
        name: value
        for name, value in wanted.items()
        if name not in _FIXED and name != "port" and (name in _HIDDEN or not _same(found.get(name), value))
    }


def _resets(wire: Mapping[str, Any], live: Mapping[str, Any]) -> dict[int, dict[str, None]]:
    """Return by instance the settings that it must take from all again, since they are declared for all."""
    shared, own = wire.get("default_db_config", {}), _by_cluster(wire)
    found = {}
    for part in live[PARTS]:
        declared = own.get(part.cluster, {}).get("db_config", {})
        names = [name for name in live[SHADOWS].get(part.cluster, ()) if name in shared and name not in declared]
        if names:
            found[part.id] = dict.fromkeys(sorted(names))
    return found


def _without_resets(body: Json, shared: Mapping[str, Any]) -> Json:
    items = [
        {**item, "db_config": {n: shared[n] if v is None else v for n, v in item["db_config"].items()}}
        if "db_config" in item
        else item
        for item in body.get("instances", ())
    ]
    return {**body, "instances": items} if items else body


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) and isinstance(found, list):
        return sorted(map(repr, map(_plain, found))) == sorted(map(repr, map(_plain, wanted)))
    return bool(found == wanted)


def _plain(item: Any) -> Any:
    return sorted(item.items()) if isinstance(item, Mapping) else item


# --- who takes part ------------------------------------------------------------------------------------------------


def _described(items: Iterable[Mapping[str, Any]]) -> Flow[list[Json]]:
    """Return *items* as new instances: each with the name that its cluster has for itself, its URL and a login."""
    neighbours: Mapping[str, Neighbour] = yield Around()
    found = []
    for item in items:
        title = str(item["cluster"])
        if not any(name in item for name in _LOGINS):
            raise Refused(f"the instance on {title} has no credentials, and a cluster that joins needs them")
        name = yield from name_on(title)
        cluster = {"name": name, "url": (yield from _url(title, neighbours[title].urls, name))}
        cluster.update(
            {key: item[key] for key in (*_LOGINS, "replication_endpoint", "replication_tls_sni") if key in item}
        )
        rest = {key: item[key] for key in ("compression", "db_config") if key in item}
        found.append({"cluster": cluster, **rest})
    return found


def _url(title: str, urls: Sequence[str], name: str) -> Flow[str]:
    """Return by which of *urls* others reach cluster *title*: the one with its own name, else the first that serves."""
    own = next((url for url in urls if place(url).rpartition(":")[0] == name.lower()), "")
    for url in urls if not own and len(urls) > 1 else ():
        try:
            yield Call("GET", "/v1/cluster", cluster=title, node=url)
        except ClusterError:
            continue
        return url
    return own or urls[0]


def _check_health(path: str) -> Flow[None]:
    """Raise Refused while clusters do not see each other, or the last change has not come through everywhere."""
    answer = yield from ask("GET", f"{path}/health_report")
    reports = [one for one in answer.body if isinstance(one, Mapping)] if isinstance(answer.body, list) else []
    wrong = sorted({text for report in reports for text in _wrong(report)})
    if wrong:
        raise Refused(f"no cluster can join or leave while {'; '.join(wrong)[:300]}; nothing was sent")


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


# --- what one cluster keeps ----------------------------------------------------------------------------------------


def _local(writing: Writing, part: Part, access: Mapping[str, Any]) -> Flow[None]:
    """Write *access* to the database that the instance is, on its own cluster; to do it twice does no harm."""
    uid, body = (part.local or {})["uid"], dict(access)
    if "roles_permissions" in body:
        body["roles_permissions"] = [
            {
                "role_uid": writing.uid_of(Address(part.cluster, "Role", entry["role_uid"])),
                "redis_acl_uid": writing.uid_of(Address(part.cluster, "RedisACL", entry["redis_acl_uid"])),
            }
            for entry in body["roles_permissions"]
        ]
    pace = Pace()
    for left in range(_SENDS, 0, -1):
        try:
            yield from ask("PUT", f"/v1/bdbs/{uid}", body, cluster=part.cluster)
        except Ambiguous:
            if left == 1:
                raise
            yield from pause(pace, "the answer was lost")
        else:
            break
    live = yield from _rested(writing)
    found = next((one.local for one in live[PARTS] if one.cluster == part.cluster), None) or {}
    if any(not _same(found.get(name), value) for name, value in access.items()):
        raise ActionFailed(f"cluster {part.cluster} accepted who may use it, and shows something else")
