"""Endpoints of proxies: each node has one, with the node's uid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.simulator.api.fields import field_rows
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.data.tables import table
from reconciler.simulator.resources.lookup import find_node, validated_body
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section


def proxy_view(state: ClusterState, record: ObjectRecord) -> Json:
    """Return what a read of a node's proxy shows."""
    known = field_rows("proxy", state.settings.server_version)
    fields = {name: value for name, value in table("proxy").items() if name in known}
    return dict(sorted({**fields, **record.hidden.get("proxy", {}), "uid": record.fields["uid"]}.items()))


@serves("GET /v1/proxies")
def list_all(state: ClusterState, request: Request) -> Response:
    """List all proxies."""
    return json_response([proxy_view(state, state.nodes[uid]) for uid in sorted(state.nodes)])


@serves("GET /v1/proxies/{uid}")
def get(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one proxy."""
    return json_response(proxy_view(state, _found(state, uid)))


def _found(state: ClusterState, uid: str) -> ObjectRecord:
    try:
        return find_node(state, uid)
    except ApiError as error:
        raise ApiError(404, "not_found", f"no proxy with uid {uid}") from error


@serves("PUT /v1/proxies")
def update_all(state: ClusterState, request: Request, body: Json) -> Response:
    """Change all proxies."""
    return _update(state, state.nodes.values(), body)


@serves("PUT /v1/proxies/{uid}")
def update(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Change one proxy."""
    return _update(state, [_found(state, uid)], body)


def _update(state: ClusterState, records: Iterable[ObjectRecord], body: Json) -> Response:
    sent = validated_body(state, "proxy_update_request", body)
    if "proxy" not in sent:
        raise ApiError(400, "missing_field", "proxy is needed")
    change = validated_body(state, "proxy", sent["proxy"])
    for record in records:
        now = proxy_view(state, record)
        least, most = change.get("threads", now["threads"]), change.get("max_threads", now["max_threads"])
        if least > most:
            raise ApiError(400, "invalid_param", "threads is larger than max_threads")
        fewer = least < now["threads"] and not sent.get("allow_restart")  # applies after the next restart of the proxy
        held = {name: value for name, value in change.items() if not (fewer and name == "threads")}
        record.hidden["proxy"] = {**record.hidden.get("proxy", {}), **held}
    state.changed()
    return json_response(None)


def _load(state: ClusterState, body: list[Mapping[str, Any]]) -> None:
    for item in body:
        if item["uid"] in state.nodes:
            state.nodes[item["uid"]].hidden["proxy"] = dict(item)


def _save(state: ClusterState) -> Json:
    return [proxy_view(state, record) for record in state.nodes.values()] or None


add_section("/v1/proxies", _load, _save)
