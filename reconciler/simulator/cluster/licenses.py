"""Licences of a simulated cluster: the installed one, its limits, and parsing of licence texts.

A real licence is signed; here the part between the markers is base64 of JSON with the fields that reads show (`make`).
Any other text between the markers is a full licence without limits, so that real licences can be used.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import json
import time
from collections.abc import Callable, Mapping

from reconciler.simulator.api.fields import body_rules, schema_error, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section

_BEGIN, _END = "----- LICENSE START -----", "----- LICENSE END -----"
_TRIAL = "----- DEFAULT LICENSE START -----\nTRIAL\n----- DEFAULT LICENSE END -----\n"
_DAY = 86400
TRIAL_DAYS, TRIAL_SHARDS = 30, 4
_NO_LIMIT = 1_000_000


def _moment(text: str) -> float:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def make(**fields: Json) -> str:
    """Return the text of a licence with *fields*: cluster_name, activation_date, expiration_date, shards_limit …"""
    sealed = base64.b64encode(json.dumps(fields, sort_keys=True).encode()).decode()
    return f"{_BEGIN}\n{sealed}\n{_END}\n"


def initial_license(state: ClusterState) -> ObjectRecord:
    """Return the licence that the settings ask for."""
    settings, now = state.settings, state.now
    sort = "expired" if settings.license_expired else settings.license
    if sort == "none":
        return ObjectRecord({})
    if sort == "trial":
        times = {"activation_date": format_time(now), "expiration_date": format_time(now + TRIAL_DAYS * _DAY)}
        limits = {"shards_limit": TRIAL_SHARDS, "ram_shards_limit": None, "flash_shards_limit": None}
        trial = {"features": ["trial", "bigstore"], "key": "", "license": _TRIAL, "owner": None, "cluster_name": None}
        return ObjectRecord({**times, **limits, **trial})
    end = "2020-02-01T00:00:00Z" if sort == "expired" else "2099-01-01T00:00:00Z"
    limits = {"ram_shards_limit": settings.shards_limit, "flash_shards_limit": settings.shards_limit}
    text = make(
        cluster_name=settings.cluster_name, expiration_date=end, shards_limit=settings.shards_limit * 2, **limits
    )
    return ObjectRecord(_fields(text, settings.cluster_name))


def _is_date(value: Json) -> bool:
    try:
        return _moment(value) > 0
    except (TypeError, ValueError):
        return False


def _is_limit(value: Json) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_text(value: Json) -> bool:
    return value is None or isinstance(value, str)


_SAID: Mapping[str, Callable[[Json], bool]] = {
    "activation_date": _is_date,
    "cluster_name": _is_text,
    "expiration_date": _is_date,
    "features": lambda value: isinstance(value, list),
    "flash_shards_limit": _is_limit,
    "owner": _is_text,
    "ram_shards_limit": _is_limit,
    "shards_limit": _is_limit,
}


def _fields(text: str, name: str) -> dict[str, Json]:
    """Return the fields of a licence; raise 400 if *text* is damaged."""
    head, begin, rest = text.partition(_BEGIN)
    middle, end, tail = rest.partition(_END)
    if not begin or not end or head.strip() or tail.strip() or not middle.strip():
        raise ApiError(400, "invalid_license", "the licence text is damaged")
    try:
        said = json.loads(base64.b64decode("".join(middle.split()), validate=True))
    except (binascii.Error, ValueError):
        said = {}
    said = {name: value for name, value in said.items() if name in _SAID} if isinstance(said, dict) else {}
    if not all(_SAID[name](value) for name, value in said.items()):
        raise ApiError(400, "invalid_license", "the licence text is damaged")
    default = {"activation_date": "2020-01-01T00:00:00Z", "expiration_date": "2099-01-01T00:00:00Z"}
    limits = {"shards_limit": _NO_LIMIT, "ram_shards_limit": _NO_LIMIT, "flash_shards_limit": _NO_LIMIT}
    about = {"cluster_name": name, "features": ["bigstore"], "owner": "Simulator"}
    return {**default, **limits, **about, **said, "key": text, "license": text}


def is_expired(state: ClusterState) -> bool:
    """Return whether the licence has expired."""
    end = state.license.fields.get("expiration_date")
    try:
        return bool(state.license.fields.get("expired")) if end is None else _moment(end) <= state.now
    except ValueError:
        return bool(state.license.fields.get("expired"))


def shards_in_use(state: ClusterState) -> Mapping[str, int]:
    """Return the number of shards in use, by type of memory."""
    used = {"ram": 0, "flash": 0}
    for bdb in state.bdbs.values():
        used["flash" if bdb.fields.get("bigstore") else "ram"] += len(bdb.fields.get("shard_list", ()))
    return used


def shards_limit(state: ClusterState) -> int:
    """Return how many shards the cluster may have; without a licence as many as a trial."""
    return _limit_in(state.license.fields) if state.license.fields else TRIAL_SHARDS


def _limit_in(fields: Mapping[str, Json]) -> int:
    found = fields.get("shards_limit", _NO_LIMIT)
    return _NO_LIMIT if found is None else int(found)


def read_license(state: ClusterState, text: str, name: str) -> dict[str, Json]:
    """Return the fields of a licence; raise 400 if *text* is damaged, 406 if it is not valid for cluster *name*."""
    fields = _fields(text, name)
    reasons = (
        ("it is for another cluster", fields["cluster_name"] not in (None, name)),
        ("it is not valid yet", _moment(fields["activation_date"]) > state.now),
        ("license no longer valid", _moment(fields["expiration_date"]) <= state.now),
        ("more shards are in use", sum(shards_in_use(state).values()) > (fields["shards_limit"] or 0)),
    )
    for reason, broken in reasons:
        if broken:
            raise ApiError(406, "invalid_license", reason)
    return fields


def install(state: ClusterState, text: str) -> None:
    """Install the licence *text*; raise 400 if it is damaged, 406 if it is not valid for this cluster."""
    try:
        state.license = ObjectRecord(read_license(state, text, state.cluster.fields["name"]))
    except ApiError as error:
        if error.status == 406 and state.settings.on("license_failure", "remove"):
            state.license = ObjectRecord({})
            state.changed()
        raise
    state.changed()


# Endpoints


@serves("GET /v1/license")
def get(state: ClusterState, request: Request) -> Response:
    """Show the licence; 404 where there is none."""
    if not state.license.fields:
        raise ApiError(404, "not_found", "no licence is installed")
    used = {f"{name}_shards_in_use": count for name, count in shards_in_use(state).items()}
    fields = {**state.license.fields, "expired": is_expired(state), **used}
    return json_response(dict(sorted(fields.items())))


@serves("PUT /v1/license")
def update(state: ClusterState, request: Request, body: Json) -> Response:
    """Install a licence."""
    sent = validate("license", body, body_rules(state.settings))
    if "license" not in sent:
        raise schema_error("license", "missing")
    install(state, sent["license"])
    return json_response(None)


def _load(state: ClusterState, body: Json) -> None:
    state.license = ObjectRecord(dict(body))


add_section("/v1/license", _load, lambda state: state.license.fields)
