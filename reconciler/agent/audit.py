"""Who changed a cluster, and when, where its own audit log records it: best effort, one bounded read.

A reconciliation asks when it finds a difference that is new. The API documents events with a time, a type such as
`bdb_memory_size_updated` and the uid of the object; it documents no field that names a user, so several plausible ones
are checked, and often no user is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from reconciler.agent.drift_history import AuditRecord, field_key
from reconciler.api.protocol import Response
from reconciler.errors import ClusterError
from reconciler.model import Address
from reconciler.plan.drift import Drift

_LIMIT: Final = 200  # events per read
_USERS: Final = ("originator_username", "originator_email", "username", "user_name", "user_email", "user")


class LogReader(Protocol):
    """The part of a client that is used here."""

    def get(self, path: str, *, missing_ok: bool = False, shape: type | None = None) -> Response: ...


def read_log(
    client: LogReader, drifts: Iterable[Drift], uids: Mapping[Address, int | str], after: float | None
) -> dict[str, AuditRecord]:
    """Return the audit records of *drifts*, by field key; empty where the log cannot be read."""
    start = f"&stime={datetime.fromtimestamp(after, UTC):%Y-%m-%dT%H:%M:%SZ}" if after is not None else ""
    try:
        events = client.get(f"/v1/logs?order=desc&limit={_LIMIT}{start}", missing_ok=True, shape=list)
    except ClusterError:
        return {}
    return match_events(events.body if isinstance(events.body, list) else [], drifts, uids)


def match_events(
    events: Iterable[Any], drifts: Iterable[Drift], uids: Mapping[Address, int | str]
) -> dict[str, AuditRecord]:
    """Return, for each of *drifts*, the newest matching event; *events* are newest first."""
    usable = [event for event in events if isinstance(event, Mapping) and isinstance(event.get("type"), str)]
    found: dict[str, AuditRecord] = {}
    for drift in drifts:
        for event in usable:
            at = _time(event.get("time"))
            if at is not None and _matches(event, drift, uids.get(drift.address)):
                found[field_key(drift.address, drift.path)] = AuditRecord(at, _user(event))
                break
    return found


def _matches(event: Mapping[str, Any], drift: Drift, uid: int | str | None) -> bool:
    kind: str = event["type"]
    if not drift.path:
        names = [value for key, value in event.items() if key.endswith("_name")]
        return kind.endswith("_deleted") and drift.address.name in names
    field = drift.path.partition(".")[0].partition("[")[0]
    numbers = [str(value) for key, value in event.items() if key.endswith("_uid") and key != "originator_uid"]
    return kind.endswith(f"_{field}_updated") and uid is not None and str(uid) in numbers


def _user(event: Mapping[str, Any]) -> str:
    texts = (event.get(name) for name in _USERS)
    found = next((text for text in texts if isinstance(text, str) and text), "")
    return "".join(sign if sign.isprintable() else " " for sign in found[:100])


def _time(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
