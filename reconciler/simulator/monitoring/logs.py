"""The log of events."""

from __future__ import annotations

from reconciler.simulator.access.scope import allowed_uids
from reconciler.simulator.api.messages import ApiError, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.monitoring.series import parse_time
from reconciler.simulator.state.model import ClusterState


def _number(request: Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise ApiError(400, "invalid_param", f"{name} is not a number")
    return int(text)


@serves("GET /v1/logs")
def list_all(state: ClusterState, request: Request) -> Response:
    """List events, newest first by default."""
    query, order = request.query, request.query.get("order", "desc").lower()
    if order not in ("asc", "desc"):
        raise ApiError(400, "invalid_param", "order must be asc or desc")
    start = parse_time(query["stime"], "stime") if query.get("stime") else None
    end = parse_time(query["etime"], "etime") if query.get("etime") else None
    allowed = allowed_uids(state)
    found = [
        entry
        for entry in state.log
        if (allowed is None or str(entry.get("bdb_uid", "")) in (*allowed, ""))
        and (start is None or parse_time(entry["time"], "time") >= start)
        and (end is None or parse_time(entry["time"], "time") <= end)
    ]
    if order == "desc":
        found.reverse()
    offset, limit = _number(request, "offset") or 0, _number(request, "limit")
    return json_response(found[offset:] if limit is None else found[offset : offset + limit])
