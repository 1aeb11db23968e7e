"""What of a database stands behind endpoints of its own: alerts, passwords, traffic, its Redis version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.calls import Flow, ask
from reconciler.hooks.base import Door, Uid, Writing
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
    """Make *passwords* all that there are. What was there cannot be read, so they go one by one.

    PUT takes all others away, for the moment that the next calls take: it is left out where passwords are only added.
    """
    path = f"/v1/bdbs/{writing.uid}/passwords"
    paths = [f"passwords[{index}]" for index in range(len(passwords))]
    only_new = bool(writing.changed) and all(name in paths and new for name, new in writing.changed.items())
    if not only_new:
        yield from ask("PUT", path, {"password": passwords[0]})
        paths[0] = ""
    for name, password in zip(paths, passwords, strict=True):
        if name and (not only_new or name in writing.changed):
            yield from ask("POST", path, {"password": password})
    return ""


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


DOORS = {
    "redis_version": Door(_upgrade, shows=("redis_version",), on_create=False),
    "upgrade": Door(lambda writing, options: _nothing(), on_create=False),
    "alerts": Door(_write_alerts, read=_read_alerts, look=_look_at_alerts),
    "passwords": Door(_write_passwords),
    "traffic": Door(_write_traffic, shows=(TRAFFIC_FIELD,)),
}


def _nothing() -> Flow[str]:
    yield from ()
    return ""
