"""Which databases the caller may know of: since 8.2 a role for databases may be limited to some of them.

Lists leave the others out. What a call for one of them answers is open: switch `scoped_get`.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.simulator.api.messages import ApiError
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_LIMITABLE = frozenset({"db_member", "db_viewer"})


def allowed_uids(state: ClusterState) -> frozenset[str] | None:
    """Return the uids that the caller is limited to, None where there is no limit."""
    if state.caller is None:
        return None
    seen: set[str] = set()
    for uid in state.caller.fields.get("role_uids", ()):
        role = state.roles[uid].fields if uid in state.roles else {}
        resources, management = role.get("resources"), role.get("management", "none")
        if management in _LIMITABLE and resources:
            seen.update(str(name) for item in resources for name in item["uids"])
        elif management != "none":
            return None
    return frozenset(seen)


def visible_databases(state: ClusterState) -> Iterator[ObjectRecord]:
    """Yield the databases that the caller may know of."""
    allowed = allowed_uids(state)
    for uid, record in state.bdbs.items():
        if allowed is None or str(uid) in allowed:
            yield record


def check_visible(state: ClusterState, uid: str) -> None:
    """Raise what a call for the database *uid* answers where the caller may not know of it."""
    allowed = allowed_uids(state)
    if allowed is None or uid in allowed:
        return
    if state.settings.on("scoped_get", "404"):
        raise ApiError(404, "db_not_found", f"no database with uid {uid}")
    raise ApiError(403, "unauthorized_action", "the role does not reach this database")
