"""Small things of a cluster: its suffixes, the groups of databases that share memory, and its alerts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.simulator import licenses
from reconciler.simulator.messages import ApiError, Json, Request, Response, answer
from reconciler.simulator.registry import serves
from reconciler.simulator.shapes import accept, bad, how
from reconciler.simulator.state import Record, State

# Suffixes


def _suffixes(state: State) -> dict[str, Record]:
    if not state.suffixes:
        name = state.cluster.fields["name"]
        flags = {"default": True, "internal": False, "mdns": False, "use_aaaa_ns": False}
        state.suffixes[name] = Record({**flags, "name": name, "slaves": []})
    return state.suffixes


def _suffix(state: State, name: str) -> Record:
    if name not in _suffixes(state):
        raise ApiError(404, "not_found", f"no suffix {name}")
    return state.suffixes[name]


@serves("GET /v1/suffixes")
def suffixes(state: State, request: Request) -> Response:
    """Show the DNS suffixes of the cluster."""
    return answer([record.fields for record in _suffixes(state).values()])


@serves("GET /v1/suffix/{name}")
def suffix(state: State, request: Request, name: str) -> Response:
    """Show one suffix."""
    return answer(_suffix(state, name).fields)


@serves("PATCH /v1/suffix/{name}")
def change_suffix(state: State, request: Request, name: str, body: Json) -> Response:
    """Change the flags and secondaries of a suffix."""
    record = _suffix(state, name)
    if not isinstance(body, dict):
        raise bad("body", "expected an object")
    for field, value in body.items():
        if field not in record.fields or field == "name" or not isinstance(value, type(record.fields[field])):
            raise bad(field, "unknown field, fixed, or of another type")
    record.set(**body)
    state.changed()
    return answer(record.fields)


@serves("DELETE /v1/suffix/{name}")
def delete_suffix(state: State, request: Request, name: str) -> Response:
    """Delete a suffix other than the default one."""
    if _suffix(state, name).fields["default"]:
        raise ApiError(400, "invalid_param", "the default suffix stays")
    del state.suffixes[name]
    state.changed()
    return answer(None)


# Groups of databases


def _group(state: State, uid: str) -> Record:
    if not uid.isdecimal() or int(uid) not in state.groups:
        raise ApiError(404, "not_found", f"no group with uid {uid}")
    return state.groups[int(uid)]


def _shown(state: State, record: Record) -> Json:
    uid = record.fields["uid"]
    members = [str(bdb) for bdb, other in state.bdbs.items() if other.fields.get("group_uid") == uid]
    return {"members": members, **record.fields}


@serves("GET /v1/bdb_groups")
def groups(state: State, request: Request) -> Response:
    """Show all groups."""
    return answer([_shown(state, record) for record in state.groups.values()])


@serves("GET /v1/bdb_groups/{uid}")
def group(state: State, request: Request, uid: str) -> Response:
    """Show one group."""
    return answer(_shown(state, _group(state, uid)))


@serves("POST /v1/bdb_groups")
def create_group(state: State, request: Request, body: Json) -> Response:
    """Make a group of a size."""
    sent = accept("bdb_group", body, how(state.settings))
    if "memory_size" not in sent:
        raise bad("memory_size", "missing")
    uid = state.groups.claim()
    record = state.groups[uid] = Record({"memory_size": sent["memory_size"], "uid": uid})
    state.changed(state.groups)
    return answer(_shown(state, record))


@serves("PUT /v1/bdb_groups/{uid}")
def update_group(state: State, request: Request, uid: str, body: Json) -> Response:
    """Change the size of a group."""
    record = _group(state, uid)
    record.set(**accept("bdb_group", body, how(state.settings)))
    state.changed(state.groups)
    return answer(_shown(state, record))


@serves("DELETE /v1/bdb_groups/{uid}")
def delete_group(state: State, request: Request, uid: str) -> Response:
    """Delete a group that has no members."""
    record = _group(state, uid)
    if _shown(state, record)["members"]:
        raise ApiError(406, "not_acceptable", "the group has members")
    del state.groups[record.fields["uid"]]
    state.changed(state.groups)
    return answer(None)


# Alerts of the cluster

_SEVERITY = {True: "WARNING", False: "INFO"}


def _raised(state: State) -> Mapping[str, bool]:
    """Return which alerts of the cluster hold now, of those that this server can tell."""
    nodes = list(state.nodes.values())
    up = len(list(state.members()))
    memory = sum(bdb.fields.get("memory_size", 0) for bdb in state.bdbs.values())
    end = state.license.fields.get("expiration_date")
    days = int(_threshold(state, "cluster_license_about_to_expire") or 0)
    soon = licenses.stamp(state.now + days * 86400)
    return {
        "cluster_even_node_count": len(nodes) % 2 == 0,
        "cluster_inconsistent_rl_sw": len({node.fields.get("software_version") for node in nodes}) > 1,
        "cluster_license_about_to_expire": isinstance(end, str) and end <= soon,
        "cluster_multiple_nodes_down": len(nodes) - up > 1,
        "cluster_ram_overcommit": memory > sum(node.fields.get("total_memory", 0) for node in nodes),
        "cluster_too_few_nodes_for_replication": up < 2,
    }


def _setting(state: State, name: str) -> Any:
    return state.cluster.fields.get("alert_settings", {}).get(name, False)


def _threshold(state: State, name: str) -> Any:
    setting = _setting(state, name)
    return setting.get("threshold") if isinstance(setting, dict) else None


def _alerts(state: State, request: Request) -> dict[str, Json]:
    """Return the alerts that are switched on or raised; all of them with `ignore_settings`."""
    raised = _raised(state)
    names = {name for name in state.cluster.fields.get("alert_settings", {}) if name.startswith("cluster_")}
    all_of_them = request.query.get("ignore_settings", "false").lower() in ("true", "1", "")
    found: dict[str, Json] = {}
    for name in sorted(names | set(raised)):
        setting, on = _setting(state, name), raised.get(name, False)
        enabled = bool(setting.get("enabled") if isinstance(setting, dict) else setting)
        if not (enabled or on or all_of_them):
            continue
        value = {"state": on, **({"global_threshold": setting["threshold"]} if _threshold(state, name) else {})}
        times = {"change_time": state.cluster.fields["created_time"], "change_value": value}
        found[name] = {**times, "enabled": enabled, "severity": _SEVERITY[on], "state": on}
    return found


@serves("GET /v1/cluster/alerts")
def alerts(state: State, request: Request) -> Response:
    """Show the alerts of the cluster by name."""
    return answer(_alerts(state, request))


@serves("GET /v1/cluster/alerts/{alert}")
def alert(state: State, request: Request, name: str) -> Response:
    """Show one alert."""
    found = _alerts(state, request._replace(query={"ignore_settings": "true"}))
    if name not in found:
        raise ApiError(404, "not_found", f"no alert {name}")
    return answer(found[name])
