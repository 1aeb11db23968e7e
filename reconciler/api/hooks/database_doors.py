"""What of a database stands behind endpoints of its own: alerts, passwords, traffic, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Door, Uid, Writing
from reconciler.api.protocol import Flow, ask
from reconciler.errors import Conflict, Rejected
from reconciler.kinds import MISSING

TRAFFIC_FIELD = "traffic_manually_disabled"  # of the object; the actions that change it are older (7.8) than it (8.0)


def _action(body: Any) -> str:
    return str(body.get("action_uid") or "") if isinstance(body, Mapping) else ""


def _read_alerts() -> Flow[Mapping[str, Any]]:
    answer = yield from ask("GET", "/v1/bdbs/alerts")
    return answer.body if isinstance(answer.body, dict) else {}


def _look_at_alerts(uid: Uid) -> Flow[Any]:
    answer = yield from ask("GET", f"/v1/bdbs/alerts/{uid}")
    return answer.body if isinstance(answer.body, dict) else MISSING


def _write_alerts(writing: Writing, alerts: Any) -> Flow[str]:
    yield from ask("POST", f"/v1/bdbs/alerts/{writing.uid}", alerts)
    return ""


def _write_passwords(writing: Writing, passwords: Any) -> Flow[str]:
    """Make *passwords* all that there are: by adding and taking away where what changes can be named, else by PUT.

    PUT takes all others away, for the moment that the next calls take.
    """
    path = f"/v1/bdbs/{writing.uid}/passwords"
    changed = {name: new for name, new in writing.changed.items() if name.startswith("passwords")}
    leaving = (writing.wire.get("retire") or {}).get("passwords", [])
    gone = [password for password in leaving if password not in passwords] if "passwords[]" in changed else []
    named = set(changed) - ({"passwords[]"} if gone else set())
    if all(changed[name] and name != "passwords" for name in named):
        added = [password for index, password in enumerate(passwords) if f"passwords[{index}]" in changed]
    else:  # some that go cannot be named, so all of them do
        yield from ask("PUT", path, {"password": passwords[0]})
        added, gone = passwords[1:], []
    for password in added:
        yield from ask("POST", path, {"password": password})
    for password in gone:
        yield from _taken_away(path, password)
    return ""


def _taken_away(path: str, password: str) -> Flow[None]:
    try:
        yield from ask("DELETE", path, {"password": password})
    except Rejected as error:
        if error.status not in (404, 406):  # those say that it is no password of the database (any more)
            raise


def _write_traffic(writing: Writing, traffic: Any) -> Flow[str]:
    if bool(writing.live.get(TRAFFIC_FIELD)) == (traffic == "stopped"):
        return ""
    verb = "stop_traffic" if traffic == "stopped" else "resume_traffic"
    answer = yield from ask("POST", f"/v1/bdbs/{writing.uid}/actions/{verb}", {})
    return _action(answer.body)


def _upgrade(writing: Writing, version: Any) -> Flow[str]:
    """Move to another Redis version; `spec.upgrade` says how (REST request `bdbs/upgrade`)."""
    options = writing.wire.get("upgrade") or {}
    answer = yield from ask("POST", f"/v1/bdbs/{writing.uid}/upgrade", {**options, "redis_version": version})
    return _action(answer.body)


def _upgrade_modules(writing: Writing, wanted: Any) -> Flow[str]:
    """Move modules to the versions that are declared; `spec.upgrade` says how (REST request `modules/upgrade`)."""
    live = {one.get("module_name"): one for one in writing.live.get("module_list") or () if isinstance(one, Mapping)}
    moves = [
        (live[one["module_name"]], one)
        for one in wanted
        if one.get("module_name") in live
        and one.get("semantic_version", "") not in ("", live[one["module_name"]].get("semantic_version"))
    ]
    if not moves:
        return ""
    answer = yield from ask("GET", "/v1/modules")
    known = {
        (one.get("module_name"), one.get("semantic_version")): one.get("uid")
        for one in (answer.body if isinstance(answer.body, list) else ())
        if isinstance(one, Mapping)
    }
    modules = []
    for now, then in moves:
        uid = known.get((then["module_name"], then["semantic_version"]))
        if uid is None:
            raise Conflict(f"the cluster has no {then['module_name']} {then['semantic_version']}; see Module")
        modules.append({"current_module": now.get("module_id"), "new_module": uid})
    given = writing.wire.get("upgrade") or {}
    options = {name: given[name] for name in ("preserve_roles", "may_discard_data", "force_restart") if name in given}
    done = yield from ask("POST", f"/v1/bdbs/{writing.uid}/modules/upgrade", {"modules": modules, **options})
    return _action(done.body)


DOORS = {
    "redis_version": Door(_upgrade, shows=("redis_version",), on_create=False),
    "module_list": Door(_upgrade_modules, shows=("module_list",), on_create=False),
    "alerts": Door(_write_alerts, read=_read_alerts, look=_look_at_alerts),
    "passwords": Door(_write_passwords),
    "traffic": Door(_write_traffic, shows=(TRAFFIC_FIELD,)),
}
