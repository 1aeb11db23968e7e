"""Login with a client certificate: the authority that signs them, and the user that a certificate belongs to."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_ATTRIBUTES: Final = (
    ("CN", NameOID.COMMON_NAME),
    ("OU", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("O", NameOID.ORGANIZATION_NAME),
    ("L", NameOID.LOCALITY_NAME),
    ("ST", NameOID.STATE_OR_PROVINCE_NAME),
    ("C", NameOID.COUNTRY_NAME),
)


def client_authority(state: ClusterState) -> str:
    """Return the PEM text of the CA that signs client certificates; "" where they are not asked for."""
    if not state.cluster.fields.get("mtls_certificate_authentication"):
        return ""
    return str(state.singletons["cluster_certificates"].fields.get("mtls_trusted_ca_cert") or "")


def user_of(state: ClusterState, certificate: bytes) -> ObjectRecord | None:
    """Return the user whose subject line is that of *certificate* (DER), if the cluster authorizes its subject."""
    found = x509.load_der_x509_certificate(certificate)
    parts = {word: [str(one.value) for one in found.subject.get_attributes_for_oid(oid)] for word, oid in _ATTRIBUTES}
    if not _authorized(state, found, parts):
        return None
    line = ",".join(f"{word}={value}" for word, values in parts.items() for value in values)
    return next(
        (
            user
            for user in state.users.values()
            if user.fields.get("auth_method") == "certificate" and user.fields.get("certificate_subject_line") == line
        ),
        None,
    )


def _authorized(state: ClusterState, certificate: x509.Certificate, parts: dict[str, list[str]]) -> bool:
    fields = state.cluster.fields
    kind, entries = fields.get("mtls_client_cert_subject_validation_type"), fields.get("mtls_authorized_subjects") or ()
    if kind == "san_cn":
        names = {*parts["CN"], *_dns_names(certificate)}
        return any(entry.get("CN") in names for entry in entries)
    if kind == "full_subject":
        return any(_same_subject(entry, parts) for entry in entries)
    return True


def _same_subject(entry: dict[str, object], parts: dict[str, list[str]]) -> bool:
    def texts(value: object) -> list[str]:
        return [str(one) for one in (value if isinstance(value, list) else [value]) if one]

    return all(texts(entry.get(word)) == values for word, values in parts.items())


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)
