"""The proxy certificate of a single database."""

from __future__ import annotations

from reconciler.simulator.api.fields import body_rules, missing_field, schema_error, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, is_dry_run, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster import pem
from reconciler.simulator.resources import lookup
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_KEPT = "proxy_certificate"


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise ApiError(400, "invalid_param", f"{name} must be a number from 1")
    return int(text)


@serves("GET /v1/bdbs/certificates")
def list_all(state: ClusterState, request: Request) -> Response:
    """Show the certificates of databases, a page at a time."""
    page, size = _number(request, "page", 1), _number(request, "page_size", 100)
    before, mode = request.query.get("expires_before"), request.query.get("tls_mode")
    found = [
        record.hidden[_KEPT]
        for record in state.bdbs.values()
        if _KEPT in record.hidden and mode in (None, record.fields.get("tls_mode"))
    ]
    found = [item for item in found if before is None or item["not_after"] < before]
    return json_response(found[(page - 1) * size : page * size])


def _certificate(record: ObjectRecord) -> Json:
    if _KEPT not in record.hidden:
        raise ApiError(404, "not_found", "the database has no certificate")
    return record.hidden[_KEPT]


@serves("GET /v1/bdbs/{uid}/certificates")
def get(state: ClusterState, request: Request, uid: str) -> Response:
    """Show the certificate of a database, without its key."""
    return json_response(_certificate(lookup.find_bdb(state, uid)))


@serves("POST /v1/bdbs/{uid}/certificates")
def update(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Set or replace the certificate of a database."""
    record, kind = lookup.find_bdb(state, uid), "bdb_proxy_certificate"
    sent = validate(kind, body, body_rules(state.settings))
    if lacking := missing_field(kind, sent, body_rules(state.settings)):
        raise schema_error(lacking, "missing")
    try:
        facts = pem.read_certificate(sent["cert"])
    except ValueError:
        raise ApiError(400, "invalid_certificate", "cert is not a certificate") from None
    if not pem.key_matches(sent["private_key"], facts):
        raise ApiError(400, "invalid_certificate", "private_key does not belong to the certificate")
    if facts.not_after <= state.now:
        raise ApiError(406, "certificate_expired", "the certificate is expired")
    times = {"not_before": format_time(facts.not_before), "not_after": format_time(facts.not_after)}
    fields = {"bdb_uid": uid, "cert": sent["cert"], **times}
    if not is_dry_run(request):
        record.hidden[_KEPT] = fields
        state.changed()
    return json_response(fields)


@serves("DELETE /v1/bdbs/{uid}/certificates")
def delete(state: ClusterState, request: Request, uid: str) -> Response:
    """Delete the certificate of a database; the one of the cluster applies again."""
    record = lookup.find_bdb(state, uid)
    _certificate(record)
    del record.hidden[_KEPT]
    state.changed()
    return json_response(None)
