"""The certificates of a cluster: read with their keys, replaced, deleted where a cluster can do without, rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.simulator.api.fields import accept, bad, how, missing
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, answer
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster import pem
from reconciler.simulator.resources.singletons import keep
from reconciler.simulator.state.model import State
from reconciler.simulator.state.records import Record


class Sort(NamedTuple):
    """What is true of one certificate: whether a cluster must have it, makes it by itself, and has a key to it."""

    needed: bool = False
    internal: bool = False
    keyed: bool = True
    since: str = "7.4"


SORTS: Mapping[str, Sort] = {
    "api": Sort(needed=True),
    "cm": Sort(needed=True),
    "proxy": Sort(needed=True),
    "metrics_exporter": Sort(needed=True),
    "syncer": Sort(needed=True),
    "ccs_internode_encryption": Sort(needed=True, internal=True),
    "data_internode_encryption": Sort(needed=True, internal=True),
    "mtls_trusted_ca": Sort(keyed=False),
    "ldap_client": Sort(),
    "sso_service": Sort(),
    "sso_issuer": Sort(keyed=False),
}
_INTERNAL_DAYS = 90


def held(state: State) -> Record:
    """Return the certificates by `<name>_cert` and `<name>_key`; a fresh cluster makes its own when first asked."""
    record = state.singles["cluster_certificates"]
    if not any(name.endswith("_cert") and name != "mtls_trusted_ca_cert" for name in record.fields):
        for name, sort in SORTS.items():
            if sort.needed:
                _make(state, record, name)
    return record


def _make(state: State, record: Record, name: str) -> None:
    days = _INTERNAL_DAYS if SORTS[name].internal else 365
    pair = pem.make(state.cluster.fields["name"], state.now, days)
    if name == "api" and state.site.shown is not None:
        pair = pem.Pair(*state.site.shown)
    record.set(**{f"{name}_cert": pair.certificate, f"{name}_key": pair.key})


@serves("GET /v1/cluster/certificates")
def get(state: State, request: Request) -> Response:
    """Show all certificates, private keys included."""
    return answer(dict(sorted(held(state).fields.items())))


def _checked(state: State, item: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that *item* sets, or raise: 403 for an unknown name, 400 for bad PEM, 406 when expired."""
    name = item["name"]
    if name not in SORTS:
        raise ApiError(403, "unknown_certificate", f"there is no certificate {name}")
    try:
        facts = pem.read(item["certificate"])
    except ValueError:
        raise ApiError(400, "invalid_certificate", f"{name}: that is no certificate") from None
    if SORTS[name].keyed and not pem.key_fits(item.get("key", ""), facts):
        raise ApiError(400, "invalid_certificate", f"{name}: the key does not belong to the certificate")
    if facts.not_after <= state.now:
        raise ApiError(406, "certificate_expired", f"{name}: the certificate is expired")
    if name == "proxy":
        state.singles["ocsp"].set(responder_url=facts.responder)
    stored = {f"{name}_cert": item["certificate"]}
    return {**stored, f"{name}_key": item["key"]} if SORTS[name].keyed else stored


def _shaped(item: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(item, dict):
        raise bad(where, "expected an object")
    for name in ("name", "certificate"):
        if not isinstance(item.get(name), str):
            raise bad(f"{where}.{name}", "expected a string")
    if not isinstance(item.get("key", ""), str) or not set(item) <= {"name", "certificate", "key"}:
        raise bad(where, "expected name, certificate and key")
    return item


def _store(state: State, items: list[Mapping[str, Json]]) -> Response:
    record = held(state)
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
    return answer(None)


_IN_CLUSTER = ("proxy", "syncer")


def in_cluster(state: State) -> dict[str, Json]:
    """Return the certificates that a read of the cluster shows as well."""
    return {f"{name}_certificate": held(state).fields[f"{name}_cert"] for name in _IN_CLUSTER}


@serves("PUT /v1/cluster/certificates")
def update(state: State, request: Request, body: Json) -> Response:
    """Replace any number of certificates; all of them or none."""
    items = body.get("certificates") if isinstance(body, dict) and set(body) == {"certificates"} else None
    if not isinstance(items, list) or not items:
        raise bad("certificates", "expected a list of certificates")
    return _store(state, [_shaped(item, f"certificates[{place}]") for place, item in enumerate(items)])


@serves("PUT /v1/cluster/update_cert")
def update_one(state: State, request: Request, body: Json) -> Response:
    """Replace one certificate."""
    return _store(state, [_shaped(body, "body")])


@serves("DELETE /v1/cluster/certificates/{certificate_name}")
def delete(state: State, request: Request, name: str) -> Response:
    """Delete a certificate that a cluster can do without."""
    if name not in SORTS:
        raise ApiError(404, "not_found", f"there is no certificate {name}")
    if SORTS[name].needed:
        raise ApiError(403, "required_certificate", f"the certificate {name} is needed")
    if f"{name}_cert" not in held(state).fields:
        raise ApiError(404, "not_found", f"the certificate {name} is not set")
    drop(state, name)
    state.changed()
    return answer(None)


def drop(state: State, name: str) -> None:
    """Forget the certificate *name* and its key."""
    for part in ("cert", "key"):
        held(state).drop(f"{name}_{part}")


@serves("POST /v1/cluster/certificates/rotate")
def rotate(state: State, request: Request, body: Json) -> Response:
    """Make internal certificates anew: the named one, or all."""
    sent = accept("certificate_rotate_request", body or {}, how(state.settings))
    internal = [name for name, sort in SORTS.items() if sort.internal]
    wanted = sent.get("name")
    if wanted is not None and wanted not in SORTS:
        raise bad("name", f"there is no certificate {wanted}")
    if wanted is not None and wanted not in internal:
        raise ApiError(403, "required_certificate", f"the certificate {wanted} does not rotate")
    for name in internal if wanted is None else [wanted]:
        _make(state, held(state), name)
    state.changed()
    return answer(None)


@serves("PATCH /v1/cluster/change_password_hashing_algorithm")
def change_hashing(state: State, request: Request, body: Json) -> Response:
    """Choose how passwords are kept; 400 where that is so already."""
    sent, kind = accept("password_hashing_algorithm_request", body, how(state.settings)), "algorithm"
    if missing("password_hashing_algorithm_request", sent, how(state.settings)):
        raise bad(kind, "missing")
    if state.cluster.fields.get("password_hashing_algorithm") == sent[kind]:
        raise ApiError(400, "invalid_param", f"{sent[kind]} is in use already")
    state.cluster.set(password_hashing_algorithm=sent[kind])
    state.changed()
    return answer(None)


keep("cluster_certificates", "/v1/cluster/certificates")
