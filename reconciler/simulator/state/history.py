"""Earlier contents of a cluster, for stale reads and restores from a backup. Knows no HTTP.

Nothing is recorded until a fault needs it: copying costs a few microseconds per object at each change.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, Table

_LIMIT = 64  # maximum age of a stale read in effects
# Attributes that do not belong to the content of the cluster; they are never restored.
_STAYS = frozenset(
    {
        "caller",
        "effects",
        "epoch",
        "outcome",
        "outcome_code",
        "lists",
        "log",
        "logins",
        "random",
        "settings",
        "state_id",
        "time",
    }
)


def _copied(value: Any) -> Any:
    if isinstance(value, ObjectRecord):
        return ObjectRecord(value.fields, dict(value.hidden))
    if isinstance(value, Table):
        table = Table(value.next_uid)
        table.version = value.version
        table.update({uid: _copied(record) for uid, record in value.items()})
        return table
    if isinstance(value, dict):
        return {
            name: _copied(item) if isinstance(item, ObjectRecord | dict | list) else item
            for name, item in value.items()
        }
    if isinstance(value, list | set):
        return copy.copy(value)
    return value


def copy_state(state: ClusterState) -> ClusterState:
    """Return a copy of the content of *state*; read-only handlers can use it."""
    twin = copy.copy(state)
    for name, value in vars(state).items():
        if name not in _STAYS:
            setattr(twin, name, _copied(value))
    twin.lists, twin.logins = {}, {}
    return twin


def restore_state(state: ClusterState, backup: ClusterState) -> None:
    """Replace the content of *state* by that of *backup*, including the next uids. Unfinished work is lost."""
    versions = {kind: table.version for kind, table in state.collections.items()}
    for name, value in vars(backup).items():
        if name not in _STAYS:
            setattr(state, name, _copied(value))
    state.cancel_events()
    for kind, version in versions.items():
        table = state.collection(kind)
        table.version = version
        for record in table.values():
            record.hidden.pop("gone", None)
    for record in state.bdbs.values():
        if str(record.fields.get("status", "")).endswith("pending"):
            record.set(status="active")
            record.drop("action_uid")
    state.lists, state.logins = {}, {}
    state.changed(*state.tables())


class History:
    """The content of a cluster before each of its last effects, and when recording began."""

    def __init__(self) -> None:
        self.first: ClusterState | None = None
        self._kept: deque[ClusterState] = deque(maxlen=_LIMIT)

    def keep(self, state: ClusterState) -> None:
        """Record the content of *state*, unless it has not changed since the last time."""
        if self._kept and self._kept[-1].effects == state.effects:
            return
        self._kept.append(copy_state(state))
        if self.first is None:
            self.first = self._kept[-1]

    def ago(self, depth: int) -> ClusterState:
        """Return the content *depth* effects ago, or the oldest that is recorded."""
        found = self._kept[max(0, len(self._kept) - 1 - depth)]
        return copy_state(found)

    def forget(self) -> None:
        """Clear the history; recording starts again with the next call."""
        self.first = None
        self._kept.clear()
