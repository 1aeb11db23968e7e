"""The sub-resources of a database: alerts, passwords, traffic, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import SubResource, Uid, WriteContext
from reconciler.api.protocol import Flow, request
from reconciler.errors import Conflict, Rejected
from reconciler.kinds import MISSING

TRAFFIC_FIELD = "traffic_manually_disabled"  # since 8.0; the actions that change it exist since 7.8


def _action(body: Any) -> str:
    return str(body.get("action_uid") or "") if isinstance(body, Mapping) else ""


def _read_alerts() -> Flow[Mapping[str, Any]]:
    response = yield from request("GET", "/v1/bdbs/alerts")
    return response.body if isinstance(response.body, dict) else {}


def _look_at_alerts(uid: Uid) -> Flow[Any]:
    response = yield from request("GET", f"/v1/bdbs/alerts/{uid}")
    return response.body if isinstance(response.body, dict) else MISSING


def _write_alerts(context: WriteContext, alerts: Any) -> Flow[str]:
    yield from request("POST", f"/v1/bdbs/alerts/{context.uid}", alerts)
    return ""


def _write_passwords(context: WriteContext, passwords: Any) -> Flow[str]:
    """Make *passwords* the only ones: by adding and removing where the changed ones are known, else by PUT.

    PUT removes all others until the next calls have added them.
    """
    path = f"/v1/bdbs/{context.uid}/passwords"
    changed = {name: new for name, new in context.changed.items() if name.startswith("passwords")}
    leaving = (context.wire.get("retire") or {}).get("passwords", [])
    gone = [password for password in leaving if password not in passwords] if "passwords[]" in changed else []
    named = set(changed) - ({"passwords[]"} if gone else set())
    if all(changed[name] and name != "passwords" for name in named):
        added = [password for index, password in enumerate(passwords) if f"passwords[{index}]" in changed]
    else:  # a password to remove is not known, so all are removed
        yield from request("PUT", path, {"password": passwords[0]})
        added, gone = passwords[1:], []
    for password in added:
        yield from request("POST", path, {"password": password})
    for password in gone:
        yield from _remove_password(path, password)
    return ""


def _remove_password(path: str, password: str) -> Flow[None]:
    try:
        yield from request("DELETE", path, {"password": password})
    except Rejected as error:
        if error.status not in (404, 406):  # it is not a password of the database (any more)
            raise


def _write_traffic(context: WriteContext, traffic: Any) -> Flow[str]:
    if bool(context.live.get(TRAFFIC_FIELD)) == (traffic == "stopped"):
        return ""
    verb = "stop_traffic" if traffic == "stopped" else "resume_traffic"
    response = yield from request("POST", f"/v1/bdbs/{context.uid}/actions/{verb}", {})
    return _action(response.body)


def _upgrade(context: WriteContext, version: Any) -> Flow[str]:
    """Upgrade Redis; `spec.upgrade` has the options (REST request `bdbs/upgrade`)."""
    options = context.wire.get("upgrade") or {}
    response = yield from request("POST", f"/v1/bdbs/{context.uid}/upgrade", {**options, "redis_version": version})
    return _action(response.body)


def _upgrade_modules(context: WriteContext, wanted: Any) -> Flow[str]:
    """Upgrade modules to the declared versions; `spec.upgrade` has the options (REST request `modules/upgrade`)."""
    live = {one.get("module_name"): one for one in context.live.get("module_list") or () if isinstance(one, Mapping)}
    moves = [
        (live[one["module_name"]], one)
        for one in wanted
        if one.get("module_name") in live
        and one.get("semantic_version", "") not in ("", live[one["module_name"]].get("semantic_version"))
    ]
    if not moves:
        return ""
    response = yield from request("GET", "/v1/modules")
    known = {
        (one.get("module_name"), one.get("semantic_version")): one.get("uid")
        for one in (response.body if isinstance(response.body, list) else ())
        if isinstance(one, Mapping)
    }
    modules = []
    for now, then in moves:
        uid = known.get((then["module_name"], then["semantic_version"]))
        if uid is None:
            raise Conflict(f"the cluster has no {then['module_name']} {then['semantic_version']}; see Module")
        modules.append({"current_module": now.get("module_id"), "new_module": uid})
    given = context.wire.get("upgrade") or {}
    options = {name: given[name] for name in ("preserve_roles", "may_discard_data", "force_restart") if name in given}
    done = yield from request("POST", f"/v1/bdbs/{context.uid}/modules/upgrade", {"modules": modules, **options})
    return _action(done.body)


SUB_RESOURCES = {
    "redis_version": SubResource(_upgrade, read_fields=("redis_version",), on_create=False),
    "module_list": SubResource(_upgrade_modules, read_fields=("module_list",), on_create=False),
    "alerts": SubResource(_write_alerts, read=_read_alerts, look=_look_at_alerts),
    "passwords": SubResource(_write_passwords),
    "traffic": SubResource(_write_traffic, read_fields=(TRAFFIC_FIELD,)),
}
