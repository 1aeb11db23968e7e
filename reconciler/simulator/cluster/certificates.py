"""The certificates of a cluster: read with their keys, replaced, deleted where a cluster can do without, rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.simulator.api.fields import body_rules, missing_field, schema_error, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster import pem
from reconciler.simulator.resources.singletons import store_singleton
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord


class CertificateType(NamedTuple):
    """What is true of one certificate: whether a cluster must have it, makes it by itself, and has a key to it."""

    needed: bool = False
    internal: bool = False
    keyed: bool = True
    since: str = "7.4"


CERTIFICATES: Mapping[str, CertificateType] = {
    "api": CertificateType(needed=True),
    "cm": CertificateType(needed=True),
    "proxy": CertificateType(needed=True),
    "metrics_exporter": CertificateType(needed=True),
    "syncer": CertificateType(needed=True),
    "ccs_internode_encryption": CertificateType(needed=True, internal=True),
    "data_internode_encryption": CertificateType(needed=True, internal=True),
    "mtls_trusted_ca": CertificateType(keyed=False),
    "ldap_client": CertificateType(),
    "sso_service": CertificateType(),
    "sso_issuer": CertificateType(keyed=False),
}
_INTERNAL_DAYS = 90


def stored_certificates(state: ClusterState) -> ObjectRecord:
    """Return the certificates by `<name>_cert` and `<name>_key`; a fresh cluster makes its own when first asked."""
    record = state.singletons["cluster_certificates"]
    if not any(name.endswith("_cert") and name != "mtls_trusted_ca_cert" for name in record.fields):
        for name, sort in CERTIFICATES.items():
            if sort.needed:
                _generate(state, record, name)
    return record


def _generate(state: ClusterState, record: ObjectRecord, name: str) -> None:
    days = _INTERNAL_DAYS if CERTIFICATES[name].internal else 365
    pair = pem.make(state.cluster.fields["name"], state.now, days)
    if name == "api" and state.site.shown is not None:
        pair = pem.CertificatePair(*state.site.shown)
    record.set(**{f"{name}_cert": pair.certificate, f"{name}_key": pair.key})


@serves("GET /v1/cluster/certificates")
def get(state: ClusterState, request: Request) -> Response:
    """Show all certificates, private keys included."""
    return json_response(dict(sorted(stored_certificates(state).fields.items())))


def _checked(state: ClusterState, item: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that *item* sets, or raise: 403 for an unknown name, 400 for bad PEM, 406 when expired."""
    name = item["name"]
    if name not in CERTIFICATES:
        raise ApiError(403, "unknown_certificate", f"there is no certificate {name}")
    try:
        facts = pem.read_certificate(item["certificate"])
    except ValueError:
        raise ApiError(400, "invalid_certificate", f"{name}: that is no certificate") from None
    if CERTIFICATES[name].keyed and not pem.key_matches(item.get("key", ""), facts):
        raise ApiError(400, "invalid_certificate", f"{name}: the key does not belong to the certificate")
    if facts.not_after <= state.now:
        raise ApiError(406, "certificate_expired", f"{name}: the certificate is expired")
    if name == "proxy":
        state.singletons["ocsp"].set(responder_url=facts.responder)
    stored = {f"{name}_cert": item["certificate"]}
    return {**stored, f"{name}_key": item["key"]} if CERTIFICATES[name].keyed else stored


def _validated(item: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(item, dict):
        raise schema_error(where, "expected an object")
    for name in ("name", "certificate"):
        if not isinstance(item.get(name), str):
            raise schema_error(f"{where}.{name}", "expected a string")
    if not isinstance(item.get("key", ""), str) or not set(item) <= {"name", "certificate", "key"}:
        raise schema_error(where, "expected name, certificate and key")
    return item


def _store(state: ClusterState, items: list[Mapping[str, Json]]) -> Response:
    record = stored_certificates(state)
    new: dict[str, Json] = {}
    for item in items:
        new.update(_checked(state, item))
    if any(record.fields.get(name) != value for name, value in new.items()):
        record.set(**new)
        for name in _IN_CLUSTER:
            state.cluster.drop(f"{name}_certificate")
        state.changed()
    if "api_cert" in new:
        state.site.show(new["api_cert"], new["api_key"])
    return json_response(None)


_IN_CLUSTER = ("proxy", "syncer")


def shown_in_cluster(state: ClusterState) -> dict[str, Json]:
    """Return the certificates that a read of the cluster shows as well."""
    return {f"{name}_certificate": stored_certificates(state).fields[f"{name}_cert"] for name in _IN_CLUSTER}


@serves("PUT /v1/cluster/certificates")
def update(state: ClusterState, request: Request, body: Json) -> Response:
    """Replace any number of certificates; all of them or none."""
    items = body.get("certificates") if isinstance(body, dict) and set(body) == {"certificates"} else None
    if not isinstance(items, list) or not items:
        raise schema_error("certificates", "expected a list of certificates")
    return _store(state, [_validated(item, f"certificates[{place}]") for place, item in enumerate(items)])


@serves("PUT /v1/cluster/update_cert")
def update_one(state: ClusterState, request: Request, body: Json) -> Response:
    """Replace one certificate."""
    return _store(state, [_validated(body, "body")])


@serves("DELETE /v1/cluster/certificates/{certificate_name}")
def delete(state: ClusterState, request: Request, name: str) -> Response:
    """Delete a certificate that a cluster can do without."""
    if name not in CERTIFICATES:
        raise ApiError(404, "not_found", f"there is no certificate {name}")
    if CERTIFICATES[name].needed:
        raise ApiError(403, "required_certificate", f"the certificate {name} is needed")
    if f"{name}_cert" not in stored_certificates(state).fields:
        raise ApiError(404, "not_found", f"the certificate {name} is not set")
    drop_certificate(state, name)
    state.changed()
    return json_response(None)


def drop_certificate(state: ClusterState, name: str) -> None:
    """Forget the certificate *name* and its key."""
    for part in ("cert", "key"):
        stored_certificates(state).drop(f"{name}_{part}")


@serves("POST /v1/cluster/certificates/rotate")
def rotate(state: ClusterState, request: Request, body: Json) -> Response:
    """Make internal certificates anew: the named one, or all."""
    sent = validate("certificate_rotate_request", body or {}, body_rules(state.settings))
    internal = [name for name, sort in CERTIFICATES.items() if sort.internal]
    wanted = sent.get("name")
    if wanted is not None and wanted not in CERTIFICATES:
        raise schema_error("name", f"there is no certificate {wanted}")
    if wanted is not None and wanted not in internal:
        raise ApiError(403, "required_certificate", f"the certificate {wanted} does not rotate")
    for name in internal if wanted is None else [wanted]:
        _generate(state, stored_certificates(state), name)
    state.changed()
    return json_response(None)


@serves("PATCH /v1/cluster/change_password_hashing_algorithm")
def change_hashing(state: ClusterState, request: Request, body: Json) -> Response:
    """Choose how passwords are kept; 400 where that is so already."""
    sent, kind = validate("password_hashing_algorithm_request", body, body_rules(state.settings)), "algorithm"
    if missing_field("password_hashing_algorithm_request", sent, body_rules(state.settings)):
        raise schema_error(kind, "missing")
    if state.cluster.fields.get("password_hashing_algorithm") == sent[kind]:
        raise ApiError(400, "invalid_param", f"{sent[kind]} is in use already")
    state.cluster.set(password_hashing_algorithm=sent[kind])
    state.changed()
    return json_response(None)


store_singleton("cluster_certificates", "/v1/cluster/certificates")
