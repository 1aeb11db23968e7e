"""Who changed a cluster, and when, where its own log says so: best effort, one bounded read.

A pass asks when it meets a difference that it has not seen before. The documentation describes events with a time, a
type such as `bdb_memory_size_updated` and the number of the object; no field that names a user is described, so several
plausible ones are looked for, and mostly nobody is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from reconciler.agent.history import Seen, place
from reconciler.api.protocol import Response
from reconciler.errors import ClusterError
from reconciler.model import Address
from reconciler.plan.drift import Drift

_MOST: Final = 200  # events read at a time
_USERS: Final = ("originator_username", "originator_email", "username", "user_name", "user_email", "user")


class Reader(Protocol):
    """What is needed of a client."""

    def get(self, path: str, *, missing_ok: bool = False, shape: type | None = None) -> Response: ...


def ask(
    client: Reader, drifts: Iterable[Drift], uids: Mapping[Address, int | str], after: float | None
) -> dict[str, Seen]:
    """Return what the log of the cluster says of *drifts*, by place; nothing where it cannot be read."""
    start = f"&stime={datetime.fromtimestamp(after, UTC):%Y-%m-%dT%H:%M:%SZ}" if after is not None else ""
    try:
        events = client.get(f"/v1/logs?order=desc&limit={_MOST}{start}", missing_ok=True, shape=list)
    except ClusterError:
        return {}
    return read(events.body if isinstance(events.body, list) else [], drifts, uids)


def read(events: Iterable[Any], drifts: Iterable[Drift], uids: Mapping[Address, int | str]) -> dict[str, Seen]:
    """Return for each of *drifts* the newest of *events*, which are newest first, that is about it."""
    usable = [event for event in events if isinstance(event, Mapping) and isinstance(event.get("type"), str)]
    found: dict[str, Seen] = {}
    for drift in drifts:
        for event in usable:
            at = _time(event.get("time"))
            if at is not None and _is_about(event, drift, uids.get(drift.address)):
                found[place(drift.address, drift.path)] = Seen(at, _who(event))
                break
    return found


def _is_about(event: Mapping[str, Any], drift: Drift, uid: int | str | None) -> bool:
    kind: str = event["type"]
    if not drift.path:
        names = [value for key, value in event.items() if key.endswith("_name")]
        return kind.endswith("_deleted") and drift.address.name in names
    field = drift.path.partition(".")[0].partition("[")[0]
    numbers = [str(value) for key, value in event.items() if key.endswith("_uid") and key != "originator_uid"]
    return kind.endswith(f"_{field}_updated") and uid is not None and str(uid) in numbers


def _who(event: Mapping[str, Any]) -> str:
    texts = (event.get(name) for name in _USERS)
    found = next((text for text in texts if isinstance(text, str) and text), "")
    return "".join(sign if sign.isprintable() else " " for sign in found[:100])


def _time(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
