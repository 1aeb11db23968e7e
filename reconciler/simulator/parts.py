"""Parts of a snapshot that hang on others: alerts on databases, proxies on nodes, Active-Active on clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import crdbs
from .handlers import alerts, proxies
from .messages import Json
from .state import State

_COMPUTED = ("local_databases", "modules")


def _load_alerts(state: State, body: Mapping[str, Any]) -> None:
    for uid, held in body.items():
        if int(uid) in state.bdbs:
            settings = {name: {key: alert.get(key) for key in ("enabled", "threshold")} for name, alert in held.items()}
            state.bdbs[int(uid)].hidden["alerts"] = settings


def _save_alerts(state: State) -> Json:
    return {str(uid): alerts.of(state, record) for uid, record in state.bdbs.items() if record.hidden.get("alerts")}


def _load_proxies(state: State, body: list[Mapping[str, Any]]) -> None:
    for item in body:
        if item["uid"] in state.nodes:
            state.nodes[item["uid"]].hidden["proxy"] = dict(item)


def _save_proxies(state: State) -> Json:
    return [proxies.shown(state, record) for record in state.nodes.values()]


def _load_crdbs(state: State, body: list[Mapping[str, Any]]) -> None:
    for item in body:
        instances = [{name: value for name, value in one.items() if name != "db_uid"} for one in item["instances"]]
        whole = {name: value for name, value in item.items() if name not in _COMPUTED}
        crdbs.keep(state, {**whole, "instances": instances})


def _save_crdbs(state: State) -> Json:
    return [crdbs.shown(state, record) for record in state.crdbs.values()]


PARTS: Mapping[str, tuple[Callable[[State, Any], None], Callable[[State], Json]]] = {
    "/v1/bdbs/alerts": (_load_alerts, _save_alerts),
    "/v1/crdbs": (_load_crdbs, _save_crdbs),
    "/v1/proxies": (_load_proxies, _save_proxies),
}


def load(state: State, snapshot: Mapping[str, Any]) -> None:
    """Take what *snapshot* has of these parts; databases and nodes must be there already."""
    for path, (take, _) in PARTS.items():
        if path in snapshot:
            take(state, snapshot[path])


def save(state: State) -> dict[str, Json]:
    """Return those of the parts that hold something, each under the path that reads it."""
    found = {path: give(state) for path, (_, give) in PARTS.items()}
    return {path: body for path, body in found.items() if body}
