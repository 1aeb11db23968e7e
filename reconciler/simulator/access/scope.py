"""Which databases the caller may access: since 8.2 a database role may be limited to some of them.

Lists omit the others. The response to a call for one of them is unknown: switch `scoped_get`.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.simulator.api.messages import ApiError
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_LIMITABLE = frozenset({"db_member", "db_viewer"})


def allowed_uids(state: ClusterState) -> frozenset[str] | None:
    """Return the uids that the caller is limited to, None for no limit."""
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
    """Yield the databases that the caller may access."""
    allowed = allowed_uids(state)
    for uid, record in state.bdbs.items():
        if allowed is None or str(uid) in allowed:
            yield record


def check_visible(state: ClusterState, uid: str) -> None:
    """Raise the response to a call for the database *uid* if the caller may not access it."""
    allowed = allowed_uids(state)
    if allowed is None or uid in allowed:
        return
    if state.settings.on("scoped_get", "404"):
        raise ApiError(404, "db_not_found", f"no database with uid {uid}")
    raise ApiError(403, "unauthorized_action", "the role does not include this database")
